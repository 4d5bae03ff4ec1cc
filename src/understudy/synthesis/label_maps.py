"""Where new label maps come from: a run or a cohort, as they are or placed into anatomy.

A run that draws label maps gives fully synthetic ones. A cohort, synthetic, edited or real, gives its own unchanged.
Lesions of one source can be laid into anatomy of another, at random or next to where they lay; pairs that cannot be
placed are passed over and counted. Each source is an endless stream in which map i is the same however many are drawn:
a cohort's maps come each once a round, in an order of the round's own; a run's are drawn one seed each.
**Source** of placing: Platscher et al. (2020, arXiv 2010.02745): masks of a GAN in anatomy of real cases.
**Checked** in tests/synthesis/test_label_maps.py.
"""

import itertools
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.seed import derive, rng
from understudy.data.ownership import PLACE, joint_source, kind_of, labelled, owners, place_entries, usable_rows
from understudy.generators import load
from understudy.synthesis.editing.anatomy import Joining, joining
from understudy.synthesis.editing.lesions import CannotBeMet, Lesion, Rules, cut
from understudy.synthesis.editing.placement import anywhere, nearest
from understudy.synthesis.editing.request import Edit, edit_map
from understudy.synthesis.editing.shapes import respaced
from understudy.synthesis.runs import Run, joint_inputs, joint_trained_on, open_run
from understudy.training.engine import Engine

Drawn = tuple[np.ndarray, dict[str, str]]  # label map uint8 (*S), entries for the case table
HOPELESS = 20  # so many pairs that cannot be placed for each that can, and no more are tried


@dataclass(frozen=True)
class MapRequest:
    """What label maps are wanted."""

    source: Path  # a cohort, or a run that draws label maps; with ``anatomy``, of lesions
    seed: int
    anatomy: Path | None = None  # a cohort, or a run that draws label maps, into which the lesions are laid
    lesion: tuple[str, ...] = ()  # names of the classes that form it; empty: all of the source but its background
    inside: tuple[str, ...] = ()  # names of the classes that a lesion may cover; empty: all anatomy
    forbidden: tuple[str, ...] = ()  # names of the classes that it may not cover
    minimum: int = 1  # fewest voxels of a lesion
    where: Literal["anywhere", "nearest"] = "anywhere"  # at random, or near its place: in mm from the image's middle
    splits: tuple[str, ...] = ("train",)  # which cases of a real cohort are used
    engine: Engine | None = None  # of a run; default: the best device here


@dataclass
class LabelMaps:
    """New label maps, not drawn yet."""

    scheme: LabelScheme
    size: tuple[int, ...]
    label_source: str
    trained_on: list[dict[str, Any]]  # who was seen by what made them, and whose they are, as in a cohort
    inputs: dict[str, str]  # what they are made of, for provenance
    stream: Iterator[Drawn]  # without end; entries name the place and the patient where they are known; draw once
    sampling: dict[str, Any] = field(default_factory=dict)  # how they came about; complete when drawing has ended
    cohorts: list[Cohort] = field(default_factory=list)  # that they are from, for the key of what is made of them

    @property
    def kind(self) -> str:
        """The kind of a cohort that is rendered from them: synthetic, or semi-synthetic."""
        return kind_of(self.label_source)

    def take(self, n: int) -> Iterator[Drawn]:
        """Draw n maps."""
        return itertools.islice(self.stream, n)


def _placed_maps(request: MapRequest, where: Path) -> LabelMaps:
    """Lay lesions of one source into the anatomy of another, whose own lesion, if it has one, is taken out."""
    lesions = _source(request.source, replace(request, seed=derive(request.seed, "lesions")))
    anatomy = _source(where, replace(request, seed=derive(request.seed, "anatomy")))
    if lesions.size != anatomy.size:
        raise UsageError(
            f"lesions of size {lesions.size} and anatomy of size {anatomy.size} do not fit: import both with one --size"
        )
    names = request.lesion or lesions.scheme.names[1:]
    both = joining(anatomy.scheme, lesions.scheme, names)
    rules = Rules.named(both.scheme, names, request.inside, request.forbidden, request.minimum)
    parts = {"lesions": lesions.inputs, "anatomy": anatomy.inputs}
    sampling: dict[str, Any] = {"tried": 0, "placed": 0, "skipped": {}}
    return LabelMaps(
        both.scheme,
        anatomy.size,
        joint_source([lesions.label_source, anatomy.label_source], edited=True),
        joint_trained_on(lesions.trained_on, anatomy.trained_on),
        {f"{role}.{name}": value for role, inputs in parts.items() for name, value in inputs.items()},
        _placements(lesions.stream, anatomy.stream, both, rules, request, sampling),
        sampling,
        [*lesions.cohorts, *anatomy.cohorts],
    )


