"""A real channel or plane, a level brighter or with less contrast, is found in images that are real nowhere else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.release.disclosure import RealImages, _compare_cohort
from understudy.release.parts import nearest_parts
from understudy.release.policy import read_policy

RULE = read_policy().policy.real_check


def smooth(n: int, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(n, *shape))
    drawn = gaussian_filter(noise, (0, 0, *[1.5] * (len(shape) - 1)))
    axes = tuple(range(2, drawn.ndim))
    low, high = drawn.min(axes, keepdims=True), drawn.max(axes, keepdims=True)
    return np.rint((drawn - low) / (high - low) * 254).astype(np.uint8)


def written(out: Path, images: np.ndarray, kind: str) -> Cohort:
    channels = [Channel(f"c{k}", 0, 255) for k in range(images.shape[1])]
    settings: dict[str, Any] = {"modality": "MR", "size": images.shape[2:], "channels": channels, "dtype": "uint8"}
    settings |= {"kind": kind, "scheme": None, "label_source": None, "provenance": Provenance("x", {}, 0)}
    with CohortWriter(out, **settings) as writer:
        for i, image in enumerate(images):
            writer.append(image, None, {"case_id": f"c{i}", "subject_id": f"s{i}", "split": ""})
    return Cohort.open(out)


def channel(shown: np.ndarray, real: np.ndarray) -> None:
    shown[3, 2] = real[7, 2] + 1


def contrast(shown: np.ndarray, real: np.ndarray) -> None:
    shown[3, 2] = np.rint(real[7, 2] * 0.9)


def plane(shown: np.ndarray, real: np.ndarray) -> None:
    shown[3, 1, 2] = real[7, 1, 5] + 1


@pytest.mark.parametrize(
    ("change", "shape", "says"),
    [
        (channel, (4, 32, 32), "channel 'c2', is a real one"),
        (contrast, (4, 32, 32), "channel 'c2', is a real one"),
        (plane, (2, 8, 24, 24), "a plane of channel 'c1', is a real one"),
    ],
)
def test_a_real_part_is_refused(
    tmp_path: Path, change: Callable[[np.ndarray, np.ndarray], None], shape: tuple[int, ...], says: str
) -> None:
    pixels, shown = smooth(20, 0, shape), smooth(6, 1, shape)
    real = written(tmp_path / "real", pixels, "real")
    images = RealImages(real, None)
    clean = written(tmp_path / "clean", shown, "synthetic")
    assert _compare_cohort(clean, images, RULE, "folder") < RULE.near
    assert all(r < 0.95 for _, r in nearest_parts(clean, real))
    change(shown, pixels)
    with pytest.raises(UnderstudyError, match=says):
        _compare_cohort(written(tmp_path / "hidden", shown, "synthetic"), images, RULE, "folder")


def test_planes_that_are_nearly_empty_do_not_count(tmp_path: Path) -> None:
    pixels, shown = smooth(8, 0, (1, 4, 16, 16)), smooth(4, 1, (1, 4, 16, 16))
    for images in (pixels, shown):
        images[:, 0, 0] = 0
        images[:, 0, 0, 4:8, 4:8] = 200
    real, clean = written(tmp_path / "real", pixels, "real"), written(tmp_path / "clean", shown, "synthetic")
    assert max(r for _, r in nearest_parts(clean, real)) < 0.95
