"""MetaImage (.mha, .mhd and its data file) and NRRD (.nrrd, .nhdr), 2D and 3D, through SimpleITK, the extra ``itk``.

The text header is checked first (metaimage.py, nrrd.py), and what SimpleITK makes of it must be the same. Volumes are
placed as ITK has it, turned from left, posterior, superior to right, anterior, superior; a NRRD file without a space
named after the body, and a MetaImage without matrix and offset, do not say where they lie. A 2D file is a picture: rows
down, columns right, with its spacing. Several numbers for a voxel are channels.
**Differs** from SimpleITK: units of length are converted to mm, scaled values and odd kinds of values are refused,
checksums are checked, and data files are looked for beside the header only.
**Checked** in tests/data/formats/test_itk.py (equal to SimpleITK in 48 orientations, types, compressions) and
test_hostile_volumes.py.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.formats.decoded import ALPHA, DecodedFile, Header, as_kept, storable, unreadable, without_alpha
from understudy.data.formats.metaimage import metaimage_header
from understudy.data.formats.nrrd import KIND as NRRD
from understudy.data.formats.nrrd import nrrd_header
from understudy.data.formats.stderr import kept_from_screen
from understudy.data.formats.text_header import TextHeader, refuse_damaged
from understudy.data.geometry import LPS_TO_RAS, sheared, sound

LONGEST = 2**20  # bytes of a text header
ENDINGS = (".mha", ".mhd", ".nrrd", ".nhdr")
TURNED_PICTURE = "2D pictures name a direction of their axes, which is not applied"


def header(file: Path) -> Header:
    """Return channels, stored size, type and affine, without the voxels."""
    found = _told(file)
    kept, channels = storable(np.dtype(found.text.dtype)), 3 if found.text.alpha else found.text.channels
    source = found.text.dtype if found.text.dtype != kept else ""
    return Header(channels, found.stored, kept, found.affine, found.text.placed, source)


def image(file: Path) -> DecodedFile:
    """Read an image (C, *S): uint8, int16, uint16 or float32; UnderstudyError if broken or of another kind."""
    found, array, remarks = _read(file)
    if found.text.alpha:
        array, remarks = without_alpha(array, file), (*remarks, ALPHA)
    return DecodedFile(as_kept(array, file), found.spacing, found.affine, found.text.placed, remarks)


def labels(file: Path) -> DecodedFile:
    """Read a label map as (1, *S) with the numbers that the file stores."""
    found, array, remarks = _read(file, most=1)
    return DecodedFile(array, found.spacing, found.affine, found.text.placed, remarks)


def data_file(file: Path) -> Path | None:
    """Return the file beside a header that holds its voxels, or None where there is none.

    None for files of other endings, and for headers that cannot be read, which reading them tells.
    """
    if not file.name.lower().endswith(ENDINGS) or not file.is_file():
        return None
    try:
        found = _text(file).data
    except UnderstudyError:
        return None
    return None if found == file else found


@dataclass(frozen=True)
class _Told:
    """A checked text header, and the geometry that SimpleITK reads out of the file."""

    text: TextHeader
    stored: tuple[int, ...]  # (H, W) of a picture, (I, J, K) of a volume
    affine: np.ndarray | None
    spacing: tuple[float, ...] | None  # of a picture
    remarks: tuple[str, ...]


def _text(file: Path) -> TextHeader:
    """The checked text header: NRRD or MetaImage by the first bytes."""
    with file.open("rb") as stream:
        start = stream.read(LONGEST)
    return nrrd_header(start, file) if start[:4] == b"NRRD" else metaimage_header(start, file)


def _told(file: Path) -> _Told:
    sitk, text = _simple_itk(), _text(file)
    try:
        with kept_from_screen():
            reader = _reader(sitk, text, file)
            reader.ReadImageInformation()
            _refuse_other(sitk, reader, text, file)
            n = reader.GetDimension()
            spacing, origin = np.array(reader.GetSpacing()), np.array(reader.GetOrigin())
            direction = np.array(reader.GetDirection()).reshape(n, n)
    except (RuntimeError, ValueError, TypeError, OverflowError) as error:
        raise unreadable(file, text.kind, _reason(error)) from error
    n = min(n, 3)
    affine = np.eye(4)
    affine[:n, :n], affine[:n, 3] = (direction * spacing)[:n, :n] * text.factor, origin[:n] * text.factor
    if not sound(affine):
        raise UnderstudyError(f"{file} has axes that cannot be inverted, or voxel sizes that cannot be: repair it")
    if n == 3:
        return _Told(text, text.size, LPS_TO_RAS @ affine, None, text.remarks + sheared(affine))
    turned = np.abs(direction - np.eye(2)).max() > 1e-6
    steps = tuple(float(step) for step in np.sqrt((affine[:2, :2] ** 2).sum(0))[::-1])
    return _Told(text, text.size[::-1], None, steps, text.remarks + ((TURNED_PICTURE,) if turned else ()))


def _read(file: Path, most: int | None = None) -> tuple[_Told, np.ndarray, tuple[str, ...]]:
    """Read voxels (C, *S) on the stored axes, in the file's type."""
    found = _told(file)
    if most is not None and found.text.channels > most:
        raise UnderstudyError(
            f"{file} has {found.text.channels} channels, and a label map has one: give one class number per voxel"
        )
    remarks = found.remarks + refuse_damaged(found.text, file)
    sitk = _simple_itk()
    try:
        with kept_from_screen():
            array = sitk.GetArrayFromImage(_reader(sitk, found.text, file).Execute())
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise unreadable(file, found.text.kind, _reason(error)) from error
    array = array.reshape(*found.text.size[::-1], found.text.channels)  # slowest axis first, channels last
    if len(found.text.size) == 2:
        return found, np.ascontiguousarray(array.transpose(2, 0, 1)), remarks
    return found, array.transpose(3, 2, 1, 0), remarks


def _simple_itk() -> Any:
    try:
        import SimpleITK
    except ImportError as error:
        raise UnderstudyError(
            "reading .mha, .mhd and .nrrd needs SimpleITK, which is not installed: pip install 'understudy[itk]'"
        ) from error
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def _reader(sitk: Any, text: TextHeader, file: Path) -> Any:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(file))
    reader.SetImageIO("NrrdImageIO" if text.kind == NRRD else "MetaImageIO")
    return reader


def _refuse_other(sitk: Any, reader: Any, text: TextHeader, file: Path) -> None:
    """Refuse a file that SimpleITK would read otherwise than its checked header says, before it allocates anything."""
    names = {"float32": "Float32", "float64": "Float64"}
    name = names.get(text.dtype, text.dtype.replace("uint", "UInt").replace("int", "Int"))
    kinds = getattr(sitk, f"sitk{name}"), getattr(sitk, f"sitkVector{name}")
    same = reader.GetSize() == text.axes and reader.GetNumberOfComponents() == text.channels
    if not same or reader.GetPixelID() not in kinds:
        raise UnderstudyError(
            f"{file} holds {sitk.GetPixelIDValueAsString(reader.GetPixelID())} numbers in "
            f"{' x '.join(map(str, reader.GetSize()))} by one reading of its header, and {text.dtype} in "
            f"{' x '.join(map(str, text.axes))} by another: save it again"
        )


def _reason(error: BaseException) -> str:
    """The last line of what ITK says, without its place in ITK's sources and in memory."""
    said = str(error).strip().rpartition("\n")[2].rpartition("ERROR: ")[2]
    return re.sub(r"\(0x[0-9a-f]+\)", "", said)[:160] or type(error).__name__
