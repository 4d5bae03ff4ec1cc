"""How far images of synthetic cohorts lie from real ones: every metric of the menu, and how intensities are spread.

Features are those of evaluation/features.py; beside each number stands its floor (floor.py).
**Checked** in tests/evaluation/fidelity/test_protocol.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.result import Result
from understudy.core.seed import derive
from understudy.evaluation import METRICS
from understudy.evaluation.features import RandomFeatures, image_blocks
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.floor import Floor, real_floor
from understudy.evaluation.folder import public
from understudy.evaluation.guard import leak_note
from understudy.evaluation.metric import Metric

TABLE = (
    *("cohort", "generator", "metric", "value", "matched", "matched_low", "matched_high"),
    *("floor", "floor_low", "floor_high", "n_real", "n_synthetic", "n_matched", "features", "note"),
)

SIZES_PER_DRAW = 3  # of the extrapolated Frechet distance, on each half


@dataclass(frozen=True)
class Side:
    """One side of a comparison: its name, what its results begin with, the cohort, and which of its cases."""

    name: str
    prefix: str
    cohort: Cohort
    rows: np.ndarray


@dataclass
class ImageFindings:
    """What comparing images gives.

    Attributes:
        results: numbers.
        rows: of the table.
        intensities: densities (C, bins) of every side, by its name.
    """

    results: list[Result] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    intensities: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """One metric of one synthetic cohort: the plain number and its floor."""

    side: Side
    metric: str
    plain: Result
    floor: Floor


def compare_images(
    real: Side, others: Sequence[Side], config: FidelityConfig, seed: int, advance: Callable[[str], Any]
) -> ImageFindings:
    """Compare the images of synthetic cohorts with those of real training subjects.

    Args:
        real: the real cohort's training cases.
        others: synthetic cohorts with images.
        config: settings.
        seed: of halves and subsets.
        advance: is told after each step what it was.
    """
    found, features = ImageFindings(), []
    for side in (real, *others):
        values, found.intensities[side.name] = _measure(side, real.cohort.encoding, config.bins)
        features.append(values)
        advance("features")
    subjects = len(real.cohort.subjects("train"))
    for compared in _compare(real, others, features, config, derive(seed, "fidelity")):
        results = [public(result, subjects) for result in _results(compared, seed)]
        found.results += results
        found.rows.append(_row(compared, results, len(real.rows), features[0].shape[1]))
        advance(compared.metric)
    return found


def _measure(side: Side, encoding: Encoding, bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a cohort once, block by block: features (n, F) and intensity densities (C, bins)."""
    extract = RandomFeatures(encoding.image_channels, len(side.cohort.size))
    features, counts = [], np.zeros((encoding.image_channels, bins), np.int64)
    for images in image_blocks(side.cohort, side.rows, encoding):
        features.append(extract(images))
        places = ((images + 1) / 2 * bins).astype(np.intp).clip(0, bins - 1)
        counts += np.stack([np.bincount(places[:, c].ravel(), minlength=bins) for c in range(len(counts))])
    width = np.array([c.high - c.low for c in encoding.channels])[:, None] / bins
    return np.concatenate(features), counts / counts.sum(1, keepdims=True) / width


def _compare(
    real: Side, others: Sequence[Side], features: Sequence[np.ndarray], config: FidelityConfig, seed: int
) -> Iterator[Compared]:
    subjects = real.cohort.column("subject_id")[real.rows]
    for name, metric in METRICS.items():
        for other, theirs in zip(others, features[1:], strict=True):
            plain = _bound(metric, config)(real=features[0], synthetic=theirs, seed=seed)
            fewer = config.model_copy(update=_per_draw(config))
            floor = real_floor(_bound(metric, fewer), features[0], subjects, theirs, config.draws, seed)
            yield Compared(other, name, plain, floor)


def _per_draw(config: FidelityConfig) -> dict[str, int]:
    """Return settings of a single half: the halves are many, and what each estimates less well averages out."""
    return {"subsets": -(-config.subsets // config.draws), "sizes": min(config.sizes, SIZES_PER_DRAW)}


def _bound(metric: Metric, config: FidelityConfig) -> "partial[Result]":
    """Return the metric's function with the settings that it takes."""
    return partial(metric.function, **{name: getattr(config, name) for name in metric.settings})


def _results(c: Compared, seed: int) -> Iterator[Result]:
    """Yield the plain number, the matched one and the floor of a comparison."""
    better, name = METRICS[c.metric].better, f"{c.side.prefix}.{c.metric}"
    note = "; ".join(n for n in (c.plain.note, leak_note(c.side.cohort)) if n)
    yield Result(name, c.plain.value, c.plain.low, c.plain.high, "", better, c.plain.n, seed, note)
    explained = {
        "matched": "synthetic cases against half of the real subjects; read it beside the floor",
        "floor": "half of the real subjects against the other half",
    }
    for ending, text in explained.items():
        values: np.ndarray = getattr(c.floor, ending)
        low, high = np.percentile(values, [2.5, 97.5])
        note = f"{text}; mean and 95 % range of {len(values)} random halves"
        mean = float(values.mean())
        yield Result(f"{name}.{ending}", mean, float(low), float(high), "", better, c.floor.n, seed, note)


def _row(c: Compared, results: list[Result], n_real: int, features: int) -> list[Any]:
    plain, matched, floor = results
    numbers = [plain.value, matched.value, matched.low, matched.high, floor.value, floor.low, floor.high]
    sizes = [n_real, len(c.side.rows), c.floor.n, features]
    return [c.side.name, c.side.cohort.generator, c.metric, *numbers, *sizes, plain.note]
