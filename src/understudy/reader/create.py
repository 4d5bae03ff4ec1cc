"""``reader create``: cohorts in, a blinded study folder out (documents.py lists its files).

The whole folder holds real pixels: it is stamped INTERNAL, and only its owner may read it. The same request gives the
same study but for the links, which are secrets. **Checked** in tests/reader/test_create.py: what is not a pixel
(names, sizes, times, headers, order) tells real from synthetic no better than chance.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS, stamp
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance, ProvenanceRecord
from understudy.core.seed import rng
from understudy.core.stage import output_folder
from understudy.evaluation.guard import open_pair, short_names
from understudy.reader import rendering
from understudy.reader.choice import Chosen, choose
from understudy.reader.documents import (
    ITEMS,
    ORDERS,
    STUDY,
    TRUTH,
    ItemTruth,
    LegendEntry,
    OrdersDocument,
    StudyDocument,
    TrainingItem,
    TruthDocument,
    digest,
    write_document,
)
from understudy.reader.ordering import item_names, reading_order, shuffled
from understudy.reader.plan import StudyPlan
from understudy.reader.store import make_store

UNSEEN = ("test", "control")  # splits whose subjects no generator saw
SAME_TIME = 946_684_800  # of every item: when a file was written tells nothing
OVERLAP = 0.5  # a planted label map has at most this IoU with the right one


@dataclass(frozen=True)
class ReadingItem:
    """One thing to show: a case, or a pair of cases, with what it is; a label map of another case where it is wrong."""

    truth: ItemTruth
    cases: tuple[Chosen, ...]
    donor: int | None = None


@dataclass(frozen=True)
class Created:
    """A new study: its folder, the secrets of the links by reader (0: progress), how many items there are."""

    folder: Path
    links: dict[int, str]
    items: int


def create(
    real: Path,
    synthetic: Sequence[Path],
    out: Path,
    *,
    n: int,
    readers: int,
    plan: StudyPlan,
    splits: Sequence[str] = UNSEEN,
    seed: int = 0,
) -> Created:
    """Make a study of n real cases and n of each synthetic cohort, or of n pairs.

    Raises:
        UsageError: cohorts that do not fit together, or an output that exists.
        UnderstudyError: too few cases, no images, no label maps where they are asked for.
    """
    if min(n, readers) < 1 or readers > 100:
        raise UsageError(f"at least 1 case and 1 to 100 readers were expected, found {n} and {readers}")
    if plan.pairs and len(synthetic) > 1:
        raise UsageError(f"pairs compare one synthetic cohort with real cases, found {len(synthetic)}: name one")
    plan = plan.model_copy(update={"questions": plan.asked})  # the usual ones are written down too
    original, others = open_pair(real, synthetic, splits={}, labels=plan.shows_labels)
    cohorts, names = [original, *others], ["", *short_names(others)]
    half = plan.training // 2
    chosen = choose(cohorts, n, half, splits, seed)
    reading = [one[:n] for one in chosen]
    training = [chosen[0][n:], [chosen[1 + i % len(others)][n + i] for i in range(half)]]
    make = _pairs if plan.pairs else _singles
    read, shown_first = make(reading, names, seed, "read"), make(training, names, seed, "training")
    if plan.wrong_annotations:
        read = _with_wrong_labels(read, cohorts, plan.wrong_annotations, seed)
    kinds = 1 if plan.pairs else len(cohorts)
    config = {**plan.model_dump(mode="json"), "n": n, "readers": readers, "splits": list(splits)}
    inputs = {"real": original.id} | {f"synthetic.{name}": one.id for name, one in zip(names[1:], others, strict=True)}
    inputs = inputs if len(others) > 1 else {"real": original.id, "synthetic": others[0].id}
    request = Provenance("reader create", config, seed, inputs)
    subjects = len({str(original.column("subject_id")[one.row]) or str(one.row) for one in reading[0]})
    if subjects < MIN_SUBJECTS:
        raise UnderstudyError(f"a study needs {MIN_SUBJECTS} real subjects, and {subjects} were asked for: raise --n")
    with output_folder(out) as folder:
        stamp(folder)
        everything = [*read, *shown_first]
        items = item_names(len(everything), seed)
        _write_items(folder / ITEMS, dict(zip(items, everything, strict=True)), cohorts, plan)
        repeats = [round(plan.repeats * n)] * kinds
        orders = [reading_order(items[: len(read)], repeats, seed, reader) for reader in range(1, readers + 1)]
        first = [TrainingItem(item=items[len(read) + i], truth=_told(shown_first[i], plan))
                 for i in shuffled(len(shown_first), seed, "training").tolist()]  # fmt: skip
        write_document(folder / ORDERS, OrdersDocument(training=first, orders=orders))
        truths = {name: item.truth for name, item in zip(items, read, strict=False)}
        told = ProvenanceRecord.model_validate(request.to_json())
        write_document(folder / TRUTH, TruthDocument(provenance=told, subjects=subjects, items=truths))
        write_document(folder / STUDY, _document(folder, original, cohorts, plan, readers))
        links = make_store(folder, readers)
    return Created(Path(out), links, len(read))


def _document(folder: Path, real: Cohort, cohorts: Sequence[Cohort], plan: StudyPlan, readers: int) -> StudyDocument:
    scheme = real.scheme if plan.shows_labels else None
    legend = () if scheme is None else tuple(
        LegendEntry(name=name, colour=colour) for name, colour in zip(scheme.names, scheme.colours, strict=True)
    )  # fmt: skip
    return StudyDocument(
        plan=plan,
        readers=readers,
        channels=tuple(channel.name for channel in real.encoding.channels),
        shape=rendering.shape(real),
        levels=rendering.levels(*cohorts),
        aspect=rendering.aspect(real),
        colour=rendering.is_colour(real),
        legend=legend,
        files={name: digest(folder / name) for name in (ORDERS, TRUTH)},
    )


def _singles(cases: Sequence[Sequence[Chosen]], names: Sequence[str], seed: int, what: str) -> list[ReadingItem]:
    """Return an item for each case, cohort by cohort."""
    del seed, what
    return [
        ReadingItem(
            ItemTruth(
                source="synthetic" if one.cohort else "real",
                generator=names[one.cohort],
                stratum=one.stratum,
                cases=[one.row],
            ),
            (one,),
        )
        for cohort in cases
        for one in cohort
    ]


def _pairs(cases: Sequence[Sequence[Chosen]], names: Sequence[str], seed: int, what: str) -> list[ReadingItem]:
    """Return an item for each real case with a synthetic one of its class; which stands on the left is random."""
    draw, items = rng(seed, "reader", "sides", what), []
    for real, synthetic in zip(*cases, strict=True):
        both = (real, synthetic) if draw.random() < 0.5 else (synthetic, real)
        source = "synthetic" if both[0].cohort else "real"
        rows, generator = [one.row for one in both], names[synthetic.cohort]
        items.append(ReadingItem(ItemTruth(source=source, generator=generator, stratum=real.stratum, cases=rows), both))
    return items


def _told(item: ReadingItem, plan: StudyPlan) -> str:
    """Return what the reader is told after a training case: what it is, or on which side the real one stands."""
    return {"real": "left", "synthetic": "right"}[item.truth.source] if plan.pairs else item.truth.source


def _with_wrong_labels(
    items: list[ReadingItem], cohorts: Sequence[Cohort], share: float, seed: int
) -> list[ReadingItem]:
    """Give a share of each cohort's items the label map of another of its items."""
    found = list(items)
    for number, cohort in enumerate(cohorts):
        mine = [i for i, item in enumerate(items) if item.cases[0].cohort == number]
        draw, planted, wanted = rng(seed, "reader", "wrong", number), 0, round(share * len(mine))
        for i in draw.permutation(mine).tolist():
            rows = [items[k].cases[0].row for k in draw.permutation(mine).tolist()]
            donor = next((row for row in rows if _overlap(cohort, items[i].cases[0].row, row) < OVERLAP), None)
            if planted < wanted and donor is not None:
                truth = items[i].truth.model_copy(update={"wrong": True})
                found[i], planted = ReadingItem(truth, items[i].cases, donor), planted + 1
        if planted < wanted:
            raise UnderstudyError(
                f"{wanted} label maps of {cohort.path.name} should be exchanged for others that differ, and {planted} "
                "could be: lower wrong_annotations"
            )
    return found


def _overlap(cohort: Cohort, row: int, other: int) -> float:
    """Return the IoU of two label maps, whatever their classes; 1 for two empty ones."""
    assert cohort.labels is not None
    a, b = np.asarray(cohort.labels[row]), np.asarray(cohort.labels[other])
    either = ((a > 0) | (b > 0)).sum()
    return 1.0 if not either else float(((a == b) & (a > 0)).sum() / either)


def _write_items(folder: Path, items: dict[str, ReadingItem], cohorts: Sequence[Cohort], plan: StudyPlan) -> None:
    """Write the items in the order of their names, which is no order, with one time for all."""
    folder.mkdir()
    highest = rendering.levels(*cohorts)
    for name in sorted(items):
        item = items[name]
        parts = []
        for one in item.cases:
            cohort = cohorts[one.cohort]
            parts.append(rendering.pixels(cohort, one.row, highest))
            if plan.shows_labels:
                parts.append(rendering.label_map(cohort, one.row if item.donor is None else item.donor))
        (folder / f"{name}.raw").write_bytes(b"".join(parts))
    for file in folder.iterdir():
        os.utime(file, (SAME_TIME, SAME_TIME))