def label_maps(request: MapRequest) -> LabelMaps:
    """Return label maps from whatever is named: a run, a cohort of any kind, or lesions placed into anatomy.

    Raises:
        UsageError: neither a cohort nor a run, one that gives no label maps, or lesions and anatomy that do not fit.
        UnderstudyError: while drawing: lesions fit nowhere.
    """
    return _placed_maps(request, request.anatomy) if request.anatomy is not None else _source(request.source, request)


def _source(path: Path, request: MapRequest) -> LabelMaps:
    """Return the label maps of a run or of any cohort, as they are."""
    return (_of_run if (path / "run.json").is_file() else _of_cohort)(path, request)


def _of_cohort(path: Path, request: MapRequest) -> LabelMaps:
    cohort = Cohort.open(path)
    labels, scheme, origin = labelled(cohort)
    rows, mine = usable_rows(cohort, request.splits), cohort.kind != "synthetic"

    def stream() -> Iterator[Drawn]:
        for turn in itertools.count():
            for row in rng(request.seed, "label maps", str(cohort.id), turn).permutation(rows).tolist():
                owner = {"subject_id": cohort.entry("subject_id", row)} if mine else {}
                entries = place_entries(cohort, row) | {"label_case": cohort.entry("case_id", row)}
                yield np.asarray(labels[row]), entries | owner

    seen = joint_trained_on(owners(cohort, rows))
    told = {"maps": len(rows)}
    return LabelMaps(scheme, cohort.size, origin, seen, {"labels": cohort.id}, stream(), told, [cohort])


def _of_run(path: Path, request: MapRequest) -> LabelMaps:
    run = open_run(path)
    scheme = run.encoding.scheme
    _refuse_unfit(run)
    assert scheme is not None

    def stream() -> Iterator[Drawn]:
        generator = load(path, None, request.engine)
        size = generator.config.sample_block
        for start in itertools.count(0, size):
            seeds = [derive(request.seed, "label map", i) for i in range(start, start + size)]
            for block in generator.sample_blocks(seeds):
                yield from ((labels, {}) for labels in block.labels)  # type: ignore[union-attr]

    return LabelMaps(
        scheme,
        tuple(run.record["size"]),
        "sampled",
        joint_trained_on(run.record["trained_on"]),
        joint_inputs([run]),
        stream(),
    )


def _refuse_unfit(run: Run) -> None:
    """Refuse a run that draws no label maps by itself, and say what to do instead."""
    if run.encoding.scheme is None:
        raise UsageError(f"the run {run.path} draws no label maps: train on a cohort that has some")
    if run.record.get("given"):
        raise UsageError(
            f"the run {run.path} is a translator, which is given {run.record['given']}: name a run that draws label "
            "maps from noise, such as mask_gan"
        )
    if run.conditional:
        raise UsageError(
            f"the run {run.path} is conditional: draw a cohort first, with `understudy sample --classes`, and name that"
        )


def _placements(
    lesions: Iterator[Drawn],
    anatomy: Iterator[Drawn],
    both: Joining,
    rules: Rules,
    request: MapRequest,
    sampling: dict[str, Any],
) -> Iterator[Drawn]:
    """Pair the streams; place what can be placed, count what cannot, stop where hardly anything can."""
    skipped: Counter[str] = Counter()
    for i, ((theirs, lesion_row), (body, row)) in enumerate(zip(lesions, anatomy, strict=True)):
        sampling["tried"] = i + 1
        place = nearest if request.where == "nearest" else anywhere(rng(request.seed, "place", i))
        before, now = _spacing(lesion_row), _spacing(row)
        try:
            lesion = cut(both.lesion[theirs], rules, before)
            lesion = _carried_over(lesion, now, body.shape) if before and now else lesion
            made = edit_map(both.anatomy[body], Edit(), rules, spacing=now, donor=lesion, place=place)
        except CannotBeMet as error:
            skipped[error.reason] += 1
            sampling["skipped"] = dict(sorted(skipped.items()))
            if skipped.total() > HOPELESS * (sampling["placed"] + 1):
                counts = ", ".join(f"{reason}: {n}" for reason, n in skipped.most_common())
                raise UnderstudyError(
                    f"{skipped.total()} of {i + 1} lesions could not be placed ({counts}): allow more classes, or "
                    "smaller lesions"
                ) from error
        else:
            sampling["placed"] += 1
            yield made, {name: text for name, text in lesion_row.items() if name not in PLACE} | row


def _carried_over(lesion: Lesion, spacing: tuple[float, ...], size: tuple[int, ...]) -> Lesion:
    """Return a lesion on voxels of another spacing, as many mm as before from the middle of an image of this size."""
    middle = (np.array(size) - 1) / 2
    centre = middle + (lesion.centroid - middle) * np.array(lesion.spacing) / np.array(spacing)
    return respaced(lesion, spacing).centred(centre)


def _spacing(row: dict[str, str]) -> tuple[float, ...] | None:
    return tuple(float(v) for v in row.get("spacing", "").split()) or None
