"""import: real data -> cohort. One case after the other is read, scaled, cut, brought to size and written.

Everything that can be refused before the first pixel is written, is: options, names, headers, pairs, splits. What only
pixels tell (a file cut short, NaN, an unknown label) stops the import, and nothing is left behind. No source file name,
path, subject name or identifier stands in what is written; cases come in the order of their pseudonyms, and within a
subject in the order of the file names. The same request gives the same bytes (under the same key).
**Checked** in tests/data/test_importing.py.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.manifest import SPLITS
from understudy.core.provenance import Provenance
from understudy.core.stage import finished
from understudy.core.writer import CohortWriter
from understudy.data.intensity import RangeMeter, scaled, stored_dtype
from understudy.data.listing import Item, Listing, Reading
from understudy.data.options import FileOptions, ImportOptions
from understudy.data.preprocess import fitted
from understudy.data.pseudonym import key_path, keyed_hash, load_key, pseudonym
from understudy.data.slices import cut
from understudy.data.sources import SOURCES
from understudy.data.split import assigned, fewer

FITS = {
    "resize": "resampled; images by area average down and linear interpolation up, label maps by majority",
    "crop": "centre window; zero outside the picture",
    "pad": "zero-padded around the centre",
}
PUBLIC_KEY = b"understudy: nobody to hide"  # for subjects that are no people; a seed of ids, not a message
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
    if not isinstance(options, entry.options):
        raise UsageError(f"import {source} takes {entry.options.__name__}, found {type(options).__name__}")
    key_file = key_path(options.key, out) if entry.secret else None
    listing = entry.listing(_checked_path(path, source), options)
    splits = assigned(listing.items, options.split, options.seed)
    if options.train_subjects is not None:
        splits = fewer(splits, options.train_subjects, options.draw)
        listing = replace(listing, items=[item for item in listing.items if item.subject in splits])
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
    )
    _write(writer, listing, splits, plan, key, progress)
    return out


@dataclass(frozen=True)
class _Plan:
    """What is done to each case: options, with what the source decides where they are silent."""

    size: tuple[int, ...]
    fit: str
    intensity: str
    measured: tuple[str, ...]  # splits on which ranges are measured


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
    intensity = listing.intensity or options.intensity
    measured = ("train",) if train else SPLITS
    size = options.resolved_size(dims)
    if size is None and listing.padded:
        return _Plan(listing.padded, "pad", intensity, measured)
    if size is None and listing.size is None:
        told = "the pictures differ in size, and the cases of a cohort have one"
        raise UsageError(f"{told}: give --size, and --fit resize, crop or pad")
    fit = options.fit if isinstance(options, FileOptions) else "resize"
    return _Plan(size or (listing.size or ())[-dims:], fit, intensity, measured)


def _steps(listing: Listing, plan: _Plan) -> dict[str, object]:
    """What is done to the source data, for the manifest."""
    return {
        **listing.notes,
        "intensity": plan.intensity,
        "stored_as": stored_dtype(listing.dtype, plan.intensity),
        "intensity_range_measured_on": ", ".join(plan.measured),
        "size": list(plan.size),
        "fit": f"{plan.fit}: {FITS[plan.fit]}",
        "slices": f"axial, rule {listing.rule}" if len(plan.size) < listing.dims else "as in the source",
        "axes": "volumes: superior, posterior, left; slices: posterior, left; pictures: as in the file",
    }


def _write(
    writer: CohortWriter, listing: Listing, splits: dict[str, str], plan: _Plan, key: bytes, progress: Progress | None
) -> None:
    """Stream all cases into the cohort; the channel ranges are known at the end."""
    meter = RangeMeter(listing.channels, writer.dtype.name, plan.intensity, writer.provenance.seed)
    names = {subject: pseudonym(key, subject) for subject in splits}
    items = sorted(listing.items, key=lambda item: (names[item.subject], _natural(item.name)))
    numbers = dict.fromkeys(names.values(), 0)
    with writer:
        for done, item in enumerate(items, start=1):
            split, subject = splits[item.subject], names[item.subject]
            for reading in _cases(listing, item, plan):
                case = fitted(reading, plan.size, plan.fit, item.name)
                if case.image is not None and split in plan.measured:
                    meter.add(case.image)
                numbers[subject] += 1
                ids = {"case_id": f"{subject}-{numbers[subject]:04d}", "subject_id": subject, "split": split}
                writer.append(case.image, case.labels, {**_row(reading, case), **item.classes, **ids})
            if progress:
                progress(done, len(items))
        if not any(numbers.values()):
            raise UnderstudyError(f"the rule {listing.rule} keeps none of the slices found: choose another --rule")
        if meter.seen:
            writer.channels = meter.ranges()


def _cases(listing: Listing, item: Item, plan: _Plan) -> Iterator[Reading]:
    """One item's cases: scaled as a whole, then cut where slices are wanted."""
    for reading in listing.read(item):
        if reading.image is not None:
            reading = replace(reading, image=scaled(reading.image, plan.intensity, item.name))
        if len(plan.size) < len(reading.size):
            yield from cut(reading, listing.rule, listing.judged_by)
        else:
            yield reading


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
