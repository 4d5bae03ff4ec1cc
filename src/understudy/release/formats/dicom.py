"""DICOM: ``dicom/case-000001/series-0/000001.dcm``, a series a channel, an instance a slice, ``labels.dcm``, a SEG.

MR and CT become MR and CT images, a DX of two dimensions a digital x-ray for presentation, everything else Secondary
Capture images with the place of their plane. Every
instance, the SEG too, says Synthetic Data (0008,001C) YES and names understudy as Synthesizing Equipment. Patients and
all UIDs follow from the id of the cohort: the same cohort gives the same bytes, no UID or date is of a source. Slices
are axial, of a patient lying supine, the first at 0; a spacing that is not known is 1 mm, and a text of the instance
says so. Images are whole numbers of 16 bits, as they are; others are refused.
**Source**: DICOM PS3.3 2024, A.3 (CT), A.4 (MR), A.8 (Secondary Capture), A.26 (DX), A.51 (SEG), C.12.1 (SOP common).
**Checked** in tests/release/formats/test_dicom.py; by dciodvfy, dcmtk, Orthanc, dcm2niix and highdicom in
benchmarks/clients (docs/clients.md).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.manifest import CohortManifest
from understudy.data.dicom.opening import pydicom, reading, with_pixels
from understudy.data.dicom.segment_frames import frames_of, kind_of, stored_frames
from understudy.data.formats import image as read_image
from understudy.release.formats.dicom_instance import SyntheticSlice, instance, uid
from understudy.release.formats.dicom_seg import highdicom, segmentation
from understudy.release.formats.read_back import (
    DESCRIPTION,
    TABLE,
    CaseFiles,
    case_name,
    read_back,
    whole_range,
    write_description,
    write_table,
)

SHORTEST, LONGEST = -(2**15), 2**16 - 1
SEG = "labels.dcm"


class DicomForm:
    """Store a cohort as DICOM studies."""

    folder = "dicom"
    suffixes = frozenset({".json", ".csv", ".dcm"})
    table = "dicom/cases.csv"
    pictures = "dicom/**/*.dcm"
    media_type = "application/dicom"
    holds = "DICOM, a study a case, a series a channel; `labels.dcm` is a SEG; `table.csv`"

    def refuse(self, cohort: Cohort) -> None:
        """Refuse label maps alone, values that 16 bits do not hold, and a missing package."""
        pydicom()
        if cohort.labels is not None:
            highdicom()
        if cohort.images is None:
            raise UsageError(
                f"a DICOM SEG is drawn on images, and {cohort.path.name} holds label maps alone: choose nifti"
            )
        _bits(cohort)

    def write(self, bundle: Path, cohort: Cohort) -> None:
        """Write a study a case, and the table, which names them by their UID."""
        folder, bits = bundle / self.folder, _bits(cohort)
        write_description(cohort, folder)
        write_table(cohort, folder, "StudyInstanceUID", [uid(cohort.id, "study", i) for i in range(len(cohort))])
        for i in range(len(cohort)):
            drawn_on = []
            for c in range(cohort.encoding.image_channels):
                series = folder / case_name(i) / f"series-{c}"
                series.mkdir(parents=True)
                for d in range(_slices(cohort.size)):
                    dataset = instance(SyntheticSlice(cohort, i, c, d, *bits))
                    dataset.save_as(series / f"{d + 1:06d}.dcm", enforce_file_format=True)
                    drawn_on += [dataset] if c == 0 else []
            if cohort.scheme is not None and len(cohort.scheme) > 1:
                segmentation(cohort, i, drawn_on).save_as(folder / case_name(i) / SEG, enforce_file_format=True)

    def names(self, cohort: Cohort) -> set[str]:
        """Return the names of the files that are written."""
        instances = product(range(cohort.encoding.image_channels), range(_slices(cohort.size)))
        of_case = {f"series-{c}/{d + 1:06d}.dcm" for c, d in instances}
        of_case |= {SEG} if cohort.scheme is not None and len(cohort.scheme) > 1 else set()
        cases = {f"{case_name(i)}/{name}" for i in range(len(cohort)) for name in of_case}
        return {f"{self.folder}/{name}" for name in (*DESCRIPTION, TABLE, *cases)}

    def files(self, bundle: Path, channels: Sequence[str], i: int) -> CaseFiles | None:
        """Return None: a case is a study of many files."""
        return None

    def read(self, bundle: Path) -> Cohort:
        """Read series and SEG back."""
        folder = bundle / self.folder

        def image(manifest: CohortManifest, i: int, c: int) -> np.ndarray:
            series = folder / case_name(i) / f"series-{c}"
            files = [series / f"{d + 1:06d}.dcm" for d in range(_slices(manifest.size))]
            planes = np.stack([read_image(file).array[0] for file in files])
            return planes if len(manifest.size) == 3 else planes[0]

        def label(manifest: CohortManifest, i: int) -> np.ndarray:
            if len(manifest.encoding.label_scheme or ()) < 2:
                return np.zeros(manifest.size, np.uint8)
            return _labels(folder / case_name(i) / SEG, manifest, i)

        return read_back(folder, image, label)


def _slices(size: tuple[int, ...]) -> int:
    return size[0] if len(size) == 3 else 1


def _bits(cohort: Cohort) -> tuple[int, bool]:
    """Return in how many bits the images are stored, and whether these are signed."""
    found = whole_range(cohort)
    if found is None or found[0] < SHORTEST or found[1] > (LONGEST if found[0] >= 0 else -SHORTEST - 1):
        values = "fractions" if found is None else f"values from {found[0]} to {found[1]}"
        raise UsageError(
            f"--format dicom holds whole numbers of 16 bits, and {cohort.path.name} has {values}: choose nifti"
        )
    return (8 if found[0] >= 0 and found[1] < 256 else 16), found[0] < 0


@contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Say of which file an error is."""
    try:
        yield
    except UnderstudyError as error:
        raise UnderstudyError(f"{file}: {error}") from error


def _labels(file: Path, manifest: CohortManifest, i: int) -> np.ndarray:
    """Put the segments of a SEG on the slices that they were drawn on."""
    depth = _slices(manifest.size)
    place = {uid(manifest.id, "instance", i, 0, d): d for d in range(depth)}
    out = np.zeros((depth, *manifest.size[-2:]), np.uint8)
    dataset = with_pixels(file, str(file))
    with _naming(file), reading(str(file), "segments"):
        frames = frames_of(dataset, kind_of(dataset))
        for number, stored in stored_frames(dataset, set(range(len(frames)))):
            frame = frames[number]
            out[place[frame.sources[0][0]]][stored > 0] = frame.segment
    return out if len(manifest.size) == 3 else out[0]


FORM = DicomForm()
