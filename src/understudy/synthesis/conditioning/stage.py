"""``understudy condition``: a run and a classifier become a labelled synthetic cohort (conditioned sampling).

Its class columns are the wanted classes. cases.csv says for each case how many attempts and steps it took; cohort.json
says in ``sampling`` how many cases were asked for and accepted, in all and for each combination of classes. What the
search is worth, its controls say (evaluation/fidelity/class_diversity.py). The classifier saw real subjects too, which
stand in ``trained_on``. **Checked** in
tests/synthesis/conditioning/test_stage.py.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from understudy.core.classes import ClassRequest, class_row, wanted_classes
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.progress import tracked
from understudy.core.provenance import Provenance
from understudy.core.stage import finished
from understudy.data.seal import cohort_seal, key_at_hand
from understudy.generators import load
from understudy.generators.base import Generator
from understudy.synthesis.conditioning.search import Accepted, ConditionConfig, DecodedCases, Search, latents_of
from understudy.synthesis.runs import joint_inputs, joint_trained_on, open_run, synthetic_writer
from understudy.tasks.classify import Trained, open_classifier
from understudy.training.engine import Engine

NAMES = {"search": "lco", "filter": "filter", "label": "pseudo-labels"}  # of methods, in the generator's
Cost = tuple[int, int]  # attempts, and steps of the last


def condition_cohort(
    run: Path,
    classifier: Path,
    n: int,
    seed: int,
    out: Path,
    *,
    classes: ClassRequest = "data",
    config: ConditionConfig | None = None,
    snapshot: int | None = None,
    engine: Engine | None = None,
) -> Path:
    """Search for n cases that show wanted classes and write those that do; a finished cohort is not made twice.

    ``run`` is a finished training of an unconditional generator with a latent, read at ``snapshot`` images seen or at
    its last; ``classifier`` a folder that ``understudy classify`` made, on images of the same size and channels.
    ``classes`` are "data" or "balanced" combinations of the classifier's training subjects, or 0 or 1 by name.

    Raises:
        UsageError: an unusable run or classifier, classes that it does not know, or ``out`` holds something else.
        UnderstudyError: fewer cases than ``minimum_accepted`` were accepted.
    """
    if n < 1:
        raise UsageError(f"at least one case must be searched for, found --n {n}")
    config, found = config or ConditionConfig(), open_run(run, snapshot)
    if found.conditional:
        raise UsageError(
            f"the run {run} is conditional: it needs no search, use `understudy sample` with --classes data, balanced "
            "or NAME=VALUE"
        )
    trained = open_classifier(classifier, engine)
    trained.refuse_unfitting(f"the run {run}", found.encoding, tuple(found.record["size"]))
    wanted = _wanted(trained, classes, n, seed)
    if config.method == "label" and classes != "data":
        raise UsageError("method=label takes cases as they come: leave --classes out, or choose method=filter")
    settings = {
        "generator": f"{found.generator}+{NAMES[config.method]}",
        "n": n,
        "images_seen": found.images_seen,
        "classes": classes,
        "trained_as": found.settings,
        "training_seed": found.record["seed"],
        **config.model_dump(mode="json"),
    }
    inputs = {**joint_inputs([found]), "classifier": trained.id}
    provenance = Provenance("condition", settings, seed, inputs)
    if finished(out, "cohort.json", provenance):
        return Path(out)
    generator = load(run, snapshot, engine)
    search = _search(generator, trained, config)
    seen, names = joint_trained_on(found.record["trained_on"], trained.trained_on), trained.classifier.names
    described = {"trained_on": seen, "classes": names, "columns": ["attempts", "steps"]}
    seal = cohort_seal([], key_at_hand(None, Path(out)))
    with synthetic_writer(out, found, provenance, **described, seal=seal) as writer:
        accepted, lost, needed = list[Cost | None](), 0, max(1, math.ceil(config.minimum_accepted * n))
        for i, (case, row_classes) in enumerate(tracked(_cases(search, trained, wanted, seed), "condition", total=n)):
            wanted[i] = row_classes
            accepted.append(None if case is None else (case.attempts, case.steps))
            lost += case is None
            if n - lost < needed:
                raise _too_few(accepted, n, needed, wanted, names)
            if case is not None:
                name = f"synthetic-{i:06d}"
                row = {"case_id": name, "subject_id": name, "attempts": str(case.attempts), "steps": str(case.steps)}
                writer.append(case.image, case.label, row | class_row(names, wanted[i]))
        writer.sampling = _told(accepted, wanted, config)
    return Path(out)


def _cases(
    search: Search, trained: Trained, wanted: np.ndarray, seed: int
) -> Iterator[tuple[Accepted | None, np.ndarray]]:
    """Yield for each case what was accepted, or None, and its classes (K,): those that were wanted, or are seen."""
    if search.config.method == "label":
        combinations = np.array([one["classes"] for one in trained.combinations], np.float32)  # None becomes NaN
        yield from search.label(combinations, len(wanted), seed)
    else:
        yield from zip(search.run(wanted, seed), wanted.copy(), strict=True)


def _wanted(trained: Trained, classes: ClassRequest, n: int, seed: int) -> np.ndarray:
    """Return the classes (n, K) of all cases, 0 or 1, NaN where free."""
    names = trained.classifier.names
    if not isinstance(classes, str) and (odd := [name for name, v in classes.items() if v not in (0, 1)]):
        raise UsageError(f"a class is wanted (1) or not (0), and {odd[0]}={classes[odd[0]]:g} was asked for")
    if not classes:
        raise UsageError(f"at least one class must be wanted or not: name some of {', '.join(names)}")
    return wanted_classes(names, trained.combinations, classes, n, seed)


def _search(generator: Generator, trained: Trained, config: ConditionConfig) -> Search:
    """Put generator and classifier, both frozen, together."""
    encoding, c = generator.encoding, generator.encoding.image_channels
    for module in generator.snapshot_modules().values():
        module.eval().requires_grad_(False)

    def logits(x: Tensor) -> Tensor:
        return trained.classifier.logits(x[:, :c].clamp(-1, 1))

    def draw(x: Tensor) -> DecodedCases:
        images, labels = encoding.decode(x.float().cpu().numpy())
        if images is None:
            raise UsageError("a classifier needs images, and this generator draws label maps only")
        return DecodedCases(images, labels, trained.classifier.predict(encoding.encode_images(images)))

    return Search(latents_of(generator, config.space), logits, draw, config, generator.engine.autocast)


def _too_few(
    accepted: Sequence[Cost | None], n: int, needed: int, wanted: np.ndarray, names: Sequence[str]
) -> UnderstudyError:
    """Say that too few of n cases can be accepted, even if all that are left were."""
    worst = min(_by_combination(accepted, wanted), key=lambda entry: entry["accepted"] / entry["asked"])
    shown = ", ".join(
        f"{name}={value:g}" for name, value in zip(names, worst["classes"], strict=True) if value is not None
    )
    found = sum(case is not None for case in accepted)
    return UnderstudyError(
        f"only {found} of the first {len(accepted)} cases were accepted by the classifier, and {needed} of {n} were "
        f"asked for (least often, {worst['accepted']} of {worst['asked']}: {shown}): the generator may not show these "
        "classes; train it longer, set steps or attempts higher or the threshold lower with --set"
    )


def _by_combination(accepted: Sequence[Cost | None], wanted: np.ndarray) -> list[dict[str, Any]]:
    """Return how often each combination of classes was asked for and accepted, as plain data."""
    found: dict[str, dict[str, Any]] = {}
    for case, values in zip(accepted, wanted[: len(accepted)].tolist(), strict=True):
        plain = [None if np.isnan(v) else v for v in values]
        entry = found.setdefault(str(plain), {"classes": plain, "asked": 0, "accepted": 0})
        entry["asked"] += 1
        entry["accepted"] += case is not None
    return [found[key] for key in sorted(found)]


def _told(accepted: Sequence[Cost | None], wanted: np.ndarray, config: ConditionConfig) -> dict[str, Any]:
    """Return what cohort.json says about the search."""
    kept = [cost for cost in accepted if cost is not None]
    return {
        "asked": len(accepted),
        "accepted": len(kept),
        "acceptance_rate": len(kept) / len(accepted),
        "attempts": sum(cost[0] if cost else config.attempts for cost in accepted),
        "mean_steps": sum(steps for _, steps in kept) / len(kept),
        "combinations": _by_combination(accepted, wanted),
    }
