"""DICOM, one file: a picture, or the frames of a multi-frame file as a volume; series are read by import dicom.

**Checked** in tests/data/formats/test_dicom.py.
"""

from pathlib import Path

from understudy.core.errors import UnderstudyError
from understudy.data.dicom import instance, kinds
from understudy.data.dicom.opening import damaged, is_dicom
from understudy.data.dicom.pixels import decoded, volume_header
from understudy.data.dicom.series import Volume, volumes
from understudy.data.formats.decoded import DecodedFile, Header


def header(file: Path) -> Header:
    """Return channels, stored size and type, without the pixels."""
    return volume_header(_volume(file), str(file))


def image(file: Path) -> DecodedFile:
    """Read an image (C, *S): uint8, int16, uint16 or float32, values of the modality transform."""
    return decoded(_bounded(file))


def labels(file: Path) -> DecodedFile:
    """Read a label map (1, *S) with the numbers that the file means: palettes give indices, nothing is turned over."""
    found = decoded(_bounded(file), as_labels=True)
    if len(found.array) != 1:
        raise UnderstudyError(f"{file} is in colour, and a label map has one channel of class numbers: save it as grey")
    return found


def _bounded(file: Path) -> Volume:
    """The volume, of a size that is read."""
    volume = _volume(file)
    volume_header(volume, str(file))
    return volume


def _volume(file: Path) -> Volume:
    if not is_dicom(file):
        raise damaged(str(file), "it does not begin as DICOM does")
    found = instance.read(file, str(file))
    if found.kind != kinds.IMAGE:
        raise UnderstudyError(f"{file} is no DICOM image; it is one of {found.kind}: remove it, or see import dicom")
    stacks, _ = volumes([found])
    if len(stacks) != 1 or stacks[0].problem:
        why = stacks[0].problem if stacks else "its slices lie in several planes"
        why = f"it holds {len(stacks)} volumes" if len(stacks) > 1 else why
        raise UnderstudyError(f"{file} is not one picture or volume ({why}): save it as one volume a file")
    return stacks[0]
