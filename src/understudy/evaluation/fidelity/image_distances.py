"""How far images of synthetic cohorts lie from real ones: every metric of the menu, and the diversity of each set.

Each cohort is read once (arrays.py), then pairs of cases for their resemblance (ms_ssim.py). Beside each distance
stand its baselines (baseline.py). Extractors that learn have seen the training split alone, so that unseen subjects are
as new to them as synthetic cases are: what that is worth stands in features/encoder.py.
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
from understudy.evaluation.cache import Cache
from understudy.evaluation.features.extractor import Extractor
from understudy.evaluation.fidelity.arrays import ImageMeasures, channel_names, measure, standardised
from understudy.evaluation.fidelity.baseline import Baselines, RealBaselines, RealCases
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.intensity import densities
from understudy.evaluation.fidelity.ms_ssim import set_result
from understudy.evaluation.folder import join_notes, three
from understudy.evaluation.guard import leak_note
from understudy.evaluation.metric import Metric, Quantity

TABLE = (
    *("cohort", "generator", "metric", "value", "size_matched", "size_matched_low", "size_matched_high"),
    *("unseen", "unseen_low", "unseen_high", "unseen_extrapolated", "redrawn", "redrawn_low", "redrawn_high"),
    *("n_real", "n_synthetic", "n_size_matched", "unseen_subjects", "features", "note"),
)

NO_CLASSES = (
    "not measured: it needs probabilities of classes, and features={} gives none; they come from a "
    "scripted classifier: features=torchscript with network_classes=logits or probabilities"
)
SIZES_PER_DRAW = 3  # of the extrapolated Frechet distance, in each draw of a baseline


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
    """One metric of one synthetic cohort, of F features: the plain number, named as in tables, and its baselines."""

    case_set: CaseSet
    metric: Metric
    quantity: Quantity
    features: int
    plain: Result
    baselines: Baselines


def steps(encoding: Encoding, others: int, config: FidelityConfig) -> int:
    """Return how often :func:`compare_images` calls `advance`."""
    times = {"intensities": encoding.image_channels, "logits": int(config.network_classes != "none")}
    baselines = sum(times.get(needs, 1) for needs in _needs()) * config.draws
    return 1 + 2 * (1 + others) + baselines * others if others else 0


def _needs() -> list[str]:
    """Return what metrics of the menu need, each once."""
    return list(dict.fromkeys(metric.needs for metric in METRICS.values()))


def compare_images(
    real: CaseSet,
    unseen: CaseSet,
    others: Sequence[CaseSet],
    config: FidelityConfig,
    seed: int,
    advance: Callable[[str], Any],
    extract: Extractor,
    cache: Cache,
) -> ImageFindings:
    """Compare the images of synthetic cohorts with those of real training subjects, and of unseen ones beside them.

    The seed is that of draws, halves, subsets and pairs; `advance` is called after each step with what it was.
    """
    encoding, case_sets, found = real.cohort.encoding, (real, unseen, *others), ImageFindings()
    measured: list[ImageMeasures] = []
    for case_set in case_sets:
        about = (case_set.cohort, case_set.rows, encoding, extract, config.bins, cache)
        measured.append(measure(*about) if len(case_set.rows) else measured[0].none)
        if case_set is not unseen:
            found.intensities[case_set.name] = densities(measured[-1].intensities, encoding.channels)
            found.spectra[case_set.name] = measured[-1].spectra.mean(0, dtype=np.float64)
        advance("features")
    if extract.standardised:
        measured = standardised(measured)
    pairs = list(zip(case_sets, measured, strict=True))
    found.features = {case_set.name: m.features for case_set, m in pairs}
    subjects = len(real.cohort.subjects("train"))
    comparisons = list(_compare(pairs[0], pairs[1], pairs[2:], config, derive(seed, "fidelity"), advance))
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
    for results in _resemblance((real, *others), encoding, config, seed, advance):
        found.results += [public(result, subjects) for result in results]
    return found


def title(config: FidelityConfig) -> str:
    """Return what stands beside a number for the extractor of its features, so that none is compared with another's."""
    return config.features + (f" {config.network_sha256[:8]}" if config.features == "torchscript" else "")


def _compare(
    real: Imaged,
    unseen: Imaged,
    others: Sequence[Imaged],
    config: FidelityConfig,
    seed: int,
    advance: Callable[[str], Any],
) -> Iterator[ImageComparison]:
    channels, subjects = real[0].cohort.encoding.channels, unseen[0].cohort.column("subject_id")[unseen[0].rows]
    units = {f".{name}": c.meaning for name, c in zip(channel_names(channels), channels, strict=True)}
    # in a single draw: draws are many, and what each estimates less well averages out
    per_draw = {"subsets": -(-config.subsets // config.draws), "sizes": min(config.sizes, SIZES_PER_DRAW)}
    fewer = config.model_copy(update=per_draw)
    for needs in _needs():
        metrics = {name: metric for name, metric in METRICS.items() if metric.needs == needs}
        bound = {name: partial(metric.function, **_settings(metric, fewer)) for name, metric in metrics.items()}
        new = unseen[1].compared(needs, channels)
        for ending, matrix in real[1].compared(needs, channels).items():
            baselines = RealBaselines(bound, RealCases(matrix, new[ending], subjects), config.draws, seed)
            for case_set, measured in others:
                made = measured.compared(needs, channels)[ending]
                beside = baselines.beside(made, partial(advance, needs))
                for metric in metrics.values():
                    plain = metric.results(real=matrix, synthetic=made, seed=seed, **_settings(metric, config))
                    for q in metric.quantities:
                        named = replace(plain[q.name], name=q.name + ending, unit=units[ending] if ending else q.unit)
                        yield ImageComparison(case_set, metric, q, matrix.shape[1], named, beside[q.name])


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
    """Yield the plain number of a comparison and its baselines."""
    features = f"{c.features} features of {extractor}" if c.metric.needs == "features" else ""
    warning, leak = c.metric.warning(c.plain.n, c.features), leak_note(c.case_set.cohort)
    note = join_notes(features, c.plain.note, warning, leak)
    plain = replace(c.plain, name=f"{c.case_set.prefix}.{c.plain.name}", seed=seed, note=note)
    yield plain
    yield from c.baselines.results(plain, c.quantity.bounds, features, c.metric.warning(c.baselines.n, c.features))


def _row(c: ImageComparison, results: list[Result], n_real: int) -> list[Any]:
    beside = {result.name.rpartition(".")[2]: result for result in results[1:]}
    numbers = [results[0].value, *(v for kind in ("size_matched", "unseen") for v in three(beside[kind]))]
    numbers += [three(beside.get("unseen_extrapolated"))[0], *three(beside["redrawn"])]
    sizes = [n_real, len(c.case_set.rows), c.baselines.n, c.baselines.subjects, c.features]
    return [c.case_set.name, c.case_set.cohort.generator, c.plain.name, *numbers, *sizes, results[0].note]
