"""check: what is wrong with a cohort, in plain words.

An **error** makes results wrong, a **warning** makes them weak, an **info** is worth knowing. One pass over the cases
says what values tell (NaN, constants, exact copies by hash, classes); what needs a closer look stands in data/checks, a
question a file, and looks at a stated number of cases. Memory grows by a few hundred bytes a case.
**Checked** in tests/data/test_check.py (each finding planted).
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.manifest import SPLITS
from understudy.data.checks.burnt_in import burnt_in
from understudy.data.checks.content import Content
from understudy.data.checks.grids import shared_volumes
from understudy.data.checks.heads import heads
from understudy.data.checks.notice import Notice, worst_first
from understudy.data.checks.notice import error as _error
from understudy.data.checks.notice import info as _info
from understudy.data.checks.notice import warning as _warning
from understudy.data.checks.placement import misplaced
from understudy.data.checks.recorded import recorded
from understudy.data.checks.twins import twins

BLOCK = 32
FEWEST = {"train": 10, "validation": 3, "control": 5, "test": 5}  # subjects; fewer give intervals that say nothing
NEEDED_BY = {
    "train": "training",
    "validation": "choosing a model",
    "control": "evaluate privacy",
    "test": "evaluate utility and fidelity",
}
NARROW = 0.1  # share of a channel's range, below which an image counts as narrow
NOBODY = "import phantom"  # the command that makes cases of no person


@dataclass
class _Scan:
    """What one pass over the arrays collects; numbers are row numbers."""

    content: Content
    nan: list[int] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    constant: list[int] = field(default_factory=list)
    flat: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    narrow: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    by_hash: dict[bytes, list[int]] = field(default_factory=lambda: defaultdict(list))
    classes: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    labelled: list[int] = field(default_factory=list)  # with a class beside the background


def check_cohort(path: Path, planned: int | None = None) -> list[Notice]:
    """Look a cohort over: what is found, errors first, then warnings, then information.

    It is an error, too, to have fewer training subjects than a study has ``planned`` with.

    Raises:
        UsageError: there is no cohort.
        UnderstudyError: it cannot be opened: its files do not fit together.
    """
    cohort = Cohort.open(path)
    scan = _scanned(cohort)
    parts: Iterable[Callable[[Cohort, _Scan], Iterable[Notice]]] = (
        _arrays, _copies, _labels, _classes, _closer, _persons
    )  # fmt: skip
    findings = [*_hashes(cohort), *(finding for part in parts for finding in part(cohort, scan))]
    findings += [*_subjects(cohort, planned), *_summary(cohort)]
    return worst_first(findings)


def _scanned(cohort: Cohort) -> _Scan:
    scan, splits = _Scan(Content(cohort)), cohort.column("split")
    for start in range(0, len(cohort), BLOCK):
        rows = np.arange(start, min(start + BLOCK, len(cohort)))
        images = None if cohort.images is None else cohort.images[rows]
        labels = None if cohort.labels is None or cohort.scheme is None else np.asarray(cohort.labels)[rows]
        if images is not None:
            varied = [_scan_image(scan, cohort, row, image) for row, image in zip(rows.tolist(), images, strict=True)]
            if any(varied):
                scan.content.add(images[varied], None if labels is None else labels[varied])
        for row, one in zip(rows.tolist(), [] if labels is None else labels, strict=False):
            _scan_labels(scan, cohort, row, one, scan.classes[str(splits[row])])
    return scan


def _scan_labels(scan: _Scan, cohort: Cohort, row: int, labels: np.ndarray, counts: Counter[int]) -> None:
    present = np.flatnonzero(np.bincount(labels.reshape(-1))).tolist()
    counts.update(present)
    if max(present) >= len(cohort.scheme or ()):
        scan.unknown.append(row)
    if len(present) > 1:
        scan.labelled.append(row)
        if cohort.images is None:
            scan.by_hash[hashlib.sha256(labels.tobytes()).digest()].append(row)


def _scan_image(scan: _Scan, cohort: Cohort, row: int, image: np.ndarray) -> bool:
    """Look at one image, and tell whether it holds no NaN and more than one value."""
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        scan.nan.append(row)
        return False
    spans = np.array([float(channel.max()) - float(channel.min()) for channel in image])
    if not spans.any():
        scan.constant.append(row)
        return False
    scan.by_hash[hashlib.sha256(image.tobytes()).digest()].append(row)
    for channel, span in zip(cohort.encoding.channels, spans, strict=True):
        if span == 0:
            scan.flat[channel.name].append(row)
        elif span < NARROW * (channel.high - channel.low):
            scan.narrow[channel.name].append(row)
    return True


def _hashes(cohort: Cohort) -> Iterable[Notice]:
    try:
        cohort.verify()
    except UnderstudyError as error:
        yield _error(str(error))


def _arrays(cohort: Cohort, scan: _Scan) -> Iterable[Notice]:
    if scan.nan:
        yield _error(f"{_cases(cohort, scan.nan)} NaN or infinite values: repair the source and import again")
    if scan.constant:
        yield _warning(f"{_cases(cohort, scan.constant)} one value everywhere: remove such images")
    for name, rows in scan.flat.items():
        yield _warning(
            f"channel {name!r} is one value everywhere in {len(rows)} of {len(cohort)} images: a missing contrast? A "
            "generator would learn to leave it out"
        )
    for name, rows in scan.narrow.items():
        if len(rows) > len(cohort) / 4:
            yield _warning(
                f"channel {name!r} uses less than {NARROW:.0%} of its range in {len(rows)} of {len(cohort)} images: "
                "their intensity scales differ; import with --intensity volume-max or volume-percentile"
            )


def _copies(cohort: Cohort, scan: _Scan) -> Iterable[Notice]:
    """Exact copies, by the worst place where they stand."""
    subjects, splits = cohort.column("subject_id"), cohort.column("split")
    counts: Counter[str] = Counter()
    first: dict[str, tuple[int, int]] = {}
    for rows in scan.by_hash.values():
        if len(rows) > 1:
            across_splits, across_subjects = (len(set(names[rows].tolist())) > 1 for names in (splits, subjects))
            place = "splits" if across_splits else "subjects" if across_subjects else "one subject"
            counts[place] += len(rows)
            first.setdefault(place, (rows[0], rows[1]))
    said = {
        "splits": (_error, "across splits, so that what is tested was trained on: keep one of each"),
        "subjects": (_error, "under different subjects: is a person there under two names?"),
        "one subject": (_warning, "within a subject: keep one of each"),
    }
    what = "images" if cohort.images is not None else "label maps"
    for place, (notice, sentence) in said.items():
        if counts[place]:
            a, b = (cohort.entry("case_id", row) for row in first[place])
            yield notice(f"{counts[place]} {what} are exact copies of one another {sentence} (the first: {a} and {b})")


def _labels(cohort: Cohort, scan: _Scan) -> Iterable[Notice]:
    if cohort.scheme is None:
        return
    if scan.unknown:
        yield _error(
            f"{_cases(cohort, scan.unknown)} label values that the scheme ({cohort.scheme.to_text()}) does not name: "
            "import again"
        )
    if len(cohort.scheme) == 1:
        yield _error("every label map is empty: there is nothing to segment")
    for split, counts in sorted(scan.classes.items()):
        notice = _error if split == "train" else _warning
        for k, name in enumerate(cohort.scheme.names):
            if k and not counts[k]:
                yield notice(
                    f"the class {name!r} is in no label map of the {split or 'unnamed'} split: it can be neither "
                    "learned nor scored there"
                )


def _classes(cohort: Cohort, scan: _Scan) -> Iterable[Notice]:
    """Class columns that say nothing in a split."""
    for split in sorted(set(cohort.column("split").tolist())):
        matrix = cohort.class_matrix(cohort.rows(split))
        for k, name in enumerate(cohort.classes):
            values = matrix[~np.isnan(matrix[:, k]), k]
            if not len(values):
                yield _warning(f"the class column {name!r} is blank in all of the {split} split")
            elif len(values) > 1 and np.ptp(values) == 0:
                yield _warning(f"the class column {name!r} is {values[0]:g} in all of the {split} split")


def _closer(cohort: Cohort, scan: _Scan) -> Iterable[Notice]:
    """What pixels and labels say beyond single values, and what the import wrote down."""
    yield from scan.content.notices()
    yield from recorded(cohort)
    wrong = {*scan.nan, *scan.constant}
    yield from misplaced(cohort, [row for row in scan.labelled if row not in wrong])
    if cohort.images is not None:
        yield from burnt_in(cohort, [row for row in range(len(cohort)) if row not in wrong])


def _persons(cohort: Cohort, scan: _Scan) -> Iterable[Notice]:
    """Who is there under two names, and whose face: where cases are of persons."""
    if cohort.kind == "synthetic":
        return
    yield from shared_volumes(cohort)
    if cohort.images is not None:
        copies = np.full(len(cohort), -1)
        for number, rows in enumerate(scan.by_hash.values()):
            copies[rows] = number
        yield from twins(cohort, copies)
        if cohort.provenance["command"] != NOBODY:
            yield from heads(cohort, np.flatnonzero(copies >= 0).tolist())


def _subjects(cohort: Cohort, planned: int | None) -> Iterable[Notice]:
    if cohort.kind == "synthetic":
        return
    found = {split: len(cohort.subjects(split)) for split in SPLITS}
    if planned is not None and found["train"] < planned:
        yield _error(
            f"{planned} training subjects are planned, and the train split has {found['train']}: get more, or plan for "
            "fewer"
        )
    for split, fewest in FEWEST.items():
        if found[split] == 0:
            yield _info(f"there is no {split} split, which {NEEDED_BY[split]} needs")
        elif found[split] < fewest:
            yield _warning(
                f"the {split} split has {found[split]} subject(s), too few for {NEEDED_BY[split]}: have at least "
                f"{fewest}"
            )


def _summary(cohort: Cohort) -> Iterable[Notice]:
    parts = [f"{split} {len(cohort.subjects(split))}" for split in SPLITS if len(cohort.rows(split))]
    size = " x ".join(map(str, cohort.size))
    yield _info(f"{len(cohort)} cases of {size}, {len(cohort.subjects())} subjects ({', '.join(parts) or 'not split'})")
    for row in range(len(cohort)):  # these say themselves what is wrong with an entry
        cohort.affine(row), cohort.slice_index(row)
    if len({cohort.spacing_mm(row) for row in range(len(cohort))}) > 1:
        yield _info("the spacing differs between cases: distances are comparable in mm only")


def _cases(cohort: Cohort, rows: list[int]) -> str:
    """A subject for a sentence: how many cases, and the first three of them."""
    names = ", ".join(cohort.column("case_id")[rows[:3]].tolist()) + (", ..." if len(rows) > 3 else "")
    return f"{len(rows)} of {len(cohort)} cases ({names}) hold"
