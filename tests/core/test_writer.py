"""Writing cohorts: same request, same bytes; an exception leaves nothing; what does not fit is refused."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core import writer
from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import ProcessLost, UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

Write = Callable[..., np.ndarray]


def test_same_request_same_bytes_and_key_changes_the_id(tmp_path: Path, write: Write) -> None:
    for name, key in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        write(tmp_path / name, key=key)
    ids = [Cohort.open(tmp_path / name).id for name in "abc"]
    assert ids[0] == ids[1] != ids[2]
    for file in ("cohort.json", "cases.csv", "images.npy", "labels.npy"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_exception_leaves_nothing(tmp_path: Path, write: Write) -> None:
    with pytest.raises(RuntimeError):
        write(tmp_path / "c", fail_at=3)
    with pytest.raises(UnderstudyError, match="one split"):
        _two_splits(tmp_path / "c")
    with pytest.raises(UnderstudyError, match="no case"):
        write(tmp_path / "c", n=0)
    assert list(tmp_path.iterdir()) == []


def _two_splits(out: Path) -> None:
    with CohortWriter(
        out,
        kind="real",
        modality="MR",
        size=(2, 2),
        channels=[Channel("a", 0, 1)],
        dtype="uint8",
        scheme=None,
        label_source=None,
        provenance=Provenance("test"),
    ) as writer:
        for i, split in enumerate(("train", "test")):
            writer.append(np.zeros((1, 2, 2), np.uint8), None, {"case_id": str(i), "subject_id": "s", "split": split})


def test_wrong_arrays_are_refused(tmp_path: Path, write: Write) -> None:
    with pytest.raises(UnderstudyError, match="shape"):
        write(tmp_path / "c", size=(6, 8))
    with pytest.raises(UsageError, match="source"):
        write(tmp_path / "c", label_source=None)
    with pytest.raises(UsageError, match="kind"):
        write(tmp_path / "c", kind="fake")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["patient", "edited patient", "predicted"])
def test_a_synthetic_cohort_has_sampled_label_maps(tmp_path: Path, source: str, write: Write) -> None:
    with pytest.raises(UsageError, match="are sampled, and these are .* semi-synthetic"):
        write(tmp_path / "c", kind="synthetic", label_source=source)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("error", "kept"), [(KeyboardInterrupt, True), (ProcessLost, True), (RuntimeError, False)])
def test_an_interrupted_writing_goes_on_and_a_failed_one_leaves_nothing(
    error: type[BaseException], kept: bool, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "whole")
    monkeypatch.setattr(writer, "NOTE_SECONDS", 0)
    assert go_on(tmp_path / "c", 0, 3, error) == 0
    assert (tmp_path / ".c.partial").is_dir() == kept
    assert go_on(tmp_path / "c", 3 if kept else 0, 5, None) == (3 if kept else 0)
    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "c" / file.name).read_bytes() == file.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c", "whole"]


def test_no_half_note_stays_in_the_cohort(tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "whole")
    monkeypatch.setattr(writer, "NOTE_SECONDS", 0)
    go_on(tmp_path / "c", 0, 3, KeyboardInterrupt)
    (tmp_path / ".c.partial" / ".unfinished.json.partial").touch()  # killed while it was written
    monkeypatch.setattr(writer, "NOTE_SECONDS", 99)
    go_on(tmp_path / "c", 3, 5, None)
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == sorted(p.name for p in (tmp_path / "whole").iterdir())


@pytest.mark.parametrize("change", ["request", "machine", "bytes", "short"])
def test_what_does_not_fit_is_begun_anew(
    change: str, tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "NOTE_SECONDS", 0)
    go_on(tmp_path / "c", 0, 3, KeyboardInterrupt)
    changes = {"request": {"provenance": Provenance("other")}, "machine": {"machine": "cuda"}}.get(change, {})
    file = tmp_path / ".c.partial" / "images.npy"
    if change in ("bytes", "short"):
        content = file.read_bytes()
        file.write_bytes(content[:-5] if change == "short" else content[:-1] + b"\xff")
    assert go_on(tmp_path / "c", 0, 5, None, **changes) == 0
    Cohort.open(tmp_path / "c").verify()


def go_on(out: Path, first: int, stop: int, error: type[BaseException] | None, **changes: Any) -> int:
    """Write cases from ``first`` on as the fixture does, then raise; return how many were there."""
    images = np.random.default_rng(0).integers(0, 255, (5, 2, 8, 6)).astype(np.uint8)
    settings: dict[str, Any] = {
        "kind": "real", "modality": "MR", "size": (8, 6), "channels": [Channel("a", 0, 255), Channel("b", 0, 255)],
        "dtype": "uint8", "scheme": LabelScheme(("background", "tumour"), (0, 255)), "label_source": "patient",
        "classes": ["ill"], "provenance": Provenance("test", {"x": (1, 2)}, 3), "key": b"secret", "machine": "cpu",
    } | changes  # fmt: skip
    there = -1
    with suppress(*([error] if error else [])), CohortWriter(out, **settings) as cohort:
        there = cohort.written
        for i in range(first, stop):
            row = {"case_id": f"c{i}", "subject_id": f"s{i // 2}", "split": ("train", "test")[i // 2 % 2]}
            row |= {"spacing": "1.0 2.0", "ill": "" if i == 0 else str(i % 2)}
            cohort.append(images[i], (images[i, 0] > 128).astype(np.uint8), row)
        if error:
            raise error
    return there
