"""More than 300 hostile files, each in the place of a document that some verb reads, given to the command line.

Each ends in one sentence and exit code 1 or 2, or is harmless; never in a traceback, a wait, or anything half-written.
Here a third of them, another of each document; ``make hostile`` (UNDERSTUDY_HOSTILE=1) tries all.
"""

import contextlib
import io
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from understudy.cli import main
from understudy.core.cohort import Cohort
from understudy.studies.new import shipped_text

ALL = bool(os.environ.get("UNDERSTUDY_HOSTILE"))
SHARE = 3
SECONDS = 60  # of a verb, on a busy machine, before it counts as waiting
DEEP = 50_000
RELEASE = "release {w}/synthetic --evidence {w}/results-privacy {w}/results-audit {w}/results-attacks --real {w}/real"
VERIFY, REPORT, SAMPLE = "verify {w}/signed", "report {w}/results-privacy", "sample {w}/run --n 1"
DOCUMENTS = {  # where it lies: which verb reads it, with --out where it makes something
    "signed/manifest.json": VERIFY,
    "signed/gate.json": VERIFY,
    "signed/card.json": VERIFY,
    "signed/policy.yaml": VERIFY,
    "signed/cohort/cohort.json": VERIFY,
    "signed/cohort/cases.csv": VERIFY,
    "signed/cohort/images.npy": VERIFY,
    "signed/evidence/privacy/results.json": VERIFY,
    "signed/evidence/privacy/curves/privacy-r.json": VERIFY,
    "signed/evidence/privacy/tables/privacy_attacks.csv": VERIFY,
    "signed/evidence/privacy/images/first.npz": VERIFY,
    "steward.pub": f"{VERIFY} --key {{w}}/steward.pub",
    "steward": f"{RELEASE} --sign {{w}}/steward --out {{w}}/out",
    "pseudonym.key": f"{RELEASE} --out {{w}}/out",
    "results-privacy/seal.json": f"{RELEASE} --out {{w}}/out",
    "synthetic/seal.json": f"{RELEASE} --out {{w}}/out",
    "synthetic/cohort.json": f"{RELEASE} --out {{w}}/out",
    "real/cohort.json": f"{RELEASE} --out {{w}}/out",
    "policy.yaml": "release a --evidence b --out c --dry-run --policy {w}/policy.yaml",
    "study.yaml": "study plan {w}/study.yaml --out {w}/out",
    "results-privacy/results.json": f"{REPORT} --out {{w}}/out",
    "results-privacy/tables/privacy_attacks.csv": f"{REPORT} --out {{w}}/out",
    "results-privacy/images/first.npz": f"{REPORT} --out {{w}}/out",
    "run/run.json": f"{SAMPLE} --out {{w}}/out",
    "run/complete.json": f"{SAMPLE} --out {{w}}/out",
}
WRONG: list[Any] = [None, True, -1, 1.5, 10**400, "", "x" * 5000, "../../etc/passwd", "\x1b[2J\0\n", "é\u202e", [], {},
                    [[[]]] * 50, {"a": {"b": None}}]  # fmt: skip


def link_to(target: str) -> Callable[[Path], Any]:
    return lambda file: file.symlink_to(target)


CONTENTS: dict[str, bytes | Callable[[Path], Any]] = {
    "empty": b"",
    "NUL": b"\0" * 3000,
    "no text": bytes(range(256)) * 20,
    "deep": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP,
    "null": b"null",
    "UTF-16": '{"a": 1}\n'.encode("utf-16"),
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
    "a circle": lambda file: file.symlink_to(file),
    "a device": link_to("/dev/zero"),
}
ENDLESS = 2**43  # bytes of holes, which take no room on the disk
BEFORE_HASHES = [name for name in DOCUMENTS if not name.startswith("signed/") or name.endswith("manifest.json")]
STRUCTURAL = 4  # further ones, of each JSON: something in it replaced


