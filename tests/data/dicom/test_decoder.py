"""The decoding child: the same pixels as in this process; one that dies or hangs is an error, and a new one starts."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from understudy.data.dicom import decoder
from understudy.data.dicom.decoder import DecodingError, pixels_of
from understudy.data.dicom.opening import quiet

FILES = ["MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jpeg_dcmtk.dcm", "MR_small_RLE.dcm"]


def dataset(name: str) -> pydicom.Dataset:
    file = get_testdata_file(name, download=False)
    assert file is not None
    return pydicom.dcmread(Path(str(file)))


@pytest.mark.parametrize("name", FILES)
def test_the_child_gives_what_pydicom_gives(name: str) -> None:
    with quiet():
        one = dataset(name)
        expected = pydicom.pixels.pixel_array(one)
        found = pixels_of(one, {})
    assert np.array_equal(found, expected) and found.dtype == expected.dtype


def test_nothing_but_pixels_and_what_describes_them_is_sent() -> None:
    with quiet():
        one = dataset(FILES[0])
        one.PatientName = "Canary^Jane"
        sent = decoder._described(one)
    assert b"Canary" not in sent and b"CompressedSamples" not in sent


@pytest.mark.parametrize("code", [
    "import os; os.abort()", "import os, sys; sys.stdin.buffer.read(9); os._exit(3)", "print('no')",
])  # fmt: skip
def test_a_decoder_that_breaks_off_is_an_error_and_the_next_file_is_decoded(
    code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = decoder.subprocess.Popen

    def popen(command: list[str], **options: object) -> object:
        return real([command[0], "-c", code], **options)

    decoder._CHILD.stop()
    with quiet():
        one = dataset(FILES[0])
        monkeypatch.setattr(decoder.subprocess, "Popen", popen)
        with pytest.raises(DecodingError, match="its decoder broke off"):
            pixels_of(one, {})
        monkeypatch.undo()
        assert pixels_of(one, {}).shape == (64, 64)


def test_a_decoder_that_does_not_end_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    real = decoder.subprocess.Popen
    decoder._CHILD.stop()
    monkeypatch.setattr(decoder, "SECONDS", 0.5)
    monkeypatch.setattr(decoder, "BYTES_A_SECOND", 2**30)
    monkeypatch.setattr(
        decoder.subprocess,
        "Popen",
        lambda command, **options: real([command[0], "-c", "import time; time.sleep(60)"], **options),
    )
    with quiet(), pytest.raises(DecodingError, match="its decoder did not end"):
        pixels_of(dataset(FILES[0]), {})
    assert decoder._CHILD.process is None


def test_a_stream_that_the_decoder_refuses_is_an_error_by_name() -> None:
    with quiet():
        one = dataset(FILES[0])
        one.PixelData = pydicom.encaps.encapsulate([b"no stream at all" * 10])
        one["PixelData"].is_undefined_length = True
        with pytest.raises(DecodingError, match="Error"):
            pixels_of(one, {})
        assert pixels_of(dataset(FILES[1]), {}).shape == (64, 64)


def test_after_an_interruption_the_next_file_gets_its_own_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(stream: object, size: int, until: float) -> bytes:
        raise KeyboardInterrupt

    with quiet():
        first, second = (dataset(name) for name in FILES[2:0:-1])
        with monkeypatch.context() as patched:
            patched.setattr(decoder, "_read", interrupted)
            with pytest.raises(KeyboardInterrupt):
                pixels_of(first, {})
        assert np.array_equal(pixels_of(second, {}), pydicom.pixels.pixel_array(second))


def test_code_in_the_working_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pydicom.py").write_text(f"open({str(tmp_path / 'run')!r}, 'w')")
    decoder._CHILD.stop()
    monkeypatch.chdir(tmp_path)
    with quiet():
        assert pixels_of(dataset(FILES[0]), {}).shape == (64, 64)
    assert not (tmp_path / "run").exists()
    decoder._CHILD.stop()
