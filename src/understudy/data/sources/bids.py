"""BIDS: ``sub-01/[ses-02/]anat/sub-01_ses-02_T1w.nii.gz``, label maps (dseg) in derivatives or in the data set itself.

A session of a subject is a case; its channels are files by suffix (``T1w``) and, where that is not enough, entities
(``ce-gadolinium_T1w``). Label maps are named by the same words (``dseg``, ``desc-lesion_dseg``); the tables beside them
(``dseg.tsv``) say what values mean, and participants.tsv has class columns. Sessions that lack a channel or a label map
are passed over, and counted.
**Source**: Brain Imaging Data Structure 1.11.1, file names, inheritance, discrete segmentations.
**Checked** in tests/data/sources/test_bids.py.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data import identity
from understudy.data.listing import Item, Listing, Source
from understudy.data.options import NAMES, FileOptions, ImportOptions
from understudy.data.sources.bids_names import (
    BidsName,
    Files,
    fitting,
    meant,
    picked,
    refuse_other_run,
    sessions,
    shared_suffixes,
)
from understudy.data.sources.bids_tables import label_scheme, label_tables, participants
from understudy.data.sources.file_listing import Layout, file_listing
from understudy.data.sources.walk import Found, is_picture, merged, walk

DERIVATIVES, PARTICIPANTS = "derivatives", "participants.tsv"
BESIDE = (DERIVATIVES, "sourcedata", "code", "stimuli", "phenotype")  # folders that hold no raw images
NO_NAME = "pictures whose names are not those of BIDS"
NOT_ASKED = "pictures of suffixes or entities that are not asked for"
INCOMPLETE = "sessions without every channel asked for"
UNLABELLED = "sessions without a label map"
NO_IMAGE = "label maps of sessions without images"
NOT_READ = "folders of derivatives, source data and code that are not read"
ONE_FOLDER = "label maps are those of the one folder of derivatives that has them"


class BidsOptions(FileOptions):
    """The options of ``import bids``."""

    UNRECORDED: ClassVar[frozenset[str]] = ImportOptions.UNRECORDED | {"labels_in"}

    channels: tuple[str, ...] = Field(
        (),
        description="suffixes to take, with entities where needed; default: the anatomical ones of all sessions",
        json_schema_extra={"metavar": "T1w,ce-gd_T1w"},
    )
    labels_in: str | None = Field(
        None, description="folder below PATH with label maps, such as derivatives/NAME; default: the one that has them"
    )
    label_name: str = Field("dseg", description="suffix of label maps, with entities, such as desc-lesion_dseg")
    images_only: bool = Field(False, description="label maps are left out")
    classes: tuple[str, ...] = Field(
        (), description="columns of participants.tsv to keep as class columns", json_schema_extra=NAMES
    )


@dataclass(frozen=True)
class _Labels:
    """Where label maps were found, and that of each session."""

    walked: Found
    maps: dict[str, Path]
    remarks: dict[str, int] = field(default_factory=dict)

    def tables(self) -> list[Path]:
        """The tables that say what their values mean."""
        tables = {name: file for name, file in self.walked.files.items() if not is_picture(name)}
        used = set(self.maps.values())
        return label_tables(tables, [name for name, file in self.walked.files.items() if file in used])


def listing(path: Path, options: BidsOptions) -> Listing:
    """List a BIDS data set.

    Raises:
        UsageError: an option does not go with it.
        UnderstudyError: it has no subject, or files that do not fit together.
    """
    _refuse_contradictions(options)
    leave = (*BESIDE, options.labels_in or DERIVATIVES, PARTICIPANTS)
    raw = walk(path, path, _wanted(options), [path / name for name in leave])
    images, others = sessions({name: file for name, file in raw.files.items() if is_picture(name)})
    if not images:
        raise UnderstudyError(
            f"{path} holds no picture of a BIDS data set: files named like sub-01/anat/sub-01_T1w.nii.gz were expected"
        )
    labels = None if options.images_only else _label_maps(path, raw, options)
    wanted = options.channels or shared_suffixes(images)
    items, over = _items(images, labels, wanted)
    walks = [raw, labels.walked] if labels and labels.walked is not raw else [raw]
    for found in walks:
        found.refuse_broken(file for item in items for file in item.files)
    tables = labels.tables() if labels and not options.label_scheme else []
    scheme, grounded = label_scheme(tables)
    classes, entries, rows = participants(path, [item.subject for item in items], options.classes)
    for item, entry in zip(items, entries, strict=True):
        item.classes.update(entry)
    subjects = sorted({item.subject for item in items})
    read = [path / DERIVATIVES, path / (options.labels_in or ".")] if labels else []
    beside = sum((path / name).is_dir() and path / name not in read for name in BESIDE)
    layout = Layout(
        "bids",
        channels=tuple(wanted),
        taken=tuple(range(len(wanted))),
        scheme=scheme,
        classes=classes,
        tables=(*tables, *([path / PARTICIPANTS] if options.classes else [])),
        passed_over=merged(*(found.passed_over for found in walks), over, _some({NO_NAME: others, NOT_READ: beside})),
        remarks=merged(labels.remarks if labels else {}, grounded, rows, identity.remarks(subjects, subjects)),
    )
    return file_listing(path, items, layout, options)


def _refuse_contradictions(options: BidsOptions) -> None:
    if options.images_only and (options.labels_in or options.label_scheme):
        raise UsageError(
            "--images-only leaves label maps out: leave --labels-in and --label-scheme out, or give none of it"
        )
    if len(options.channels) > 1 and len(set(map(str.casefold, options.channels))) < len(options.channels):
        raise UsageError(f"--channels names one channel twice, {', '.join(options.channels)}: name each once")


def _wanted(options: BidsOptions) -> Callable[[str], bool]:
    """What takes pictures, and the tables of label values."""
    suffix = meant(options.label_name, "--label-name").suffix

    def takes(name: str) -> bool:
        return is_picture(name) or name == f"{suffix}.tsv" or name.endswith(f"_{suffix}.tsv")

    return takes


def _label_maps(path: Path, raw: Found, options: BidsOptions) -> _Labels | None:
    """The label map of each session, from the folder that is named, or the one that has them; None where none has.

    Raises:
        UsageError: the folder that is named is not there.
        UnderstudyError: it has no label map, or several folders of derivatives have.
    """
    name, wanted = meant(options.label_name, "--label-name"), _wanted(options)
    if options.labels_in is not None:
        folder = path / options.labels_in
        if not folder.is_dir():
            raise UsageError(f"a folder was expected at {folder}, and there is none: correct --labels-in")
        found = walk(path, folder, wanted)
        if not fitting(name, found.files):
            raise UnderstudyError(f"{folder} holds no label map named ..._{options.label_name}: correct --label-name")
        return _Labels(found, _by_session(found, name))
    if (path / DERIVATIVES).is_dir():
        fits = fitting(name, walk(path, path / DERIVATIVES, wanted).files)
        own = sorted({"" if one.startswith("sub-") else one.partition("/")[0] for one in fits})
        if len(own) > 1:
            raise UnderstudyError(
                f"several folders of derivatives have label maps named ..._{options.label_name}: say which with "
                f"--labels-in {DERIVATIVES}/{own[0] or own[1]}, or leave them out with --images-only"
            )
        if own:
            found = walk(path, path / DERIVATIVES / own[0], wanted)
            maps = _by_session(found, name)
            return _Labels(found, maps, {ONE_FOLDER: len(maps)})
    return _Labels(raw, _by_session(raw, name)) if fitting(name, raw.files) else None


def _by_session(found: Found, name: BidsName) -> dict[str, Path]:
    pictures, _ = sessions({path: file for path, file in found.files.items() if is_picture(path)})
    maps = {case: picked(name, files, "--label-name") for case, files in pictures.items()}
    return {case: file for case, file in maps.items() if file is not None}


def _items(
    images: Mapping[str, Files], labels: _Labels | None, wanted: tuple[str, ...]
) -> tuple[list[Item], dict[str, int]]:
    """The sessions with all that is asked for, and how much is left out."""
    names = [meant(text, "--channels") for text in wanted]
    found, over = [], Counter[str]()
    for case, files in images.items():
        chosen = [picked(name, files, "--channels") for name in names]
        label = labels.maps.get(case) if labels else None
        if None in chosen:
            over[INCOMPLETE] += any(file is not None for file in chosen)
        elif labels is not None and label is None:
            over[UNLABELLED] += 1
        else:
            used = tuple(file for file in chosen if file is not None)
            over[NOT_ASKED] += len(set(files.values()) - {*used, label})
            if label is not None:
                refuse_other_run(used, label)
            found.append((case, next(iter(files)).subject, used, label))
            continue
        over[NOT_ASKED] += len(files) - sum(file is not None for file in chosen)
    if not found:
        raise UnderstudyError(
            f"none of {len(images)} sessions has {', '.join(wanted)}{' and a label map' if labels else ''}: correct "
            "--channels, --label-name or --labels-in"
        )
    if labels is not None:
        over[NO_IMAGE] = len(labels.maps.keys() - images.keys())
    told = [subject for _, subject, _, _ in found]
    subjects = identity.subjects(told, "the folder", "rename the folders sub-...")
    items = [
        Item(case, f"sub-{subject}", used, label)
        for (case, _, used, label), subject in zip(found, subjects, strict=True)
    ]
    return items, _some(over)


def _some(counts: Mapping[str, int]) -> dict[str, int]:
    return {reason: n for reason, n in counts.items() if n}


def fits(files: Sequence[Path]) -> bool:
    """Tell whether there is the file that every BIDS data set has."""
    return any(file.name == "dataset_description.json" for file in files)


SOURCE = Source(
    "a BIDS data set: sub-/ses- folders, label maps (dseg) in derivatives",
    listing,
    BidsOptions,
    ("understudy import bids BIDS --channels T1w,FLAIR --labels-in derivatives/lesions --size 64 --out lesions",),
    fits=fits,
)
