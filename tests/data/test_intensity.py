"""Intensities: ranges of the train split, percentiles in fixed memory, volumes scaled by themselves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.data import intensity
from understudy.data.intensity import RangeMeter, scaled

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(("dtype", "shift"), [("int16", 0), ("uint16", 2000), ("float32", -50), ("float32", 3e5)])
def test_percentiles_and_extremes(dtype: str, shift: float) -> None:
    images = (RANDOM.normal(0, 100, (20, 2, 30, 31)) + shift).astype(dtype)
    for option, expected in {
        "percentile": np.percentile(images, (0.5, 99.5), axis=(0, 2, 3)).T,
        "dtype": np.stack([images.min((0, 2, 3)), images.max((0, 2, 3))], 1),
    }.items():
        meter = RangeMeter(("a", "b"), dtype, option)
        for image in images:
            meter.add(image)
        assert np.allclose([(c.low, c.high) for c in meter.ranges()], expected, rtol=1e-12)


def test_percentiles_in_fixed_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intensity, "SAMPLE", 40_000)
    images = RANDOM.normal(0, 100, (100, 1, 50, 60)).astype(np.float32)  # 300,000 values
    found = []
    for _ in range(2):
        meter = RangeMeter(("a",), "float32", "percentile")
        for image in images:
            meter.add(image)
        found.append([(c.low, c.high) for c in meter.ranges()])
    assert found[0] == found[1]
    ranks = [(images < value).mean() * 100 for value in found[0][0]]
    assert ranks == pytest.approx([0.5, 99.5], abs=0.15)  # 3 standard errors of a sample of 20,000 or more
    assert 20_000 <= meter._kept[0].shape[1] <= 40_000


def test_eight_bits_keep_their_range_unless_asked() -> None:
    for option, expected in {"dtype": (0, 255), "volume-max": (0, 255), "minmax": (10, 20)}.items():
        meter = RangeMeter(("a",), "uint8", option)
        meter.add(np.array([[[10, 20]]], np.uint8))
        assert [(c.low, c.high) for c in meter.ranges()] == [expected]


def test_one_value_only_is_refused() -> None:
    meter = RangeMeter(("a",), "float32", "dtype")
    meter.add(np.full((1, 4, 4), 3.0, np.float32))
    with pytest.raises(UnderstudyError, match=r"channel 'a' holds one value only \(3\)"):
        meter.ranges()


def test_scaling_by_the_maximum_and_by_percentiles() -> None:
    image = np.stack([np.linspace(0, 4000, 101), np.linspace(-100, 100, 101)]).reshape(2, 1, 101).astype(np.float32)
    assert np.abs(scaled(image[:1], "volume-max", "x").ravel() - np.linspace(0, 255, 101)).max() <= 0.5001
    both = scaled(image, "volume-percentile", "x")
    assert both.dtype == np.uint8
    assert np.array_equal(both[0], both[1])
    assert (both.min(), both.max()) == (0, 255)
    assert scaled(image, "dtype", "x") is image
    with pytest.raises(UnderstudyError, match="channel 1 of x runs from -100 to 100"):
        scaled(image, "volume-max", "x")
    with pytest.raises(UnderstudyError, match="scaling by the maximum"):
        scaled(np.zeros((1, 4, 4), np.int16), "volume-max", "x")
    assert scaled(np.full((1, 4, 4), 5, np.int16), "volume-percentile", "x").max() == 0


def test_the_range_is_that_of_the_train_split(
    tmp_path: Path, bring: Callable[..., Cohort], save_nifti: Callable[..., Path]
) -> None:
    for i in range(10):
        save_nifti(tmp_path / "v" / f"{i}.nii", RANDOM.integers(0, 1000 * (i + 1), (6, 5, 4)).astype(np.int16))
    options = {"images": ".", "one_image_per_subject": True}
    cohort = bring(tmp_path / "v", split="train=0.5,test=0.5", out="a", **options)
    images = np.asarray(cohort.images)
    train, test = images[cohort.rows("train")], images[cohort.rows("test")]
    channel = cohort.encoding.channels[0]
    assert (channel.low, channel.high) == (train.min(), train.max())
    assert (channel.low, channel.high) != (images.min(), images.max()) or test.max() < train.max()
    assert cohort.preprocessing["intensity_range_measured_on"] == "train"
    alone = bring(tmp_path / "v", split="test=1", out="b", **options)
    assert alone.encoding.channels[0].high == images.max()
    assert "test" in alone.preprocessing["intensity_range_measured_on"]
