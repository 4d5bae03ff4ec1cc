"""How far images of synthetic cohorts lie from real ones: every metric of the menu, and the diversity of each set.

Each cohort is read once (arrays.py), then pairs of cases for their resemblance (ms_ssim.py). Beside each distance
stands its baseline (baseline.py). Extractors that learn have seen the whole real training split, so **both halves of
the baseline** are familiar to them and synthetic cases are not: what that is worth stands in features/encoder.py.
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
from understudy.evaluation.fidelity.arrays import ImageMeasures, channel_names, measure, standardised
from understudy.evaluation.fidelity.baseline import Baseline, real_baselines
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.intensity import densities
from understudy.evaluation.fidelity.ms_ssim import set_result
from understudy.evaluation.folder import join_notes, three
from understudy.evaluation.guard import leak_note
from understudy.evaluation.metric import Metric

TABLE = (
    *("cohort", "generator", "metric", "value", "size_matched", "size_matched_low", "size_matched_high"),
    *("baseline", "baseline_low", "baseline_high", "n_real", "n_synthetic", "n_size_matched", "features", "note"),
)

NO_CLASSES = (
    "not measured: it needs probabilities of classes, and features={} gives none; they come from a "
    "scripted classifier: features=torchscript with network_classes=logits or probabilities"
)
SIZES_PER_DRAW = 3  # of the extrapolated Frechet distance, on each half


@dataclass(frozen=True)
class CaseSet:
    """One set of a comparison: its name, what its results begin with, the cohort, and which of its cases."""

    name: str
    prefix: str
    cohort: Cohort
    rows: np.ndarray


Imaged = tuple[CaseSet, ImageMeasures]


@dataclass
class ImageFindings:
    """What comparing images gives: results, rows of the table, and arrays by the name of each set.

    Features are (n, F), as they are compared; intensities, densities (C, bins); spectra, mean log spectra (C, R) in dB.
    """

    results: list[Result] = field(default_factory=list)
    rows: list[list[Any]] = field(default_factory=list)
    features: dict[str, np.ndarray] = field(default_factory=dict)
    intensities: dict[str, np.ndarray] = field(default_factory=dict)
    spectra: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class ImageComparison:
    """One metric of one synthetic cohort, of F features: the plain number, named as in tables, and its baseline."""

    case_set: CaseSet
    metric: Metric
    features: int
    plain: Result
    baseline: Baseline


def steps(encoding: Encoding, others: int, config: FidelityConfig) -> int:
    """Return how often :func:`compare_images` calls `advance`."""
    times = {"intensities": encoding.image_channels, "logits": int(config.network_classes != "none")}
    baselines = sum(times.get(needs, 1) for needs in _needs()) * config.draws
    return 2 * (1 + others) + baselines * others if others else 0


def _needs() -> list[str]:
    """Return what metrics of the menu need, each once."""
    return list(dict.fromkeys(metric.needs for metric in METRICS.values()))


def compare_images(
    real: CaseSet,
    others: Sequence[CaseSet],
    config: FidelityConfig,
    seed: int,
    advance: Callable[[str], Any],
    extract: Extractor,
    cache: Cache,
) -> ImageFindings:
    """Compare the images of synthetic cohorts with those of real training subjects.

    The seed is that of halves, subsets and pairs; `advance` is called after each step with what it was.
    """
    encoding, case_sets, found = real.cohort.encoding, (real, *others), ImageFindings()
    measured = []
    for case_set in case_sets:
        measured.append(measure(case_set.cohort, case_set.rows, encoding, extract, config.bins, cache))
        found.intensities[case_set.name] = densities(measured[-1].intensities, encoding.channels)
        found.spectra[case_set.name] = measured[-1].spectra.mean(0, dtype=np.float64)
        advance("features")
    if extract.standardised:
        measured = standardised(measured)
    pairs = list(zip(case_sets, measured, strict=True))
    found.features = {case_set.name: m.features for case_set, m in pairs}
    subjects = len(real.cohort.subjects("train"))
    own = derive(seed, "fidelity")
    comparisons = [c for other in pairs[1:] for c in _compare(pairs[0], other, config, own, advance)]
    names = list(dict.fromkeys(c.plain.name for c in comparisons))
    for compared in sorted(
        comparisons, key=lambda c: names.index(c.plain.name)
    ):  # metric by metric, all cohorts by each
        results = [public(result, subjects) for result in _results(compared, title(config), seed)]
        found.results += results
        found.rows.append(_row(compared, results, len(real.rows)))
    if extract.logits is None:
        none = Result("", None, better="higher", seed=seed, note=NO_CLASSES.format(config.features))
        found.results += [replace(none, name=f"{case_set.prefix}.inception_score") for case_set in others]
    for results in _resemblance(case_sets, encoding, config, seed, advance):
        found.results += [public(result, subjects) for result in results]
    return found


def title(config: FidelityConfig) -> str:
    """Return what stands beside a number for the extractor of its features, so that none is compared with another's."""
    return config.features + (f" {config.network_sha256[:8]}" if config.features == "torchscript" else "")


