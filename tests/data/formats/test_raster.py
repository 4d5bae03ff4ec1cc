"""PNG, JPEG, BMP, WEBP: what the header says is what is read; what is broken says so, in every format."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.formats.picture import OPAQUE, PROFILE, TURNED

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_depth_and_channel_count_keeps_its_bits(
    tmp_path: Path, write_png: Callable[..., None], bits: int, channels: int
) -> None:
    array = RANDOM.integers(0, 2**bits, (9, 7, channels))
    if channels in (2, 4):
        array[..., -1] = 2**bits - 1
    write_png(tmp_path / "a.png", array, bits, (0, 1, 2, 3, 4))
    head, found = formats.header(tmp_path / "a.png"), formats.image(tmp_path / "a.png")
    colours = channels - (channels in (2, 4))
    assert found.array.dtype == f"uint{bits}"
    assert (head.channels, head.size, head.dtype) == (colours, (9, 7), found.array.dtype.name)
    assert np.array_equal(found.array, np.moveaxis(array[..., :colours], -1, 0))
    assert found.remarks == ((OPAQUE,) if channels in (2, 4) else ())


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_alpha_that_varies_is_refused(tmp_path: Path, write_png: Callable[..., None], bits: int, channels: int) -> None:
    array = np.full((9, 7, channels), 2**bits - 1)
    write_png(tmp_path / "a.png", array, bits)
    assert (formats.labels(tmp_path / "a.png").array == 2**bits - 1).all()
    array[4, 4, -1] -= 1
    write_png(tmp_path / "a.png", array, bits)
    assert formats.header(tmp_path / "a.png").channels == channels - 1
    for read in (formats.image, formats.labels):
        with pytest.raises(UnderstudyError, match="its last channel"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_colour_that_is_see_through(tmp_path: Path, write_png: Callable[..., None], bits: int) -> None:
    """Label maps keep their numbers; an image that has the colour is refused."""
    array = RANDOM.integers(0, 2, (9, 7, 1))
    for key, allowed in ((1, False), (2**bits - 1 if bits > 1 else 7, True)):
        body = b"tRNS" + struct.pack(">H", key)
        write_png(
            tmp_path / "a.png", array, bits, more=struct.pack(">I", 2) + body + struct.pack(">I", zlib.crc32(body))
        )
        assert np.array_equal(formats.labels(tmp_path / "a.png").array, array[..., 0])
        if allowed:
            assert formats.image(tmp_path / "a.png").remarks == (OPAQUE,)
        else:
            with pytest.raises(UnderstudyError, match="alpha"):
                formats.image(tmp_path / "a.png")
    if bits >= 8:
        body = b"tRNS" + struct.pack(">3H", 1, 2, 3)
        chunk = struct.pack(">I", 6) + body + struct.pack(">I", zlib.crc32(body))
        for colour in ((1, 2, 3), (1, 2, 4)):
            write_png(tmp_path / "a.png", np.full((4, 4, 3), colour), bits, more=chunk)
            if colour[2] == 4:
                assert formats.image(tmp_path / "a.png").array.shape == (3, 4, 4)
            else:
                with pytest.raises(UnderstudyError, match="alpha"):
                    formats.image(tmp_path / "a.png")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_numbers_in_label_maps_and_stretched_in_images(
    tmp_path: Path, write_png: Callable[..., None], bits: int
) -> None:
    array = RANDOM.integers(0, 2**bits, (9, 7, 1))
    write_png(tmp_path / "a.png", array, bits)
    assert np.array_equal(formats.labels(tmp_path / "a.png").array, array[..., 0])
    assert np.array_equal(formats.image(tmp_path / "a.png").array[0], array[..., 0] * (255 // (2**bits - 1)))


@pytest.mark.parametrize("ending", ["png", "bmp"])
def test_a_palette_keeps_indices_in_label_maps_and_gives_colours_in_images(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"a.{ending}"
    array = RANDOM.integers(0, 3, (9, 7)).astype(np.uint8)
    array[array == 2] = 3
    picture = Image.fromarray(array)
    picture = Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 8, 7])
    picture.save(file)
    found = formats.labels(file)
    assert np.array_equal(found.array, array)
    assert found.colours == {0: (0, 0, 0), 1: (255, 0, 0), 3: (9, 8, 7)}
    image = formats.image(file).array
    assert image.shape == (3, 9, 7)
    assert np.array_equal(image[:, array == 3][:, 0], [9, 8, 7])


def test_a_palette_with_alpha(tmp_path: Path) -> None:
    picture = Image.frombytes("P", (2, 2), bytes([0, 1, 1, 2]))
    picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    picture.save(tmp_path / "a.png", transparency=b"\x00\xff\xff")
    found = formats.labels(tmp_path / "a.png")
    assert found.array.tolist() == [[0, 1], [1, 2]]
    assert found.colours == {0: (0, 0, 0), 1: (255, 0, 0), 2: (0, 255, 0)}
    with pytest.raises(UnderstudyError, match="a colour of its palette"):
        formats.image(tmp_path / "a.png")
    picture.save(tmp_path / "a.png", transparency=b"\xff\xff\xff\x00")
    assert formats.image(tmp_path / "a.png").remarks == (OPAQUE,)


def test_a_deep_grey_label_map(tmp_path: Path, write_png: Callable[..., None]) -> None:
    write_png(tmp_path / "a.png", np.array([[[0], [300]]]), 16)
    assert formats.labels(tmp_path / "a.png").array.tolist() == [[0, 300]]


def test_a_label_map_stored_as_equal_colours(tmp_path: Path, write_png: Callable[..., None]) -> None:
    grey = RANDOM.integers(0, 2, (9, 7, 1)).repeat(3, 2)
    write_png(tmp_path / "a.png", grey, 8)
    write_png(tmp_path / "b.png", grey * 1000, 16)
    assert np.array_equal(formats.labels(tmp_path / "a.png").array, grey[..., 0])
    assert np.array_equal(formats.labels(tmp_path / "b.png").array, grey[..., 0] * 1000)
    grey[0, 0, 1] ^= 1
    write_png(tmp_path / "a.png", grey, 8)
    with pytest.raises(UnderstudyError, match="channels that differ"):
        formats.labels(tmp_path / "a.png")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "deep.png", "late.png", "raw.png"])
def test_orientation(tmp_path: Path, write_png: Callable[..., None], name: str, orientation: int) -> None:
    """Pixels and size are turned as Pillow turns them, wherever the orientation stands."""
    file, exif = tmp_path / name, Image.Exif()
    exif[274] = orientation
    colour = np.stack([np.add.outer(np.arange(24) * 5, np.arange(40) * k) for k in (1, 2, 3)], -1).astype(np.uint8)
    if name in ("deep.png", "late.png"):
        body = b"eXIf" + exif.tobytes()[6:]
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        write_png(file, colour.astype(int) * 256, 16 if name == "deep.png" else 8, more=chunk)
        if name == "late.png":
            write_png(file, colour, 8)
            file.write_bytes(file.read_bytes()[:-12] + chunk + file.read_bytes()[-12:])
    elif name == "raw.png":  # as ImageMagick wrote it before there was a chunk for it
        text = PngInfo()
        hexed = exif.tobytes().hex()
        text.add_text("Raw profile type exif", f"\nexif\n{len(hexed) // 2:8d}\n{hexed}\n", zip=True)
        Image.fromarray(colour).save(file, pnginfo=text)
    else:
        Image.fromarray(colour).save(file, exif=exif, **({"lossless": True} if name == "a.webp" else {}))
    with Image.open(file) as shown:
        expected = np.moveaxis(np.asarray(ImageOps.exif_transpose(shown)), -1, 0)
    found = formats.image(file)
    assert np.array_equal(found.array // 256 if name == "deep.png" else found.array, expected)
    assert formats.header(file).size == found.array.shape[1:] == ((40, 24) if orientation > 4 else (24, 40))
    assert (TURNED in found.remarks) == (orientation > 1)


def test_damaged_exif_is_refused_for_what_it_is(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(20))
    with pytest.raises(UnderstudyError, match="EXIF data that cannot be read .*which way up"):
        formats.header(tmp_path / "a.jpg")


def test_a_label_map_is_turned_too(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    array = RANDOM.integers(0, 3, (9, 7)).astype(np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png", exif=exif)
    found = formats.labels(tmp_path / "a.png")
    assert np.array_equal(found.array, np.rot90(array, -1))
    assert found.remarks == (TURNED,)


@pytest.mark.parametrize(("name", "options"), [
    ("a.bmp", {}), ("a.webp", {"lossless": True}), ("a.webp", {"lossless": True, "exact": True}), ("a.png", {}),
])  # fmt: skip
@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_lossless_formats_keep_every_bit(tmp_path: Path, name: str, options: dict[str, bool], mode: str) -> None:
    picture = Image.fromarray(RANDOM.integers(0, 256, (9, 7, 3)).astype(np.uint8)).convert(mode)
    picture.save(tmp_path / name, **options)
    expected = np.asarray(picture.convert("RGB" if name == "a.webp" or mode == "RGB" else "L"))
    head, image = formats.header(tmp_path / name), formats.image(tmp_path / name).array
    assert np.array_equal(image, np.moveaxis(expected, -1, 0) if expected.ndim == 3 else expected[None])
    assert (head.channels, head.size, head.dtype) == (len(image), (9, 7), "uint8")
    if mode != "RGB":
        numbers = np.asarray(picture)
        assert np.array_equal(
            formats.labels(tmp_path / name).array, numbers * (255 if name == "a.webp" and mode == "1" else 1)
        )


def test_alpha_in_webp_and_bmp(tmp_path: Path) -> None:
    picture = Image.fromarray(RANDOM.integers(0, 256, (9, 7, 3)).astype(np.uint8)).convert("RGBA")
    for name in ("a.webp", "b.png"):
        picture.putpixel((2, 3), (9, 9, 9, 255))
        picture.save(tmp_path / name, lossless=True)
        assert formats.header(tmp_path / name).channels == len(formats.image(tmp_path / name).array) == 3
        picture.putpixel((2, 3), (9, 9, 9, 100))
        picture.save(tmp_path / name, lossless=True)
        with pytest.raises(UnderstudyError, match="alpha"):
            formats.image(tmp_path / name)


@pytest.mark.parametrize(("name", "kind"), [
    ("a.jpg", "JPEG"), ("a.jpe", "JPEG"), ("a.jfif", "JPEG"), ("a.JPEG", "JPEG"), ("a.png", "JPEG"), ("a.webp", "WEBP"),
])  # fmt: skip
def test_lossy_label_maps_are_refused_and_images_are_read(tmp_path: Path, name: str, kind: str) -> None:
    """The content counts, not the name."""
    Image.new("L", (16, 8), 77).save(tmp_path / name, kind)
    assert np.abs(formats.image(tmp_path / name).array.astype(int) - 77).max() <= 2
    assert formats.header(tmp_path / name).size == (8, 16)
    with pytest.raises(UnderstudyError, match=f"{kind} is lossy and changes label values"):
        formats.labels(tmp_path / name)


def test_a_deep_png_under_another_name_keeps_its_bits(tmp_path: Path, write_png: Callable[..., None]) -> None:
    array = RANDOM.integers(0, 65536, (9, 7, 3))
    write_png(tmp_path / "a.jpg", array, 16)
    assert np.array_equal(formats.image(tmp_path / "a.jpg").array, np.moveaxis(array, -1, 0))


def test_profiles_are_told_for_images(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.webp"):
        Image.new("RGB", (8, 8)).save(tmp_path / name, icc_profile=b"Display P3" * 20)
        assert formats.image(tmp_path / name).remarks == (PROFILE,)
    assert formats.labels(tmp_path / "a.png").remarks == ()


def test_several_pictures(tmp_path: Path) -> None:
    """Animations are refused; of the pictures that a phone writes into one JPEG, the first is the photograph."""
    first, more = Image.new("RGB", (8, 8), (200, 0, 0)), [Image.new("RGB", (8, 8), (0, 0, 200))]
    for name in ("a.png", "a.webp"):
        first.save(tmp_path / name, save_all=True, append_images=more)
        with pytest.raises(UnderstudyError, match="frames"):
            formats.header(tmp_path / name)
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=more)
    assert formats.image(tmp_path / "a.jpg").array[0].min() > 190


def test_kinds_of_jpeg_that_are_not_read_are_named(tmp_path: Path) -> None:
    Image.new("CMYK", (8, 8)).save(tmp_path / "a.jpg")
    with pytest.raises(UnderstudyError, match="ink colours"):
        formats.header(tmp_path / "a.jpg")
    Image.new("L", (8, 8)).save(tmp_path / "a.jpg")
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    content[content.index(b"\xff\xc0") + 4] = 12
    (tmp_path / "a.jpg").write_bytes(bytes(content))
    with pytest.raises(UnderstudyError, match="JPEG of 12 bits"):
        formats.header(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["a.png", "deep.png", "a.jpg", "a.tif"])
@pytest.mark.parametrize("keep", [0, 5, 30, 0.4, 0.8])
def test_what_is_cut_short_is_refused(tmp_path: Path, write_png: Callable[..., None], name: str, keep: float) -> None:
    file = tmp_path / name
    array = RANDOM.integers(0, 255, (40, 30, 3)).astype(np.uint8)
    if name == "deep.png":
        write_png(file, array.astype(int) * 256, 16)
    else:
        Image.fromarray(array).save(file)
    content = file.read_bytes()
    file.write_bytes(content[: keep if isinstance(keep, int) else int(keep * len(content))])
    with pytest.raises(UnderstudyError, match="cannot be read as one"):
        formats.image(file)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.nii", "a.nii.gz"])
def test_text_under_a_picture_s_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("a text, and a long one, that is neither a picture nor a volume. " * 20)
    for read in (formats.header, formats.image, formats.labels):
        with pytest.raises(UnderstudyError, match="cannot be read as one"):
            read(tmp_path / name)


def test_an_unknown_ending(tmp_path: Path) -> None:
    (tmp_path / "a.gif").write_bytes(b"GIF89a")
    with pytest.raises(UnderstudyError, match="is of a kind that is not read"):
        formats.image(tmp_path / "a.gif")
    assert formats.stem(Path("x/a.nii.gz")) == "x/a"
    assert formats.stem(Path("x/a.b.PNG")) == "x/a.b"
