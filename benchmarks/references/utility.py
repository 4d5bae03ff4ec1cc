"""References of ``evaluate utility``: MONAI where it is right, scikit-learn, and cases made by hand where it is not."""

import warnings
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from monai.metrics import (
    DiceMetric,
    MeanIoU,
    compute_average_surface_distance,
    compute_hausdorff_distance,
    compute_surface_dice,
    hausdorff_distance,
)
from sklearn.metrics import precision_recall_fscore_support, roc_auc_score

from references import Row, largest
from understudy.evaluation.utility.auc import weighted_area
from understudy.evaluation.utility.surface import SURFACES, Stack, surface_scores
from understudy.tasks.classification import class_auc
from understudy.tasks.overlap import OVERLAPS, confusion, overlaps

# size, spacing in mm, how many pairs
CASES = (((20, 16), (0.5, 0.8), 5), ((9, 14, 12), (1.0, 1.0, 1.0), 5), ((40, 64, 64), (3.0, 0.7, 1.3), 2))
TOLERANCE = 2.0


def boxes(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Draw a label map in which boxes of three classes overlap and none is hidden or on the edge of the image."""
    random, labels = np.random.default_rng(seed), np.zeros(shape, np.uint8)
    while len(np.unique(labels)) < 4:
        labels[:] = 0
        for k in (1, 2, 3, 1):
            low = [int(random.integers(1, side // 2)) for side in shape]
            ends = [int(random.integers(a + 1, side - 1)) + 1 for a, side in zip(low, shape, strict=True)]
            labels[tuple(slice(a, b) for a, b in zip(low, np.minimum(ends, np.array(shape) - 1), strict=True))] = k
    return labels


@cache
def pairs() -> list[tuple[np.ndarray, np.ndarray, tuple[float, ...]]]:
    """Return predicted and reference label maps with the spacing of their voxels."""
    seeds = [(shape, spacing, seed) for shape, spacing, number in CASES for seed in range(number)]
    return [(boxes(seed, shape), boxes(seed + 100, shape), spacing) for shape, spacing, seed in seeds]


def one_hot(labels: np.ndarray, classes: int = 4) -> torch.Tensor:
    """Return a label map as MONAI takes it, (1, classes, *S)."""
    return torch.from_numpy(np.stack([labels == k for k in range(classes)])[None].astype(np.float64))


def overlap_of_monai(name: str) -> float:
    """Dice and IoU of every class."""
    metric: Any = {"dice": DiceMetric, "iou": MeanIoU}[name](include_background=False, reduction="none")
    found, expected = [], []
    for predicted, reference, _ in pairs():
        scores = overlaps(confusion(predicted[None], reference[None], np.zeros(1, int), 1, 4))
        found.append(scores[0, :, OVERLAPS.index(name)])
        expected.append(metric(one_hot(predicted), one_hot(reference))[0].numpy())
    return largest(np.array(found), np.array(expected))


def overlap_by_count(name: str) -> float:
    """Precision and recall by scikit-learn, the volume difference by its formula."""
    found, expected = [], []
    for predicted, reference, _ in pairs():
        scores = overlaps(confusion(predicted[None], reference[None], np.zeros(1, int), 1, 4))
        found.append(scores[0, :, OVERLAPS.index(name)])
        if name == "volume_difference":
            sizes = np.array([[(maps == k).sum() for k in (1, 2, 3)] for maps in (predicted, reference)], float)
            expected.append(np.abs(sizes[0] - sizes[1]) / sizes.sum(0))
        else:
            shares = precision_recall_fscore_support(
                reference.ravel(), predicted.ravel(), labels=[1, 2, 3], zero_division=0
            )
            expected.append(shares[("precision", "recall").index(name)])
    return largest(np.array(found), np.array(expected))


def surface_of_monai(name: str, double: bool = False) -> float:
    """One surface score of every class and of all classes as one; `double`: MONAI's percentile taken in float64."""
    expected = [monai_surface(name, *case, double) for case in pairs()]
    return largest(our_surfaces()[..., SURFACES.index(name)], np.array(expected), relative=True)


@cache
def our_surfaces() -> np.ndarray:
    """Return our surface scores of every pair, (pairs, 4, 4); a map of two dimensions is a lone slice."""
    found = []
    for predicted, reference, spacing in pairs():
        volume = predicted.ndim == 3
        piece = Stack(0, slice(0, 1), spacing if volume else (1.0, *spacing), volume)
        found.append(surface_scores(predicted[None], reference[None], [piece], 1, 4, TOLERANCE)[0][0])
    return np.array(found)


def monai_surface(
    name: str, predicted: np.ndarray, reference: np.ndarray, spacing: tuple[float, ...], double: bool
) -> np.ndarray:
    """Return MONAI's score of the three classes and of all of them as one, (4,)."""
    maps = [torch.cat([one_hot(m), torch.from_numpy(m > 0)[None, None]], 1) for m in (predicted, reference)]
    told: dict[str, Any] = {"include_background": False, "spacing": spacing}
    released = hausdorff_distance._compute_percentile_hausdorff_distance
    if double:
        hausdorff_distance._compute_percentile_hausdorff_distance = lambda d, p=None: released(d.double(), p)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MONAI's own, about options that it passes to itself
            if name == "nsd":
                return compute_surface_dice(*maps, class_thresholds=[TOLERANCE] * 4, **told)[0].numpy()
            if name == "assd":
                return compute_average_surface_distance(*maps, symmetric=True, **told)[0].numpy()
            return compute_hausdorff_distance(*maps, percentile=95 if name == "hd95" else None, **told)[0].numpy()
    finally:
        hausdorff_distance._compute_percentile_hausdorff_distance = released


def empty_maps() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what the rule for empty maps is about: predicted and reference maps (5, 6, 7)."""
    box, empty = np.zeros((5, 6, 7), np.uint8), np.zeros((5, 6, 7), np.uint8)
    box[1:4, 2:5, 2:5] = 1
    return {"missed lesion": (empty, box), "empty truth": (box, empty), "both empty": (empty, empty)}


def empty_scores(predicted: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return all nine scores of one class of one volume with voxels of 2 x 1 x 0.5 mm."""
    counts = confusion(predicted[None], reference[None], np.zeros(1, int), 1, 2)
    piece = Stack(0, slice(0, 1), (2.0, 1.0, 0.5), True)
    surface, _ = surface_scores(predicted[None], reference[None], [piece], 1, 2, TOLERANCE)
    return np.concatenate([overlaps(counts)[0, 0], surface[0, 0]])


def empty_maps_by_hand() -> float:
    """The worst value of each score where one map is empty, none where both are."""
    diagonal = np.sqrt((4 * 2) ** 2 + 5**2 + (6 * 0.5) ** 2)
    worst = np.array([0, 0, 0, 0, 1, diagonal, diagonal, diagonal, 0])
    expected = np.array([worst, worst, np.full(9, np.nan)])
    return largest(np.array([empty_scores(*maps) for maps in empty_maps().values()]), expected)


def what_monai_says(predicted: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    """Return MONAI's Dice and HD95 of the class."""
    maps = one_hot(predicted, 2), one_hot(reference, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        far = compute_hausdorff_distance(*maps, percentile=95, spacing=(2.0, 1.0, 0.5))
    return DiceMetric(include_background=False, reduction="none")(*maps).item(), far.item()


def area_cases(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a class and scores with many ties."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, 2, 80).astype(np.float32)
    return targets, (random.random(80) + 0.4 * targets).round(1)


def auc_by_pairs() -> float:
    """Every pair of a case with and a case without the class, ties counting half."""
    found, expected = [], []
    for seed in range(5):
        targets, scores = area_cases(seed)
        differences = scores[targets == 1][:, None] - scores[targets == 0]
        expected.append(((differences > 0) + 0.5 * (differences == 0)).mean())
        found.append(class_auc(targets[:, None], scores[:, None])[0])
    return largest(found, expected)


def auc_of_scikit_learn() -> float:
    """Areas on subjects that a bootstrap reweighted, against scikit-learn with sample weights."""
    found, expected = [], []
    for seed in range(5):
        targets, scores = area_cases(seed)
        random = np.random.default_rng(seed + 50)
        number, weights = random.integers(0, 12, 80), random.multinomial(12, np.full(12, 1 / 12), 40)
        found.append(weighted_area(targets, scores, weights, number))
        expected.append([roc_auc_score(targets, scores, sample_weight=w[number]) for w in weights])
    return largest(np.array(found), np.array(expected))


SCORES, FAR = "tasks/test_overlap.py", "evaluation/utility/test_surface.py"
MAPS = f"{sum(case[2] for case in CASES)} pairs of maps, 20 x 16 to 40 x 64 x 64, 3 classes"
SPACED = f"{MAPS}, voxels of up to 3 x 0.7 x 1.3 mm"
DOUBLE = "`compute_hausdorff_distance`, its percentile taken in float64"
ROWS = [
    Row(("dice",), "`DiceMetric`", MAPS, 1e-6, SCORES, partial(overlap_of_monai, "dice"), "monai"),
    Row(("iou",), "`MeanIoU`", MAPS, 1e-6, SCORES, partial(overlap_of_monai, "iou"), "monai"),
    *(Row((name,), "`precision_recall_fscore_support`", MAPS, 1e-12, SCORES, partial(overlap_by_count, name),
          "scikit-learn") for name in ("precision", "recall")),
    Row(("volume_difference",), "its formula on counted voxels", MAPS, 1e-12, SCORES,
        partial(overlap_by_count, "volume_difference")),
    Row(("hd",), "`compute_hausdorff_distance`", SPACED, 1e-6, FAR, partial(surface_of_monai, "hd"), "monai", True),
    Row(("hd95",), DOUBLE, SPACED, 1e-6, FAR, partial(surface_of_monai, "hd95", True), "monai", True),
    Row(("hd95",), "`compute_hausdorff_distance` as released, in single precision", SPACED, 1e-4, FAR,
        partial(surface_of_monai, "hd95"), "monai", True),
    Row(("assd",), "`compute_average_surface_distance`", SPACED, 1e-6, FAR, partial(surface_of_monai, "assd"), "monai",
        True),
    Row(("nsd",), "`compute_surface_dice`", f"{SPACED}; within 2 mm", 1e-6, FAR, partial(surface_of_monai, "nsd"),
        "monai", True),
    Row((*OVERLAPS, *SURFACES), "the rule for empty maps, by hand", "missed lesion, empty truth, both empty", 1e-12,
        f"{SCORES}, {FAR}", empty_maps_by_hand),
    Row(("auc",), "all pairs counted", "n = 80 with ties", 1e-12, "tasks/test_classification.py", auc_by_pairs),
    Row(("auc",), "`roc_auc_score` with sample weights", "n = 80, 12 subjects, 40 resamples", 1e-12,
        "evaluation/utility/test_auc.py", auc_of_scikit_learn, "scikit-learn"),
]  # fmt: skip
