"""Strings that would name a patient stand in every place of the source, and in no byte of what an import makes or says.

File and folder names, table columns, the text fields of each format and its extensions. DICOM has its own test.
"""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from understudy.cli.main import main

CANARY = "Canary"
KINDS = ["png", "jpg", "tif", "nii.gz"]


def name(number: int, what: str) -> str:
    return f"{CANARY}{what}{number}"


def save(file: Path, array: np.ndarray) -> None:
    """Write a picture with a canary wherever its format has room for text."""
    if file.name.endswith(".nii.gz"):
        image = nib.Nifti1Image(array[:, :, None], np.diag([1.0, 1, 1, 1]))
        for field in ("descrip", "aux_file", "db_name", "intent_name"):
            image.header[field] = f"{CANARY}{field}"[:15].encode()
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", f"{CANARY}Comment".encode()))
        nib.save(image, file)
    elif file.suffix == ".tif":
        tifffile.imwrite(file, array, description=f"{CANARY}Description", software=f"{CANARY}Software", metadata=None)
    elif file.suffix == ".png":
        info = PngInfo()
        info.add_text("Author", f"{CANARY}Author"), info.add_itxt("Title", f"{CANARY}Title", zip=True)
        Image.fromarray(array).save(file, pnginfo=info)
    else:
        exif = Image.Exif()
        exif[0x010E], exif[0x013B] = f"{CANARY}Exif", f"{CANARY}Artist"
        Image.fromarray(array).save(file, exif=exif, comment=f"{CANARY}Remark".encode())


@pytest.fixture(params=KINDS)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, list[str]]:
    """Sixteen pictures with label maps below folders that name their patients, and a table; and the command line."""
    root, random = tmp_path / f"{CANARY}Hospital", np.random.default_rng(0)
    lines = [f"file,{CANARY}Column,patient,born,note,grade"]
    for number in range(16):
        inner = Path(name(number, "Folder")) / f"{name(number, 'File')}.{request.param}"
        array = random.integers(0, 200, (16, 16), dtype=np.uint8)
        mask_end = "png" if request.param == "jpg" else request.param
        for folder, picture, ending in (("im", array, request.param), ("se", (array > 100).astype(np.uint8), mask_end)):
            file = root / folder / inner.parent / f"{name(number, 'File')}.{ending}"
            file.parent.mkdir(parents=True, exist_ok=True)
            save(file, picture)
        lines.append(f"{inner},{CANARY}Cell,{name(number // 2, 'Patient')},{CANARY}Birthday,{CANARY}Note,{number % 3}")
    (root / "im" / f"{CANARY}.docx").write_text("x")
    (root / f"{CANARY}.csv").write_text("\n".join(lines) + "\n")
    words = f"{root} --images im --labels se --table {CANARY}.csv --subject patient --classes grade"
    words += " --split train=0.5,test=0.5"
    return root, words.split()


def test_no_canary_leaves_the_import(
    source: tuple[Path, list[str]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def said(*words: object) -> str:
        code = main([*map(str, words)])
        return " ".join((str(code), *capfd.readouterr()))

    root, words = source
    out = tmp_path / "cohort"
    told = said("import", "folder", *words, "--out", out)
    assert told.startswith("0 "), told
    told += said("check", out)
    assert CANARY not in told.replace(str(root), "")
    files = [file for file in out.rglob("*") if file.is_file()]
    assert len(files) > 3
    assert not [file.name for file in files if CANARY.encode() in file.read_bytes() or CANARY in file.name]
    preview = said("import", "folder", *words, "--out", tmp_path / "x", "--dry-run")
    assert CANARY not in preview.partition("found:")[2], "above stands what was typed"
