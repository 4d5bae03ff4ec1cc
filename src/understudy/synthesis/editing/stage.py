"""``understudy edit``: label maps of a cohort, augmented as a whole; lesions changed, translated, or exchanged.

The new cohort holds label maps without images, which would no longer fit. Each case is edited as often as asked, with
requests drawn from a seed of its own; one that cannot be met is drawn anew where it was random, and then left out and
counted: cohort.json says in ``sampling`` how many were asked for and made, and why others were not; cases.csv says what
was done to each. Only training cases are edited unless other splits are named: a test patient's map, edited, would
still be a test patient's. **Checked** in tests/synthesis/editing/test_stage.py.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.seed import rng
from understudy.core.stage import finished
from understudy.core.writer import CohortWriter
from understudy.data.ownership import (
    joint_source,
    kept_sampling,
    kind_of,
    labelled,
    owners,
    place_entries,
    secret,
    usable_rows,
)
from understudy.data.seal import cohort_seal, key_at_hand
from understudy.synthesis.editing.anatomy import Joining, joining
from understudy.synthesis.editing.augment import AffineAugmentation
from understudy.synthesis.editing.lesions import CannotBeMet, Lesion, Rules, class_numbers, cut
from understudy.synthesis.editing.placement import Place, anywhere, body_box, centred_at, relative_place
from understudy.synthesis.editing.request import EditRequest, edit_map
from understudy.synthesis.editing.shapes import respaced
from understudy.synthesis.runs import joint_trained_on

Progress = Callable[[int, int], None]


class EditConfig(BaseModel):
    """Settings of an edit."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lesion: tuple[str, ...] = Field(min_length=1, description="names of the classes that form the lesion")
    request: EditRequest = Field(EditRequest(), description="what is done to it")
    origin: Literal["own", "transplant", "place"] = Field(
        "own",
        description="the case's own lesion; transplant: another case's, at the same relative place, or at at; place: "
        "another case's, anywhere it may lie",
    )
    at: tuple[float, ...] | None = Field(None, description="where a transplanted lesion's centroid lies, in voxels")
    which: Literal["all", "largest"] = Field("all", description="all of a lesion, or its largest connected part")
    inside: tuple[str, ...] = Field(
        (), description="classes a lesion may cover; empty: all anatomy, and everything where there is none"
    )
    forbidden: tuple[str, ...] = Field((), description="classes that it may not cover")
    fill: tuple[str, ...] = Field(
        (), description="classes that the place it leaves is filled from; empty: all that are no lesion"
    )
    minimum: int = Field(1, ge=1, description="fewest voxels of a lesion")
    augment: float = Field(
        0.0, ge=0, description="strength of the affine augmentation of the whole map before; 1: by 5 %; 0: none"
    )
    mirror: bool = Field(False, description="mirror half of the maps before")
    per_case: int = Field(1, ge=1, description="new maps of each case")
    splits: tuple[Literal["train", "validation", "control", "test"], ...] = Field(
        ("train",), description="which cases are edited; those without a split always are"
    )
    attempts: int = Field(10, ge=1, description="draws of a random request before it is given up")

    @model_validator(mode="after")
    def _sensible(self) -> Self:
        if not (self.changes_lesions or self.augment or self.mirror):
            raise ValueError("nothing was asked for: grow, move, rotate, deform, transplant, place, augment or mirror")
        if self.at is not None and self.origin != "transplant":
            raise ValueError("a place is named for a transplanted lesion only")
        if self.per_case > 1 and not self.random:
            raise ValueError("several maps of a case would all be the same: give ranges, such as grow 0.5:2")
        return self

    @property
    def random(self) -> bool:
        """Whether two attempts differ."""
        return self.origin != "own" or self.request.random or self.augment > 0 or self.mirror

    @property
    def changes_lesions(self) -> bool:
        """Whether anything is done to lesions by themselves."""
        return self.origin != "own" or self.request.asked


