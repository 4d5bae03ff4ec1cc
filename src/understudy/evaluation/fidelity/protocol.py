"""``evaluate fidelity``: every metric of the menu on the images of synthetic cohorts against those of a real one.

The real side is the **training split**: the distribution that a generator was asked to learn. What that cannot tell,
whether it was learned by heart, is the question of ``evaluate privacy``. Beside each number stands its floor
(floor.py). **Source** of the caution: Akbar et al. (Sci Data 11:259, 2024): such distances do not tell whether images
are useful. Label maps are not looked at.
**Checked** in tests/evaluation/fidelity/test_protocol.py (files, names, same seed same files, refusals).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.classes import short_class_names
from understudy.core.cohort import Cohort
from understudy.core.encoding import Encoding
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.seed import derive
from understudy.core.stage import finished, output_folder
from understudy.evaluation import METRICS
from understudy.evaluation.features import RandomFeatures, image_blocks
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.diversity import TABLE as DIVERSITY_TABLE
from understudy.evaluation.fidelity.diversity import diversity, look
from understudy.evaluation.fidelity.floor import Floor, real_floor
from understudy.evaluation.folder import PUBLIC_MINIMUM, internal, public, write_curve, write_grid, write_table
from understudy.evaluation.guard import leak_note, open_pair, short_names, slug
from understudy.evaluation.metric import Metric
from understudy.evaluation.progress import progress_bar
from understudy.tasks.classify import Trained, open_classifier

TABLE = (
    *("cohort", "generator", "metric", "value", "matched", "matched_low", "matched_high"),
    *("floor", "floor_low", "floor_high", "n_real", "n_synthetic", "n_matched", "features", "note"),
)


@dataclass(frozen=True)
class Measured:
    """What is known of one cohort's images: features (n, F) and intensity densities (C, bins)."""

    name: str
    cohort: Cohort
    rows: np.ndarray
    features: np.ndarray
    densities: np.ndarray


@dataclass(frozen=True)
class Compared:
    """One metric of one synthetic cohort: the plain number and its floor."""

    measured: Measured
    metric: str
    plain: Result
    floor: Floor


def evaluate_fidelity(
    real: Path,
    synthetic: list[Path],
    out: Path,
    seed: int,
    config: FidelityConfig | None = None,
    classifier: Path | None = None,
) -> Path:
    """Measure how near the images of synthetic cohorts lie to those of real training subjects.

    Args:
        real: folder of the real cohort.
        synthetic: folders of the synthetic cohorts.
        out: results folder to make.
        seed: of halves and subsets.
        config: settings; the defaults where None.
        classifier: a folder that ``understudy classify`` made; with it the diversity of classes is measured too.

    Returns:
        ``out``.

    Raises:
        UsageError: cohorts, or a classifier, that do not fit, or an output of another request.
        UnderstudyError: a leak, too few subjects, no images.
    """
    config = config or FidelityConfig()
    cohort, others = open_pair(Path(real), [Path(path) for path in synthetic], splits=("train",), labels=False)
    judge = open_classifier(classifier) if classifier else None
    inputs = {"real": cohort.id, "synthetic": ",".join(other.id for other in others)}
    if judge:
        judge.refuse_unfitting(f"the cohort {cohort.path.name}", cohort.encoding, cohort.size)
        inputs["classifier"] = judge.id
    provenance = Provenance("evaluate fidelity", config.model_dump(mode="json"), seed, inputs)
    if finished(out, "results.json", provenance):
        return out
    with output_folder(out) as folder, progress_bar("steps") as bar:
        task = bar.add_task("features", total=(len(others) + 1) + len(others) * len(METRICS))
        sides = [("real", cohort, cohort.rows("train"))]
        sides += [(name, other, other.rows()) for name, other in zip(short_names(others), others, strict=True)]
        measured = []
        for side in sides:
            measured.append(_measure(*side, cohort.encoding, config.bins))
            bar.advance(task)
        compared = []
        for one in _compare(measured[0], measured[1:], config, seed):
            compared.append(one)
            bar.update(task, advance=1, description=one.metric)
        found = list(_diversity(judge, measured, config, seed)) if judge else []
        _write(folder, measured, compared, found, config, provenance)
    return out


