"""What a training needs of its cohorts, and what run.json says of it.

**Checked** in tests/training/test_record.py.
"""

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from understudy.core.classes import class_record
from understudy.core.cohort import Cohort, file_hash
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance
from understudy.training.checkpoint import weights_of
from understudy.training.run_record import read_run
from understudy.training.settings import GeneratorConfig


class Learner(Protocol):
    """What a generator says of the cohorts it learns from; see generators/base.py."""

    name: ClassVar[str]
    config: GeneratorConfig
    LABELS_ONLY: ClassVar[bool]
    OTHER: ClassVar[Literal["unpaired", "images"] | None]

    @property
    def given(self) -> Literal["labels", "images"] | None:
        """What a translator is given of every case."""


def fitting(method: Learner, cohort: Cohort, other: Cohort | None) -> tuple[Cohort, Cohort | None]:
    """Return what a method learns of a cohort, and of a second one: all of it, or label maps or images alone.

    Of two unpaired cohorts, label maps count of the first and images of the second; where images alone may come beside
    labelled cases, the first counts with all that it has.

    Raises:
        UsageError: a second cohort, label maps, images or class columns are missing, or two cohorts are not alike.
    """
    name = method.name
    if (method.OTHER == "unpaired" and not other) or (other and not method.OTHER):
        need = "learns from one: leave out" if other else "learns from two cohorts: name the second with"
        raise UsageError(f"{name} {need} --other")
    if method.LABELS_ONLY or method.OTHER == "unpaired":
        cohort = cohort.without_images()
    elif other:
        if cohort.labels is None:
            raise UsageError(
                f"images alone come beside cases with label maps, and {cohort.path} has none: swap the two"
            )
        other = other.images_alone(cohort.encoding)
    images = other or cohort
    if other and other.size != cohort.size:
        raise UsageError(f"{name} needs two cohorts of one size, found {cohort.size} and {other.size}: import again")
    if method.given and (images.images is None or cohort.labels is None):
        raise UsageError(f"{name} learns from images and label maps: {images.path} or {cohort.path} has not its part")
    if method.config.conditional and not cohort.classes:
        raise UsageError(f"conditional training needs class columns, and {cohort.path} has none: import with --classes")
    for each in (cohort, other):
        if each and method.config.mirror and str(each.preprocessing.get("slices", "")).startswith("sagittal"):
            warnings.warn(
                f"mirror turns the sagittal slices of {each.path} front to back, since their last axis runs from "
                "anterior to posterior: leave it out with --set mirror=false",
                stacklevel=3,
            )
    return cohort, other


def start_record(run: Path | None) -> dict[str, Any]:
    """Return ``inputs`` and ``trained_on`` of the run that a training starts from; UsageError: there are no weights."""
    if run is None:
        return {"inputs": {}, "trained_on": []}
    weights = file_hash(weights_of(run) / "tensors.safetensors")
    return {"inputs": {"start": weights[:16]}, "trained_on": read_run(run)["trained_on"]}


def seen_in(cohort: Cohort) -> list[dict[str, Any]]:
    """Return the entries of ``trained_on`` of what learns from a cohort: its training subjects, and whom it is from.

    Synthetic cases are nobody: a generator that learns from them has seen those whom theirs saw.
    """
    if cohort.kind == "synthetic":
        return cohort.trained_on or [{"cohort": "not recorded", "splits": [], "subjects": []}]
    return [*cohort.trained_on, cohort.seen("train")]


def training_record(
    method: Learner,
    cohort: Cohort,
    other: Cohort | None,
    start: Path | None,
    seed: int,
    preset: str | None,
    privacy: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the record of a training as plain data; two trainings with the same record are the same training.

    ``cohort`` and ``other`` are from :func:`fitting`; ``start`` is the run whose weights it begins with; ``preset``
    names the one that the configuration started from; ``privacy`` is what its guarantee of differential privacy says.
    """
    before = start_record(start)
    inputs = {"cohort": cohort.id, **({"other": other.id} if other else {}), **before["inputs"]}
    encoding = replace(cohort.encoding, channels=other.encoding.channels, dtype=other.encoding.dtype) if other else None
    seconds = seen_in(other) if other else []
    return {
        "generator": method.name,
        "config": {k: v for k, v in method.config.model_dump().items() if k != "dp" or v},
        "encoding": (encoding or cohort.encoding).to_json(),
        "size": cohort.size,
        **class_record(cohort, method.config.conditional, private=bool(getattr(method.config, "dp", None))),
        **({"given": method.given} if method.given else {}),
        **({"differential_privacy": privacy} if privacy else {}),
        "modality": cohort.modality,
        "seed": seed,
        "trained_on": [*before["trained_on"], *seen_in(cohort), *seconds],
        "provenance": Provenance(f"train {method.name}", {"preset": preset}, seed, inputs).to_json(),
    }
