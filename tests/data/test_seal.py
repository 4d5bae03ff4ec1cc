"""A seal holds for the folder it was made of and no other, under its key and no other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.data.pseudonym import PUBLIC_KEY, load_key
from understudy.data.seal import (
    COHORT,
    SEAL,
    cohort_seal,
    content_id,
    key_at_hand,
    key_for,
    key_of,
    seal,
    seal_folder,
    sealed_by,
    sealing_key,
    vouching_key,
)

KEY, OTHER = b"k" * 32, b"l" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out" / "internal").mkdir(parents=True)
    (tmp_path / "out" / "results.json").write_text("{}")
    (tmp_path / "out" / "internal" / "pairs.csv").write_text("a")
    seal_folder(tmp_path / "out", KEY)
    return tmp_path / "out"


def test_a_seal_is_that_of_its_key(folder: Path) -> None:
    assert sealed_by(folder, [KEY]) == sealed_by(folder, [OTHER, KEY]) == KEY
    assert sealed_by(folder, [OTHER]) is None and sealed_by(folder, []) is None
    before = (folder / SEAL).read_bytes()
    seal_folder(folder, KEY)
    assert (folder / SEAL).read_bytes() == before and KEY.hex() not in before.decode()
    (folder / SEAL).unlink()
    seal_folder(folder, None)
    assert not (folder / SEAL).exists() and sealed_by(folder, [KEY]) is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda folder: (folder / "results.json").write_text("[]"), "results.json"),
        (lambda folder: (folder / "internal" / "pairs.csv").unlink(), "internal/pairs.csv"),
        (lambda folder: (folder / "more.csv").write_text(""), "more.csv"),
        (lambda folder: (folder / "results.json").rename(folder / "other.json"), "other.json"),
    ],
)
def test_every_change_is_noticed(folder: Path, change: Callable[[Path], Any], named: str) -> None:
    change(folder)
    with pytest.raises(UnderstudyError, match=f"does not hold: {named} was changed, added or removed"):
        sealed_by(folder, [KEY])


def test_an_edited_seal_is_noticed(folder: Path) -> None:
    data = json.loads((folder / SEAL).read_text())
    data["files"].pop("internal/pairs.csv")
    (folder / "internal" / "pairs.csv").unlink()
    (folder / SEAL).write_text(json.dumps(data))
    with pytest.raises(UnderstudyError, match="the seal of .* does not hold: it was changed"):
        sealed_by(folder, [KEY])
    for text in ("{", "[]", json.dumps({**data, "hmac": 7}), json.dumps({**data, "more": 1})):
        (folder / SEAL).write_text(text)
        with pytest.raises(UnderstudyError, match="is not a seal that understudy wrote"):
            sealed_by(folder, [KEY])


def test_plain_data_have_seals_too() -> None:
    made = seal(KEY, {"b": 1, "a": [2.5]})
    assert sealing_key(made, [OTHER, KEY], {"a": [2.5], "b": 1}, "x") == KEY
    assert sealing_key(made, [OTHER], {"a": [2.5], "b": 1}, "x") is None
    with pytest.raises(UnderstudyError, match="the seal of x does not hold"):
        sealing_key(made, [KEY], {"a": [2.5], "b": 2}, "x")


def test_the_key_is_that_of_the_real_cohort(tmp_path: Path) -> None:
    def real(name: str, key: bytes | None) -> Cohort:
        about: dict[str, Any] = {"modality": "MR", "size": (2, 2), "dtype": "uint8", "provenance": Provenance("x")}
        about |= {"kind": "real", "channels": [Channel("a", 0, 1)], "scheme": None, "label_source": None, "key": key}
        with CohortWriter(tmp_path / name, **about) as w:
            w.append(np.zeros((1, 2, 2), np.uint8), None, {"case_id": "a", "subject_id": "b"})
        return Cohort.open(tmp_path / name)

    people, phantom = real("people", KEY), real("phantom", None)
    assert key_of(people, KEY) == KEY and key_of(people, OTHER) is None and key_of(people, None) is None
    assert key_of(phantom, KEY) == key_of(phantom, None) == PUBLIC_KEY
    assert people.id == content_id(people, KEY) != content_id(people, None)
    manifest = json.loads((tmp_path / "people" / "cohort.json").read_text())
    (tmp_path / "people" / "cohort.json").write_text(json.dumps({**manifest, "kind": "semi-synthetic"}))
    assert key_of(Cohort.open(tmp_path / "people"), KEY) is None


def test_a_key_is_at_hand_where_its_file_is(tmp_path: Path) -> None:
    assert key_at_hand(tmp_path / "key", tmp_path / "out") is None and not (tmp_path / "key").exists()
    made = load_key(tmp_path / "key")
    assert key_at_hand(tmp_path / "key", tmp_path / "out") == made


def cohort(out: Path, **about: Any) -> Cohort:
    """Write a cohort of one case."""
    about = {"modality": "MR", "size": (2, 2), "dtype": "uint8", "provenance": Provenance("x"), **about}
    about |= {"channels": [Channel("a", 0, 1)], "scheme": None, "label_source": None}
    with CohortWriter(out, **about) as w:
        w.append(np.zeros((1, 2, 2), np.uint8), None, {"case_id": "a", "subject_id": "b"})
    return Cohort.open(out)


def test_a_synthetic_cohort_is_sealed_with_the_weakest_key_that_vouches_for_its_sources(tmp_path: Path) -> None:
    made = {
        "real": cohort(tmp_path / "real", kind="real", key=KEY), "phantom": cohort(tmp_path / "phantom", kind="real"),
        "ours": cohort(tmp_path / "ours", kind="synthetic", seal=cohort_seal([], KEY)),
        "anyones": cohort(tmp_path / "anyones", kind="synthetic", seal=cohort_seal([], None)),
        "theirs": cohort(tmp_path / "theirs", kind="synthetic", seal=cohort_seal([], OTHER)),
        "none": cohort(tmp_path / "none", kind="synthetic"),
    }  # fmt: skip
    wanted = {"real": KEY, "phantom": PUBLIC_KEY, "ours": KEY, "anyones": PUBLIC_KEY, "theirs": None, "none": None}
    assert {name: vouching_key(one, KEY) for name, one in made.items()} == wanted
    for names, key in (
        ("", KEY), ("real ours", KEY), ("real anyones", PUBLIC_KEY), ("ours phantom", PUBLIC_KEY),
        ("ours theirs", None), ("real none", None),
    ):  # fmt: skip
        assert key_for([made[name] for name in names.split()], KEY) == key, names
    assert key_for([], None) == PUBLIC_KEY and key_for([made["ours"]], None) is None
    last = cohort(tmp_path / "last", kind="synthetic", seal=cohort_seal([made["none"]], KEY))
    assert not (last.path / SEAL).exists()
    semi = {"kind": "semi-synthetic", "key": KEY, "seal": cohort_seal([], KEY)}
    assert not (cohort(tmp_path / "semi", **semi).path / SEAL).exists()  # whose id is keyed


def test_an_edited_cohort_is_vouched_for_by_nobody(tmp_path: Path) -> None:
    made = cohort(tmp_path / "made", kind="synthetic", seal=cohort_seal([], KEY))
    (made.path / "notes.txt").write_text("a note beside it is no edit")
    assert vouching_key(made, KEY) == KEY
    text = (made.path / "cohort.json").read_text()
    (made.path / "cohort.json").write_text(text.replace('"MR"', '"CT"'))
    with pytest.raises(UnderstudyError, match="made does not hold: cohort.json was changed"):
        vouching_key(Cohort.open(made.path), KEY)
    (made.path / SEAL).unlink()
    assert vouching_key(made, KEY) is None
    seal_folder(made.path, KEY)  # of a folder, which is no cohort's
    with pytest.raises(UnderstudyError, match="cases.csv was changed, added or removed"):
        vouching_key(made, KEY)
    assert sealed_by(made.path, [KEY]) == KEY and COHORT == ("cohort.json",)
