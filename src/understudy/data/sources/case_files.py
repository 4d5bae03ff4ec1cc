"""One case from its files, for every source that reads files: channels joined, the label map on its image, all turned.

Files of one case are compared as they are stored, in voxels of the image, before anything is turned; what one side does
not say counts as unknown, never as agreement.
**Checked** in tests/data/sources/test_case_files.py.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data import formats
from understudy.data.formats.decoded import DecodedFile, Header
from understudy.data.formats.picture import TURNED
from understudy.data.geometry import THICK, axis_codes, bare, halfway, moved_onto, onto, refuse_elsewhere, scanned_plane
from understudy.data.intensity import SCALED
from understudy.data.listing import Item, Reading, size_text
from understudy.data.options import FileOptions
from understudy.data.sources.label_values import Palettes, mapped

ASIDE = "label maps or channels lie a fraction of a voxel beside their images, which is taken as rounding"
NO_PLACE = "volumes do not say how they are oriented (NIfTI: both codes 0); the format's default order is taken"
DRAWN_ON = "label maps that do not say where they lie are taken as drawn on the DICOM slice as viewers show it"
TURNED_ALONE = "images are turned as their orientation says, and their label maps name none: were they drawn upright?"
GREY = "colour pictures whose channels are equal are taken as one grey channel"


def case_headers(item: Item, same_grid: bool = False) -> list[Header]:
    """Return the headers of a case's files; all must have one size and known places, or none a place."""
    heads = [formats.header(file) for file in item.files]
    for file, head in zip(item.files[1:], heads[1:], strict=True):
        if not _drawn_on(heads[0], head):
            _refuse_half_placed(item.files[0], heads[0], file, head, same_grid)
        if _size_on(heads[0], head, same_grid) != heads[0].stored:
            what = "its label map" if file == item.labels else "its channel"
            raise UnderstudyError(
                f"{item.files[0]} is {size_text(heads[0].size)} and {what} {file} is {size_text(head.size)}: they "
                "must have the same size"
            )
    return heads


def _size_on(first: Header, other: Header, same_grid: bool) -> tuple[int, ...]:
    """The other's stored size, by the first's axes where both say how theirs lie."""
    if _drawn_on(first, other):
        return (other.stored[1], other.stored[0], 1)
    if same_grid or first.affine is None or other.affine is None or not (first.placed and other.placed):
        return other.stored
    change = onto(first.affine, other.affine)
    if change is None:
        return other.stored
    return tuple(other.stored[int(axis)] for axis in np.argsort(change[:, 0]))


def _drawn_on(first: Header, other: Header) -> bool:
    """Whether the other is a picture without a place, drawn on a single slice as viewers show it."""
    return first.displayed and first.affine is not None and first.stored[2] == 1 and len(other.stored) == 2


def _refuse_half_placed(file: Path, head: Header, other_file: Path, other: Header, same_grid: bool) -> None:
    """Refuse a file that says where it lies beside one that does not."""
    if (head.affine is None) != (other.affine is None):
        mute = other_file if other.affine is None else file
        raise UnderstudyError(
            f"{file} and {other_file} belong together, and {mute} does not say how it is oriented (no geometry): "
            "turned by one header alone they would come apart; save both as pictures without geometry (PNG, TIFF), or "
            "that file as a volume with the other's header (NIfTI)"
        )
    if head.placed != other.placed and not same_grid:
        mute = other_file if not other.placed else file
        raise UnderstudyError(
            f"{file} and {other_file} belong together, and {mute} has no geometry of its own (in NIfTI: sform and "
            "qform codes 0): copy the other's header into it, or give --same-grid if they lie on each other voxel by "
            "voxel"
        )


def joint_size(heads: Iterable[Header], plane: str = "axial") -> tuple[int, ...] | None:
    """Return the spatial size that files share in a plane's order, or None where they differ."""
    sizes = {head.turned_size(plane) for head in heads}
    return sizes.pop() if len(sizes) == 1 else None


def joint_type(heads: Iterable[Header]) -> str:
    """Return the one type, of those that are stored, that holds the values of all files."""
    joint = np.result_type(*{np.dtype(head.dtype) for head in heads})
    return joint.name if joint.itemsize <= 2 or joint.kind == "f" else "float32"


def depth_remarks(heads: Iterable[Header], intensity: str) -> dict[str, int]:
    """Return what to say where files of one channel store numbers of different widths that nothing scales.

    Real numbers count in pictures, where 1.0 may be white; volumes hold them beside whole numbers on one scale.
    """
    depths = Counter(head.dtype for head in heads if len(head.stored) == 2 or np.dtype(head.dtype).kind in "iu")
    if len(depths) < 2 or intensity in SCALED:
        return {}
    listed = " beside ".join(sorted(depths))
    said = f"files differ in depth ({listed}), so that one value may mean black in one and white in the next"
    return {f"{said}: convert them, or give --intensity volume-max or volume-percentile": min(depths.values())}


