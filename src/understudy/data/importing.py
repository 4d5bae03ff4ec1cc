"""import: real data -> cohort. One case after the other is read, scaled, cut, brought to size and written.

Everything that can be refused before the first pixel is written, is: options, names, headers, pairs, splits. What only
pixels tell (a file cut short, NaN, an unknown label) stops the import, and nothing is left behind. No source file name,
path, subject name or identifier stands in what is written; cases come in the order of their pseudonyms, and within a
subject in the order of the file names. The same request gives the same bytes (under the same key).
**Checked** in tests/data/test_importing.py.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.manifest import SPLITS
from understudy.core.provenance import Provenance
from understudy.core.stage import finished
from understudy.core.writer import CohortWriter
from understudy.data.intensity import RangeMeter, scaled, stored_dtype
from understudy.data.listing import Item, Listing, Reading
from understudy.data.options import FileOptions, ImportOptions
from understudy.data.preprocess import fitted, surround
from understudy.data.pseudonym import PUBLIC_KEY, key_path, keyed_hash, load_key, pseudonym
from understudy.data.seal import cohort_seal
from understudy.data.slices import cut
from understudy.data.sources import SOURCES
from understudy.data.split import assigned, beyond, fewer, subjects_of_fold

FITS = {
    "resize": "resampled; images by area average down and linear interpolation up, label maps by majority",
    "crop": "centre window; outside the picture 0, or the lowest value of a channel that goes below 0",
    "pad": "padded around the centre with 0, or with the lowest value of a channel that goes below 0",
}
Progress = Callable[[int, int], None]


def import_cohort(
    source: str, path: Path | None, out: Path, options: ImportOptions, progress: Progress | None = None
) -> Path:
    """Make a cohort from source data, and return ``out``; if it holds the same request already, nothing is done.

    Args:
        source: name out of ``SOURCES``.
        path: the source's folder; None for a source that needs none.
        out: the cohort to make.
        options: all settings: a ``SOURCES[source].options``.
        progress: called with (items done, items in all).

    Raises:
        UsageError: the request cannot be right.
        UnderstudyError: the data cannot be right.
    """
    if source not in SOURCES:
        raise UsageError(f"there is no source {source!r}; there are {', '.join(SOURCES)}")
    entry, out = SOURCES[source], Path(out)
    key_file = key_path(options.key, out) if entry.secret else None
    listing, splits = listed(source, path, options)
    plan = _plan(listing, options, "train" in splits.values())
    key = load_key(key_file) if key_file else PUBLIC_KEY
    digest = keyed_hash(key, "inputs", json.dumps([listing.inputs, options.unrecorded()], sort_keys=True))
    provenance = Provenance(f"import {source}", options.recorded(), options.seed, {"source": digest})
    if finished(out, "cohort.json", provenance):
        return out
    synthetic = isinstance(options, FileOptions) and options.synthetic
    writer = CohortWriter(
        out,
        kind="synthetic" if synthetic else "real",
        modality=options.modality or listing.modality,
        size=plan.size,
        channels=[Channel(name, 0, 1) for name in listing.channels],
        dtype=stored_dtype(listing.dtype, plan.intensity),
        scheme=listing.scheme,
        label_source=("sampled" if synthetic else "patient") if listing.scheme else None,
        provenance=provenance,
        classes=listing.classes,
        preprocessing=_steps(listing, plan),
        key=key if entry.secret else None,
        seal=cohort_seal([], key),
    )
    _write(writer, listing, splits, plan, key, progress)
    return out


def listed(source: str, path: Path | None, options: ImportOptions) -> tuple[Listing, dict[str, str]]:
    """Return what is to be imported, and the split of each subject; errors as :func:`import_cohort` raises them."""
    entry = SOURCES[source]
    if not isinstance(options, entry.options):
        raise UsageError(f"import {source} takes {entry.options.__name__}, found {type(options).__name__}")
    listing = entry.listing(_checked_path(path, source), options)
    if options.fold is not None:
        listing = _with_fold(listing, options.fold, options.seed)
    splits = assigned(listing.items, options.split, options.seed)
    if options.train_subjects is not None:
        splits = fewer(splits, options.train_subjects, options.draw)
        listing = _only(listing, splits, "cases of training subjects not drawn")
    elif options.unlabelled_beyond is not None:
        if not listing.channels:
            raise UsageError("--unlabelled-beyond keeps images alone, and there are none: leave it out")
        splits = beyond(splits, options.unlabelled_beyond, options.draw)
        listing = _unlabelled(_only(listing, splits, "cases of all but the training subjects that draw leaves out"))
    return listing, splits


def _with_fold(listing: Listing, fold: str, seed: int) -> Listing:
    """Name the test split of a listing whose subjects have none yet."""
    if any(item.split for item in listing.items):
        raise UsageError("--fold says who is tested on, and the source says it, too: leave one of them out")
    tested = subjects_of_fold((item.subject for item in listing.items), fold, seed)
    items = [replace(item, split="test") if item.subject in tested else item for item in listing.items]
    return replace(listing, items=items)


def _only(listing: Listing, splits: dict[str, str], why: str) -> Listing:
    """The listing with the cases of these subjects; the others are counted as passed over."""
    items = [item for item in listing.items if item.subject in splits]
    left_out = len(listing.items) - len(items)
    return replace(listing, items=items, passed_over=listing.passed_over | ({why: left_out} if left_out else {}))


def _unlabelled(listing: Listing) -> Listing:
    """The listing without label maps, whose files are not read."""

    def read(item: Item) -> Iterator[Reading]:
        return (replace(reading, labels=None) for reading in listing.read(item))

    return replace(listing, items=[replace(item, labels=None) for item in listing.items], read=read, scheme=None)


@dataclass(frozen=True)
class _Plan:
    """What is done to each case: options, with what the source decides where they are silent."""

    size: tuple[int, ...]
    fit: str
    intensity: str
    measured: tuple[str, ...]  # splits on which ranges are measured
    pad_value: float | None = None  # None: 0, or the lowest value where that is below 0

    @property
    def fit_said(self) -> str:
        """The fit for the manifest."""
        given = "" if self.pad_value is None or self.fit == "resize" else f"; {self.pad_value:g} is what is added"
        return f"{self.fit}: {FITS[self.fit]}{given}"


def _checked_path(path: Path | None, source: str) -> Path:
    if not SOURCES[source].needs_path:
        if path is not None:
            raise UsageError(f"import {source} needs no PATH, found {path}: leave it out")
        return Path()
    if path is None:
        raise UsageError(f"import {source} needs the PATH of a folder")
    if not Path(path).is_dir():
        raise UsageError(
            f"a folder with the data to import was expected at {path}, and there is none: correct the path"
        )
    if not any(Path(path).iterdir()):
        raise UnderstudyError(f"the folder {path} is empty: there is nothing to import")
    return Path(path)


def _plan(listing: Listing, options: ImportOptions, train: bool) -> _Plan:
    """Settle size, fit and intensity; refused where the items differ in size and none was asked for."""
    dims = options.dims or (2 if listing.sliced else listing.dims)
    if dims > listing.dims:
        raise UsageError("--dims 3 needs volumes, and the source holds 2D pictures: leave --dims out")
    if dims < listing.dims and listing.rule == "tumour" and listing.scheme is None:
        raise UsageError(
            "--rule tumour keeps slices with labels, and there are no label maps: give --labels, or --rule all"
        )
    intensity = listing.intensity or options.intensity
    measured = ("train",) if train else SPLITS
    size = options.resolved_size(dims)
    pad_value = _pad_value(listing, options, intensity)
    if size is None and listing.padded:
        return _Plan(listing.padded, "pad", intensity, measured, pad_value)
    if size is None and listing.size is None:
        told = "the pictures differ in size, and the cases of a cohort have one"
        raise UsageError(f"{told}: give --size, and --fit resize, crop or pad")
    fit = options.fit if isinstance(options, FileOptions) else "resize"
    return _Plan(size or (listing.size or ())[-dims:], fit, intensity, measured, pad_value)


def _pad_value(listing: Listing, options: ImportOptions, intensity: str) -> float | None:
    """The value asked for, refused where the stored type cannot hold it."""
    value = options.pad_value if isinstance(options, FileOptions) else None
    stored = np.dtype(stored_dtype(listing.dtype, intensity))
    if (
        value is not None
        and stored.kind in "iu"
        and not (value == int(value) and np.can_cast(np.min_scalar_type(int(value)), stored))
    ):
        raise UsageError(
            f"--pad-value {value:g} cannot be stored as {stored.name}, the type of these images: give a whole number "
            f"from {np.iinfo(stored).min} to {np.iinfo(stored).max}"
        )
    return value


def _steps(listing: Listing, plan: _Plan) -> dict[str, object]:
    """What is done to the source data, for the manifest."""
    return {
        **listing.notes,
        "intensity": plan.intensity,
        "stored_as": stored_dtype(listing.dtype, plan.intensity),
        "intensity_range_measured_on": ", ".join(plan.measured),
        "size": list(plan.size),
        "fit": plan.fit_said,
        "slices": f"{listing.plane}, rule {listing.rule}" if len(plan.size) < listing.dims else "as in the source",
        "axes": "volumes: superior, posterior, left; slices: posterior, left (coronal: inferior, left; sagittal: "
        "inferior, posterior); pictures: as in the file",
        "files_read": len({file for item in listing.items for file in item.files}),
        "passed_over": dict(sorted(listing.passed_over.items())),
    }


def _write(
    writer: CohortWriter, listing: Listing, splits: dict[str, str], plan: _Plan, key: bytes, progress: Progress | None
) -> None:
    """Stream all cases into the cohort; the channel ranges are known at the end."""
    meter = RangeMeter(listing.channels, writer.dtype.name, plan.intensity, writer.provenance.seed)
    names = {subject: pseudonym(key, subject) for subject in splits}
    items = sorted(listing.items, key=lambda item: (names[item.subject], _natural(item.name)))
    numbers = dict.fromkeys(names.values(), 0)
    remarks = Counter(listing.remarks)
    with writer:
        for done, item in enumerate(items, start=1):
            split, subject = splits[item.subject], names[item.subject]
            said: set[str] = set()
            for reading, fill in _cases(listing, item, plan):
                case = fitted(reading, plan.size, plan.fit, item.name, fill)
                said.update(reading.remarks)
                if case.image is not None and split in plan.measured:
                    meter.add(case.image)
                numbers[subject] += 1
                ids = {"case_id": f"{subject}-{numbers[subject]:04d}", "subject_id": subject, "split": split}
                writer.append(case.image, case.labels, {**_row(reading, case), **item.classes, **ids})
            remarks.update(said)
            if progress:
                progress(done, len(items))
        if not any(numbers.values()):
            raise UnderstudyError(f"the rule {listing.rule} keeps none of the slices found: choose another --rule")
        writer.preprocessing["remarks"] = dict(sorted(remarks.items()))
        if meter.seen:
            writer.channels = meter.ranges()


def _cases(listing: Listing, item: Item, plan: _Plan) -> Iterator[tuple[Reading, np.ndarray | None]]:
    """One item's cases, scaled as a whole, then cut where slices are wanted; and what surrounds each, by channel."""
    for reading in listing.read(item):
        fill = None
        if reading.image is not None:
            image = scaled(reading.image, plan.intensity, item.name)
            reading, fill = replace(reading, image=image), surround(image, plan.pad_value)
        if len(plan.size) < len(reading.size):
            yield from ((case, fill) for case in cut(reading, listing.rule, listing.judged_by))
        else:
            yield reading, fill


def _row(reading: Reading, case: Reading) -> dict[str, str]:
    """Entries of the case table that come from the picture itself."""
    return {
        "slice_index": "" if case.slice_index is None else str(case.slice_index),
        "spacing": "" if case.spacing_mm is None else " ".join(f"{v:.6g}" for v in case.spacing_mm),
        "affine": "" if case.affine is None else " ".join(f"{v:.8g}" for v in case.affine.ravel()),
        "original_size": " ".join(map(str, reading.size)),
    }


def _natural(name: str) -> list[tuple[int, str]]:
    """Sort key in which slice 9 comes before slice 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
