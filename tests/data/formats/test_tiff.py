"""TIFF: the tags say what pixels mean; Pillow and tifffile are asked what they read."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.formats.picture import OPAQUE, PROFILE, TURNED
from understudy.data.formats.tiff import INVERTED, SMALLER, UNSURE

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (9, 7)).astype(np.uint8)
COLOUR = RANDOM.integers(0, 256, (9, 7, 3)).astype(np.uint8)
SMOOTH = np.stack([np.add.outer(np.arange(40) * 3, np.arange(56) * k) % 250 // 2 + 60 for k in (1, 2, 2)], -1).astype(
    "u1"
)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(("shape", "dtype", "stored"), [
    ((9, 7), "uint8", "uint8"), ((9, 7), "int16", "int16"), ((9, 7), "uint16", "uint16"),
    ((9, 7), "float32", "float32"),
    ((9, 7, 3), "uint8", "uint8"), ((9, 7, 3), "uint16", "uint16"), ((9, 7, 4), "uint16", "uint16"),
    ((9, 7, 3), "float32", "float32"), ((9, 7), "int32", "float32"), ((9, 7), "float64", "float32"),
])  # fmt: skip
def test_tiff(tmp_path: Path, shape: tuple[int, ...], dtype: str, stored: str, compression: str | None) -> None:
    array = (RANDOM.random(shape) * 200).astype(dtype)
    photometric = "rgb" if shape[2:] == (3,) else "minisblack"
    layout = {"planarconfig": "contig"} if len(shape) == 3 else {}
    tifffile.imwrite(tmp_path / "a.tif", array, compression=compression, photometric=photometric, **layout)
    head, image = formats.header(tmp_path / "a.tif"), formats.image(tmp_path / "a.tif").array
    assert (head.channels, head.size, head.dtype) == (image.shape[0], (9, 7), stored)
    assert image.dtype == stored
    expected = array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)
    assert np.array_equal(image, expected.astype(stored))
    assert formats.image(tmp_path / "a.tif").remarks == ()


BYTES = None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"
MODES = "1", "L", "RGB", "P", "RGBA", "LA", "I;16", "F", "I"


@pytest.mark.parametrize(
    ("mode", "compression"),
    [*((m, c) for m in MODES for c in BYTES), ("1", "group4"), ("L", "jpeg"), ("RGB", "jpeg")],
)
def test_what_pillow_writes_is_read_as_pillow_shows_it(tmp_path: Path, mode: str, compression: str | None) -> None:
    file = tmp_path / "a.tif"
    picture = Image.fromarray(GREY.astype(np.uint16)) if mode == "I;16" else Image.fromarray(COLOUR).convert(mode)
    picture.save(file, compression=compression)
    with Image.open(file) as shown:
        shown = shown.convert("RGB") if mode in ("P", "RGBA") else shown.convert("L") if mode in ("LA", "1") else shown
        expected = np.asarray(shown)
    found = formats.image(file)
    assert np.array_equal(found.array, expected[None] if expected.ndim == 2 else np.moveaxis(expected, -1, 0))
    assert (OPAQUE in found.remarks) == (mode in ("RGBA", "LA"))
    assert formats.header(file).channels == len(found.array)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("compression", ["none", "zlib", "tiff_lzw", "jpeg", "group4"])
def test_orientation_is_applied_under_every_compression(tmp_path: Path, compression: str, orientation: int) -> None:
    file = tmp_path / "a.tif"
    stored = GREY > 99 if compression == "group4" else SMOOTH if compression == "jpeg" else GREY
    if compression in ("none", "zlib"):
        kind = compression.replace("none", "") or None
        tifffile.imwrite(file, stored, compression=kind, extratags=[(274, 3, 1, orientation, True)])
    else:
        Image.fromarray(stored).save(file, compression=compression, tiffinfo={274: orientation})
    with Image.open(file) as shown:
        expected = np.asarray(shown)
    if compression == "none":  # which Pillow 13 does not turn right
        shown = Image.fromarray(stored)
        shown.getexif()[274] = orientation
        expected = np.asarray(ImageOps.exif_transpose(shown))
    found, head = formats.image(file), formats.header(file)
    image = np.moveaxis(found.array, 0, -1) if compression == "jpeg" else found.array[0]
    assert np.array_equal(image, expected * np.uint8(255) if expected.dtype == bool else expected)
    assert head.size == found.array.shape[1:] == expected.shape[:2]
    assert (TURNED in found.remarks) == (orientation > 1)
    if compression != "jpeg":
        assert np.array_equal(formats.labels(file).array, expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32"])
def test_min_is_white(tmp_path: Path, dtype: str) -> None:
    array = RANDOM.integers(0, 200, (9, 7)).astype(dtype)
    tifffile.imwrite(tmp_path / "a.tif", np.iinfo(dtype).max - array, photometric="miniswhite", compression="zlib")
    found = formats.image(tmp_path / "a.tif")
    assert np.array_equal(found.array[0], array)
    assert found.remarks == (INVERTED,)
    assert np.array_equal(formats.labels(tmp_path / "a.tif").array, array)


def test_min_is_white_of_tifffile_s_own_making_is_told(tmp_path: Path) -> None:
    """tifffile marks boolean arrays so and does not turn them: what the two values are is not known."""
    mask = GREY > 128
    tifffile.imwrite(tmp_path / "a.tif", mask)
    found = formats.labels(tmp_path / "a.tif")
    assert np.array_equal(found.array, mask)
    assert found.remarks == (UNSURE,)
    tifffile.imwrite(tmp_path / "b.tif", ~mask, photometric="miniswhite", software="another")
    assert np.array_equal(formats.labels(tmp_path / "b.tif").array, mask)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", "<>")
def test_palette(tmp_path: Path, bits: int, order: str) -> None:
    indices = RANDOM.integers(0, 4, (9, 7)).astype(f"uint{bits}")
    table = RANDOM.integers(0, 65536, (3, 2**bits)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", indices, photometric="palette", colormap=table, byteorder=order)
    found = formats.labels(tmp_path / "a.tif")
    assert np.array_equal(found.array, indices)
    assert found.colours == {int(v): tuple(int(c) >> 8 for c in table[:, v]) for v in np.unique(indices)}
    assert np.array_equal(formats.image(tmp_path / "a.tif").array, (table[:, indices] >> 8).astype(np.uint8))
    assert formats.header(tmp_path / "a.tif").channels == 3


def test_alpha_is_left_out_where_opaque_and_refused_otherwise(tmp_path: Path) -> None:
    for dtype in (np.uint8, np.uint16):
        full = np.full((9, 7, 1), np.iinfo(dtype).max, dtype)
        for colour in (COLOUR.astype(dtype), GREY[..., None].astype(dtype)):
            photometric = "rgb" if colour.shape[-1] == 3 else "minisblack"
            array = np.concatenate([colour, full], -1)
            for alpha in ("unassalpha", "assocalpha"):
                layout = {"photometric": photometric, "planarconfig": "contig", "extrasamples": [alpha]}
                tifffile.imwrite(tmp_path / "a.tif", array, **layout)
                found = formats.image(tmp_path / "a.tif")
                assert np.array_equal(found.array, np.moveaxis(colour, -1, 0))
                assert found.remarks == (OPAQUE,)
                array[3, 3, -1] = 7
                tifffile.imwrite(tmp_path / "a.tif", array, **layout)
                for read in (formats.image, formats.labels):
                    with pytest.raises(UnderstudyError, match="alpha"):
                        read(tmp_path / "a.tif")
                array[3, 3, -1] = np.iinfo(dtype).max


def test_jpeg_is_an_image_and_never_a_label_map(tmp_path: Path) -> None:
    for array in (SMOOTH, SMOOTH[..., 0]):
        Image.fromarray(array).save(tmp_path / "a.tif", compression="jpeg", quality=95)
        image = formats.image(tmp_path / "a.tif").array
        assert np.abs(np.moveaxis(image, 0, -1).squeeze() - array.astype(int)).mean() < 4
        with pytest.raises(UnderstudyError, match="JPEG is lossy"):
            formats.labels(tmp_path / "a.tif")


def test_smaller_copies_are_no_pages(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(GREY[::2, ::2], subfiletype=1, photometric="minisblack")
        writer.write(GREY, photometric="minisblack", subifds=1)
        writer.write(GREY[::2, ::2], photometric="minisblack")
    found = formats.image(tmp_path / "a.tif")
    assert np.array_equal(found.array[0], GREY)
    assert found.remarks == (SMALLER,)
    assert formats.header(tmp_path / "a.tif").size == (9, 7)


def test_a_colour_profile_is_told(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.tif", icc_profile=b"Adobe RGB (1998)" * 10)
    assert formats.image(tmp_path / "a.tif").remarks == (PROFILE,)
    Image.fromarray(COLOUR).save(tmp_path / "a.tif", icc_profile=b"sRGB IEC61966-2.1" * 10)
    assert formats.image(tmp_path / "a.tif").remarks == ()


@pytest.mark.parametrize(("mode", "named"), [("CMYK", "SEPARATED"), ("LAB", "CIELAB"), ("YCbCr", "YCBCR")])
def test_other_colours_are_refused_by_name(tmp_path: Path, mode: str, named: str) -> None:
    for compression in (None, "tiff_lzw"):
        Image.new(mode, (7, 9)).save(tmp_path / "a.tif", compression=compression)
        with pytest.raises(UnderstudyError, match=named):
            formats.header(tmp_path / "a.tif")


def test_numbers_that_are_not_kept_exactly_are_refused(tmp_path: Path) -> None:
    for dtype in ("int32", "uint32", "int64", "uint64"):
        tifffile.imwrite(tmp_path / "a.tif", np.full((9, 7), 2**24, dtype))
        assert formats.image(tmp_path / "a.tif").array.max() == 2**24
        tifffile.imwrite(tmp_path / "a.tif", np.full((9, 7), 2**24 + 1, dtype))
        assert (formats.labels(tmp_path / "a.tif").array == 2**24 + 1).all()
        with pytest.raises(UnderstudyError, match="16,777,216"):
            formats.image(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", np.full((9, 7), 1e300))
    with pytest.raises(UnderstudyError, match="3.4e38"):
        formats.image(tmp_path / "a.tif")


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}, {"truncate": True}])
def test_tiff_of_several_pages_is_refused(tmp_path: Path, options: dict[str, object]) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 9, 7), np.uint8), photometric="minisblack", **options)
    with pytest.raises(UnderstudyError, match="has 5 pages"):
        formats.header(tmp_path / "a.tif")


def test_planes_behind_one_page_are_refused(tmp_path: Path) -> None:
    """As ImageJ writes large stacks, and MetaMorph all."""
    tifffile.imwrite(tmp_path / "a.tif", GREY, description="ImageJ=1.54f\nimages=30\nslices=30\n", metadata=None)
    with pytest.raises(UnderstudyError, match="has 30 pages"):
        formats.header(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "a.tif", GREY, extratags=[(33629, 5, 4, (1, 1) * 4, True)])
    with pytest.raises(UnderstudyError, match="has 4 pages"):
        formats.header(tmp_path / "a.tif")


def test_samples_of_different_types_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", COLOUR.view(np.int8), photometric="rgb")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as tiff:
        tiff.pages[0].tags[339].overwrite((2, 1, 2))
    with pytest.raises(UnderstudyError, match="a.tif"):
        formats.header(tmp_path / "a.tif")