def edit_cohort(
    path: Path,
    out: Path,
    config: EditConfig,
    seed: int,
    *,
    donors: Path | None = None,
    key: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make a cohort of edited label maps; a finished one is not made twice.

    Lesions are taken from ``donors``, unless they are the case's own; ``key`` is the file of the secret that keys the
    id of a patient-derived cohort (default: the user's own). ``progress`` is called with (maps done, maps in all).

    Raises:
        UsageError: no such cohort or class, no label maps, cohorts that do not fit, or ``out`` holds something else.
        UnderstudyError: not one map could be edited so.
    """
    out, cohort = Path(out), Cohort.open(path)
    task = _Task(cohort, Cohort.open(donors) if donors else None, config, seed)
    inputs = {"cohort": cohort.id} | ({"lesions": task.other.id} if task.other else {})
    provenance = Provenance("edit", config.model_dump(mode="json"), seed, inputs)
    if finished(out, "cohort.json", provenance):
        return out
    kept = kept_sampling(task.cohorts)
    source = joint_source([labelled(c)[2] for c in task.cohorts], edited=True)
    with CohortWriter(
        out,
        kind=kind_of(source),
        modality=cohort.modality,
        size=cohort.size,
        channels=(),
        dtype=cohort.encoding.dtype,
        scheme=task.scheme,
        label_source=source,
        columns=["edited_from", *task.columns],
        provenance=provenance,
        preprocessing=cohort.preprocessing,
        key=secret(task.cohorts, key, out),
        seal=cohort_seal(task.cohorts, key_at_hand(key, out)),
    ) as writer:
        skipped = _written(writer, task, progress)
        asked, made = len(task.rows) * config.per_case, len(task.used)
        writer.sampling = kept | {"asked": asked, "made": made, "skipped": dict(sorted(skipped.items()))}
        used = [(cohort, task.used), *([(task.other, task.lent)] if task.other else [])]
        writer.trained_on = joint_trained_on(*(owners(c, np.array(rows)) for c, rows in used))
    return out


def _written(writer: CohortWriter, task: "_Task", progress: Progress | None) -> Counter[str]:
    """Write every map that can be made; return how many could not, by reason, or refuse where none could."""
    skipped: Counter[str] = Counter()
    last, total = "", len(task.rows) * task.config.per_case
    for done, (row, copy) in enumerate(((r, c) for r in task.rows.tolist() for c in range(task.config.per_case)), 1):
        try:
            labels, entries = task.made(row, copy)
        except CannotBeMet as error:
            skipped[error.reason] += 1
            last = str(error)
        else:
            writer.append(None, labels, entries)
        if progress:
            progress(done, total)
    if skipped.total() == total:
        counts = ", ".join(f"{reason}: {n}" for reason, n in skipped.most_common())
        raise UnderstudyError(f"none of {total} label maps could be edited so ({counts}); the last: {last}")
    return skipped


class _Task:
    """All that does not change from case to case, and which cases were used."""

    def __init__(self, cohort: Cohort, other: Cohort | None, config: EditConfig, seed: int) -> None:
        self.cohort, self.other, self.config, self.seed = cohort, other, config, seed
        self.used: list[int] = []
        self.lent: list[int] = []
        labels, scheme, _ = labelled(cohort)
        if (other is None) != (config.origin == "own"):
            raise UsageError("lesions come from another cohort if and only if they are transplanted or placed")
        self.both: Joining | None = None
        if other is not None:
            self.both = joining(scheme, labelled(other)[1], config.lesion)
            if len(other.size) != len(cohort.size):
                raise UsageError(f"the cases of {other.path} and {cohort.path} have not the same number of axes")
        self.labels, self.scheme = labels, self.both.scheme if self.both else scheme
        self.rules = Rules.named(
            self.scheme, config.lesion, config.inside, config.forbidden, config.minimum, config.fill
        )
        self.rows = usable_rows(cohort, config.splits)
        self.acquainted = self.lesion_only = False  # subjects may be shared; only the lesion is patient-derived
        if other is not None:
            self.lenders = _lenders(other, config)
            self.lending = other.column("subject_id")[self.lenders]
            self.acquainted = other.id == cohort.id or "synthetic" not in (other.kind, cohort.kind)
            self.lesion_only = cohort.kind == "synthetic" != other.kind

    @property
    def cohorts(self) -> list[Cohort]:
        return [self.cohort, *([self.other] if self.other else [])]

    @property
    def columns(self) -> list[str]:
        return ["grow", "move", "rotate", "deform", "augment", "mirror", *(["lesion_from"] if self.other else [])]

    def made(self, row: int, copy: int) -> tuple[np.ndarray, dict[str, str]]:
        """Return one new map (*S) and its entries in the case table; raises CannotBeMet if no attempt met the rules."""
        attempts = self.config.attempts if self.config.random else 1
        for attempt in range(attempts):
            try:
                labels, entries = self._attempt(row, rng(self.seed, "edit", row, copy, attempt))
                break
            except CannotBeMet:
                if attempt + 1 == attempts:
                    raise
        self.used.append(row)
        case = self.cohort.entry("case_id", row)
        ids = {"case_id": f"{case}-edit{copy:02d}", "subject_id": self.cohort.entry("subject_id", row)}
        return labels, {**place_entries(self.cohort, row), **ids, "edited_from": case, **entries}

    def _attempt(self, row: int, generator: np.random.Generator) -> tuple[np.ndarray, dict[str, str]]:
        edit = self.config.request.drawn(generator, len(self.cohort.size))
        augmentation = AffineAugmentation.drawn(generator, self.config.augment, self.config.mirror)
        done, labels = {**edit.entries(), **augmentation.entries()}, augmentation(np.asarray(self.labels[row]))
        if not self.config.changes_lesions:
            return labels, done
        lender, donor, place = self._lesion(row, labels, generator) if self.other is not None else (None, None, None)
        body, spacing = self.both.anatomy[labels] if self.both else labels, self.cohort.spacing_mm(row)
        which = self.config.which
        new = edit_map(body, edit, self.rules, spacing=spacing, which=which, donor=donor, place=place)
        if lender is None or self.other is None:
            return new, done
        self.lent.append(lender)
        owner = {"subject_id": self.other.entry("subject_id", lender)} if self.lesion_only else {}
        return new, {**done, "lesion_from": self.other.entry("case_id", lender), **owner}

    def _lesion(self, row: int, labels: np.ndarray, generator: np.random.Generator) -> tuple[int, Lesion, Place]:
        """Take another case's lesion, in the joint scheme and on voxels of this case's map, and say where it goes."""
        assert self.other is not None and self.both is not None
        foreign = self.lenders
        if self.acquainted:
            foreign = foreign[self.lending != self.cohort.entry("subject_id", row)]
        if not len(foreign):
            raise CannotBeMet("no other lesion", "no other subject has a lesion that could be taken")
        lender = int(generator.choice(foreign))
        origin, scheme, _ = labelled(self.other)
        theirs, spacing = self.other.spacing_mm(lender), self.cohort.spacing_mm(row)
        lesion = cut(self.both.lesion[origin[lender]], self.rules, theirs, self.config.which)
        place = anywhere(generator)
        if self.config.origin == "transplant":
            before = body_box(origin[lender], _present(scheme, self.config.lesion))
            now = body_box(self.both.anatomy[labels], self.rules.lesion)
            place = centred_at(self.config.at or relative_place(lesion.centroid, before, now))
        if theirs and spacing:
            return lender, respaced(lesion, spacing), place
        return lender, replace(lesion, spacing=spacing or (1.0,) * len(self.cohort.size)), place


def _present(scheme: LabelScheme, names: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of those named classes that a scheme has."""
    return class_numbers(scheme, [name for name in names if name in scheme.names])


def _lenders(other: Cohort, config: EditConfig) -> np.ndarray:
    """Return the rows with a lesion that may be taken: of training cases, or without a split; refuse if none."""
    labels, scheme, _ = labelled(other)
    classes, rows = _present(scheme, config.lesion), usable_rows(other, config.splits)
    found = [row for row in rows.tolist() if np.count_nonzero(np.isin(labels[row], classes)) >= config.minimum]
    if not found:
        raise UnderstudyError(
            f"no case of {other.path} has a lesion ({', '.join(config.lesion)}) of at least {config.minimum} voxels"
        )
    return np.array(found)
