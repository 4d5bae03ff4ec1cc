"""Pixels: stored numbers become values as the header says, whatever the photometric interpretation and the syntax."""

import io
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRBigEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.instance import read
from understudy.data.dicom.pixels import ABOVE, COLOURS, INVERTED, decoded, value_type, volume_header
from understudy.data.dicom.series import Volume, volumes
from understudy.data.formats.decoded import DecodedFile

RANDOM = np.random.default_rng(0)


def volume_of(file: Path) -> Volume:
    (found,), _ = volumes([read(file, "it")])
    return found


def values_of(file: Path, as_labels: bool = False) -> DecodedFile:
    found = volume_of(file)
    picture = decoded(found, as_labels)
    head = volume_header(found, "it")
    assert as_labels or (picture.array.dtype.name, picture.array.shape[1:]) == (head.dtype, head.stored)
    return picture


@pytest.mark.parametrize(("dtype", "elements", "kept"), [
    ("int16", {}, "int16"), ("uint16", {}, "uint16"), ("uint8", {}, "uint8"), ("int8", {}, "int16"),
    ("uint16", {"BitsStored": 12, "HighBit": 11}, "int16"), ("uint32", {}, "float32"),
    ("uint16", {"BitsStored": 12, "HighBit": 11, "RescaleSlope": 1, "RescaleIntercept": -1024}, "int16"),
    ("int16", {"RescaleSlope": 1, "RescaleIntercept": -1024}, "float32"),
    ("int16", {"RescaleSlope": 0.5, "RescaleIntercept": 0}, "float32"),
    ("uint8", {"RescaleSlope": 2, "RescaleIntercept": 0}, "int16"),
    ("uint8", {"RescaleSlope": -1, "RescaleIntercept": 255}, "uint8"),
    ("uint16", {"BitsStored": 15, "HighBit": 14, "RescaleSlope": 2, "RescaleIntercept": 1}, "uint16"),
])  # fmt: skip
def test_types_and_rescale(tmp_path: Path, made: ModuleType, dtype: str, elements: dict[str, Any], kept: str) -> None:
    bits = elements.get("BitsStored", 8 * np.dtype(dtype).itemsize)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if dtype[0] == "i" else (0, min(2**bits, 2**24))
    stored = RANDOM.integers(low, high, (6, 8)).astype(dtype)
    stored[0, :2] = low, high - 1
    picture = values_of(made.file(tmp_path / "a.dcm", stored, **elements))
    expected = stored.astype(float) * elements.get("RescaleSlope", 1) + elements.get("RescaleIntercept", 0)
    assert picture.array.dtype.name == kept
    assert np.array_equal(picture.array[0, :, :, 0].T, expected.astype(kept))
    assert picture.remarks == ()


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, JPEGLSLossless, ExplicitVRBigEndian])
@pytest.mark.parametrize("colour", [False, True])
def test_syntaxes_are_one(tmp_path: Path, made: ModuleType, syntax: str, colour: bool) -> None:
    stored = RANDOM.integers(0, 255, (40, 30, 3) if colour else (40, 30)).astype(np.uint8 if colour else np.uint16)
    data = made.dataset(stored)
    if syntax == ExplicitVRBigEndian:
        data.file_meta.TransferSyntaxUID = syntax
        data.PixelData = stored.astype(stored.dtype.newbyteorder(">")).tobytes()
    elif syntax == RLELossless:
        data.compress(syntax)
    elif syntax == JPEG2000Lossless:
        stream = io.BytesIO()
        Image.fromarray(stored).save(stream, "JPEG2000", irreversible=False, no_jp2=True, mct=0)
        data.file_meta.TransferSyntaxUID, data.PixelData = syntax, encapsulate([stream.getvalue()])
        data["PixelData"].VR = "OB"
    else:
        pytest.importorskip("jpeg_ls")
        data.compress(syntax)
    picture = values_of(made.save(tmp_path / "a.dcm", data))
    assert np.array_equal(picture.array[..., 0].transpose(2, 1, 0).squeeze(), stored)


