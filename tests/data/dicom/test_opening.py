"""Opening: what is DICOM, silence, deflated files, and the pixel element that follows."""

import logging
import struct
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.dicom import opening
from understudy.data.dicom.opening import is_dicom, opened, pydicom, quiet, reading, with_pixels


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian])
def test_every_plain_syntax(tmp_path: Path, made: ModuleType, syntax: str) -> None:
    file = made.save(tmp_path / "a", made.dataset(syntax=syntax))
    dataset, element = opened(file, "it")
    assert dataset.Rows == 6 and element is not None and not element.floats
    assert element.bytes_left == 96
    assert len(with_pixels(file, "it").PixelData) == 96


@pytest.mark.parametrize("bare", ["<explicit", "<implicit"])
def test_files_without_a_preamble(tmp_path: Path, made: ModuleType, bare: str) -> None:
    file = made.save(
        tmp_path / "a", made.dataset(syntax=ImplicitVRLittleEndian if "im" in bare else "1.2.840.10008.1.2.1")
    )
    content = file.read_bytes()
    length = struct.unpack("<I", content[140:144])[0]
    file.write_bytes(content[144 + length :])
    assert is_dicom(file)
    dataset, _ = opened(file, "it")
    assert dataset.file_meta.TransferSyntaxUID.is_implicit_VR == ("im" in bare) and dataset.Columns == 8


def test_what_is_no_dicom(tmp_path: Path) -> None:
    for name, content in {
        "a": b"hello",
        "b": b"",
        "c": bytes(200),
        "d": b"\x89PNG" * 50,
        "e": b"\x08\0\x16\0\xff\xff\xff\xff",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert not is_dicom(tmp_path / name)
    assert not is_dicom(tmp_path)


def test_floating_point_pixels(tmp_path: Path, made: ModuleType) -> None:
    data = made.dataset(PixelData=None, BitsAllocated=32, BitsStored=None, HighBit=None)
    data.add_new(0x7FE00008, "OF", np.zeros(48, np.float32).tobytes())
    _, element = opened(made.save(tmp_path / "a", data), "it")
    assert element is not None and element.floats and element.bytes_left == 192


def test_nothing_is_said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with quiet():
        warnings.warn("Meyer", stacklevel=1)
        logging.getLogger("pydicom").critical("Meyer")
    assert logging.getLogger("pydicom").level < logging.CRITICAL
    out, err = capfd.readouterr()
    assert "Meyer" not in out + err + caplog.text


def test_what_is_raised_is_not_quoted() -> None:
    with (
        pytest.raises(UnderstudyError, match=r"it should be a DICOM file.*\(header: KeyError\)") as told,
        reading("it", "header"),
    ):
        raise KeyError("Meyer")
    assert "Meyer" not in str(told.value)


def test_a_missing_package_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pydicom", None)
    pydicom.cache_clear()
    with pytest.raises(UsageError, match=r"pip install 'understudy\[dicom\]'"):
        pydicom()
    monkeypatch.undo()
    assert pydicom().dcmread


def test_a_deflated_file_is_inflated_up_to_a_bound(
    tmp_path: Path, made: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = made.save(tmp_path / "a", made.dataset(syntax=DeflatedExplicitVRLittleEndian))
    monkeypatch.setattr(opening, "MOST_INFLATED", 500)
    with pytest.raises(UnderstudyError, match="inflates to more than 500 bytes"):
        opened(file, "it")
