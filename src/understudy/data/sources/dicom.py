"""A folder of DICOM studies: each study becomes a case, its label map drawn by SEG or RTSTRUCT, classes by a table.

Which series are channels is chosen in data/dicom/study.py, whose a study is in data/dicom/people.py. No path, id, UID
or description stands in a message, unless --name-files or --show-descriptions ask for them; none is ever written.
**Checked** in tests/data/sources/test_dicom.py and tests/data/dicom/test_canaries.py.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data.dicom.annotation import Overlap
from understudy.data.dicom.drawings import Drawings
from understudy.data.dicom.opening import is_dicom
from understudy.data.dicom.people import By, subjects
from understudy.data.dicom.pixels import decoded, volume_header
from understudy.data.dicom.series import Volume, volumes
from understudy.data.dicom.study import UNFIT, Several, Study, StudyCase, choose, code, patterns, refuse_unfit
from understudy.data.dicom.survey import Survey, survey
from understudy.data.dicom.table import Match, rows_of
from understudy.data.formats.decoded import DecodedFile, Header
from understudy.data.geometry import axis_codes
from understudy.data.listing import Item, Listing, Reading, Source, fingerprint
from understudy.data.options import NAMES, FileOptions, ImportOptions
from understudy.data.resampling import onto_grid
from understudy.data.sources.case_files import chosen_plane, joint_size, joint_type
from understudy.data.sources.file_listing import DEFAULT_NAMES
from understudy.data.sources.label_values import mapped
from understudy.data.sources.table import alike, class_columns

RESAMPLED = "series are resampled onto the grid of the first one; voxels outside of them take their lowest value"
NO_LABELS = {
    "seg": "no segmentation (SEG) refers to its series",
    "rtstruct": "no structure set (RTSTRUCT) refers to its series",
}
OTHER_LABELS = {"seg": " (there are structure sets: --labels rtstruct)", "rtstruct": " (there are SEGs: --labels seg)"}


class DicomOptions(FileOptions):
    """Whose studies are whose, which series are taken, and what draws the label maps."""

    UNRECORDED: ClassVar[frozenset[str]] = ImportOptions.UNRECORDED | {"series"}
    SILENT: ClassVar[frozenset[str]] = frozenset({"show_descriptions", "name_files"})

    subject: By = Field("patient", description="whose a study is: PatientID, each its own, or first folder below PATH")
    series: tuple[str, ...] = Field(
        (),
        description="channels in order: a name and a regular expression on modality and series description; default: "
        "the only image series of each study",
        json_schema_extra={"metavar": "NAME=PATTERN,..."},
    )
    volumes: Several | None = Field(
        None, description="of a series with several volumes (echoes, time points): the first, or each as a case"
    )
    labels: Literal["seg", "rtstruct"] | None = Field(
        None, description="what label maps are drawn from: DICOM segmentations or RT structure sets of the studies"
    )
    overlap: Overlap = Field("refuse", description="which class is kept where segments overlap")
    table: str | None = Field(None, description="CSV file below PATH with the classes")
    match: Match = Field(
        "file", description="column of the table: PatientID, StudyInstanceUID, SOPInstanceUID, or file (below PATH)"
    )
    classes: tuple[str, ...] = Field(
        (), description="table columns to keep as class columns; a blank is missing", json_schema_extra=NAMES
    )
    skip_unfit: bool = Field(False, description="pass over studies that do not fit (no such series, missing slices)")
    show_descriptions: bool = Field(
        False,
        description="show descriptions of series, and names of segments, in errors; they may hold names of people",
    )
    name_files: bool = Field(False, description="show paths of files in errors; they may hold names")

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.series and self.channels:
            raise ValueError("series names the channels: leave channels out")
        if bool(self.table) != bool(self.classes):
            raise ValueError("table and classes belong together: give both, or neither")
        if (self.label_scheme or self.overlap != "refuse") and not self.labels:
            raise ValueError("label_scheme and overlap are for label maps: give labels seg or rtstruct")
        return self

    def recorded(self) -> dict[str, object]:
        """Return the options that may stand in a cohort, without those that only change messages."""
        return {name: value for name, value in super().recorded().items() if name not in self.SILENT}


def listing(path: Path, options: DicomOptions) -> Listing:
    """List a folder of studies from the headers of all its files.

    Raises:
        UsageError: an option does not go with another, or pydicom is not installed.
        UnderstudyError: a file is damaged, studies do not fit or have no subject, nothing is left.
    """
    if options.rule == "akbar":
        raise UsageError("--rule akbar is for brats; volumes are cut by --rule all or tumour (with --dims 2)")
    wanted = patterns(options.series)
    table = path / options.table if options.table else None
    found = survey(path, options.name_files, table)
    studies, passed_over, remarks = _studies(found, path, options)
    chosen, unfit = choose(studies, wanted, options.volumes, options.same_grid, passed_over)
    drawings = Drawings.of(found.annotations, options.labels, passed_over)
    if options.labels:
        drawn = [one for one in chosen if drawings.on(one.channels[0])]
        other = OTHER_LABELS[options.labels] if len(drawings.labels) < len(found.annotations) else ""
        unfit[NO_LABELS[options.labels] + other] += len(chosen) - len(drawn)
        chosen = drawn
    if +unfit and not (options.skip_unfit and chosen):
        refuse_unfit(studies, chosen, +unfit, options.show_descriptions)
    passed_over.update({UNFIT.format(reason): n for reason, n in (+unfit).items()})
    chosen, rows = rows_of(chosen, path, table, options.match, options.classes, passed_over)
    classes, entries = class_columns(rows, options.classes, Path("the table"), [one.study.subject for one in chosen])
    heads = {id(volume): volume_header(volume, volume.first.where) for one in chosen for volume in one.channels}
    items = _items(chosen, drawings, entries if classes else [{}] * len(chosen))
    references = [heads[id(one.channels[0])] for one in chosen]
    channels, dims = _channels(chosen, heads, wanted, options.channels), _dims(references)
    plane, said = chosen_plane(options, references, options.dims or dims)
    dtype = joint_type(heads.values())
    scheme = drawings.scheme(options, [one.channels[0] for one in chosen], options.show_descriptions)
    kinds = {code(one.channels[0]) for one in chosen}
    reader = _Reader(
        {item.name: one for item, one in zip(items, chosen, strict=True)}, drawings, scheme, plane, dtype, options
    )
    return Listing(
        items=items,
        read=partial(read_study, reader=reader),
        channels=channels,
        dtype=dtype,
        size=joint_size(references, plane),
        dims=dims,
        scheme=scheme,
        classes=classes,
        modality=kinds.pop() if len(kinds) == 1 else "unknown",
        rule=options.rule or "all",
        plane=plane,
        passed_over=dict(sorted(passed_over.items())),
        remarks=dict(sorted((remarks + Counter(said) + Counter(alike(classes))).items())),
        notes={"source": "dicom", "subjects_by": options.subject, "label_maps_from": options.labels or "none"},
        inputs=fingerprint(path, items, *([table] if table else [])),
    )


def _studies(found: Survey, path: Path, options: DicomOptions) -> tuple[list[Study], Counter[str], Counter[str]]:
    """The studies in the order of their dates, what was passed over, and what should be known."""
    stacks, copies = volumes(found.images)
    whose, remarks = subjects(found.images, options.subject, path)
    by_study: dict[str, list[Volume]] = defaultdict(list)
    for volume in stacks:
        by_study[volume.first.study].append(volume)
    order = sorted(by_study, key=lambda uid: (by_study[uid][0].first.order, uid))
    studies = []
    for n, uid in enumerate(order, start=1):
        folder = f" ({by_study[uid][0].first.file.parent})" if options.name_files else ""
        name = f"study {n} of {len(order)}, in the order of their dates{folder}"
        studies.append(Study(name, whose[uid], uid, tuple(by_study[uid])))
    if not studies:
        raise UnderstudyError("the folder holds localizers only, and no other image: there is nothing to import")
    return studies, found.passed_over + copies, remarks


def _items(chosen: Sequence[StudyCase], drawings: Drawings, entries: Sequence[dict[str, str]]) -> list[Item]:
    numbers: Counter[str] = Counter()
    out = []
    for one, classes in zip(chosen, entries, strict=True):
        numbers[one.study.uid] += 1
        files = [instance.file for volume in one.channels for instance in volume.files]
        files += [instance.file for instance in drawings.on(one.channels[0])]
        name = f"{one.study.name}, image {numbers[one.study.uid]}"
        out.append(Item(name, one.study.subject, tuple(dict.fromkeys(files)), classes=dict(classes)))
    return out


def _dims(heads: Sequence[Header]) -> int:
    dims = {len(head.size) for head in heads}
    if len(dims) > 1:
        raise UnderstudyError(
            "some cases are 2D pictures (or single slices) and others are volumes: choose one kind with --series"
        )
    return dims.pop()


def _channels(
    chosen: Sequence[StudyCase], heads: dict[int, Header], wanted: Collection[str], names: tuple[str, ...]
) -> tuple[str, ...]:
    """Names of the channels: of the patterns, as told, or by the number that the files have."""
    counts = {heads[id(volume)].channels for one in chosen for volume in one.channels}
    if len(counts) > 1 or (counts != {1} and len(wanted) > 1):
        raise UnderstudyError("colour and grey series are mixed, and a cohort has one kind: choose with --series")
    n = counts.pop()
    if n == 1 and wanted:
        return tuple(wanted)
    if names and len(names) != n:
        raise UsageError(f"--channels names {len(names)} channel(s), and the images have {n}: name {n}")
    return names or DEFAULT_NAMES[n]


@dataclass(frozen=True)
class _Reader:
    """What reading a case needs."""

    cases: dict[str, StudyCase]
    drawings: Drawings
    scheme: LabelScheme | None
    plane: str
    dtype: str
    options: DicomOptions


def read_study(item: Item, reader: _Reader) -> Iterator[Reading]:
    """Read one case: its channels on the grid of the first, and its label map; UnderstudyError where it is damaged."""
    case = reader.cases[item.name]
    first = decoded(case.channels[0])
    arrays, remarks = [first.array], list(first.remarks)
    for volume in case.channels[1:]:
        other, moved = _on_first(decoded(volume), case.channels[0], reader.options.same_grid)
        arrays.append(other.array)
        remarks += [*other.remarks, *([RESAMPLED] if moved else [])]
    joined = np.concatenate([array.astype(reader.dtype, copy=False) for array in arrays])
    image = replace(first, array=joined).turned(reader.plane)
    labels = None
    if reader.scheme is not None:
        drawn, said = reader.drawings.drawn(case.channels[0], reader.options.overlap)
        remarks += said
        turned = DecodedFile(drawn, affine=first.affine).turned(reader.plane)
        labels = mapped(reader.scheme, turned.array[0], item.name)
    told, axes = tuple(dict.fromkeys(remarks)), axis_codes(first.affine)
    yield Reading(image.array, labels, image.spacing_mm, image.affine, remarks=told, stored_axes=axes)


def _on_first(other: DecodedFile, first: Volume, same_grid: bool) -> tuple[DecodedFile, bool]:
    """Another series on the grid of the first, and whether it had to be resampled."""
    grid = first.grid
    if same_grid or grid is None or other.affine is None:
        return other, False
    if other.array.shape[1:] == grid.size and np.allclose(other.affine, grid.affine, atol=1e-3):
        return other, False
    array = onto_grid(other.array, other.affine, grid, 1, float(other.array.min()))
    return replace(other, array=array, affine=grid.affine), True


def fits(files: Sequence[Path]) -> bool:
    """Tell whether most of the first files are DICOM."""
    first = [file for file in files[:50] if file.is_file()]
    return 2 * sum(map(is_dicom, first)) > len(first)


SOURCE = Source(
    "DICOM studies: CT, MR, x-rays, with SEG or RTSTRUCT label maps or classes of a CSV table",
    listing,
    DicomOptions,
    (
        "understudy import dicom STUDIES --series 'ct=CT' --labels seg --skip-unfit --out mine",
        "understudy import dicom DX --table labels.csv --match patient --classes ill --size 64 --out xrays",
    ),
    fits=fits,
)
