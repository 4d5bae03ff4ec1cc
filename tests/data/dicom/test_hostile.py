"""Hostile DICOM: every input ends in one sentence, or is passed over with a count; nothing large is allocated."""

import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from understudy.core.errors import UnderstudyError
from understudy.data.formats import FORMATS
from understudy.data.sources.dicom import DicomOptions, listing

MEMORY = 256 * 2**20  # most of it for what a deflated file may become
Break = Callable[[Path, ModuleType], object]


def one_sentence(error: UnderstudyError, folder: str) -> str:
    """A refusal, which is one line and names nothing of the source."""
    sentence = str(error)
    assert error.exit_code in (1, 2) and "\n" not in sentence and len(sentence) < 700
    assert "Meyer" not in sentence and "P1" not in sentence and folder not in sentence
    return sentence


def tried(folder: Path) -> str:
    """List and read a folder: the sentence of a refusal, or blank; memory stays small."""
    tracemalloc.start()
    try:
        found = listing(folder, DicomOptions())
        for item in found.items:
            for _ in found.read(item):
                pass
        return ""
    except UnderstudyError as error:
        return one_sentence(error, str(folder))
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY


def element(group: int, number: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    """One element, explicit little endian."""
    size = len(value) if length is None else length
    long = vr in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD")
    return (
        struct.pack("<HH", group, number)
        + vr
        + (struct.pack("<HI", 0, size) if long else struct.pack("<H", size))
        + value
    )


def rewritten(change: Callable[[bytes], bytes]) -> Break:
    def go(file: Path, made: ModuleType) -> None:
        made.file(file)
        file.write_bytes(change(file.read_bytes()))

    return go


def with_elements(**elements: Any) -> Break:
    return lambda file, made: made.file(file, **elements)


def raw(keyword: str, vr: str, value: bytes) -> Break:
    """One element written anew, of another VR, with these bytes."""

    def go(file: Path, made: ModuleType) -> None:
        made.file(file, **({keyword: 1} if keyword in ("RescaleSlope", "NumberOfFrames") else {}))
        content = file.read_bytes()
        tag = tag_for_keyword(keyword) or 0
        at = content.find(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)
        if at < 0:
            at = end = content.index(struct.pack("<HH", 0x7FE0, 0x10))
        else:
            end = at + 8 + struct.unpack("<H", content[at + 6 : at + 8])[0]
        file.write_bytes(content[:at] + element(tag >> 16, tag & 0xFFFF, vr.encode(), value) + content[end:])

    return go


def encapsulated(frames: list[bytes], syntax: str, **elements: Any) -> Break:
    def go(file: Path, made: ModuleType) -> None:
        data = made.dataset(np.zeros((6, 8), np.uint8), syntax, **elements)
        data.PixelData = encapsulate(frames)
        data["PixelData"].is_undefined_length = True
        made.save(file, data)

    return go


def bomb(file: Path, made: ModuleType) -> None:
    made.file(file)
    content = file.read_bytes()
    start = content.index(struct.pack("<HH", 8, 0x16))
    made.save(file, made.dataset(syntax=DeflatedExplicitVRLittleEndian))
    packed = file.read_bytes()
    length = struct.unpack("<I", packed[140:144])[0]
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = b"".join(machine.compress(bytes(2**24)) for _ in range(12)) + machine.flush()
    assert start and len(zeros) < 2**20
    file.write_bytes(packed[: 144 + length] + zeros)


def deep(undefined: bool) -> Callable[[bytes], bytes]:
    """A private sequence nested 10,000 times, before the pixels."""

    def change(content: bytes) -> bytes:
        at = content.index(struct.pack("<HH", 0x7FE0, 0x10))
        start = element(0x0040, 0x0555, b"SQ", b"", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
        end = struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0)
        nest = start * 10_000 + (end * 10_000 if undefined else b"")
        return content[:at] + nest + content[at:]

    return change


def cut_at(where: str) -> Callable[[bytes], bytes]:
    points = {
        "the preamble": 100, "the mark": 130, "the meta header": 150, "a meta value": 200, "a tag": 340, "a value": 420,
        "the middle": 600,
    }  # fmt: skip
    return lambda content: content[: points[where]]


def lying(group: int, number: int, length: bytes) -> Callable[[bytes], bytes]:
    """The length of an element replaced."""

    def change(content: bytes) -> bytes:
        at = content.index(struct.pack("<HH", group, number), 132)
        return content[: at + 6] + length + content[at + 6 + len(length) :]

    return change


JPEG = bytes.fromhex("ffd8ffc0000b08ffffffff01011100ffda0008010100003f00") + b"\x11" * 40 + b"\xff\xd9"
J2K = (
    bytes.fromhex("ff4fff510029000000100000001000000000000000000000100000001000000000000000000000010701") + b"\xff\xd9"
)
PIXELS, PLAIN = struct.pack("<HH", 0x7FE0, 0x10), b"1.2.840.10008.1.2.1\0"
BAD: dict[str, Break] = {
    **{f"cut at {where}": rewritten(cut_at(where)) for where in
       ("the preamble", "the mark", "the meta header", "a meta value", "a tag", "a value", "the middle")},
    "cut in the pixels": rewritten(lambda content: content[:-50]),
    "cut before the pixels": rewritten(lambda content: content[: content.index(PIXELS)]),
    "cut after the pixel tag": rewritten(lambda content: content[: content.index(PIXELS) + 6]),
    "no pixels": with_elements(PixelData=None),
    "empty": lambda file, made: file.write_bytes(b""),
    "zeros": lambda file, made: file.write_bytes(bytes(5000)),
    "mark only": lambda file, made: file.write_bytes(bytes(128) + b"DICM"),
    "noise after the mark": lambda file, made: file.write_bytes(
        bytes(128) + b"DICM" + np.random.default_rng(0).bytes(4000)),
    "noise after group 8": lambda file, made: file.write_bytes(
        struct.pack("<HH", 8, 5) + b"CS" + np.random.default_rng(1).bytes(4000)),
    "huge rows": with_elements(Rows=65535, Columns=65535),
    "huge frames": with_elements(NumberOfFrames=2**31 - 1),
    "many frames": with_elements(NumberOfFrames=100_000),
    "negative frames": with_elements(NumberOfFrames=-5),
    "no frames": with_elements(NumberOfFrames=0),
    "no rows": with_elements(Rows=0),
    "rows missing": with_elements(Rows=None),
    "a row too many": with_elements(Rows=7),
    "columns missing": with_elements(Columns=None),
    "no bits": with_elements(BitsAllocated=0),
    "7 bits": with_elements(BitsAllocated=7),
    "12 bits packed": with_elements(BitsAllocated=12, BitsStored=12, HighBit=11),
    "more bits stored than allocated": with_elements(BitsStored=24),
    "high bit below": with_elements(HighBit=3),
    "high bit above": with_elements(HighBit=40),
    "three samples of grey": with_elements(SamplesPerPixel=3),
    "no samples": with_elements(SamplesPerPixel=0),
    "many samples": with_elements(SamplesPerPixel=60000),
    "unknown photometric": with_elements(PhotometricInterpretation="MEYER"),
    "palette missing": with_elements(PhotometricInterpretation="PALETTE COLOR"),
    "palette of nothing": with_elements(
        PhotometricInterpretation="PALETTE COLOR", RedPaletteColorLookupTableDescriptor=[256, 0, 16]),
    "no number of rows": raw("Rows", "LO", b"Meyer "),
    "rows of one byte": raw("Rows", "US", b"\x01"),
    "rows of many": raw("Rows", "US", struct.pack("<4H", 6, 6, 6, 6)),
    "text for bits": raw("BitsAllocated", "PN", b"Meyer^Anna"),
    "slope of words": raw("RescaleSlope", "DS", b"Meyer "),
    "slope NaN": raw("RescaleSlope", "DS", b"NaN "),
    "slope infinite": raw("RescaleSlope", "DS", b"1e999 "),
    "frames of words": raw("NumberOfFrames", "IS", b"Meyer "),
    "position NaN": raw("ImagePositionPatient", "DS", b"NaN\\0\\0 "),
    "position infinite": raw("ImagePositionPatient", "DS", b"inf\\0\\0 "),
    "position 1e30": raw("ImagePositionPatient", "DS", b"1e30\\0\\0"),
    "position of two": raw("ImagePositionPatient", "DS", b"0\\0 "),
    "position of words": raw("ImagePositionPatient", "DS", b"a\\b\\c "),
    "orientation zero": with_elements(ImageOrientationPatient=[0, 0, 0, 0, 0, 0]),
    "orientation parallel": with_elements(ImageOrientationPatient=[1, 0, 0, 1, 0, 0]),
    "orientation skewed": with_elements(ImageOrientationPatient=[1, 0, 0, 0.5, 0.8660254, 0]),
    "orientation long": with_elements(ImageOrientationPatient=[2, 0, 0, 0, 2, 0]),
    "orientation of five": raw("ImageOrientationPatient", "DS", b"1\\0\\0\\0\\1 "),
    "spacing next to nothing": with_elements(PixelSpacing=["1e-200", "1e-200"]),
    "spacing zero": with_elements(PixelSpacing=[0, 0]),
    "spacing negative": with_elements(PixelSpacing=[-1, 1]),
    "spacing NaN": raw("PixelSpacing", "DS", b"nan\\1 "),
    "bad transfer syntax": rewritten(lambda content: content.replace(PLAIN, b"1.2.840.10008.1.9.9\0")),
    "transfer syntax of compression": rewritten(
        lambda content: content.replace(PLAIN, b"1.2.840.10008.1.2.5\0")),
    "length of a value 0xFFFF": rewritten(lying(0x10, 0x10, b"\xff\xff")),
    "length of the pixels": rewritten(
        lambda content: content[: content.index(b"\xe0\x7f\x10\0OW") + 8] + b"\xf0\xff\xff\x7f" + content[-96:-50]),
    "pixels without an end": rewritten(
        lambda content: content[: content.index(b"\xe0\x7f\x10\0OW") + 8] + b"\xff\xff\xff\xff" + content[-96:]),
    "a sequence without an end": rewritten(
        lambda content: content.replace(PIXELS, element(0x40, 0x555, b"SQ", b"", 2**32 - 1) + PIXELS)),
    "sequences without an end, 10,000 deep": rewritten(deep(False)),
    "functional groups for no frame": with_elements(
        SharedFunctionalGroupsSequence=[], PerFrameFunctionalGroupsSequence=[]),
    "functional groups of words": raw("PerFrameFunctionalGroupsSequence", "LO", b"Meyer "),
    "an enhanced file without frames' groups": with_elements(
        NumberOfFrames=1, SharedFunctionalGroupsSequence=[Dataset()]),
    "a deflated bomb": bomb,
    "deflated noise": rewritten(lambda content: content.replace(PLAIN, b"1.2.840.10008.1.2.1.99")),
    "no fragments": encapsulated([b"\0\0"], RLELossless),
    "fewer fragments than frames": encapsulated([b"\0\0"], RLELossless, NumberOfFrames=3),
    "RLE of lying offsets": encapsulated([struct.pack("<16I", 15, *range(15)) + b"\x80" * 10], RLELossless),
    "RLE cut": encapsulated([struct.pack("<16I", 1, 64, *([0] * 14)) + b"\x05ab"], RLELossless),
    "a JPEG of another size": encapsulated([JPEG], JPEGBaseline8Bit),
    "a JPEG of noise": encapsulated([b"\xff\xd8" + b"\x77" * 300], JPEGBaseline8Bit),
    "a JPEG-LS of another size": encapsulated([JPEG.replace(b"\xff\xc0", b"\xff\xf7")], JPEGLSLossless),
    "a JPEG 2000 of another size": encapsulated([J2K], JPEG2000Lossless),
    "a JPEG 2000 cut": encapsulated([J2K[:20]], JPEG2000Lossless),
    "a video": encapsulated([b"\0\0\1\xb3"], MPEG2MPML),
    "a report": with_elements(SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33", PixelData=None),
    "no patient": with_elements(PatientID=None),
    "two values of a patient": with_elements(PatientID=""),
}  # fmt: skip
ODD_BUT_READ: dict[str, Break] = {
    "length of the meta group": rewritten(lying(2, 0, b"\x04\x00\xff\xff\xff\x7f")),
    "RLE that grows": encapsulated([struct.pack("<16I", 1, 64, *([0] * 14)) + b"\x81\x07" * 100_000], RLELossless),
    "sequences 10,000 deep": rewritten(deep(True)),
    "identifiers missing": with_elements(SOPInstanceUID=None, SeriesInstanceUID=None, StudyInstanceUID=None),
    "no modality": with_elements(Modality=None),
    "pixels longer than said": rewritten(lambda content: content + bytes(100)),
    "big endian": lambda file, made: made.save(file, made.dataset(syntax=ExplicitVRBigEndian)),
}


@pytest.mark.parametrize("name", BAD)
def test_one_sentence(tmp_path: Path, made: ModuleType, name: str) -> None:
    file = tmp_path / "in" / "Meyer.dcm"
    file.parent.mkdir()
    BAD[name](file, made)
    assert tried(file.parent)


@pytest.mark.parametrize("name", ODD_BUT_READ)
def test_read_or_one_sentence(tmp_path: Path, made: ModuleType, name: str) -> None:
    file = tmp_path / "in" / "Meyer.dcm"
    file.parent.mkdir()
    ODD_BUT_READ[name](file, made)
    tried(file.parent)


@pytest.mark.parametrize("name", BAD)
def test_one_sentence_as_a_single_file(tmp_path: Path, made: ModuleType, name: str) -> None:
    file = tmp_path / "a.dcm"
    BAD[name](file, made)
    if "patient" in name:
        FORMATS[".dcm"].image(file)
        return
    with pytest.raises(UnderstudyError) as told:
        FORMATS[".dcm"].image(file)
    assert "\n" not in str(told.value)


def test_loops_pipes_and_links_are_passed_over(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path / "in" / "a")
    made.file(tmp_path / "outside.dcm")
    os.mkfifo(tmp_path / "in" / "pipe.dcm")
    (tmp_path / "in" / "loop").symlink_to(tmp_path / "in" / "loop")
    (tmp_path / "in" / "a" / "up").symlink_to(tmp_path / "in")
    (tmp_path / "in" / "out.dcm").symlink_to(tmp_path / "outside.dcm")
    found = listing(tmp_path / "in", DicomOptions())
    assert list(found.passed_over.values()) == [4] and len(found.items) == 1


def test_places_that_come_twice(tmp_path: Path, made: ModuleType) -> None:
    made.series(tmp_path / "in", step=(0, 0, 0))
    for n in range(5):
        made.file(tmp_path / "in" / f"{n}", np.full((6, 8), n, np.int16), SOPInstanceUID=made.uid(n), InstanceNumber=7)
    assert "two slices lie in one place" in tried(tmp_path / "in") or "several volumes" in tried(tmp_path / "in")


def test_a_slice_among_thousands_in_other_directions(tmp_path: Path, made: ModuleType) -> None:
    for n in range(60):
        a, b = np.cos(n / 10), np.sin(n / 10)
        turned = [f"{a:.6f}", f"{b:.6f}", 0, 0, 0, 1]
        made.file(tmp_path / "in" / f"{n}", SOPInstanceUID=made.uid(n), ImageOrientationPatient=turned)
    assert "localizers only" in tried(tmp_path / "in")