def test_white_is_zero_is_turned_over(tmp_path: Path, made: ModuleType) -> None:
    stored = RANDOM.integers(0, 1024, (6, 8)).astype(np.uint16)
    own = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 10, "HighBit": 9, "ImagePositionPatient": None}
    picture = values_of(made.file(tmp_path / "a.dcm", stored, **own))
    assert np.array_equal(picture.array[0], 1023 - stored) and picture.remarks == (INVERTED,)
    scaled = values_of(made.file(tmp_path / "b.dcm", stored, RescaleSlope=2, RescaleIntercept=-7, **own))
    assert np.array_equal(scaled.array[0], 2 * 1023 - 7 - 7 - (2 * stored.astype(int) - 7))
    drawn = values_of(tmp_path / "a.dcm", as_labels=True)
    assert np.array_equal(drawn.array[0], stored)


def test_bits_above_those_stored_are_no_value(tmp_path: Path, made: ModuleType) -> None:
    stored = RANDOM.integers(0, 4096, (6, 8)).astype(np.uint16)
    picture = values_of(made.file(tmp_path / "a.dcm", stored | 0x8000, BitsStored=12, HighBit=11))
    assert np.array_equal(picture.array[0, ..., 0].T, stored) and picture.remarks == (ABOVE,)
    high = values_of(made.file(tmp_path / "b.dcm", stored << 4, BitsStored=12, HighBit=15))
    assert np.array_equal(high.array[0, ..., 0].T, stored) and high.remarks == ()


def test_signed_numbers_in_few_bits(tmp_path: Path, made: ModuleType) -> None:
    stored = RANDOM.integers(-2048, 2048, (6, 8))
    packed = (stored & 0xFFF).astype(np.uint16)
    own = {"BitsStored": 12, "HighBit": 11, "PixelRepresentation": 1}
    picture = values_of(made.file(tmp_path / "a.dcm", packed, **own))
    assert np.array_equal(picture.array[0, ..., 0].T, stored) and picture.remarks == ()


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_a_modality_table(tmp_path: Path, made: ModuleType, photometric: str) -> None:
    table, stored = Dataset(), RANDOM.integers(0, 16, (6, 8)).astype(np.uint8)
    entries = (RANDOM.permutation(16) * 100 + 5).tolist()
    table.LUTDescriptor, table.LUTData, table.ModalityLUTType = [16, 0, 16], entries, "US"
    table["LUTData"].VR = table["LUTDescriptor"].VR = "US"
    own = {"PhotometricInterpretation": photometric, "BitsStored": 4, "HighBit": 3}
    picture = values_of(made.file(tmp_path / "a.dcm", stored, ModalityLUTSequence=[table], **own))
    expected = np.array(entries)[stored]
    turned = 5 + 1505 - expected if photometric == "MONOCHROME1" else expected
    assert picture.array.dtype == np.uint16 and np.array_equal(picture.array[0, ..., 0].T, turned)


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1", ExplicitVRBigEndian])
def test_palettes_are_colours_and_as_labels_indices(tmp_path: Path, made: ModuleType, syntax: str) -> None:
    stored = RANDOM.integers(0, 8, (6, 8)).astype(np.uint8)
    order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
    tables = {colour: RANDOM.integers(0, 65536, 8) for colour in ("Red", "Green", "Blue")}
    own: dict[str, Any] = {"PhotometricInterpretation": "PALETTE COLOR", "ImagePositionPatient": None}
    for colour, entries in tables.items():
        own[f"{colour}PaletteColorLookupTableDescriptor"] = [8, 0, 16]
        own[f"{colour}PaletteColorLookupTableData"] = entries.astype(order).tobytes()
    data = made.dataset(stored, syntax, **own)
    for colour in tables:
        data[f"{colour}PaletteColorLookupTableDescriptor"].VR = "US"
    file = made.save(tmp_path / "a.dcm", data)
    picture = values_of(file)
    assert np.array_equal(picture.array, np.stack([tables[c][stored] for c in tables])) and picture.remarks == (
        COLOURS,
    )
    assert np.array_equal(values_of(file, as_labels=True).array[0], stored)


