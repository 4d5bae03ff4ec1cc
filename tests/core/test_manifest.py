"""Files of a cohort that are not as they should be: each variant is refused in one sentence, and nothing waits."""

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.cli.main import main
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.data.check import check_cohort

N, DEEP = 4, 100_000
WRONG: dict[str, Any] = {
    "list": [], "dict": {}, "text": "x", "number": 3, "float": 1.5, "negative": -1, "bool": True, "null": None,
    "huge": 10**60, "nested": {"a": [{"b": {}}]}, "list of lists": [[[]]],
}  # fmt: skip
FREE = {("provenance", "config"), ("preprocessing",), ("provenance", "inputs")}  # plain data
OPTIONAL = {"meaning", "colour", "sampling", "splits", "subjects", "config", "seed", "inputs", "understudy"}
AFFINE = " ".join(map(str, np.eye(4).ravel()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a sound cohort."""
    out = tmp_path_factory.mktemp("manifest") / "cohort"
    with CohortWriter(
        out, kind="real", modality="MR", size=(8, 6), channels=[Channel("a", 0.0, 255.5)], dtype="uint8",
        scheme=LabelScheme(("background", "lesion"), (0, 9)), label_source="patient", classes=["ill"],
        provenance=Provenance("test", {"x": 1}, 3, {"source": "ab"}), preprocessing={"fit": "crop"}, key=b"key",
        trained_on=[{"cohort": "c", "splits": ["train"], "subjects": ["s"]}],
    ) as writer:  # fmt: skip
        for i in range(N):
            image = np.random.default_rng(i).integers(0, 255, (1, 8, 6)).astype(np.uint8)
            row = {"spacing": "1 2", "affine": AFFINE, "slice_index": str(i), "ill": str(i % 2), "split": "train"}
            writer.append(image, (image[0] > 128).astype(np.uint8), {"case_id": f"c{i}", "subject_id": f"s{i}", **row})
    return {file.name: file.read_bytes() for file in out.iterdir()}


def refused(files: dict[str, bytes], folder: Path, name: str) -> str | None:
    """What is said of a damaged cohort, in one sentence that names it; None where nothing is wrong."""
    folder.mkdir(exist_ok=True)
    for file, content in files.items():
        if not (folder / file).exists() or (folder / file).read_bytes() != content:
            (folder / file).write_bytes(content)
    return told(folder, name)


def told(folder: Path, name: str) -> str | None:
    sentence, code = None, 1
    try:
        sentence = next((f.sentence for f in check_cohort(folder) if f.level == "error"), None)
    except UnderstudyError as error:
        sentence, code = str(error), error.exit_code
    if sentence is not None:
        assert code == 1 and "\n" not in sentence and ": " in sentence and len(sentence) < 1500, (name, sentence)
    return sentence


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, but for what is inside plain data."""
    yield path
    if path in FREE:
        return
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(item, (*path, key))


def changed(document: Any, path: tuple[Any, ...], value: Any = None, remove: bool = False) -> bytes:
    """The document with another value at a place, or without it, as bytes."""
    document = copy.deepcopy(document)
    parent = document
    for key in path[:-1]:
        parent = parent[key]
    if remove:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return json.dumps(document).encode()


def manifests(document: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Each field with each wrong type; each field missing; a field too many in each dictionary."""
    for path in places(document):
        value = document
        for key in path:
            value = value[key]
        for kind, wrong in WRONG.items() if path else ():
            of_type = type(wrong) is type(value) or (isinstance(value, float) and type(wrong) is int)
            possible = path[-1] in ("seed", "low", "high") or path in FREE or isinstance(value, str | list)
            possible |= path[-1] == "source_value" and kind != "huge"
            if not (of_type and (possible or kind not in ("negative", "huge", "dict", "nested"))):
                yield f"{path} = {kind}", changed(document, path, wrong)
        if path and isinstance(path[-1], str) and path[-1] not in OPTIONAL:
            yield f"without {path}", changed(document, path, remove=True)
        if isinstance(value, dict) and path not in FREE:
            yield f"more in {path}", changed(document, (*path, "more"), 1)


def test_every_field_of_cohort_json_with_every_wrong_type(whole: dict[str, bytes], tmp_path: Path) -> None:
    variants = list(manifests(json.loads(whole["cohort.json"])))
    assert len(variants) > 400
    for name, content in variants:
        assert refused({**whole, "cohort.json": content}, tmp_path / "c", name), name


def test_texts_that_are_no_cohort_json(whole: dict[str, bytes], tmp_path: Path) -> None:
    text = whole["cohort.json"]
    variants = {
        "empty": b"", "cut": text[: len(text) // 2], "list": b"[]", "null": b"null", "a number": b"3",
        "deep": b"[" * DEEP, "deep and whole": text.replace(b'"crop"', b"[" * DEEP + b"]" * DEEP),
        "NaN": text.replace(b"255.5", b"NaN"), "Infinity": text.replace(b"255.5", b"Infinity"),
        "beyond floats": text.replace(b"255.5", b"1e999"), "latin-1": text.replace(b"MR", b"\xe9"),
        "a lone surrogate": text.replace(b"MR", b"\\ud800"), "NUL": text.replace(b"MR", b"\0"),
        "5,000 digits": text.replace(b'"n": 4', b'"n": ' + b"4" * 5000), "two values": text + text,
        "an empty range": text.replace(b"255.5", b"0"), "schema": text.replace(b'"schema": 1', b'"schema": 7'),
        "two classes of one name": text.replace(b'"lesion"', b'"background"'),
        "labels with a gap": text.replace(b'"label": 1', b'"label": 2'),
        "a class like a column": text.replace(b'"ill"', b'"split"'),
        "another kind": text.replace(b'"real"', b'"semi-real"'),
        "another dtype": text.replace(b'"uint8"', b'"object"'),
        "an id that is a path": text.replace(b'"id": "', b'"id": "../'), "size": text.replace(b"  8,", b"  9,"),
    }  # fmt: skip
    for name, content in variants.items():
        assert content != text and refused({**whole, "cohort.json": content}, tmp_path / "c", name), name


def test_tables_that_are_no_cases_csv(whole: dict[str, bytes], tmp_path: Path) -> None:
    text = whole["cases.csv"].decode()
    lines = text.splitlines()
    header = lines[0].split(",")
    variants: dict[str, str | bytes] = {
        "empty": "", "no rows": lines[0], "one row less": "\n".join(lines[:-1]), "one row more": text + lines[-1],
        "no header": "\n".join(lines[1:]), "a field more": text.replace("c1,", "c1,x,"),
        "NUL": text.replace("c1", "\0"),
        "a field less": text.replace("c1,", ""), "a blank line": text.replace("c1", "\nc1"),
        "latin-1": b"\xe9" + text.encode(),
        "an open quote": text.replace("c1", '"c1'), "a huge field": text.replace("c1", "c" * 200_000),
        "utf-16": text.encode("utf-16"), "a split": text.replace("train", "holdout", 1),
        "twice": text.replace("c1", "c2"),
        "no case": text.replace("c1", ""), "no subject": text.replace("s1", ""), "semicolons": text.replace(",", ";"),
    }  # fmt: skip
    for place, name in enumerate(header):
        without = [",".join(part for i, part in enumerate(line.split(",")) if i != place) for line in lines]
        variants[f"without {name}"] = "\n".join(without) + "\n"
        variants[f"{name} twice"] = text.replace("case_id", name) if place else text.replace("subject_id", name)
    for name, values in {
        "spacing": ("x", "nan 1", "inf 1", "1", "1 2 3", "-1 2", "0 1", "1,5"), "ill": ("yes", "nan", "inf", "1 2"),
        "affine": ("x", "1 0", AFFINE.replace("1.0", "nan"), AFFINE + " 1"), "slice_index": ("x", "nan", "1 2", "inf"),
    }.items():  # fmt: skip
        for value in values:
            rows = [dict(zip(header, line.split(","), strict=True)) for line in lines[1:]]
            rows[1][name] = f'"{value}"'
            variants[f"{name} = {value}"] = "\n".join([lines[0], *(",".join(row.values()) for row in rows)]) + "\n"
    assert len(variants) > 40
    for name, content in variants.items():
        content = content if isinstance(content, bytes) else content.encode()
        assert content != whole["cases.csv"] and refused({**whole, "cases.csv": content}, tmp_path / "c", name), name


def npy(array: Any, folder: Path) -> bytes:
    np.save(folder / "array.npy", array)
    return (folder / "array.npy").read_bytes()


@pytest.mark.parametrize("name", ["images", "labels"])
def test_arrays_that_are_none(whole: dict[str, bytes], tmp_path: Path, name: str) -> None:
    good = whole[f"{name}.npy"]
    (tmp_path / "good.npy").write_bytes(good)
    array = np.load(tmp_path / "good.npy")
    np.savez(tmp_path / "archive.npz", array)
    variants = {
        "empty": b"", "magic": b"\x93NUMPY", "text": b"nothing", "archive": (tmp_path / "archive.npz").read_bytes(),
        "goes on": good + b"Jane Doe",
        "a pickle": npy(np.array([{}, []], object), tmp_path), "one case less": npy(array[:-1], tmp_path),
        "Fortran": npy(np.asfortranarray(array), tmp_path), "big-endian": npy(array.astype(">u2"), tmp_path),
        "floats": npy(array.astype(np.float32), tmp_path), "bool": npy(array > 0, tmp_path),
        "flat": npy(array.ravel(), tmp_path), "an axis more": npy(array[None], tmp_path),
        "version": good.replace(b"NUMPY\1", b"NUMPY\7"),
        "huge": good.replace(b"(4,", b"(4" + b"0" * 40 + b","), "negative": good.replace(b"(4,", b"(-4,"),
        "a long header": good[:8] + b"\xff\xff" + good[10:], "code": good.replace(b"(4,", b"(f(),"),
        "nesting": good[:10] + b"(" * 200 + good[210:], "values": npy(array + 1, tmp_path),
        **{f"cut at {n}": good[:n] for n in (5, 9, 100, 255, 256, len(good) - 1)},
    }  # fmt: skip
    random = np.random.default_rng(0)
    for k in range(80):  # any one byte of the header
        spoilt = bytearray(good)
        spoilt[int(random.integers(0, 90))] = int(random.integers(0, 256))
        variants[f"byte {k}"] = bytes(spoilt)
    for kind, content in variants.items():
        sentence = refused({**whole, f"{name}.npy": content}, tmp_path / "c", kind)
        assert sentence or kind.startswith("byte"), kind


@pytest.mark.parametrize("name", ["cohort.json", "cases.csv", "images.npy", "labels.npy"])
def test_what_is_no_file(whole: dict[str, bytes], tmp_path: Path, name: str) -> None:
    folder = tmp_path / "c"
    folder.mkdir()
    for file, content in whole.items():
        (folder / file).write_bytes(content)
    for make in (os.mkfifo, os.mkdir, lambda p: os.symlink("/dev/zero", p), lambda p: os.symlink(p, p)):
        (folder / name).unlink() if not (folder / name).is_dir() else (folder / name).rmdir()
        make(folder / name)
        with pytest.raises(UnderstudyError, match=r"c(/| is)"):
            check_cohort(folder)


def test_the_command_line_says_it(whole: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = whole["cohort.json"]
    for content in (b"[]", text.replace(b'"n": 4', b'"n": 4.5'), b"[" * DEEP, text.replace(b"255.5", b"NaN")):
        assert refused({**whole, "cohort.json": content}, tmp_path / "c", "")
        assert main(["check", str(tmp_path / "c")]) == 1
        assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("name", ["ill\n# Approved", "ill\u202e"])
def test_names_of_classes_are_one_line(whole: dict[str, bytes], tmp_path: Path, name: str) -> None:
    told = json.loads(whole["cohort.json"])
    told["classes"] = [name]
    sentence = refused({**whole, "cohort.json": json.dumps(told).encode()}, tmp_path / "c", "cohort.json")
    assert sentence is not None and "one line of text, without control characters" in sentence
