"""Canaries: texts in every VR, private tags, overlays, file and folder names and CSV columns appear nowhere."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydicom.datadict import dictionary_VR, keyword_dict
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from understudy.cli.main import main

KEPT = {  # elements that an image cannot do without
    "SpecificCharacterSet", "Modality", "PhotometricInterpretation", "ImageType", "PixelData", "TransferSyntaxUID",
    "SOPClassUID", "Rows", "Columns",
}  # fmt: skip
TEXTS = {
    "AE": "CanaryAE", "AS": "077Y", "CS": "CANARYCS", "DA": "19770307", "DT": "19770307070707", "LO": "Canary LO",
    "LT": "Canary LT", "PN": "Canary^Pn", "SH": "Canary SH", "ST": "Canary ST", "TM": "070707.0707",
    "UC": "Canary UC", "UR": "http://canary.ur", "UT": "Canary UT",
}  # fmt: skip
BIRDS = [b"canary", b"19770307", b"070707.07", b"1.2.826.0.1.3680043.10.1", b"0777"]


def filled(made: ModuleType, n: int, k: int, **own: object) -> Dataset:
    """A slice with a canary in every element that holds text, in private ones, in nested ones, and in an overlay."""
    data = made.dataset(np.full((6, 8), 100 * n + k, np.int16) + np.arange(8, dtype=np.int16), **own)
    data.PatientID, data.PatientName, data.SeriesDescription = f"CanaryId{n}", f"Canary^Name{n}", "Canary T1"
    if k:  # one slice of each study is enough
        return data
    for tag_keyword in keyword_dict:
        vr = dictionary_VR(tag_keyword).split(" or ")[0]
        if (
            vr in TEXTS
            and tag_keyword not in data
            and tag_keyword not in KEPT
            and not tag_keyword.startswith("Overlay")
        ):
            tag = keyword_dict[tag_keyword]
            if tag >> 16 not in (0x0000, 0x0002, 0x0004):
                setattr(data, tag_keyword, TEXTS[vr])
    data.BurnedInAnnotation = "YES"
    block = data.private_block(0x0033, "CANARY PRIVATE", create=True)
    block.add_new(0x01, "LO", "Canary private")
    item = Dataset()
    item.PatientName = "Canary^Nested"
    data.OtherPatientIDsSequence = [item]
    data.add_new(0x60000010, "US", 6)
    data.add_new(0x60000011, "US", 8)
    data.add_new(0x60000040, "CS", "G")
    data.add_new(0x60000022, "LO", "Canary overlay")
    data.add_new(0x60003000, "OW", b"CanaryO!"[:6])
    return data


@pytest.fixture
def folder(tmp_path: Path, made: ModuleType) -> Path:
    """Four studies of three slices full of canaries, in folders of canary names, with a CSV of canaries."""
    root = tmp_path / "in"
    rows = ["PatientID,ill,Canary note"]
    for n in range(4):
        for k in range(3):
            own = {
                "StudyInstanceUID": made.uid("study", n), "SeriesInstanceUID": made.uid("series", n),
                "SOPInstanceUID": made.uid(n, k), "ImagePositionPatient": [0, 0, 3 * k],
            }  # fmt: skip
            made.save(root / f"Canary Folder {n}" / f"Canary-{k}.dcm", filled(made, n, k, **own))
        rows.append(f"CanaryId{n},{n % 2},Canary Cell")
    (root / "Canary.csv").write_text("\n".join(rows) + "\n")
    return root


def run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Run the command line in a process of its own, with a key file of its own: exit code, and all that it says."""
    command = [sys.executable, "-m", "understudy.cli.main", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "UNDERSTUDY_KEY": str(tmp_path / "key"), "PYTHONWARNINGS": "default"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def clean(text: bytes, root: Path) -> None:
    lowered = text.replace(str(root).encode(), b"").lower()
    assert [bird for bird in BIRDS if bird in lowered] == []


def test_no_canary_in_a_cohort_or_on_the_screen(tmp_path: Path, folder: Path) -> None:
    line = ["import", "dicom", str(folder), "--out", "out", "--key", str(tmp_path / "key")]
    table = ["--table", "Canary.csv", "--match", "patient", "--classes", "ill"]
    code, said = run(tmp_path, *line, *table, "--series", "t1=T1")
    assert code == 0, said
    clean(said.replace("Canary.csv", "").encode(), tmp_path)
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(files) > 2
    for file in files:
        clean(file.read_bytes() + str(file.relative_to(tmp_path)).encode(), tmp_path)


@pytest.mark.parametrize(("options", "spoil"), [
    ([], lambda file: file.write_bytes(file.read_bytes()[:-30])),
    ([], lambda file: file.write_bytes(file.read_bytes()[:900])),
    ([], lambda file: file.unlink()),
    (["--subject", "folder", "--series", "a=FLAIR"], None),
    (["--labels", "seg"], None),
    (["--size", "5,5,5", "--fit", "pad"], None),
    (["--table", "Canary.csv", "--match", "study", "--classes", "ill"], None),
    (["--table", "Canary.csv", "--match", "patient", "--classes", "Canary note"], None),
    (["--table", "Canary.csv", "--match", "file", "--classes", "ill"], None),
    (["--channels", "a,b"], None),
])  # fmt: skip
def test_no_canary_in_an_error(
    tmp_path: Path,
    folder: Path,
    options: list[str],
    spoil: Callable[[Path], object] | None,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if spoil is not None:
        spoil(folder / "Canary Folder 3" / "Canary-1.dcm")
    line = ["import", "dicom", str(folder), "--out", "out", "--key", str(tmp_path / "key"), *options]
    code, said = main(line), "".join(capfd.readouterr())
    for typed in options:
        said = said.replace(typed, "")
    clean(said.encode(), tmp_path)
    assert code in (0, 1, 2) and "fault in understudy" not in said
    assert code or "--classes" in options


def test_the_canaries_are_there(folder: Path) -> None:
    content = b"".join(file.read_bytes() for file in folder.rglob("*.dcm"))
    assert all(bird in content.lower() for bird in BIRDS[:4])
    assert ExplicitVRLittleEndian.encode() in content