def test_ybr_becomes_rgb(tmp_path: Path, made: ModuleType) -> None:
    ybr = np.full((6, 8, 3), (76, 85, 255), np.uint8)
    picture = values_of(made.file(tmp_path / "a.dcm", ybr, PhotometricInterpretation="YBR_FULL"))
    assert picture.array[:, 0, 0, 0].tolist() == [254, 0, 0] and picture.remarks == (COLOURS,)


def test_planes_of_colour(tmp_path: Path, made: ModuleType) -> None:
    stored = RANDOM.integers(0, 255, (6, 8, 3)).astype(np.uint8)
    file = made.file(tmp_path / "a.dcm", stored, PlanarConfiguration=1, ImagePositionPatient=None,
                     PixelData=np.moveaxis(stored, -1, 0).tobytes())  # fmt: skip
    assert np.array_equal(values_of(file).array, np.moveaxis(stored, -1, 0))


def test_floating_point(tmp_path: Path, made: ModuleType) -> None:
    stored = RANDOM.standard_normal((6, 8)).astype(np.float32)
    data = made.dataset(PixelData=None, BitsAllocated=32, BitsStored=None, HighBit=None, PixelRepresentation=None)
    data.add_new(0x7FE00008, "OF", stored.tobytes())
    assert np.array_equal(values_of(made.save(tmp_path / "a.dcm", data)).array[0, ..., 0].T, stored)
    stored[2, 2] = np.nan
    data[0x7FE00008].value = stored.tobytes()
    with pytest.raises(UnderstudyError, match="NaN or infinite"):
        decoded(volume_of(made.save(tmp_path / "b.dcm", data)))


def test_overlays_are_not_burnt_in(tmp_path: Path, made: ModuleType) -> None:
    stored = RANDOM.integers(0, 9, (6, 8)).astype(np.int16)
    data = made.dataset(stored)
    data.add_new(0x60000010, "US", 6)
    data.add_new(0x60000011, "US", 8)
    data.add_new(0x60003000, "OW", b"\xff" * 6)
    assert np.array_equal(values_of(made.save(tmp_path / "a.dcm", data)).array[0, ..., 0].T, stored)


def test_slices_of_different_scales_are_one_type(tmp_path: Path, made: ModuleType) -> None:
    for k in range(3):
        made.file(tmp_path / f"{k}.dcm", ImagePositionPatient=[0, 0, k], RescaleSlope=1 + k / 4, RescaleIntercept=0)
    (volume,), _ = volumes([read(file, "it") for file in sorted(tmp_path.glob("*.dcm"))])
    assert value_type(volume) == "float32"
    assert decoded(volume).array[0, 7, 5].tolist() == [47, 47 * 1.25, 47 * 1.5]


def test_frames_without_a_place_keep_their_order(tmp_path: Path, made: ModuleType) -> None:
    stored = RANDOM.integers(0, 255, (4, 6, 8)).astype(np.uint8)
    picture = values_of(made.file(tmp_path / "a.dcm", stored, NumberOfFrames=4))
    assert np.array_equal(picture.array[0], stored) and picture.affine is None and len(picture.remarks) == 1


def test_too_large(tmp_path: Path, made: ModuleType) -> None:
    found = volume_of(made.file(tmp_path / "a.dcm"))
    many = Volume(found.slices * 70_000, None)
    with pytest.raises(UnderstudyError, match="70000 x 6 x 8 x 1"):
        volume_header(many, "it")


def test_whole_numbers_that_would_be_rounded_are_refused(tmp_path: Path, made: ModuleType) -> None:
    stored = np.full((6, 8), 2**24, np.uint32)
    bits = {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31, "RescaleSlope": 1, "RescaleIntercept": 0}
    assert values_of(made.file(tmp_path / "a.dcm", stored, **bits)).array.max() == 2**24
    with pytest.raises(UnderstudyError, match="whole numbers from 16777217"):
        values_of(made.file(tmp_path / "b.dcm", stored + 1, **bits))