@pytest.fixture(scope="module")
def world(released: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a folder with one sound document of each kind, and the key of its cohorts."""
    world = tmp_path_factory.mktemp("hostile") / "w"
    shutil.copytree(released.bench.root, world)
    shutil.copyfile(os.environ["UNDERSTUDY_KEY_FILE"], world / "pseudonym.key")
    shutil.copyfile(released.bundle / "policy.yaml", world / "policy.yaml")
    (world / "study.yaml").write_text(shipped_text("first"))
    write_run(world / "run", Cohort.open(world / "real"))
    patch = pytest.MonkeyPatch()
    patch.setenv("UNDERSTUDY_KEY_FILE", str(world / "pseudonym.key"))
    yield world
    patch.undo()


def write_run(folder: Path, real: Cohort) -> None:
    """Write what a training says of itself, without what it learned: reading it is what is tried."""
    folder.mkdir()
    record = {
        "generator": "diffusion", "config": {}, "encoding": real.encoding.to_json(), "size": list(real.size),
        "classes": [], "modality": "MR", "seed": 0, "trained_on": [real.seen("train")],
        "provenance": {"command": "train", "inputs": {"cohort": real.id}},
    }  # fmt: skip
    (folder / "run.json").write_text(json.dumps(record))
    (folder / "complete.json").write_text('{"images_seen": 4}')


def said(words: str, world: Path) -> tuple[int, str]:
    """Run the command line; a verb that waits is ended, and fails."""

    def waits(*_: Any) -> None:
        raise AssertionError(f"waited: {words}")

    heard = io.StringIO()
    signal.signal(signal.SIGALRM, waits)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stderr(heard), contextlib.redirect_stdout(io.StringIO()):
            code = main.main([word.replace("{w}", str(world)) for word in words.split()])
    finally:
        signal.alarm(0)
    return code, heard.getvalue()


def variants(name: str, content: bytes) -> Iterator[tuple[str, bytes | Callable[[Path], Any]]]:
    """Every hostile thing that is put into the place of a document."""
    yield from CONTENTS.items()
    if name.endswith(".yaml"):
        yield "deep", b"[" * 1000  # PyYAML is slow
        yield "aliases", b"a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\nd: [*c, *c, *c]\n"
        yield "a tag", b"!!python/object/apply:os.system ['true']\n"
    yield "cut", content[: len(content) // 2]
    yield "twice", content * 2
    if name.endswith(".json"):
        chosen = random.Random(name)
        for k in range(STRUCTURAL):
            yield f"structure {k}", json.dumps(replaced(json.loads(content), chosen)).encode()
    if name.endswith((".npy", ".npz")):
        for k, shape in enumerate(((10**9, 10**9), (2**40,))):
            header = str({"descr": "<f8", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
            yield f"huge {k}", b"\x93NUMPY\x01\x00v\x00" + header


def replaced(document: Any, chosen: random.Random) -> Any:
    """Put something else into a place of a document, chosen at random."""
    parent = document
    while True:
        key = chosen.choice(sorted(parent) if isinstance(parent, dict) else range(len(parent)))
        if not (isinstance(parent[key], dict | list) and parent[key] and chosen.random() < 0.7):
            parent[key] = chosen.choice(WRONG)
            return document
        parent = parent[key]


def count() -> int:
    sizes = {".json": 2 + STRUCTURAL, ".npy": 4, ".npz": 4, ".yaml": 4}
    return sum(len(CONTENTS) + sizes.get(Path(name).suffix, 2) for name in DOCUMENTS)


def test_there_are_more_than_300() -> None:
    assert count() > 300


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_hostile_document_is_refused_in_one_sentence(world: Path, released: Any, name: str) -> None:
    file, sound = world / name, (world / name).read_bytes()
    mode = file.stat().st_mode
    manifest = (world / "signed" / "manifest.json").read_bytes()
    there, wrong = sorted(path.name for path in world.iterdir()), []
    tried = list(dict(variants(name, sound)).items())
    for kind, content in tried if ALL else tried[list(DOCUMENTS).index(name) % SHARE :: SHARE]:
        file.unlink()
        if isinstance(content, bytes):
            file.write_bytes(content)
            file.chmod(mode)
            if name.startswith("signed/") and not name.endswith("manifest.json"):
                released.rehash(world / "signed")
        else:
            content(file)
        code, told = said(DOCUMENTS[name], world)
        if code == 0:
            shutil.rmtree(world / "out", ignore_errors=True)
        good = sorted(path.name for path in world.iterdir()) == there and "a fault in understudy" not in told
        if code:
            good &= code in (1, 2) and told.startswith("error: ") and told.count("\n") == 1
            good &= len(told) < 9000 and told.rstrip().isprintable()
        if not good:
            wrong.append((kind, code, told[:300]))
            shutil.rmtree(world / "out", ignore_errors=True)
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
        file.write_bytes(sound)
        file.chmod(mode)
        (world / "signed" / "manifest.json").write_bytes(manifest)
    assert not wrong, "\n".join(map(str, wrong))


@pytest.mark.parametrize("name", BEFORE_HASHES)
def test_a_document_without_an_end_is_refused_in_one_sentence(world: Path, name: str) -> None:
    file = world / name
    sound, mode = file.read_bytes(), file.stat().st_mode
    os.truncate(file, 0)
    os.truncate(file, ENDLESS)
    code, told = said(DOCUMENTS[name], world)
    file.unlink()
    file.write_bytes(sound)
    file.chmod(mode)
    assert code in (1, 2) and told.startswith("error: ") and told.count("\n") == 1, told[:300]
    assert "a fault in understudy" not in told and "the memory of this machine" not in told, told[:300]
    assert not (world / "out").exists()


@pytest.mark.parametrize(
    "value", ["[" * 600, "{a: ", "!!python/name:os", "2024-13-45", "&a [*a]", "\0", "9" * 5000, "~"]
)
def test_a_hostile_setting_is_refused_in_one_sentence(world: Path, value: str) -> None:
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard):
        code = main.main(["train", "diffusion", str(world / "real"), "--out", str(world / "out"), "--set",
                          f"images_seen={value}", "--dry-run"])  # fmt: skip
    assert code == 2 and heard.getvalue().startswith("error: ") and heard.getvalue().count("\n") == 1
    assert not (world / "out").exists()


def test_a_hostile_reason_is_refused_in_one_sentence(world: Path) -> None:
    for reason in ("\udcff\ud800", "x" * 10**6, "\x1b[2J\0"):
        words = RELEASE.replace("{w}", str(world)).split()
        heard = io.StringIO()
        with contextlib.redirect_stderr(heard), contextlib.redirect_stdout(io.StringIO()):
            code = main.main([*words, "--out", str(world / "out"), "--override", reason])
        assert code in (1, 2) and "a fault in understudy" not in heard.getvalue(), heard.getvalue()[:300]
    assert not (world / "out").exists()
