"""ISLES 2022: DWI, ADC and FLAIR of stroke patients in folders like those of BIDS, lesion masks in derivatives.

    sub-strokecase0001/ses-0001/dwi/sub-strokecase0001_ses-0001_{dwi,adc}.nii.gz
    sub-strokecase0001/ses-0001/anat/sub-strokecase0001_ses-0001_FLAIR.nii.gz
    derivatives/sub-strokecase0001/ses-0001/sub-strokecase0001_ses-0001_msk.nii.gz

The file names say it all, so that ``rawdata`` above the subjects and a flat folder are read as well. DWI, ADC and the
mask have one grid; FLAIR lies on another and is resampled onto it (data/resampling.py), as their headers place both and
without registration. Cases without a lesion are kept unless ``minimum_lesion`` says otherwise.
**Source**: Hernandez Petzsche et al., Sci Data 9:762 (2022), the layout of its release.
**Checked** in tests/data/sources/test_isles.py.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from pydantic import Field, field_validator

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data import formats
from understudy.data.listing import Item, Listing, Reading, Source, fingerprint, size_text
from understudy.data.options import FileOptions
from understudy.data.resampling import onto_grid
from understudy.data.sources.bids_names import Files, sessions
from understudy.data.sources.case_files import joint_type
from understudy.data.sources.file_listing import Layout, file_listing
from understudy.data.sources.walk import merged, walk

CHANNELS, FLAIR, MASK = ("dwi", "adc", "flair"), "flair", "msk"
NOT_TAKEN = "pictures that are not asked for, or are no dwi, adc, FLAIR or msk"
INCOMPLETE = "cases without every channel asked for"
UNLABELLED = "cases without a mask"
SMALL = "cases whose lesion has fewer voxels than minimum_lesion"
RESAMPLED = "FLAIR is resampled onto the grid of DWI as the headers place both, without registration"


class IslesOptions(FileOptions):
    """Which channels are taken, and from which size of the lesion on."""

    channels: tuple[str, ...] = Field(
        (),
        description="channels to take, in order; flair is resampled onto the grid of the others; default: dwi,adc",
        json_schema_extra={"metavar": "dwi,adc,flair"},
    )
    minimum_lesion: int = Field(0, ge=0, description="voxels that the lesion of a case must have")

    @field_validator("channels")
    @classmethod
    def _known(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        low = tuple(name.casefold() for name in channels)
        if not set(low) <= set(CHANNELS) or low == (FLAIR,):
            raise ValueError(
                f"channels are out of {', '.join(CHANNELS)}, and flair needs one of the others, on whose grid the "
                f"masks are; found {', '.join(channels)}"
            )
        return low


@dataclass(frozen=True)
class _VoxelGrid:
    """A target of resampling."""

    affine: np.ndarray
    size: tuple[int, int, int]


def listing(path: Path, options: IslesOptions) -> Listing:
    """List ISLES 2022; headers of all files are read, voxels of masks only where ``minimum_lesion`` asks for it.

    Raises:
        UsageError: an option does not go with it.
        UnderstudyError: it has no case with all that is asked for, or files that do not fit together.
    """
    wanted = options.channels or CHANNELS[:2]
    walked = walk(path, path)
    cases = {case: _by_suffix(files, {*wanted, MASK}) for case, files in sessions(walked.files)[0].items()}
    items, over = _items(path, cases, wanted)
    walked.refuse_broken(file for item in items for file in item.files)
    if options.minimum_lesion:
        items, over[SMALL] = _large(path, items, options.minimum_lesion)
    over[NOT_TAKEN] = len(walked.files) - sum(map(len, cases.values()))
    gridded = tuple(name for name in wanted if name != FLAIR)
    layout = Layout(
        "isles",
        channels=gridded,
        taken=tuple(range(len(gridded))),
        scheme=LabelScheme(("background", "lesion"), (0, 1)),
        modality="MR",
        passed_over=merged(walked.passed_over, {why: n for why, n in over.items() if n}),
    )
    if FLAIR not in wanted:
        return file_listing(path, items, layout, options)
    at = wanted.index(FLAIR)
    without = [replace(item, images=(*item.images[:at], *item.images[at + 1 :])) for item in items]
    return _with_flair(file_listing(path, without, layout, options), items, at, fingerprint(path, items))


def _by_suffix(files: Files, suffixes: set[str]) -> dict[str, Path]:
    """The files of a case by their suffix in small letters, of those asked for."""
    found: dict[str, Path] = {}
    for name, file in files.items():
        suffix = name.suffix.casefold()
        if suffix in suffixes and not name.entities and found.setdefault(suffix, file) is not file:
            raise UnderstudyError(f"{found[suffix]} and {file} are both the {suffix} of one case: move one elsewhere")
    return found


def _items(
    path: Path, cases: Mapping[str, Mapping[str, Path]], wanted: tuple[str, ...]
) -> tuple[list[Item], Counter[str]]:
    """The cases with all that is asked for, and how many are left out; without any mask, all cases are images alone."""
    over, items = Counter[str](), []
    labelled = any(MASK in files for files in cases.values())
    for case, files in cases.items():
        if not files.keys() >= set(wanted):
            over[INCOMPLETE] += 1
        elif labelled and MASK not in files:
            over[UNLABELLED] += 1
        else:
            subject = case.partition("/")[0]
            items.append(Item(case, subject, tuple(files[name] for name in wanted), files.get(MASK)))
    if not items:
        raise UnderstudyError(
            f"{path} holds no case of ISLES with {', '.join(wanted)}{' and a mask' if labelled else ''}: files named "
            "like sub-strokecase0001_ses-0001_dwi.nii.gz were expected below it; correct the path, or --channels"
        )
    return items, over


def _large(path: Path, items: list[Item], least: int) -> tuple[list[Item], int]:
    """The cases whose lesion has so many voxels, and how many have fewer."""
    if items[0].labels is None:
        raise UsageError(f"--minimum-lesion is about masks, and {path} has none: leave it out")
    kept = [
        item for item in items if item.labels and np.count_nonzero(formats.stored_labels(item.labels).array) >= least
    ]
    if not kept:
        raise UnderstudyError(f"no lesion of {len(items)} cases has {least} voxels: give a lower --minimum-lesion")
    return kept, len(items) - len(kept)


def _with_flair(found: Listing, items: list[Item], at: int, inputs: str) -> Listing:
    """The listing of the other channels, with FLAIR as the channel ``at`` of ``items``."""
    heads = []
    for item in items:
        for file in item.images:
            head = formats.header(file)
            if head.channels != 1 or len(head.size) != 3 or head.affine is None or not head.placed:
                raise UnderstudyError(
                    f"{file} is {size_text(head.size)} in {head.channels} channel(s)"
                    f"{'' if head.placed and head.affine is not None else ', and does not say where it lies'}, and a "
                    "volume of one channel that says so was expected, on whose grid FLAIR can be put: replace it, or "
                    "leave flair out of --channels"
                )
            heads.append(head)
    dtype = joint_type(heads)
    return replace(
        found,
        items=items,
        read=partial(_read, read=found.read, at=at, dtype=dtype),
        channels=(*found.channels[:at], FLAIR, *found.channels[at:]),
        dtype=dtype,
        remarks=merged(found.remarks, {RESAMPLED: len(items)}),
        inputs=inputs,
    )


def _read(item: Item, read: Callable[[Item], Iterable[Reading]], at: int, dtype: str) -> Iterator[Reading]:
    """Read a case, and FLAIR on its grid: linear interpolation, its lowest value outside."""
    flair = formats.stored_image(item.images[at])
    for case in read(replace(item, images=(*item.images[:at], *item.images[at + 1 :]))):
        assert case.image is not None and case.affine is not None and flair.affine is not None
        depth, height, width = case.size
        low = float(flair.array.min())  # stands where FLAIR does not reach
        put = onto_grid(flair.array, flair.affine, _VoxelGrid(case.affine, (depth, height, width)), fill=low)
        if flair.array.max() > low and put.max() == low:
            raise UnderstudyError(
                f"{item.images[at]} lies elsewhere than {item.images[0 if at else 1]}, by what their headers say: "
                "correct them, or leave flair out of --channels"
            )
        image = np.concatenate([case.image[:at], put, case.image[at:]]).astype(dtype, copy=False)
        yield replace(case, image=image, remarks=tuple(dict.fromkeys((*case.remarks, *flair.remarks))))


def fits(files: Sequence[Path]) -> bool:
    """Tell whether folders or files have the names of the archive's cases."""
    return any(part.startswith("sub-strokecase") for file in files for part in file.parts)


SOURCE = Source(
    "ISLES 2022: DWI, ADC and FLAIR of strokes, lesion masks in derivatives",
    listing,
    IslesOptions,
    (
        "understudy import isles ISLES-2022 --channels dwi --minimum-lesion 20 --intensity volume-percentile "
        "--size 32,128,128 --fit crop --out stroke",
    ),
    fits=fits,
)
