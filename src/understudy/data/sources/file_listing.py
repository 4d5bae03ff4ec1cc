"""The listing of cases that are files: headers compared, one type, size, plane and label scheme settled for all.

Every source whose cases are files ends here, so that channels, label values and planes mean the same in all of them.
**Checked** in tests/data/sources/test_file_listing.py.
"""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data.formats.decoded import Header
from understudy.data.listing import Item, Listing, fingerprint
from understudy.data.options import FileOptions
from understudy.data.sources.case_files import (
    case_headers,
    chosen_plane,
    depth_remarks,
    joint_size,
    joint_type,
    read_item,
)
from understudy.data.sources.label_values import Palettes, inferred_scheme
from understudy.data.sources.walk import merged

DEFAULT_NAMES = {1: ("image",), 3: ("red", "green", "blue")}
MOST_CHANNELS = 4


@dataclass(frozen=True)
class Layout:
    """What a layout says of the cases found in it.

    Attributes:
        source: name of the source, for the notes.
        akbar: whether its volumes may be cut by the rule of that name.
        channels: names of the channels, in the files' order; empty where the layout does not say.
        taken: numbers of the channels that are read, in the order in which they are; None takes all.
        scheme: what label values mean, where the layout says so.
        tables: files that say more about the cases, for the fingerprint.
        passed_over, remarks, notes, classes, modality: as in ``Listing``.
    """

    source: str
    akbar: bool = False
    channels: tuple[str, ...] = ()
    taken: tuple[int, ...] | None = None
    scheme: LabelScheme | None = None
    classes: tuple[str, ...] = ()
    modality: str = "unknown"
    tables: tuple[Path, ...] = ()
    passed_over: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def file_listing(path: Path, items: list[Item], layout: Layout, options: FileOptions) -> Listing:
    """List cases of files; headers of all files are read, pixels of label maps only where no scheme is given.

    Raises:
        UsageError: an option does not go with the files.
        UnderstudyError: the files do not fit together.
    """
    if options.rule == "akbar" and not layout.akbar:
        raise UsageError(
            f"--rule akbar is for brats; volumes of {layout.source} are cut by --rule all or tumour (with --dims 2)"
        )
    heads = {item.name: case_headers(item, options.same_grid) for item in items}
    firsts = [head[0] for head in heads.values()]
    dims = {len(head.size) for head in firsts}
    if len(dims) > 1:
        raise UnderstudyError(f"{path} holds 2D pictures and volumes together: import them one by one")
    channels, dtype = _channels(items, heads, layout, options) if items[0].images else ((), "uint8")
    scheme = _scheme(items, layout, options)
    plane, remarks = chosen_plane(options, firsts, options.dims or max(dims))
    notes = {
        "source": layout.source,
        "types_in_files": sorted({head.source_dtype or head.dtype for head in firsts}),
        **layout.notes,
    }
    return Listing(
        items=items,
        read=partial(
            read_item,
            channels=len(channels),
            dtype=dtype,
            scheme=scheme,
            plane=plane,
            same_grid=options.same_grid,
            taken=layout.taken,
            palettes=Palettes(),
        ),
        channels=channels,
        dtype=dtype,
        size=joint_size(firsts, plane),
        dims=dims.pop(),
        plane=plane,
        scheme=scheme,
        classes=layout.classes,
        modality=layout.modality,
        rule=options.rule or "all",
        passed_over=layout.passed_over,
        remarks=merged(remarks, layout.remarks, _depths(items, heads, options)),
        notes=notes,
        inputs=fingerprint(path, items, *layout.tables),
    )


def _depths(items: list[Item], heads: dict[str, list[Header]], options: FileOptions) -> dict[str, int]:
    """What to say of each channel whose files differ in depth; slices by Akbar's rule are scaled anyway."""
    if options.rule == "akbar":
        return {}
    of_images = [heads[item.name][: len(item.images)] for item in items]
    return merged(*(depth_remarks(channel, options.intensity) for channel in zip(*of_images, strict=False)))


def _scheme(items: list[Item], layout: Layout, options: FileOptions) -> LabelScheme | None:
    """What label values mean: as told, as the layout says, or as the values show."""
    maps = [item.labels for item in items if item.labels is not None]
    if not maps:
        return None
    if options.label_scheme:
        return LabelScheme.from_text(options.label_scheme)
    return layout.scheme or inferred_scheme(maps)


def _channels(
    items: list[Item], heads: dict[str, list[Header]], layout: Layout, options: FileOptions
) -> tuple[tuple[str, ...], str]:
    """Channel names, and the one type that holds all image files."""
    images = {item.name: heads[item.name][: len(item.images)] for item in items}
    kind = joint_type(head for some in images.values() for head in some)
    if len(items[0].images) > 1:
        for item in items:
            for file, head in zip(item.images, images[item.name], strict=True):
                if head.channels != 1:
                    raise UnderstudyError(
                        f"{file} has {head.channels} channels, and a file of one contrast has one: replace it, or "
                        "give images whose files hold all channels"
                    )
    counts = {sum(head.channels for head in images[item.name]): item for item in items}
    n, names = max(counts), options.channels if layout.taken is None else ()
    if len(counts) > 1 and len(names) != 1:
        (a, first), (b, second) = sorted(counts.items())[:2]
        raise UnderstudyError(
            f"{first.images[0]} has {a} channel(s) and {second.images[0]} has {b}: give images of one kind, or one "
            "name in --channels where colour images are grey"
        )
    if layout.channels and n != len(layout.channels):
        raise UnderstudyError(
            f"{counts[n].images[0]} has {n} channel(s), and the data set says {len(layout.channels)}: correct one"
        )
    if layout.taken is not None:
        return tuple(layout.channels[c] for c in layout.taken), kind
    if n > MOST_CHANNELS:
        raise UnderstudyError(f"{counts[n].images[0]} has {n} channels, and 1 to {MOST_CHANNELS} are read")
    if names and len(names) not in (1, n):
        raise UsageError(
            f"--channels names {len(names)} channel(s), and the images have {n}: name {n}, or one where colour images "
            "are grey"
        )
    return names or layout.channels or DEFAULT_NAMES.get(n, tuple(f"channel{c}" for c in range(n))), kind


def chosen_channels(named: tuple[str, ...], wanted: tuple[str, ...], where: str) -> tuple[int, ...]:
    """Return the numbers of the channels that --channels takes of those that a data set names; all where it is silent.

    Raises:
        UsageError: one is not there, or more are taken than are read.
    """
    known = {name.casefold(): number for number, name in reversed(list(enumerate(named)))}
    for name in wanted:
        if name.casefold() not in known:
            raise UsageError(f"--channels names {name!r}, and {where} has {', '.join(named)}")
    taken = tuple(known[name.casefold()] for name in wanted) or tuple(range(len(named)))
    if len(taken) > MOST_CHANNELS:
        raise UsageError(
            f"{where} has {len(taken)} channels, and 1 to {MOST_CHANNELS} are read: choose with --channels"
        )
    return taken
