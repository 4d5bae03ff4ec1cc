"""The batch stream: every case once an epoch, whatever the batches; what is done to a case is done to its label map."""

from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.training.batches import BatchStream, PartlyLabelledStream, rotated


@pytest.fixture
def cohort(tmp_path: Path) -> Cohort:
    with CohortWriter(
        tmp_path / "c", kind="real", modality="MR", size=(4, 4), channels=[Channel("a", 0, 100)], dtype="uint8",
        scheme=None, label_source=None, provenance=Provenance("test"), classes=["k"],
    ) as writer:  # fmt: skip
        for i in range(7):
            image = np.full((1, 4, 4), i, np.uint8)
            image[..., 0] = 90
            row = {"case_id": str(i), "subject_id": str(i), "split": "train" if i else "test", "k": str(i)}
            writer.append(image, None, row)
    return Cohort.open(tmp_path / "c")


def values(feed: BatchStream, start: int, size: int) -> list[int]:
    batch = feed.batch(start, size, 4, torch.device("cpu"), slice(None))
    return [round(float(v)) for v in (batch.x[:, 0, 0, 1:3].mean(-1) + 1) * 50]


def test_every_case_once_an_epoch_whatever_the_batches(cohort: Cohort) -> None:
    feed = BatchStream(cohort, 3, mirror=False)
    stream = values(feed, 0, 18)
    assert sorted(stream[:6]) == sorted(stream[6:12]) == [1, 2, 3, 4, 5, 6] and stream[:6] != stream[6:12]
    assert stream == values(feed, 0, 5) + values(feed, 5, 4) + values(feed, 9, 9)
    assert stream != values(BatchStream(cohort, 4, mirror=False), 0, 18)


def test_parts_mirror_condition_and_resolution(cohort: Cohort) -> None:
    cpu, feed = torch.device("cpu"), BatchStream(cohort, 3, mirror=True, conditional=True)
    whole = feed.batch(0, 60, 4, cpu, slice(None))
    halves = [feed.batch(0, 60, 4, cpu, part).x for part in (slice(0, 30), slice(30, 60))]
    assert torch.equal(whole.x, torch.cat(halves))
    left = (whole.x[:, 0, 0, 0] > 0.7).float().mean()
    assert 0.3 < float(left) < 0.7 and torch.equal((whole.x[:, 0, 0, 3] > 0.7), (whole.x[:, 0, 0, 0] < 0.7))
    assert whole.condition is not None and whole.condition.shape == (60, 1)
    assert [round(float(k)) for k in whole.condition[:, 0]] == values(feed, 0, 60)
    small = feed.batch(0, 6, 2, cpu, slice(None)).x
    assert torch.allclose(small, torch.nn.functional.avg_pool2d(whole.x[:6], 2))


@pytest.fixture
def labelled(tmp_path: Path) -> Cohort:
    with CohortWriter(
        tmp_path / "l", kind="real", modality="MR", size=(4, 4), channels=[Channel("a", 0, 100)], dtype="uint8",
        scheme=LabelScheme(("background", "x"), (0, 1)), label_source="patient", provenance=Provenance("test"),
        classes=["k"],
    ) as writer:  # fmt: skip
        for i in range(3):
            row = {"case_id": str(i), "subject_id": f"l{i}", "split": "train", "k": "1"}
            writer.append(np.full((1, 4, 4), 50 + i, np.uint8), np.ones((4, 4), np.uint8), row)
    return Cohort.open(tmp_path / "l")


def test_images_alone_among_labelled_cases_at_an_exact_share(cohort: Cohort, labelled: Cohort) -> None:
    """Each cohort keeps its own order and epochs, at whatever batches, parts and share; what is not known is NaN."""
    cpu, whole = torch.device("cpu"), slice(None)
    first = BatchStream(labelled, 3, mirror=False, conditional=True)
    second = BatchStream(cohort.images_alone(labelled.encoding), 4, mirror=False, rotate=20)
    for share in (0.25, 0.5, 0.7):
        stream = PartlyLabelledStream(first, second, share)
        batch = stream.batch(0, 60, 4, cpu, whole)
        known = ~batch.x[:, 1].isnan().flatten(1).any(1)
        assert int(known.sum()) == int(60 * share) and batch.x.shape == (60, 2, 4, 4)
        assert torch.equal(batch.x[known], first.batch(0, int(known.sum()), 4, cpu, whole).x)
        assert torch.equal(batch.x[~known, :1], second.batch(0, 60 - int(known.sum()), 4, cpu, whole).x)
        assert batch.x[~known, 1:].isnan().all()
        assert batch.condition is not None and torch.equal(batch.condition[:, 0] == 1, known)
        assert batch.condition[~known].isnan().all()
        small = [stream.batch(i, 5, 4, cpu, part).x for i in range(0, 60, 5) for part in (slice(0, 1), slice(1, 5))]
        assert torch.equal(torch.cat(small).nan_to_num(9), batch.x.nan_to_num(9))


def test_turning_moves_images_and_labels_alike() -> None:
    x = torch.rand(4, 3, 9, 9) * 2 - 1
    angles = torch.tensor([0.0, 90.0, 180.0, 30.0])
    y = rotated(x, angles, image_channels=2)
    torch.testing.assert_close(y[0], x[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(y[1], x[1].rot90(1, (1, 2)), atol=1e-5, rtol=0)
    torch.testing.assert_close(y[2], x[2].rot90(2, (1, 2)), atol=1e-5, rtol=0)
    known = {*x[3, 2].flatten().tolist(), -1.0}
    assert all(min(abs(v - k) for k in known) < 1e-6 for v in y[3, 2].flatten().tolist())  # labels: no new values
    assert y[3, :, 0, 0].tolist() == [-1, -1, -1]


def test_nine_of_ten_are_turned_whatever_the_batches(cohort: Cohort) -> None:
    cpu, whole = torch.device("cpu"), slice(None)
    feed = BatchStream(cohort, 3, mirror=False, rotate=75)
    together = feed.batch(0, 8, 4, cpu, whole).x
    apart = torch.cat([feed.batch(i, 4, 4, cpu, whole).x for i in (0, 4)])
    assert torch.equal(together, apart)
    assert (together != BatchStream(cohort, 3, mirror=False).batch(0, 8, 4, cpu, whole).x).flatten(1).any(1).sum() >= 5


def test_no_training_split_is_refused(cohort: Cohort) -> None:
    cohort._table["split"] = ["test"] * 7
    with pytest.raises(UnderstudyError, match="training split"):
        BatchStream(cohort, 0, mirror=False)