def chosen_plane(options: FileOptions, heads: Sequence[Header], dims: int) -> tuple[str, dict[str, int]]:
    """Return the plane in which volumes are cut into slices, and what a user should know about it.

    Raises:
        UsageError: a plane was asked for, and nothing is cut.
        UnderstudyError: ``scanned`` was asked for, and the files do not show one plane.
    """
    if dims != 2 or max(len(head.size) for head in heads) != 3:
        if options.plane is not None:
            raise UsageError("--plane says how volumes are cut into slices: give --dims 2 with it, or leave it out")
        return "axial", {}
    found = [scanned_plane(head.affine, head.stored) for head in heads]
    if options.plane == "scanned":
        named = sorted({plane or "none" for plane in found})
        if len(named) > 1 or named == ["none"]:
            raise UnderstudyError(
                f"--plane scanned needs volumes whose slices lie {THICK:g} times as far apart as their pixels, all in "
                f"one plane; found {', '.join(named)}: choose axial, coronal or sagittal"
            )
        return named[0], {}
    chosen = options.plane or "axial"
    others = [plane for plane in found if plane not in (None, chosen)]
    if options.plane is not None or not others:
        return chosen, {}
    said = f"volumes were scanned in {others[0]} slices and are cut into axial ones: --plane scanned cuts as scanned"
    return chosen, {said: len(others)}


def read_item(
    item: Item,
    channels: int,
    dtype: str,
    scheme: LabelScheme | None,
    plane: str = "axial",
    same_grid: bool = False,
    taken: tuple[int, ...] | None = None,
    palettes: Palettes | None = None,
) -> Iterator[Reading]:
    """Read a case: its image files, one channel after the other, and its label map, which must lie in one place.

    Of the channels those ``taken`` are kept, in that order; all where it is None. Colours of label values must be those
    of ``palettes``, which gains what is new.
    """
    pictures = [formats.stored_image(file) for file in item.images]
    drawn = formats.stored_labels(item.labels) if item.labels and scheme else None
    if drawn and palettes is not None and item.labels:
        palettes.add(item.labels, drawn.colours)
    stored = [*pictures, *([drawn] if drawn else [])]
    files = [*item.images, *([item.labels] if drawn and item.labels else [])]
    placed = [
        stored[0],
        *(_on(stored[0], one, file, same_grid) for one, file in zip(stored[1:], files[1:], strict=True)),
    ]
    remarks = tuple(dict.fromkeys(remark for one in placed for remark in one.remarks))
    if stored[0].affine is not None and not stored[0].placed:
        remarks += (NO_PLACE,)
    elif stored[0].affine is not None:
        remarks += halfway(stored[0].affine)
    if drawn and TURNED in stored[0].remarks and TURNED not in drawn.remarks:
        remarks += (TURNED_ALONE,)
    at = [one.turned(plane) for one in placed]
    image, labels = None, None
    if pictures:
        joined = np.concatenate([one.array for one in at[: len(pictures)]]) if len(pictures) > 1 else at[0].array
        if taken is not None and taken != tuple(range(len(joined))):
            joined = joined[list(taken)]
        if len(joined) > channels:
            remarks += (GREY,)
        image = _reduced(joined, channels, item.images[0]).astype(dtype, copy=False)
    if drawn and scheme:
        labels = mapped(scheme, at[-1].array[0], str(item.labels))
    axes = axis_codes(stored[0].affine) if stored[0].placed else ""
    yield Reading(image, labels, at[0].spacing_mm, at[0].affine, remarks=remarks, stored_axes=axes)


def _on(first: DecodedFile, other: DecodedFile, file: Path, same_grid: bool) -> DecodedFile:
    """Another file of a case, on the axes of the first; refused where it lies elsewhere."""
    if first.affine is not None and other.array.ndim == 3:  # (C, H, W), drawn on a slice (C, W, H, 1)
        array = other.array.swapaxes(1, 2)[..., None]
        return replace(other, array=array, affine=first.affine, remarks=(*other.remarks, DRAWN_ON))
    if same_grid or first.affine is None or other.affine is None or not (first.placed and other.placed):
        return replace(other, affine=first.affine, placed=first.placed)
    array, affine = moved_onto(first.affine, other.array, other.affine)
    aside = refuse_elsewhere(first.affine, affine, array.shape[1:], str(file), bare(other.affine))
    return replace(
        other, array=array, affine=first.affine, placed=True, remarks=(*other.remarks, *([ASIDE] if aside else []))
    )


def _reduced(image: np.ndarray, channels: int, file: Path) -> np.ndarray:
    """One channel of a grey image that is stored in colour, where one was named."""
    if len(image) == channels:
        return image
    if (image != image[:1]).any():
        raise UnderstudyError(f"{file} has {len(image)} channels that differ, and --channels names one: name all")
    return image[:1]
