"""Histograms: five real subjects in every bin, nothing lost, frames that no real case can move."""

import json

import numpy as np
import pytest

from understudy.evaluation.fidelity.label_maps import (
    Described,
    class_histograms,
    counts,
    frame,
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
