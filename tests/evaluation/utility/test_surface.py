"""Surface distances against MONAI where it is right, and by hand where it is not; how subjects are cut into stacks."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from monai.metrics import (
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_surface_dice,
    hausdorff_distance,
)

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.evaluation.utility.surface import SURFACES, Stack, contiguous_stacks, described, surface_scores


def blobs(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Three classes in boxes that overlap, none on the edge of the image."""
    random, labels = np.random.default_rng(seed), np.zeros(shape, np.uint8)
    for k in (1, 2, 3, 1):
        low = [int(random.integers(1, side // 2)) for side in shape]
        labels[
            tuple(slice(a, int(random.integers(a + 1, side - 1)) + 1) for a, side in zip(low, shape, strict=True))
        ] = k
    edge = np.pad(np.ones([side - 2 for side in shape], bool), 1)
    return np.where(edge, labels, 0).astype(np.uint8)


def monai(predicted: np.ndarray, reference: np.ndarray, spacing: tuple[float, ...], tolerance: float) -> np.ndarray:
    """The four scores (classes, 4) of one map (*S), the last class being all of them as one."""
    maps = [
        torch.from_numpy(np.stack([m == 0, m == 1, m == 2, m == 3, m > 0])[None].astype(np.float64))
        for m in (predicted, reference)
    ]
    told: dict[str, Any] = {"include_background": False, "spacing": spacing}
    return np.stack(
        [
            compute_hausdorff_distance(*maps, **told)[0].numpy(),
            compute_hausdorff_distance(*maps, percentile=95, **told)[0].numpy(),
            compute_average_surface_distance(*maps, symmetric=True, **told)[0].numpy(),
            compute_surface_dice(*maps, class_thresholds=[tolerance] * 4, **told)[0].numpy(),
        ],
        -1,
    )


def volumes(n: int, spacing: tuple[float, ...]) -> list[Stack]:
    return [Stack(i, slice(i, i + 1), spacing, True) for i in range(n)]


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.7, 1.3)])
def test_volumes_agree_with_monai(spacing: tuple[float, ...]) -> None:
    predicted, reference = (np.stack([blobs(seed + i, (9, 14, 12)) for i in range(4)]) for seed in (0, 100))
    found, one_sided = surface_scores(predicted, reference, volumes(4, spacing), 4, 4, 2.0)
    assert found.shape == (4, 4, len(SURFACES)) and not one_sided.any()
    for i in range(4):
        assert found[i] == pytest.approx(monai(predicted[i], reference[i], spacing, 2.0), rel=1e-6, abs=1e-6)


def test_large_volumes_agree_with_monai_but_for_its_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    """MONAI finds the place of the percentile in single precision: the more surface voxels, the farther off."""
    predicted, reference, spacing = blobs(2, (40, 64, 64)), blobs(102, (40, 64, 64)), (3.0, 0.7, 1.3)
    found, _ = surface_scores(predicted[None], reference[None], volumes(1, spacing), 1, 4, 2.0)
    released = hausdorff_distance._compute_percentile_hausdorff_distance
    assert found[0] == pytest.approx(monai(predicted, reference, spacing, 2.0), rel=1e-4)
    monkeypatch.setattr(
        hausdorff_distance, "_compute_percentile_hausdorff_distance", lambda d, p=None: released(d.double(), p)
    )
    assert found[0] == pytest.approx(monai(predicted, reference, spacing, 2.0), rel=1e-6)


def test_lone_slices_agree_with_monai_in_two_dimensions() -> None:
    predicted, reference = (np.stack([blobs(seed + i, (20, 16)) for i in range(4)]) for seed in (3, 50))
    lone = [Stack(i, slice(i, i + 1), (99.0, 0.5, 0.8), False) for i in range(4)]
    found, _ = surface_scores(predicted, reference, lone, 4, 4, 1.0)
    for i in range(4):
        assert found[i] == pytest.approx(monai(predicted[i], reference[i], (0.5, 0.8), 1.0), rel=1e-6, abs=1e-6)