def _diversity(
    judge: Trained, measured: list[Measured], config: FidelityConfig, seed: int
) -> Iterator[tuple[list[Result], list[Any]]]:
    """Measure the diversity of classes of each synthetic cohort: results and a row of the table, [] for all classes."""
    encoding, names = measured[0].cohort.encoding, short_class_names(judge.classifier.names)

    def see(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return judge.classifier.predict(images), judge.classifier.features(images)

    real, *others = (look(see, m.cohort, m.rows, encoding) for m in measured)
    for one, seen in zip(measured[1:], others, strict=True):
        prefix = _prefix(one, len(others) > 1)
        for results, row in diversity(f"{prefix}.diversity", names, real, seen, config.draws, derive(seed, "fidelity")):
            yield results, [one.name, *row] if row else []


def _measure(name: str, cohort: Cohort, rows: np.ndarray, encoding: Encoding, bins: int) -> Measured:
    """Read a cohort once, block by block."""
    extract = RandomFeatures(encoding.image_channels, len(cohort.size))
    features, counts = [], np.zeros((encoding.image_channels, bins), np.int64)
    for images in image_blocks(cohort, rows, encoding):
        features.append(extract(images))
        places = ((images + 1) / 2 * bins).astype(np.intp).clip(0, bins - 1)
        counts += np.stack([np.bincount(places[:, c].ravel(), minlength=bins) for c in range(len(counts))])
    width = np.array([c.high - c.low for c in encoding.channels])[:, None] / bins
    return Measured(name, cohort, rows, np.concatenate(features), counts / counts.sum(1, keepdims=True) / width)


def _compare(real: Measured, others: list[Measured], config: FidelityConfig, seed: int) -> Iterator[Compared]:
    subjects = real.cohort.column("subject_id")[real.rows]
    own = derive(seed, "fidelity")
    for name, metric in METRICS.items():
        for other in others:
            plain = _bound(metric, config)(real=real.features, synthetic=other.features, seed=own)
            fewer = config.model_copy(update={"subsets": -(-config.subsets // config.draws)})
            function = _bound(metric, fewer)
            floor = real_floor(function, real.features, subjects, other.features, config.draws, own)
            yield Compared(other, name, plain, floor)


def _bound(metric: Metric, config: FidelityConfig) -> "partial[Result]":
    """Return the metric's function with the settings that it takes."""
    return partial(metric.function, **{name: getattr(config, name) for name in metric.settings})


def _write(
    folder: Path,
    measured: list[Measured],
    compared: list[Compared],
    diverse: list[tuple[list[Result], list[Any]]],
    config: FidelityConfig,
    provenance: Provenance,
) -> None:
    real, others = measured[0], measured[1:]
    subjects = len(real.cohort.subjects("train"))
    found = [(c, _results(c, len(others) > 1, subjects, provenance.seed)) for c in compared]
    classes = [public(r, subjects) for results, _ in diverse for r in results]
    write_results(folder, [*(r for _, results in found for r in results), *classes], provenance)
    write_table(folder, "fidelity", TABLE, [_row(c, results, len(real.rows)) for c, results in found])
    if diverse and subjects >= PUBLIC_MINIMUM:
        write_table(folder, "diversity", DIVERSITY_TABLE, [row for _, row in diverse if row])
    held = internal(folder)
    for c, channel in enumerate(real.cohort.encoding.channels):
        width = (channel.high - channel.low) / config.bins
        x = (channel.low + (np.arange(config.bins) + 0.5) * width).tolist()
        series = {m.name: (x, m.densities[c].tolist()) for m in measured}
        where = folder if subjects >= PUBLIC_MINIMUM else held
        title = f"Intensities of {channel.name}"
        write_curve(where, f"intensity-{slug(channel.name)}", title, channel.meaning, "density", series)
    for m in others:
        write_grid(folder / "images" / f"{m.name}.npz", m.cohort, m.rows[: config.grid], m.name)
    write_grid(held / "real.npz", real.cohort, real.rows[: config.grid], "real")


def _prefix(measured: Measured, several: bool) -> str:
    return f"fidelity.{measured.name}" if several else "fidelity"


def _results(c: Compared, several: bool, subjects: int, seed: int) -> list[Result]:
    """Return the plain number, the matched one and the floor of a comparison."""
    better = METRICS[c.metric].better
    name = f"{_prefix(c.measured, several)}.{c.metric}"
    note = "; ".join(n for n in (c.plain.note, leak_note(c.measured.cohort)) if n)
    plain = Result(name, c.plain.value, c.plain.low, c.plain.high, "", better, c.plain.n, seed, note)
    results = [plain]
    explained = {
        "matched": "synthetic cases against half of the real subjects; read it beside the floor",
        "floor": "half of the real subjects against the other half",
    }
    for ending, text in explained.items():
        values: np.ndarray = getattr(c.floor, ending)
        low, high = np.percentile(values, [2.5, 97.5])
        note = f"{text}; mean and 95 % range of {len(values)} random halves"
        results.append(
            Result(f"{name}.{ending}", float(values.mean()), float(low), float(high), "", better, c.floor.n, seed, note)
        )
    return [public(r, subjects) for r in results]


def _row(c: Compared, results: list[Result], n_real: int) -> list[Any]:
    plain, matched, floor = results
    generator = str(c.measured.cohort.provenance.get("config", {}).get("generator", ""))
    numbers = [plain.value, matched.value, matched.low, matched.high, floor.value, floor.low, floor.high]
    sizes = [n_real, len(c.measured.rows), c.floor.n, c.measured.features.shape[1]]
    return [c.measured.name, generator, c.metric, *numbers, *sizes, plain.note]