def _compare(
    real: Imaged, other: Imaged, config: FidelityConfig, seed: int, advance: Callable[[str], Any]
) -> Iterator[ImageComparison]:
    (case_set, ours), channels = real, real[0].cohort.encoding.channels
    subjects = case_set.cohort.column("subject_id")[case_set.rows]
    units = {f".{name}": c.meaning for name, c in zip(channel_names(channels), channels, strict=True)}
    # of a single half: the halves are many, and what each estimates less well averages out
    per_half = {"subsets": -(-config.subsets // config.draws), "sizes": min(config.sizes, SIZES_PER_DRAW)}
    fewer = config.model_copy(update=per_half)
    for needs in _needs():
        metrics = {name: metric for name, metric in METRICS.items() if metric.needs == needs}
        theirs = other[1].compared(needs, channels)
        for ending, matrix in ours.compared(needs, channels).items():
            made, after = theirs[ending], partial(advance, needs)
            bound = {name: partial(metric.function, **_settings(metric, fewer)) for name, metric in metrics.items()}
            baselines = real_baselines(bound, matrix, subjects, made, config.draws, seed, after)
            for metric in metrics.values():
                plain = metric.results(real=matrix, synthetic=made, seed=seed, **_settings(metric, config))
                for q in metric.quantities:
                    named = replace(plain[q.name], name=q.name + ending, unit=units[ending] if ending else q.unit)
                    yield ImageComparison(other[0], metric, matrix.shape[1], named, baselines[q.name])


def _resemblance(
    case_sets: Sequence[CaseSet], encoding: Encoding, config: FidelityConfig, seed: int, advance: Callable[[str], Any]
) -> Iterator[list[Result]]:
    """Yield the MS-SSIM of each synthetic cohort, and that of the real one beside it."""
    found = []
    for case_set in case_sets:
        about = (config.pairs, config.draws, derive(seed, "fidelity"))
        found.append(set_result("", case_set.cohort, case_set.rows, encoding, *about))
        advance("ms_ssim")
    for case_set, result in zip(case_sets[1:], found[1:], strict=True):
        note = join_notes(result.note, leak_note(case_set.cohort))
        pair = replace(result, note=note, seed=seed), replace(found[0], seed=seed)
        yield [replace(r, name=f"{case_set.prefix}.ms_ssim{end}") for r, end in zip(pair, ("", ".real"), strict=True)]


def _settings(metric: Metric, config: FidelityConfig) -> dict[str, Any]:
    return config.model_dump(include=set(metric.settings))


def _results(c: ImageComparison, extractor: str, seed: int) -> Iterator[Result]:
    """Yield the plain number, the size-matched one and the baseline of a comparison."""
    features = f"{c.features} features of {extractor}" if c.metric.needs == "features" else ""
    warning, leak = c.metric.warning(c.plain.n, c.features), leak_note(c.case_set.cohort)
    note = join_notes(features, c.plain.note, warning, leak)
    plain = replace(c.plain, name=f"{c.case_set.prefix}.{c.plain.name}", seed=seed, note=note)
    yield plain
    yield from c.baseline.results(plain, features, c.metric.warning(c.baseline.n, c.features))


def _row(c: ImageComparison, results: list[Result], n_real: int) -> list[Any]:
    plain, size_matched, baseline = results
    numbers = [plain.value, *three(size_matched), *three(baseline)]
    sizes = [n_real, len(c.case_set.rows), c.baseline.n, c.features]
    return [c.case_set.name, c.case_set.cohort.generator, c.plain.name, *numbers, *sizes, plain.note]
