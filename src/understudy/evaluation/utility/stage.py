"""``evaluate utility``: task networks trained on synthetic cases, on real ones or on both, tested on real subjects.

**Source**: Akbar et al., Brain tumor segmentation using synthetic MR images (Sci Data 11:259, 2024): synthetic only
against real only, and real with synthetic, equally represented, repeated over seeds of the task network; Shin et al.
(2018, arXiv 1807.10225): synthetic, then fine-tuned on some real cases.
**Differs**: all arms make the same number of updates with the same settings and seeds; beside the weights that
held-out synthetic cases choose, those that real validation subjects choose and the last ones are tested. Intervals hold
the seeds of the networks, the subjects, and where cohorts are draws of one generator, its seed (core/pooled.py).
What the arms are, and which weights are tested: arms.py. What is trained and scored is the task's matter (TASKS).
**Checked** in tests/evaluation/utility/test_stage.py (a toy cohort end to end, same seed, a planted leak).
"""

from pathlib import Path
from typing import Any

from understudy.core.cohort import Cohort
from understudy.core.progress import progress
from understudy.core.provenance import Provenance
from understudy.core.stage import finished
from understudy.evaluation.cache import open_cache
from understudy.evaluation.folder import results_folder, results_key
from understudy.evaluation.guard import open_pair
from understudy.evaluation.utility.arms import make_arms
from understudy.evaluation.utility.classification import Classification
from understudy.evaluation.utility.kept import Networks
from understudy.evaluation.utility.report import UtilityFindings
from understudy.evaluation.utility.segmentation import Segmentation
from understudy.evaluation.utility.task import Task

SPLITS = ("train", "validation", "test")
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
    resampling. `cache` is a folder of its own where the test scores of networks on real cases are kept between
    evaluations (kept.py), which changes no byte of the results: INTERNAL, never released.

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
        with progress("", len(arms) * config.repeats * config.updates, "updates") as update:
            for arm in arms:
                update(description=f"{made.model}s on {arm.name}")
                for repeat in range(config.repeats):
                    networks.run(arm, repeat, outcomes[arm.name], lambda n: update(advance=n))
        UtilityFindings(made, arms, outcomes, config, provenance).write(folder)
    return out
