"""How far images of synthetic cohorts lie from real ones: every metric of the menu, and the diversity of each side.

Each cohort is read once (measured.py), then pairs of cases for their resemblance (ms_ssim.py). Beside each distance
stands its floor (floor.py). Extractors that learn have seen the whole real training split, so **both halves of the
floor** are familiar to them and synthetic cases are not: what that is worth stands in features/encoder.py.
**Checked** in tests/evaluation/fidelity/test_protocol.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.result import Result
from understudy.core.seed import derive
from understudy.evaluation import METRICS
from understudy.evaluation.features.cache import Cache
from understudy.evaluation.features.extractor import Extractor
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.floor import Floor, real_floor
from understudy.evaluation.fidelity.measured import Measured, channel_names, measure, standardised
from understudy.evaluation.fidelity.ms_ssim import side_result
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
        spectra: mean log spectra (C, R) of every side in dB, by its name.
    """

    results: list[Result] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    intensities: dict[str, np.ndarray] = field(default_factory=dict)
    spectra: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class Compared:
    """One metric of one synthetic cohort: the plain number and its floor, of F features."""

    side: Side
    metric: str
    name: str
    unit: str
    features: int
    plain: Result
    floor: Floor


def steps(encoding: Encoding, others: int) -> int:
    """Return how often :func:`compare_images` says that it goes on."""
    distances = sum(encoding.image_channels if m.needs == "intensities" else 1 for m in METRICS.values())
    return 2 * (1 + others) + distances * others if others else 0


def compare_images(
    real: Side,
    others: Sequence[Side],
    config: FidelityConfig,
    seed: int,
    advance: Callable[[str], Any],
    extract: Extractor,
    cache: Cache,
) -> ImageFindings:
    """Compare the images of synthetic cohorts with those of real training subjects.

    Args:
        real: the real cohort's training cases.
        others: synthetic cohorts with images.
        config: settings.
        seed: of halves, subsets and pairs.
        advance: is told after each step what it was.
        extract: the extractor of features.
        cache: where features may be found.
    """
    encoding, sides, found = real.cohort.encoding, (real, *others), ImageFindings()
    measured = []
    for side in sides:
        measured.append(measure(side.cohort, side.rows, encoding, extract, config.bins, cache))
        found.intensities[side.name] = measured[-1].density(encoding.channels)
        found.spectra[side.name] = measured[-1].spectra.mean(0, dtype=np.float64)
        advance("features")
    ours, theirs = measured[0], measured[1:]
    if extract.standardised:
        ours, theirs = standardised(ours, theirs)
    subjects, own = len(real.cohort.subjects("train")), derive(seed, "fidelity")
    for compared in _compare(real, others, ours, theirs, config, own):
        results = [public(result, subjects) for result in _results(compared, config.features, seed)]
        found.results += results
        found.rows.append(_row(compared, results, len(real.rows)))
        advance(compared.name)
    for results in _resemblance(sides, encoding, config, seed, advance):
        found.results += [public(result, subjects) for result in results]
    return found


def _compare(
    real: Side, others: Sequence[Side], ours: Measured, theirs: Sequence[Measured], config: FidelityConfig, seed: int
) -> Iterator[Compared]:
    subjects, channels = real.cohort.column("subject_id")[real.rows], real.cohort.encoding.channels
    units = {f".{name}": c.meaning for name, c in zip(channel_names(channels), channels, strict=True)}
    fewer = config.model_copy(update=_per_draw(config))
    for name, metric in METRICS.items():
        made = [side.compared(metric.needs, channels) for side in theirs]
        for ending, matrix in ours.compared(metric.needs, channels).items():
            for other, matrices in zip(others, made, strict=True):
                plain = _bound(metric, config)(real=matrix, synthetic=matrices[ending], seed=seed)
                bound = _bound(metric, fewer)
                floor = real_floor(bound, matrix, subjects, matrices[ending], config.draws, seed)
                unit = units[ending] if ending else plain.unit
                yield Compared(other, name, name + ending, unit, matrix.shape[1], plain, floor)


def _resemblance(
    sides: Sequence[Side], encoding: Encoding, config: FidelityConfig, seed: int, advance: Callable[[str], Any]
) -> Iterator[list[Result]]:
    """Yield the MS-SSIM of each synthetic cohort, and that of the real one beside it."""
    found = []
    for side in sides:
        about = (config.pairs, config.draws, derive(seed, "fidelity"))
        found.append(side_result("", side.cohort, side.rows, encoding, *about))
        advance("ms_ssim")
    for side, result in zip(sides[1:], found[1:], strict=True):
        note = "; ".join(n for n in (result.note, leak_note(side.cohort)) if n)
        pair = replace(result, note=note, seed=seed), replace(found[0], seed=seed)
        yield [replace(r, name=f"{side.prefix}.ms_ssim{end}") for r, end in zip(pair, ("", ".real"), strict=True)]


def _per_draw(config: FidelityConfig) -> dict[str, int]:
    """Return settings of a single half: the halves are many, and what each estimates less well averages out."""
    return {"subsets": -(-config.subsets // config.draws), "sizes": min(config.sizes, SIZES_PER_DRAW)}


def _bound(metric: Metric, config: FidelityConfig) -> "partial[Result]":
    """Return the metric's function with the settings that it takes."""
    return partial(metric.function, **{name: getattr(config, name) for name in metric.settings})


def _results(c: Compared, extractor: str, seed: int) -> Iterator[Result]:
    """Yield the plain number, the matched one and the floor of a comparison."""
    better, name = METRICS[c.metric].better, f"{c.side.prefix}.{c.name}"
    features = f"{extractor} features" if METRICS[c.metric].needs == "features" else ""
    note = "; ".join(n for n in (features, c.plain.note, leak_note(c.side.cohort)) if n)
    yield Result(name, c.plain.value, c.plain.low, c.plain.high, c.unit, better, c.plain.n, seed, note)
    explained = {
        "matched": "synthetic cases against half of the real subjects; read it beside the floor",
        "floor": "half of the real subjects against the other half",
    }
    for ending, text in explained.items():
        values: np.ndarray = getattr(c.floor, ending)
        low, high = np.percentile(values, [2.5, 97.5])
        note = f"{text}; mean and 95 % range of {len(values)} random halves"
        mean = float(values.mean())
        yield Result(f"{name}.{ending}", mean, float(low), float(high), c.unit, better, c.floor.n, seed, note)


def _row(c: Compared, results: list[Result], n_real: int) -> list[Any]:
    plain, matched, floor = results
    numbers = [plain.value, matched.value, matched.low, matched.high, floor.value, floor.low, floor.high]
    sizes = [n_real, len(c.side.rows), c.floor.n, c.features]
    return [c.side.name, c.side.cohort.generator, c.name, *numbers, *sizes, plain.note]
