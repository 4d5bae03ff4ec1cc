"""Writing cohorts: same request, same bytes; an exception leaves nothing; what does not fit is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
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
