"""Histograms: five real subjects in every bin, nothing lost, frames that no real case can move."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.evaluation.fidelity.label_maps import (
    Described,
    case_statistics,
    class_histograms,
    counts,
    describe,
    frame,
    in_common_unit,
    joined,
    statistic_names,
)


def side(name: str, n: int, seed: int, subjects: int | None = None) -> Described:
    """Cases of one class, a few a subject, of which the last lacks the class."""
    random = np.random.default_rng(seed)
    values = np.stack(
        [
            random.lognormal(4, 1, n).round().clip(1, 1024),
            random.geometric(0.7, n),
            *random.integers(1, 33, (2, n)),
            *random.random((4, n)),
        ],
        -1,
    )[:, None]
    values[-1] = np.nan
    return Described(name, statistic_names(2), np.arange(n) % (subjects or n), values, None, "pixels")


def test_every_bin_stands_on_five_subjects() -> None:
    real, other = side("real", 200, 0, subjects=40), side("made", 300, 1)
    found = class_histograms("tumour", 0, real, [other], (32, 32), 24)
    assert found is not None and found["title"] == "Label maps: tumour"
    assert [p["name"] for p in found["panels"]] == statistic_names(2)
    for f, panel in enumerate(found["panels"]):
        edges = np.array(panel["edges"])
        assert (np.diff(edges) > 0).all() and [s["name"] for s in panel["series"]] == ["real", "made"]
        assert [sum(s["counts"]) for s in panel["series"]] == [199, 299]
        place = np.searchsorted(edges, real.values[:-1, 0, f], side="right") - 1
        for bin_ in range(len(edges) - 1):
            assert len(set(real.subjects[:-1][place == bin_])) >= 5
    assert [p["scale"] for p in found["panels"][:3]] == ["log", "log", "linear"]
    json.dumps(found, allow_nan=False)


def test_fewer_than_five_subjects_have_no_histogram() -> None:
    assert class_histograms("x", 0, side("real", 200, 0, subjects=4), [side("made", 9, 1)], (32, 32), 24) is None


def test_joining() -> None:
    values, subjects = np.array([0.5, 0.5, 1.5, 1.5, 1.5, 2.5, 2.5, 2.5, 2.5, 2.5, 9.5]), np.arange(11)
    assert joined(np.arange(11.0), values, subjects).tolist() == [0, 2, 10]  # type: ignore[union-attr]
    assert joined(np.arange(11.0), values, subjects % 4) is None
    assert joined(np.array([0.0, 1, 10]), values, subjects).tolist() == [0, 10]  # type: ignore[union-attr]
    assert counts(np.array([0.0, 2, 10]), np.array([-1, 1.9, 2, 99])).tolist() == [2, 2]


@pytest.mark.parametrize("size", [(32, 32), (8, 40, 32)])
@pytest.mark.parametrize("bins", [4, 24])
def test_frames_hold_whatever_a_map_can_hold(size: tuple[int, ...], bins: int) -> None:
    for statistic in statistic_names(len(size)):
        edges = frame(statistic, size, bins)
        assert (np.diff(edges) > 0).all()
        if statistic == "volume":
            assert edges[0] < 1 and edges[-1] > np.prod(size) * 0.999
        elif statistic == "components":
            assert edges[0] < 1 and edges[-1] == 64.5
        elif statistic.startswith("extent"):
            assert (
                edges[0] == 0.5 and edges[-1] > size[-1 if "width" in statistic else -2 if "height" in statistic else 0]
            )
        else:
            assert (edges[0], edges[-1], len(edges)) == (0, 1, bins + 1)
    assert frame("volume", size, bins, voxel=3.0)[0] == pytest.approx(3)
    assert frame("components", size, bins)[:3].tolist() == [0.5, 1.5, 2.5]


def named(label_map: np.ndarray, k: int = 1, classes: int = 2, location: str = "image") -> dict[str, float]:
    values = case_statistics(label_map, classes, location)[k - 1]
    return dict(zip(statistic_names(label_map.ndim), values.tolist(), strict=True))


def ball(size: tuple[int, ...], centre: tuple[float, ...], radius: float) -> np.ndarray:
    grid = np.stack(np.meshgrid(*(np.arange(s) + 0.5 for s in size), indexing="ij"), -1)
    return (((grid - centre) ** 2).sum(-1) < radius**2).astype(np.uint8)


def test_names() -> None:
    assert statistic_names(2) == [
        *("volume", "components", "extent height", "extent width", "location height", "location width"),
        *("elongation", "compactness"),
    ]
    assert len(statistic_names(3)) == 10 and statistic_names(3)[2] == "extent depth"


@pytest.mark.parametrize(("size", "volume"), [((64, 64), np.pi * 15**2), ((40, 40, 40), 4 / 3 * np.pi * 15**3)])
def test_a_ball(size: tuple[int, ...], volume: float) -> None:
    found = named(ball(size, tuple(s / 2 for s in size), 15))
    assert found["volume"] == pytest.approx(volume, rel=0.02)
    assert found["components"] == 1 and found["extent width"] == 30
    assert found["location height"] == pytest.approx(0.5) and found["location width"] == pytest.approx(0.5)
    assert found["elongation"] == pytest.approx(0, abs=1e-6) and 0.998 < found["compactness"] < 1


def test_boxes() -> None:
    label_map = np.zeros((20, 30), np.uint8)
    label_map[2:6, 10:20] = 1
    found = named(label_map)
    assert (found["volume"], found["extent height"], found["extent width"]) == (40, 4, 10)
    assert found["location height"] == pytest.approx(4 / 20) and found["location width"] == pytest.approx(15 / 30)
    assert found["elongation"] == pytest.approx(1 - 4 / 10)
    assert found["compactness"] == pytest.approx(40 / (2 * np.pi) / ((16 + 100) / 12))  # r^2 / 2; (a^2 + b^2) / 12
    volume = np.zeros((9, 9, 9), np.uint8)
    volume[0:2, 1:5, 1:9] = 1
    found = named(volume)
    assert found["elongation"] == pytest.approx(1 - 2 / 8) and found["extent depth"] == 2
    radius = (64 * 3 / 4 / np.pi) ** (1 / 3)
    assert found["compactness"] == pytest.approx(3 / 5 * radius**2 / ((4 + 16 + 64) / 12))


def test_a_single_voxel_and_a_line() -> None:
    dot = np.zeros((8, 8), np.uint8)
    dot[3, 7] = 1
    found = named(dot)
    assert found["elongation"] == pytest.approx(0) and found["compactness"] == pytest.approx(3 / np.pi)
    assert found["location width"] == pytest.approx(7.5 / 8)
    dot[3, :] = 1
    assert named(dot)["elongation"] == pytest.approx(1 - 1 / 8)


def test_components_touch_also_at_corners_and_scatter_lowers_compactness() -> None:
    label_map = np.zeros((8, 8, 8), np.uint8)
    label_map[1, 1, 1] = label_map[2, 2, 2] = 1
    assert named(label_map)["components"] == 1
    together = named(label_map)["compactness"]
    label_map[2, 2, 2], label_map[6, 6, 6] = 0, 1
    found = named(label_map)
    assert found["components"] == 2 and found["volume"] == 2 and found["compactness"] < together / 3


def test_classes_are_told_apart_and_missing_ones_are_missing() -> None:
    label_map = np.zeros((8, 8), np.uint8)
    label_map[0:2, 0:8], label_map[6:8, 6:8] = 1, 3
    found = case_statistics(label_map, 4)
    assert found.shape == (3, 8) and found[0, 0] == 16 and np.isnan(found[1]).all() and found[2, 0] == 4
    assert np.isnan(case_statistics(np.zeros((8, 8), np.uint8), 4)).all()


def test_location_within_the_box_of_all_labels() -> None:
    label_map = np.zeros((10, 20), np.uint8)
    label_map[2:8, 5:15] = 1
    label_map[6:8, 13:15] = 2
    inside = named(label_map, 2, 3, "labelled")
    assert inside["location height"] == pytest.approx((7 - 2) / 6) and inside["location width"] == pytest.approx(0.9)
    assert named(label_map, 2, 3)["location height"] == pytest.approx(0.7)


def described(voxel_mm: list[float] | None) -> Described:
    values = np.array([[[4.0, 1, 2, 2, 0.5, 0.5, 0, 1]], [[np.nan] * 8]])
    mm = None if voxel_mm is None else np.array(voxel_mm)
    return Described("x", statistic_names(2), np.array(["a", "b"]), values, mm, "pixels")


def test_volumes_in_mm() -> None:
    real, (other,) = in_common_unit(described([2, 2]), [described(None)])
    assert real.unit == other.unit == "mm2" and real.values[0, 0, 0] == other.values[0, 0, 0] == 8
    assert real.unit_of("extent width") == "pixels" and real.unit_of("volume") == "mm2" and real.unit_of("ks") == ""
    real, (other,) = in_common_unit(described([2, 3]), [described([1, 5])])
    assert (real.values[0, 0, 0], other.values[0, 0, 0]) == (8, 4)
    for sides in ((described([2, 3]), described(None)), (described(None), described([2, 2]))):
        real, (other,) = in_common_unit(sides[0], [sides[1]])
        assert real.unit == other.unit == "pixels" and real.values[0, 0, 0] == 4
    assert replace(described([2, 2]), unit="voxels").unit_of("volume") == "voxels"


def test_a_cohort_is_described(real: Path, toy: Callable[..., Path], tmp_path: Path) -> None:
    cohort = Cohort.open(real)
    rows = cohort.rows("train")
    found = describe("real", cohort, rows, 2, "image")
    assert cohort.labels is not None and found.values.shape == (45, 1, 8) and found.voxel_mm is None
    np.testing.assert_array_equal(found.values[:, 0, 0], cohort.labels[rows].sum((1, 2)))
    assert found.present.all() and found.subjects.tolist() == cohort.column("subject_id")[rows].tolist()
