"""``evaluate fidelity``: images and label maps of synthetic cohorts against those of a real one.

Images by every metric of the menu (image_distances.py), label maps by their statistics (label_distances.py), classes by
the class columns of both, and by a classifier where one is given (class_diversity.py). What a cohort does not have is
left out, and the results say so. The real set is the **training split**: the distribution that a generator was asked to
learn. What that cannot answer, whether it was memorised, is the question of ``evaluate privacy``. Beside each number
stand its baselines, unseen subjects and training cases drawn again (baseline.py). **Source** of the caution: Akbar et
al. (Sci Data 11:259, 2024): such distances do not show whether images are useful.
**Checked** in tests/evaluation/fidelity/test_stage.py (files, names, same seed same files, label maps alone, refusals).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.classes import short_class_names
from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS, internal, public
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.progress import progress
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive
from understudy.core.stage import finished
from understudy.evaluation.cache import open_cache
from understudy.evaluation.features import EXTRACTORS
from understudy.evaluation.features.extractor import ExtractorInputs
from understudy.evaluation.fidelity.arrays import channel_names
from understudy.evaluation.fidelity.baseline import UNSEEN_SPLITS
from understudy.evaluation.fidelity.class_diversity import (
    JUDGE_TABLE,
    ROLES,
    ClassJudge,
    class_judge,
    diversity,
    from_classifier,
    from_table,
    judged,
    shared_columns,
    withins,
)
from understudy.evaluation.fidelity.class_diversity import TABLE as DIVERSITY_TABLE
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.image_distances import TABLE, CaseSet, ImageFindings, compare_images, steps
from understudy.evaluation.fidelity.label_distances import TABLE as LABEL_TABLE
from understudy.evaluation.fidelity.label_distances import LabelFindings, compare_labels
from understudy.evaluation.fidelity.spectrum import frequencies
from understudy.evaluation.folder import (
    results_folder,
    results_key,
    write_curve,
    write_grid,
    write_histograms,
    write_table,
)
from understudy.evaluation.guard import open_pair, short_names
from understudy.tasks.classify import open_classifier

UNSEEN = "unseen subjects"  # no name of a cohort, which has no space
Diverse = tuple[list[Result], list[Any]]  # results and a row of the table, [] for all classes


@dataclass
class ClassFindings:
    """What classifiers say of synthetic cohorts: the diversity of classes, and whether cases show their columns."""

    diverse: list[Diverse] = field(default_factory=list)
    judged: list[Diverse] = field(default_factory=list)


def evaluate_fidelity(
    real: Path,
    synthetic: list[Path],
    out: Path,
    seed: int,
    config: FidelityConfig | None = None,
    classifier: Path | None = None,
    network: Path | None = None,
    cache: Path | None = None,
    guide: Path | None = None,
) -> Path:
    """Measure how near images and label maps of synthetic cohorts lie to those of real training subjects; return `out`.

    The seed is that of draws, halves and subsets. With a classifier, a folder that ``understudy classify`` made, the
    diversity of classes is measured too, and whether cases show their class columns; with a `guide`, the classifier
    that ``condition`` followed, what that one sees stands beside it. `network` is the file of a scripted network, for
    features=torchscript; `cache`, a folder of its own where features are kept between evaluations: INTERNAL, never
    released.

    Raises:
        UsageError: cohorts, a classifier, a network or a cache that do not fit, or an output of another request.
        UnderstudyError: a leak, too few subjects, or neither images nor label maps on both sets.
    """
    config, paths = config or FidelityConfig(), [Path(path) for path in synthetic]
    cohort, others = open_pair(Path(real), paths, splits={"train": 2}, labels=False, images=False)
    lacking = {what: [_lacking(cohort, other, what) for other in others] for what in ("images", "labels")}
    if all(map(all, zip(*lacking.values(), strict=True))):
        raise UnderstudyError(f"nothing can be compared: {lacking['images'][0]}, and {lacking['labels'][0]}")
    readers = {role: open_classifier(path) for role, path in zip(ROLES, (classifier, guide), strict=True) if path}
    if config.features != "torchscript" and (network is not None or config.network_classes != "none"):
        raise UsageError(
            f"--network and network_classes are for features=torchscript, and features={config.features} was asked for"
        )
    inputs = {"real": cohort.id, "synthetic": ",".join(other.id for other in others)}
    for role, trained in readers.items():
        trained.refuse_unfitting(f"the cohort {cohort.path.name}", cohort.encoding, cohort.size)
        inputs["classifier" if role == "judge" else role] = trained.id
    provenance = Provenance("evaluate fidelity", config.model_dump(mode="json"), seed, inputs)
    if finished(out, "results.json", provenance):
        return out
    kept = open_cache(cache, [Path(real), *paths, Path(out)], results_key(Path(out), cohort))
    ours, theirs = CaseSet("real", "", cohort, cohort.rows("train")), _case_sets(others)
    unseen = CaseSet(UNSEEN, "", cohort, np.sort(np.concatenate([cohort.rows(split) for split in UNSEEN_SPLITS])))
    imaged, mapped = ([s for s, why in zip(theirs, lacking[w], strict=True) if not why] for w in ("images", "labels"))
    total = steps(cohort.encoding, len(imaged), config)
    with results_folder(out, cohort) as folder, progress("features", total, "steps") as update:
        images = ImageFindings()
        if imaged:
            extract = EXTRACTORS[config.features](ExtractorInputs(cohort, ours.rows, config, network, kept))
            images = compare_images(
                ours, unseen, imaged, config, seed, lambda s: update(advance=1, description=s), extract, kept
            )
        about = (cohort, cohort.encoding, derive(seed, "fidelity"))
        judges = [class_judge(role, one, *about) for role, one in readers.items()] if imaged else []
        classes = _judged(judges, ours, unseen, imaged, config, seed)
        columns = list(_class_columns(ours, unseen, imaged, images.features, config, seed))
        labels = compare_labels(ours, unseen, mapped, config, seed) if mapped else LabelFindings()
        subjects = len(cohort.subjects("train"))
        told = (*columns, *classes.diverse, *classes.judged)
        of_classes = [public(replace(r, seed=seed), subjects) for results, _ in told for r in results]
        reasons = [(s, what, why) for what in lacking for s, why in zip(theirs, lacking[what], strict=True) if why]
        left_out = [
            Result(f"{s.prefix}.{what}", None, seed=seed, note=f"not measured: {why}") for s, what, why in reasons
        ]
        write_results(folder, [*images.results, *of_classes, *labels.results, *left_out], provenance)
        if subjects >= MIN_SUBJECTS:
            _write_classes(folder, columns, classes)
        _write_findings(folder, cohort, images, labels, subjects)
        for s in theirs:
            write_grid(folder / "images" / f"{s.name}.npz", s.cohort, s.rows[: config.grid], s.name)
        write_grid(internal(folder) / "real.npz", cohort, ours.rows[: config.grid], "real")
    return out


def _case_sets(others: Sequence[Cohort]) -> list[CaseSet]:
    """Name the synthetic cohorts, and what their results begin with: the name only where there are several."""
    named = zip(short_names(others), others, strict=True)
    return [CaseSet(n, f"fidelity.{n}" if len(others) > 1 else "fidelity", other, other.rows()) for n, other in named]


def _lacking(real: Cohort, other: Cohort, what: str) -> str:
    """Say why images or labels of two cohorts cannot be compared, or ""."""
    for case_set, cohort in (("real", real), ("synthetic", other)):
        if getattr(cohort, what) is None:
            return f"the {case_set} cohort has no {'images' if what == 'images' else 'label maps'}"
    if what == "images" or real.scheme is None or other.scheme is None:
        return ""
    if real.scheme.names != other.scheme.names:
        return f"the label schemes differ ({', '.join(real.scheme.names)}; {', '.join(other.scheme.names)})"
    return "" if len(real.scheme) > 1 else "the label scheme has no class beside the background"


def _judged(
    judges: Sequence[ClassJudge],
    ours: CaseSet,
    unseen: CaseSet,
    theirs: Sequence[CaseSet],
    config: FidelityConfig,
    seed: int,
) -> ClassFindings:
    """Let classifiers read each synthetic cohort: the diversity of the classes that the first finds, and their AUC."""
    found, encoding, own = ClassFindings(), ours.cohort.encoding, derive(seed, "fidelity")
    if not judges or not theirs:
        return found
    first, names = judges[0].trained.classifier, short_class_names(judges[0].names)
    real, new = (from_classifier(first, s.cohort, s.rows, encoding) for s in (ours, unseen))
    for s in theirs:
        seen = [(judge, from_classifier(judge.trained.classifier, s.cohort, s.rows, encoding)) for judge in judges]
        diverse = list(diversity(f"{s.prefix}.diversity", names, real, new, seen[0][1], config.draws, own))
        found.diverse += [(results, [s.name, *row] if row else []) for results, row in diverse]
        within = withins([result for results, _ in diverse for result in results])
        found.judged.append(judged(s.name, s.prefix, s.cohort, seen, list(within), own))
    return found


def _class_columns(
    ours: CaseSet,
    unseen: CaseSet,
    theirs: Sequence[CaseSet],
    features: dict[str, np.ndarray],
    config: FidelityConfig,
    seed: int,
) -> Iterator[Diverse]:
    """Measure the diversity of the classes in the case tables, where the real cohort has class columns."""
    for case_set in theirs if ours.cohort.classes else ():
        name, columns = f"{case_set.prefix}.classes", shared_columns(ours.cohort, case_set.cohort)
        if not columns:
            note = "not measured: the cohorts share no class column of 0 and 1"
            yield [Result(name, None, seed=seed, note=note)], []
            continue
        sets = (ours, unseen, case_set)
        real, new, made = (from_table(s.cohort, s.rows, columns, features[s.name]) for s in sets)
        about = (config.draws, derive(seed, "fidelity"), "the case tables")
        for results, row in diversity(name, short_class_names(columns), real, new, made, *about):
            yield results, [case_set.name, *row] if row else []


def _write_classes(folder: Path, columns: Sequence[Diverse], classes: ClassFindings) -> None:
    """Write the tables of classes."""
    tables = {
        "classes": (DIVERSITY_TABLE, columns),
        "diversity": (DIVERSITY_TABLE, classes.diverse),
        "conditioning": (JUDGE_TABLE, classes.judged),
    }
    for name, (header, found) in tables.items():
        if rows := [row for _, row in found if row]:
            write_table(folder, name, header, rows)


def _write_findings(folder: Path, real: Cohort, images: ImageFindings, labels: LabelFindings, subjects: int) -> None:
    """Write the tables, curves and histograms of what was compared; curves of few subjects stay inside."""
    for name, header, rows in (("fidelity", TABLE, images.rows), ("labels", LABEL_TABLE, labels.rows)):
        if rows:
            write_table(folder, name, header, rows)
    for name, histograms in labels.histograms.items():
        write_histograms(folder, name, histograms)
    where = folder if subjects >= MIN_SUBJECTS else internal(folder)
    names = channel_names(real.encoding.channels)
    for c, channel in enumerate(real.encoding.channels if images.intensities else ()):
        bins = images.intensities["real"].shape[1]
        width = (channel.high - channel.low) / bins
        x = (channel.low + (np.arange(bins) + 0.5) * width).tolist()
        series = {name: (x, densities[c].tolist()) for name, densities in images.intensities.items()}
        title = f"Intensities of {channel.name}"
        write_curve(where, f"intensity-{names[c]}", title, channel.meaning, "density", series)
        x = frequencies(real.size).tolist()
        series = {name: (x, decibels[c].tolist()) for name, decibels in images.spectra.items()}
        title = f"Radial power spectrum of {channel.name}"
        write_curve(where, f"spectrum-{names[c]}", title, "cycles per voxel", "power, dB", series)
