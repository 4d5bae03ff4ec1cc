"""A folder of images and label maps, a file a case, 1 to 4 channels; what belongs together is found in pairs.py.

**Checked** in tests/data/sources/test_folder.py.
"""

import re
from functools import partial
from pathlib import Path

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data.formats.decoded import Header
from understudy.data.listing import Item, Listing, Source, fingerprint
from understudy.data.sources.case_files import (
    case_header,
    chosen_plane,
    depth_remarks,
    joint_size,
    joint_type,
    read_item,
)
from understudy.data.sources.pairs import FolderOptions, pairs
from understudy.data.sources.table import inferred_scheme

DEFAULT_NAMES = {1: ("image",), 3: ("red", "green", "blue")}


def listing(path: Path, options: FolderOptions) -> Listing:
    """List a folder; headers of all files are read, pixels of label maps only where no scheme is given.

    Raises:
        UsageError: an option is missing, or does not go with another.
        UnderstudyError: the files do not fit together.
    """
    _refuse_unclear(options)
    found = pairs(path, options)
    heads = {item.name: case_header(item, options.same_grid) for item in found.items}
    channels, dtype = _image_type(found.items, heads, options.channels) if options.images is not None else ((), "uint8")
    scheme = None
    if options.labels is not None:
        maps = [item.labels for item in found.items if item.labels is not None]
        scheme = LabelScheme.from_text(options.label_scheme) if options.label_scheme else inferred_scheme(maps)
    dims = {len(head.size) for head in heads.values()}
    if len(dims) > 1:
        raise UnderstudyError(f"{path} holds 2D pictures and volumes together: import them one by one")
    types = sorted({head.dtype for head in heads.values()})
    plane, remarks = chosen_plane(options, list(heads.values()), options.dims or max(dims))
    return Listing(
        items=found.items,
        read=partial(
            read_item,
            channels=len(channels),
            dtype=dtype,
            scheme=scheme,
            plane=plane,
            same_grid=options.same_grid,
        ),
        channels=channels,
        dtype=dtype,
        size=joint_size(heads.values(), plane),
        dims=dims.pop(),
        plane=plane,
        scheme=scheme,
        classes=found.classes,
        rule=options.rule or "all",
        remarks={**remarks, **depth_remarks(heads.values() if options.images else (), options.intensity)},
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


SOURCE = Source(
    "pictures and label maps matched by name or through a CSV table",
    listing,
    FolderOptions,
    (
        "understudy import folder DATA --images images --labels masks --subject-pattern '^[^_]+' --out mine",
        "understudy import folder XRAYS --images . --table table.csv --subject child --classes kind --out xrays",
    ),
)
