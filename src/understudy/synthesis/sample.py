"""Sample: trained generators -> a synthetic cohort; one seed a case, label maps decoded, provenance written.

Case i is drawn with derive(seed, "case", i), from run i mod R where R runs are mixed: it is the same for every n. Cases
are streamed to disk block by block, by the first of the processes that draw them; a killed sampling goes on where its
last note was. **Checked** in tests/synthesis/test_sample.py, test_runs.py and test_drawing.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.classes import ClassRequest, class_row, wanted_classes
from understudy.core.errors import UsageError
from understudy.core.progress import tracked
from understudy.core.provenance import Provenance
from understudy.core.stage import finished
from understudy.data.seal import cohort_seal, key_at_hand
from understudy.generators import load
from understudy.synthesis.avoidance import keep_away, open_avoided
from understudy.synthesis.drawing import blocks, drawn, machine, opened
from understudy.synthesis.runs import (
    Run,
    called,
    joint_inputs,
    joint_privacy,
    joint_trained_on,
    member,
    open_runs,
    synthetic_writer,
)
from understudy.training.engine import Engine


def sample_cohort(
    runs: Path | Sequence[Path],
    n: int,
    seed: int,
    out: Path,
    *,
    snapshot: int | None = None,
    classes: ClassRequest | None = None,
    settings: dict[str, Any] | None = None,
    away_from: Path | None = None,
    key: Path | None = None,
    engine: Engine | None = None,
) -> Path:
    """Draw n cases from one run, or evenly from several, into a new synthetic cohort; a finished one is not made twice.

    All runs are held in memory at once, at ``snapshot`` images seen or at their last. ``classes``, of conditional runs:
    the value of each class column for all cases, or "data" or "balanced" (core/classes.py). ``settings`` are those for
    sampling that differ from training, e.g. ``{"guidance": 2}``; ``away_from`` is the cohort that they were trained on,
    to whose images no case may come too near; ``key`` is the file of the key that seals the cohort (data/seal.py).

    Raises:
        UsageError: no such run or snapshot, runs that do not fit together, n below 1, classes that a run does not
            know, or ``out`` holds something else.
    """
    if n < 1:
        raise UsageError(f"at least one case must be sampled, found --n {n}")
    found = open_runs([runs] if isinstance(runs, str | Path) else list(runs), snapshot)
    for run in found:
        if run.record.get("given"):
            raise UsageError(
                f"the run {run.path} is given {run.record['given']} and renders them: name some with --labels"
            )
    wanted = _wanted(found, classes, n, seed)
    several, avoided = len(found) > 1, open_avoided(away_from, found) if away_from else None
    inputs = joint_inputs(found) | ({"away_from": avoided.id} if avoided else {})
    provenance = Provenance("sample", _request(found, n, classes, settings), seed, inputs)
    if finished(out, "cohort.json", provenance):
        return Path(out)
    generators = [load(run.path, snapshot, engine, settings) for run in found]
    away = keep_away(generators, avoided) if avoided else {}
    names = found[0].record["classes"]
    seen = joint_trained_on(*(run.record["trained_on"] for run in found))
    given = names if isinstance(classes, str) else list(classes or {})
    columns = ["generator"] if several else []
    described = {"trained_on": seen, "classes": given, "columns": columns}
    seal = cohort_seal([], key_at_hand(key, Path(out)))
    writer = synthetic_writer(out, found[0], provenance, **described, machine=machine(generators), seal=seal)
    writer.sampling = joint_privacy(found) | away
    engine = generators[0].engine
    with opened(writer, engine) as first:
        todo = blocks([generator.config.sample_block for generator in generators], n, first)

        def condition(numbers: range) -> np.ndarray | None:
            return None if wanted is None else _condition(wanted[numbers])

        cases = drawn(generators, todo, first, seed, condition)
        for case in tracked(cases, "sample", n, first, quiet=engine.rank > 0):
            if engine.rank:
                continue
            name = f"synthetic-{case.number:06d}"
            row = {"case_id": name, "subject_id": name}
            if several:
                row["generator"] = member(found, case.number % len(found))
            writer.append(
                case.image, case.label, row if wanted is None else row | class_row(names, wanted[case.number])
            )
    return Path(out)


def _request(
    runs: Sequence[Run], n: int, classes: ClassRequest | None, settings: dict[str, Any] | None
) -> dict[str, Any]:
    several = len(runs) > 1
    return {
        "generator": called(runs),
        "n": n,
        "images_seen": [run.images_seen for run in runs] if several else runs[0].images_seen,
        "classes": classes or {},
        "trained_as": [run.settings for run in runs] if several else runs[0].settings,
        "training_seed": [run.record["seed"] for run in runs] if several else runs[0].record["seed"],
        **({"settings": settings} if settings else {}),
    }


def _condition(wanted: np.ndarray) -> np.ndarray:
    """Return what generators take for classes (n, K): 0 for a missing entry, as in training; NaN where all are."""
    return np.where(np.isnan(wanted).all(1, keepdims=True), wanted, np.nan_to_num(wanted))


def _wanted(runs: Sequence[Run], classes: ClassRequest | None, n: int, seed: int) -> np.ndarray | None:
    """Return the classes (n, K) of all cases, each as its own run knows them, or None where no run is conditional."""
    names = runs[0].record["classes"]
    if not any(run.conditional for run in runs):
        if classes:
            raise UsageError(
                "classes were asked for, and the run was not trained with --set conditional=true: leave --classes out"
            )
        return None
    if not isinstance(classes, str) and set(classes or {}) != set(names):
        raise UsageError(
            f"this run is conditional: give a value for each of its classes ({', '.join(names)}) "
            "with --classes name=value, or --classes data or balanced"
        )
    wanted = np.empty((n, len(names)), np.float32)
    for r, run in enumerate(runs):
        if isinstance(classes, str) and "combinations" not in run.record:
            raise UsageError(
                f"the run {run.path} does not record which class combinations its training subjects have: give a value "
                f"for each class ({', '.join(names)}) with --classes name=value"
            )
        own = wanted_classes(names, run.record.get("combinations", []), classes or {}, n, seed)
        wanted[r :: len(runs)] = own[r :: len(runs)]
    return wanted
