"""A folder of images and label maps, a file a case, 1 to 4 channels; what belongs together is found in pairs.py.

**Checked** in tests/data/sources/test_folder.py.
"""

import re
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data import formats
from understudy.data.formats.raster import Header
from understudy.data.listing import Item, Listing, Reading, Source, fingerprint, refuse_elsewhere, size_text
from understudy.data.sources.pairs import FolderOptions, pairs
from understudy.data.sources.table import inferred_scheme, mapped

DEFAULT_NAMES = {1: ("image",), 3: ("red", "green", "blue")}


def listing(path: Path, options: FolderOptions) -> Listing:
    """List a folder; headers of all files are read, pixels of label maps only where no scheme is given.

    Raises:
        UsageError: an option is missing, or does not go with another.
        UnderstudyError: the files do not fit together.
    """
    _refuse_unclear(options)
    found = pairs(path, options)
    heads = {item.name: _header(item) for item in found.items}
    channels, dtype = _image_type(found.items, heads, options.channels) if options.images is not None else ((), "uint8")
    scheme = None
    if options.labels is not None:
        maps = [item.labels for item in found.items if item.labels is not None]
        scheme = LabelScheme.from_text(options.label_scheme) if options.label_scheme else inferred_scheme(maps)
    dims = {len(head.size) for head in heads.values()}
    if len(dims) > 1:
        raise UnderstudyError(f"{path} holds 2D pictures and volumes together: import them one by one")
    types = sorted({head.dtype for head in heads.values()})
    return Listing(
        items=found.items,
        read=partial(read_item, channels=len(channels), dtype=dtype, scheme=scheme),
        channels=channels,
        dtype=dtype,
        size=joint_size(heads.values()),
        dims=dims.pop(),
        scheme=scheme,
        classes=found.classes,
        rule=options.rule or "all",
        notes={"source": "folder", "files_passed_over_by_table": found.passed_over, "types_in_files": types},
        inputs=fingerprint(path, found.items, path / options.table if options.table else None),
    )


def _refuse_unclear(options: FolderOptions) -> None:
    if options.images is None and options.labels is None:
        raise UsageError(
            "a folder needs --images, --labels or both: the folders below PATH that hold them ('.' is PATH itself)"
        )
    named = [options.subject is not None, options.subject_pattern is not None, options.one_image_per_subject]
    if sum(named) != 1:
        raise UsageError(
            "whose image is whose must be said in one way, since splits go by subject: --subject COLUMN of the table, "
            f"--subject-pattern REGEX on the file name, or --one-image-per-subject; found {sum(named)} of them"
        )
    columns = {"subject": options.subject, "split-column": options.split_column, "label-column": options.label_column}
    for name, value in {**columns, "leave-out": options.left_out, "classes": options.classes}.items():
        if value and options.table is None:
            raise UsageError(f"--{name} names a column, so a table is needed: give --table FILE.csv")
    if options.subject in options.classes:
        raise UsageError(f"the subject column {options.subject!r} cannot be a class column: a cohort holds no names")
    if options.labels is None and (options.label_scheme or options.label_column):
        raise UsageError("--label-scheme and --label-column need --labels, the folder of label maps")
    if options.rule == "akbar":
        raise UsageError(
            "--rule akbar is for brats; a folder's volumes are cut by --rule all or tumour (with --dims 2)"
        )
    try:
        re.compile(options.subject_pattern or "")
    except re.error as error:
        pattern = options.subject_pattern
        raise UsageError(f"--subject-pattern {pattern!r} is not a regular expression: {error}") from error


def _header(item: Item) -> Header:
    """The header of the image, or of the label map where there is none; refuses a pair of unlike sizes."""
    heads = [formats.header(file) for file in item.files]
    if heads[0].size != heads[-1].size:
        raise UnderstudyError(
            f"{item.images[0]} is {size_text(heads[0].size)} and its label map {item.labels} is "
            f"{size_text(heads[-1].size)}: they must have the same size"
        )
    return heads[0]


def _image_type(items: list[Item], heads: dict[str, Header], names: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Channel names and the one type that holds all files."""
    counts = {heads[item.name].channels: item for item in items}
    n = max(counts)
    if len(counts) > 1 and len(names) != 1:
        (a, first), (b, second) = sorted(counts.items())[:2]
        raise UnderstudyError(
            f"{first.images[0]} has {a} channel(s) and {second.images[0]} has {b}: give images of one kind, or one "
            "name in --channels where colour images are grey"
        )
    if n > 4:
        raise UnderstudyError(f"{counts[n].images[0]} has {n} channels, and 1 to 4 are read")
    if names and len(names) not in (1, n):
        raise UsageError(
            f"--channels names {len(names)} channel(s), and the images have {n}: name {n}, or one where colour images "
            "are grey"
        )
    return names or DEFAULT_NAMES.get(n, tuple(f"channel{c}" for c in range(n))), joint_type(heads.values())


def joint_size(heads: Iterable[Header]) -> tuple[int, ...] | None:
    """Return the spatial size that files share, or None where they differ."""
    sizes = {head.size for head in heads}
    return sizes.pop() if len(sizes) == 1 else None


def joint_type(heads: Iterable[Header]) -> str:
    """Return the one type, of those that are stored, that holds the values of all files."""
    joint = np.result_type(*{np.dtype(head.dtype) for head in heads})
    return joint.name if joint.itemsize <= 2 or joint.kind == "f" else "float32"


def read_item(item: Item, channels: int, dtype: str, scheme: LabelScheme | None) -> Iterator[Reading]:
    """Read a case: its image files, one channel after the other, and its label map, which must lie in one place."""
    image, labels, place = None, None, None
    if item.images:
        pictures = [formats.image(file) for file in item.images]
        place = pictures[0]
        for picture, file in zip(pictures, item.images, strict=True):
            refuse_elsewhere(place.affine, picture.affine, place.array.shape[1:], str(file))
        joined = np.concatenate([p.array for p in pictures]) if len(pictures) > 1 else place.array
        image = _reduced(joined, channels, item.images[0]).astype(dtype, copy=False)
    if item.labels and scheme:
        drawn = formats.labels(item.labels)
        place = place or drawn
        refuse_elsewhere(place.affine, drawn.affine, drawn.array.shape, str(item.labels))
        labels = mapped(scheme, drawn.array, str(item.labels))
    yield Reading(image, labels, place.spacing_mm if place else None, place.affine if place else None)


def _reduced(image: np.ndarray, channels: int, file: Path) -> np.ndarray:
    """One channel of a grey image that is stored in colour, where one was named."""
    if len(image) == channels:
        return image
    if (image != image[:1]).any():
        raise UnderstudyError(f"{file} has {len(image)} channels that differ, and --channels names one: name all")
    return image[:1]


SOURCE = Source(
    "pictures and label maps matched by name or through a CSV table",
    listing,
    FolderOptions,
    (
        "understudy import folder DATA --images images --labels masks --subject-pattern '^[^_]+' --out mine",
        "understudy import folder XRAYS --images . --table table.csv --subject child --classes kind --out xrays",
    ),
)
