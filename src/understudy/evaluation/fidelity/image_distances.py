"""How far images of synthetic cohorts lie from real ones: every metric of the menu, and the diversity of each side.

Each cohort is read once (measured.py), then pairs of cases for their resemblance (ms_ssim.py). Beside each distance
stands its floor (floor.py). Extractors that learn have seen the whole real training split, so **both halves of the
floor** are familiar to them and synthetic cases are not: what that is worth stands in features/encoder.py.
**Checked** in tests/evaluation/fidelity/test_stage.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import public
from understudy.core.encoding import Encoding
from understudy.core.result import Result
from understudy.core.seed import derive
from understudy.evaluation import METRICS
from understudy.evaluation.features.cache import Cache
from understudy.evaluation.features.extractor import Extractor
from understudy.evaluation.fidelity.arrays import Measured, channel_names, measure, standardised
from understudy.evaluation.fidelity.baseline import Floor, real_floors
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.ms_ssim import side_result
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


Imaged = tuple[Side, Measured]


@dataclass
class ImageFindings:
    """What comparing images gives.

    Attributes:
        results: numbers.
        rows: of the table.
        features: of every side, by its name, as they are compared.
        intensities: densities (C, bins) of every side, by its name.
        spectra: mean log spectra (C, R) of every side in dB, by its name.
    """

    results: list[Result] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    features: dict[str, np.ndarray] = field(default_factory=dict)
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


def steps(encoding: Encoding, others: int, config: FidelityConfig) -> int:
    """Return how often :func:`compare_images` says that it goes on."""
    times = {"intensities": encoding.image_channels, "logits": int(config.network_classes != "none")}
    floors = sum(times.get(needs, 1) for needs in _needs()) * config.draws
    return 2 * (1 + others) + floors * others if others else 0


def _needs() -> list[str]:
    """Return what metrics of the menu need, each once."""
    return list(dict.fromkeys(metric.needs for metric in METRICS.values()))


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
    if extract.standardised:
        measured = standardised(measured)
    pairs = list(zip(sides, measured, strict=True))
    found.features = {side.name: m.features for side, m in pairs}
    subjects = len(real.cohort.subjects("train"))
    for compared in _compare(pairs, config, derive(seed, "fidelity"), advance):
        results = [public(result, subjects) for result in _results(compared, title(config), seed)]
        found.results += results
        found.rows.append(_row(compared, results, len(real.rows)))
    if extract.logits is None:
        found.results += [_no_classes(side, config, seed) for side in others]
    for results in _resemblance(sides, encoding, config, seed, advance):
        found.results += [public(result, subjects) for result in results]
    return found


def title(config: FidelityConfig) -> str:
    """Return what stands beside a number for the extractor of its features, so that none is compared with another's."""
    return config.features + (f" {config.network_sha256[:8]}" if config.features == "torchscript" else "")


def _no_classes(side: Side, config: FidelityConfig, seed: int) -> Result:
    note = (
        f"not measured: it needs probabilities of classes, and features={config.features} gives none; they come from a "
        "scripted classifier: features=torchscript with network_classes=logits or probabilities"
    )
    return Result(f"{side.prefix}.inception_score", None, better="higher", seed=seed, note=note)


def _compare(
    sides: Sequence[Imaged], config: FidelityConfig, seed: int, advance: Callable[[str], Any]
) -> list[Compared]:
    """Compare the first side with each of the others; metric by metric."""
    found = [c for other in sides[1:] for c in _compare_two(sides[0], other, config, seed, advance)]
    names = list(dict.fromkeys(compared.name for compared in found))
    return sorted(found, key=lambda compared: names.index(compared.name))


def _compare_two(
    real: Imaged, other: Imaged, config: FidelityConfig, seed: int, advance: Callable[[str], Any]
) -> Iterator[Compared]:
    (side, ours), channels = real, real[0].cohort.encoding.channels
    subjects = side.cohort.column("subject_id")[side.rows]
    units = {f".{name}": c.meaning for name, c in zip(channel_names(channels), channels, strict=True)}
    fewer = config.model_copy(update=_per_draw(config))
    for needs in _needs():
        metrics = {name: metric for name, metric in METRICS.items() if metric.needs == needs}
        theirs = other[1].compared(needs, channels)
        for ending, matrix in ours.compared(needs, channels).items():
            made, after = theirs[ending], partial(advance, needs)
            plain = {n: _bound(m, config)(real=matrix, synthetic=made, seed=seed) for n, m in metrics.items()}
            bound = {name: _bound(metric, fewer) for name, metric in metrics.items()}
            floors = real_floors(bound, matrix, subjects, made, config.draws, seed, after)
            for name, result in plain.items():
                unit = units[ending] if ending else result.unit
                yield Compared(other[0], name, name + ending, unit, matrix.shape[1], result, floors[name])


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
        note = _joined(result.note, leak_note(side.cohort))
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
    metric, name = METRICS[c.metric], f"{c.side.prefix}.{c.name}"
    features = f"{c.features} features of {extractor}" if metric.needs == "features" else ""
    notes = (features, c.plain.note, metric.warning(c.plain.n, c.features), leak_note(c.side.cohort))
    yield replace(c.plain, name=name, unit=c.unit, seed=seed, note=_joined(*notes))
    explained = {
        "matched": "synthetic cases against half of the real subjects; read it beside the floor",
        "floor": "half of the real subjects against the other half",
    }
    for ending, text in explained.items():
        values: np.ndarray = getattr(c.floor, ending)
        low, high = np.percentile(values, [2.5, 97.5])
        text += f"; mean and 95 % range of {len(values)} random halves"
        note = _joined(features, text, metric.warning(c.floor.n, c.features))
        spread = (float(values.mean()), float(low), float(high))
        yield Result(f"{name}.{ending}", *spread, c.unit, metric.better, c.floor.n, seed, note)


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _row(c: Compared, results: list[Result], n_real: int) -> list[Any]:
    plain, matched, floor = results
    numbers = [plain.value, matched.value, matched.low, matched.high, floor.value, floor.low, floor.high]
    sizes = [n_real, len(c.side.rows), c.floor.n, c.features]
    return [c.side.name, c.side.cohort.generator, c.name, *numbers, *sizes, plain.note]