def test_a_whole_stack_agrees_with_the_volume() -> None:
    predicted, reference = (blobs(seed, (9, 14, 12)) for seed in (7, 8))
    found, _ = surface_scores(predicted, reference, [Stack(0, slice(0, 9), (3.0, 0.7, 1.3), False)], 1, 4, 2.0)
    assert found[0] == pytest.approx(monai(predicted, reference, (3.0, 0.7, 1.3), 2.0), rel=1e-6, abs=1e-6)


def test_a_map_that_is_empty_counts_the_diagonal_where_monai_gives_nan() -> None:
    box, empty = np.zeros((1, 5, 6, 7), np.uint8), np.zeros((1, 5, 6, 7), np.uint8)
    box[0, 1:4, 2:5, 2:5] = 1
    predicted, reference = np.concatenate([empty, box, empty, box]), np.concatenate([box, empty, empty, box])
    found, one_sided = surface_scores(predicted, reference, volumes(4, (2.0, 1.0, 0.5)), 4, 2, 2.0)
    diagonal = float(np.hypot(np.hypot(4 * 2, 5 * 1), 6 * 0.5))
    worst, nothing = [diagonal] * 3 + [0], [np.nan] * 4
    assert found[:, 0] == pytest.approx(np.array([worst, worst, nothing, [0, 0, 0, 1]]), nan_ok=True)
    assert one_sided[:, 0].tolist() == [1, 1, 0, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = compute_hausdorff_distance(torch.zeros(1, 1, 5, 5), torch.ones(1, 1, 5, 5), include_background=True)
    assert not torch.isfinite(theirs).any()


def square(top: int) -> np.ndarray:
    labels = np.zeros((12, 12), np.uint8)
    labels[top : top + 3, 4:7] = 1
    return labels


def test_missing_slices_are_not_bridged_and_cut_ends_are_no_surface() -> None:
    """The second slice's square is missed: in a stack of 4 mm steps there is another near; alone there is none."""
    reference, predicted = np.stack([square(4), square(4)]), np.stack([square(5), square(9) * 0])
    stack, lone = (
        [Stack(0, slice(0, 2), (4.0, 1, 1), False)],
        [Stack(0, slice(i, i + 1), (4.0, 1, 1), False) for i in (0, 1)],
    )
    (near,), (far,) = (surface_scores(predicted, reference, cut, 1, 2, 1.0)[0][0] for cut in (stack, lone))
    assert near[0] == pytest.approx(np.hypot(4, 1)) and far[0] == pytest.approx(np.hypot(11, 11))
    ring, _ = surface_scores(predicted[:1], reference[:1], lone[:1], 1, 2, 0.5)  # of 8 pixels, without the middle one
    assert ring[0, 0] == pytest.approx(np.array([1, 1, 0.5, 0.5]))  # 4 of the 8 lie on the other ring, 4 beside it


def test_distances_of_all_pieces_of_a_subject_are_pooled() -> None:
    reference = np.stack([square(4), square(4), square(4)])
    predicted = np.stack([square(4), square(6), square(5)])
    lone = [Stack(s, slice(i, i + 1), (1.0, 1, 1), False) for i, s in enumerate((0, 0, 1))]
    pooled, _ = surface_scores(predicted, reference, lone, 2, 2, 0.5)
    apart, _ = surface_scores(
        predicted, reference, [Stack(i, p.cases, p.spacing, False) for i, p in enumerate(lone)], 3, 2, 0.5
    )
    assert pooled[0, 0, 0] == apart[1, 0, 0] == 2 and pooled[1] == pytest.approx(apart[2])
    assert pooled[0, 0, 2:] == pytest.approx(apart[:2, 0, 2:].mean(0))  # as many surface pixels in either slice


def cohort(folder: Path, rows: list[tuple[str, str, str, float | None]], size: tuple[int, ...] = (6, 6)) -> Cohort:
    """A cohort with rows of subject, slice index, spacing, and where the slice lies in mm, 2.5 mm thick."""
    with CohortWriter(
        folder, kind="real", modality="MR", size=size, channels=[Channel("x", 0, 1)], dtype="uint8",
        scheme=LabelScheme(("background", "lesion"), (0, 1)), label_source="patient", provenance=Provenance("toy"),
    ) as writer:  # fmt: skip
        for i, (subject, index, spacing, height) in enumerate(rows):
            row = {"case_id": f"c{i}", "subject_id": subject, "slice_index": index, "spacing": spacing}
            if height is not None:
                affine = [0, 0, -0.5, 9, 0, -0.5, 0, 9, 2.5, 0, 0, height, 0, 0, 0, 1]
                row["affine"] = " ".join(f"{v:.8g}" for v in affine)
            writer.append(np.zeros((1, *size), np.uint8), np.zeros(size, np.uint8), row)
    return Cohort.open(folder)


def cut(made: Cohort) -> tuple[list[tuple[int, int, int, tuple[float, ...]]], str]:
    names = sorted(set(made.column("subject_id")))
    found, unit = contiguous_stacks(made, made.rows(), np.searchsorted(names, made.column("subject_id")))
    return [(p.subject, p.cases.start, p.cases.stop, p.spacing) for p in found], unit


def test_neighbouring_slices_are_stacked_up_to_a_gap(tmp_path: Path) -> None:
    heights = [("a", 3), ("a", 4), ("a", 6), ("b", 7), ("b", 8), ("b", 9), ("b", 9)]
    rows = [(subject, str(d), "0.5 0.5", 10 + 2.5 * d) for subject, d in heights]
    made = cohort(tmp_path / "c", rows)
    parts, unit = cut(made)
    assert (
        described(contiguous_stacks(made, made.rows(), np.zeros(7, int))[0]) == "2 stack(s) of slices, 2 lone slice(s)"
    )
    stack, lone = (2.5, 0.5, 0.5), (1.0, 0.5, 0.5)
    assert parts == [(0, 0, 2, stack), (0, 2, 3, lone), (1, 3, 6, stack), (1, 6, 7, lone)] and unit == "mm"


@pytest.mark.parametrize(
    ("index", "spacing", "height", "unit"),
    [
        ("{}", "0.5 0.5", None, "mm"),
        ("", "0.5 0.5", 2.5, "mm"),
        ("{}", "0.5 0.5", 5.0, "mm"),
        ("{}0", "0.5 0.5", 2.5, "mm"),
        ("{}", "", 2.5, "pixels"),
    ],
)
def test_slices_without_a_known_step_stand_alone(
    tmp_path: Path, index: str, spacing: str, height: float | None, unit: str
) -> None:
    rows = [("a", index.format(d), spacing, None if height is None else d * height) for d in range(3)]
    parts, found = cut(cohort(tmp_path / "c", rows))
    side = 0.5 if unit == "mm" else 1.0
    assert parts == [(0, i, i + 1, (1.0, side, side)) for i in range(3)] and found == unit


def test_one_case_without_spacing_takes_millimetres_from_all(tmp_path: Path) -> None:
    parts, unit = cut(cohort(tmp_path / "c", [("a", "", "2 1 1", None), ("b", "", "", None)], (4, 6, 6)))
    assert unit == "voxels" and [p[3] for p in parts] == [(1.0, 1.0, 1.0)] * 2
    parts, unit = cut(cohort(tmp_path / "d", [("a", "", "2 1 1", None), ("a", "", "3 1 1", None)], (4, 6, 6)))
    assert unit == "mm" and [p[3] for p in parts] == [(2.0, 1.0, 1.0), (3.0, 1.0, 1.0)]
