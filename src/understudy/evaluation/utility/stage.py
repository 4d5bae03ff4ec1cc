"""``evaluate utility``: task networks trained on synthetic cases, on real ones or on both, tested on real subjects.

**Source**: Akbar et al., Brain tumor segmentation using synthetic MR images (Sci Data 11:259, 2024): synthetic only
against real only, and real with synthetic, equally represented, repeated over seeds of the task network; Shin et al.
(2018, arXiv 1807.10225): synthetic, then fine-tuned on some real cases.
**Differs**: all arms make the same number of updates with the same settings and seeds; beside the weights that
held-out synthetic cases choose, those that real validation subjects choose and the last ones are tested. Intervals hold
the seeds of the networks, the subjects, and where cohorts are draws of one generator, its seed (core/pooled.py).
Networks learn at the same time, a thread each (training/parallel.py). What the arms are, and which weights are tested:
arms.py. What is trained and scored is the task's matter (TASKS).
**Kept in a cache**: each network, as soon as it was tested. Whoever judges another cohort against the same real one
need not train again those that learn real cases alone; an evaluation that was killed goes on with the networks that it
lacks. Kept are the scores of each by test subject, or by test case, and its scores by those who choose weights; no
pixel and no weight. What is found is, bit for bit, what training again would give (evaluation/cache.py).
**Checked** in tests/evaluation/utility/test_stage.py (a toy cohort end to end, same seed, a planted leak; with a cache
the same bytes, what misses, forged entries, interrupted and continued).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.progress import progress
from understudy.core.provenance import Provenance
from understudy.core.seed import derive
from understudy.core.stage import finished
from understudy.data.seal import content_id
from understudy.evaluation.cache import Cache, open_cache
from understudy.evaluation.folder import results_folder, results_key
from understudy.evaluation.guard import open_pair
from understudy.evaluation.utility.arms import Arm, make_arms
from understudy.evaluation.utility.classification import Classification
from understudy.evaluation.utility.config import Repeats
from understudy.evaluation.utility.report import UtilityFindings
from understudy.evaluation.utility.segmentation import Segmentation
from understudy.evaluation.utility.task import Outcome, Task
from understudy.training.engine import Engine
from understudy.training.parallel import in_parallel

SPLITS = {"train": 1, "validation": 1, "test": 2}  # with at least so many subjects
TASKS: dict[str, type[Task]] = {"segmentation": Segmentation, "classification": Classification}


def default_task(real: Path, synthetic: list[Path]) -> str:
    """Return the task of these cohorts: segmentation, or where they have class columns only, classification."""
    cohorts = [Cohort.open(path) for path in (real, *synthetic)]
    annotated = all(cohort.labels is not None for cohort in cohorts)
    return "classification" if not annotated and all(cohort.classes for cohort in cohorts) else "segmentation"


def evaluate_utility(
    real: Path,
    synthetic: list[Path],
    out: Path,
    seed: int,
    config: Any = None,
    task: str = "segmentation",
    cache: Path | None = None,
) -> Path:
    """Compare what task networks learn from synthetic cohorts with what they learn from real cases; return `out`.

    The real cohort has the splits train, validation and test; all synthetic cases are training cases. The settings are
    the task's (a name out of TASKS), the same in every arm; the seed is that of weights, order, augmentation and
    resampling. `cache` is a folder of its own where the test scores of networks are kept between evaluations, which
    changes no byte of the results: INTERNAL, never released.

    Raises:
        UsageError: cohorts or a cache that do not fit, or an output of another request.
        UnderstudyError: a leak, too few subjects, no label maps or class columns, more real subjects than there are.
    """
    kind = TASKS[task]
    config = config or kind.Config()
    classes = config.classes if kind.needs_labels else ()
    cohort, others = open_pair(real, synthetic, splits=SPLITS, labels=kind.needs_labels, classes=classes)
    inputs = {"real": cohort.id, "synthetic": ",".join(other.id for other in others)}
    provenance = Provenance("evaluate utility", config.model_dump(mode="json"), seed, inputs)
    if finished(out, "results.json", provenance):
        return out
    found = open_cache(cache, [Path(real), *map(Path, synthetic), Path(out)], results_key(Path(out), cohort))
    made = kind(cohort, others, config)
    networks = Networks(made, cohort, config, seed, found)
    with results_folder(out, cohort) as folder:
        arms = make_arms(made, cohort, others, config, seed)
        outcomes = {arm.name: {choice: made.outcome() for choice in arm.choices} for arm in arms}
        asked = [(arm, repeat) for arm in arms for repeat in range(config.repeats)]
        with progress(f"{made.model}s", len(asked) * config.updates, "updates") as update:
            jobs = [partial(networks.run, *one) for one in asked]
            tested = in_parallel(jobs, partial(update, advance=1), networks.at_once())
        for (arm, _), each in zip(asked, tested, strict=True):
            for choice, outcome in each.items():
                outcomes[arm.name][choice].take(outcome)
        UtilityFindings(made, arms, outcomes, config, provenance).write(folder)
    return out


@dataclass(frozen=True)
class Networks:
    """Trains the networks of a utility evaluation, or finds in a cache what they did."""

    task: Task
    real: Cohort
    config: Any
    seed: int
    cache: Cache

    def at_once(self) -> int | None:
        """Return how many may learn at the same time: on a GPU one; None where threads decide."""
        return 1 if Engine(self.config.precision).device.type == "cuda" else None

    def run(self, arm: Arm, repeat: int, done: Callable[[], None]) -> dict[str, Outcome]:
        """Return what one network of an arm did, by choice of weights; each update ends with ``done``."""
        own = derive(self.seed, self.task.model, repeat)  # the same in every arm
        outcomes = {choice: self.task.outcome() for choice in arm.choices}
        keys = self._keys(arm, repeat)
        found = {part: self.cache.load(key) for part, key in keys.items()}
        if any(array is None for array in found.values()):
            self.task.run(arm.cases, arm.judges, outcomes, own, done)
            for part, array in _parts(outcomes, arm).items():
                self.cache.store(keys[part], array)
            return outcomes
        for _ in range(self.config.updates):
            done()
        for choice, outcome in outcomes.items():
            if (scores := found[f"scores, {choice}"]) is not None and scores.size:
                outcome.add(scores)
            for judge in arm.judges:
                curve = found[f"curve, {judge}"]
                assert curve is not None
                outcome.curves[judge] = [[(int(at), float(score)) for at, score in curve]]
        return outcomes

    def _keys(self, arm: Arm, repeat: int) -> dict[str, dict[str, Any]]:
        """Return for each part of what a network does all that decides it, but for the code and the machine."""
        settings = self.config.model_dump(mode="json", exclude=set(Repeats.model_fields))
        cohort = {"cohort": self.real.id, "content": content_id(self.real, None), "made of": arm.made_of}
        drawn = {"arm": arm.kind, "share": arm.share, "seed": self.seed, "repeat": repeat}
        drawn |= {"last share": self.config.finetune_share} if arm.kind.startswith("finetuned") else {}
        about = {"what": "task networks", "task": self.task.model, "settings": settings, **cohort, **drawn}
        parts = [f"scores, {choice}" for choice in arm.choices] + [f"curve, {judge}" for judge in arm.judges]
        return {part: {**about, "part": part} for part in parts}


def _parts(outcomes: dict[str, Outcome], arm: Arm) -> dict[str, np.ndarray]:
    """Return what one network did as arrays: scores by choice of weights, empty where none; curves by judge."""
    scores = {f"scores, {c}": one.last() if one.networks else np.zeros(0) for c, one in outcomes.items()}
    curves = next(iter(outcomes.values())).curves
    return scores | {f"curve, {judge}": np.array(curves[judge][-1], float) for judge in arm.judges}
