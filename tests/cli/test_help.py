"""Every help page as it is shown at 80 columns: its examples are there literally, and they run; and words of old."""

import importlib.util
import json
import re
import shlex
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import typer
from PIL import Image

from understudy.cli import main
from understudy.cli.help import RENAMED, broken

# What makes an example small; those that are not named here are shown by --dry-run, which accepts or refuses alike.
PLAIN = {"import folder DATA", "import folder XRAYS", "check phantom", "settings", "study"}
SMALL = {
    "import phantom": "--slices 2 --size 32 --split train=0.5,validation=0.1,control=0.2,test=0.2",
    "edit phantom --lesion": "--splits train,test",
    "edit phantom --anatomy 4": "--anatomy 2",
    "train diffusion phantom --preset demo": "--set images_seen=16 --set channels=[8,16] --set head_channels=8 "
    "--set sampler_steps=2 --set sample_block=16",
    "sample run-diffusion --n 1000 --seed": "--n 12",
    "evaluate utility --real phantom --synthetic synthetic --out": "--set updates=2 --set repeats=1 --set checks=1 "
    "--set draws=100 --set channels=[4,8,8]",
    "evaluate fidelity --real phantom --synthetic synthetic --out": "--set encoder_updates=1 --set draws=2 "
    "--set subsets=2 --set pairs=4",
    "evaluate privacy --real phantom --synthetic synthetic --out": "--set bootstrap=100 --set matchers=[pixels]",
    "evaluate correlation": "--set draws=100 --set permutations=100",
    "report": "",
}


def pages() -> Iterator[tuple[str, ...]]:
    """Yield the words of every help page: the program, its verbs, its groups and their sub-commands."""
    root: Any = typer.main.get_command(main.app)
    context = root.make_context("understudy", ["check"], resilient_parsing=True)
    yield ()
    for name in root.list_commands(context):
        command: Any = root.get_command(context, name)
        yield (name,)
        if hasattr(command, "list_commands"):
            yield from ((name, sub) for sub in command.list_commands(context))


def shown(words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    capsys.readouterr()
    assert main.main([*words, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def examples(page: str) -> list[str]:
    """Return the commands that stand at the end of a page, as a shell would read them."""
    lines = page.split("Example:\n")[1]
    return [line.strip() for line in lines.replace("\\\n", "").splitlines() if line.strip()]


@pytest.mark.parametrize("words", [*pages()], ids=lambda words: "-".join(words) or "understudy")
def test_every_page_fits_and_has_an_example(
    words: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = shown(words, capsys, monkeypatch)
    assert max(map(len, page.splitlines())) <= 80 and all(char.isprintable() for char in page.replace("\n", ""))
    found = examples(page)
    start = ["understudy", *words]
    assert found and all(shlex.split(one)[: len(start)] == start for one in found), found
    assert not re.search(r"\{\w+s\}", page), "a menu was not filled in"


def test_a_menu_is_read_when_help_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "progan, stylegan1, stylegan2" in shown(("train",), capsys, monkeypatch)
    assert "[both,finetuned]" in shown(("evaluate", "utility"), capsys, monkeypatch)


def test_long_commands_are_broken_before_options() -> None:
    command = "understudy verb " + " ".join(f"--option{i} 'a value'" for i in range(9))
    lines = broken(command)
    assert len(lines) > 2 and all(len(line) <= 76 for line in lines)
    assert shlex.split(" ".join(line.removesuffix("\\") for line in lines)) == shlex.split(command)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_a_word_of_old_is_told_its_new_name(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(old.split()) == 2
    assert f"error: `{old}` is called `{new}` now" in capsys.readouterr().err


def prepare(folder: Path) -> None:
    """Make what the examples of ``import`` read."""
    random = np.random.default_rng(0)
    for name in ("DATA/images", "DATA/masks", "XRAYS", "NIH"):
        (folder / name).mkdir(parents=True)
    rows, nih = ["file,child,kind"], ["Image Index,Finding Labels,Patient ID"]
    for i in range(12):
        picture = Image.fromarray(random.integers(0, 256, (16, 16), dtype=np.uint8))
        picture.save(folder / "DATA" / "images" / f"s{i}_0.png")
        picture.save(folder / "XRAYS" / f"p{i}.png")
        picture.save(folder / "NIH" / f"p{i}.png")
        nih.append(f"p{i}.png,{('No Finding', 'Effusion|Cardiomegaly')[i % 2]},{i}")
        Image.fromarray((random.random((16, 16)) > 0.5).astype(np.uint8)).save(
            folder / "DATA" / "masks" / f"s{i}_0.png"
        )
        rows.append(f"p{i}.png,c{i},{('normal', 'virus')[i % 2]}")
    (folder / "Q.yaml").write_text("margin: 0.1\n")
    layouts(folder)
    studies(folder)
    (folder / "policy.yaml").write_bytes((files("understudy.release") / "policy.yaml").read_bytes())
    (folder / "XRAYS" / "table.csv").write_text("\n".join(rows) + "\n")
    (folder / "NIH" / "Data_Entry_2017.csv").write_text("\n".join(nih) + "\n")


def layouts(folder: Path) -> None:
    """Make a small tree of each layout of volumes that the examples read."""
    random = np.random.default_rng(0)
    labels, nnunet, msd = {"background": 0, "tumour": 1}, folder / "Dataset001_TUMOUR", folder / "Task04_Hippocampus"
    pairs = []
    for i in range(12):
        case, sub = f"BraTS20_Training_{i:03d}", f"sub-{i:02d}"
        images = {
            folder / "BRATS" / case / f"{case}_t1ce.nii", folder / "BRATS" / case / f"{case}_flair.nii",
            nnunet / "imagesTr" / f"case_{i}_0000.nii", msd / "imagesTr" / f"case_{i}.nii",
            folder / "BIDS" / sub / "anat" / f"{sub}_T1w.nii", folder / "BIDS" / sub / "anat" / f"{sub}_FLAIR.nii",
        }  # fmt: skip
        maps = {
            folder / "BRATS" / case / f"{case}_seg.nii", nnunet / "labelsTr" / f"case_{i}.nii",
            msd / "labelsTr" / f"case_{i}.nii", folder / "BIDS" / "derivatives" / "lesions" / sub / f"{sub}_dseg.nii",
        }  # fmt: skip
        for file in sorted(images | maps):
            file.parent.mkdir(parents=True, exist_ok=True)
            array = random.integers(0, 2 if file in maps else 900, (10, 10, 6)).astype(np.int16)
            nib.save(nib.Nifti1Image(array, np.diag([-1, -1, 1, 1])), file)
        stroke = f"sub-strokecase{i:04d}_ses-0001"
        for name in (f"ISLES-2022/{stroke}_dwi.nii", f"ISLES-2022/{stroke}_msk.nii"):
            (folder / name).parent.mkdir(exist_ok=True)
            array = np.full((10, 10, 6), i) if "dwi" in name else random.integers(0, 2, (10, 10, 6))
            nib.save(nib.Nifti1Image(array.astype(np.int16), np.diag([-1, -1, 1, 1])), folder / name)
        pairs.append({"image": f"./imagesTr/case_{i}.nii", "label": f"./labelsTr/case_{i}.nii"})
    told = {"channel_names": {"0": "MR"}, "labels": labels, "numTraining": len(pairs), "training": pairs}
    for root in (nnunet, msd):
        (root / "dataset.json").write_text(json.dumps(told))


def studies(folder: Path) -> None:
    """Make DICOM studies with segmentations, and x-rays with a table."""
    made, annotated = (module(name) for name in ("made", "annotated"))
    rows = ["PatientID,ill"]
    for i in range(12):
        (folder / "STUDIES" / f"s{i}").mkdir(parents=True)
        annotated.study(folder / "STUDIES" / f"s{i}", made, i, PatientID=f"P1{i}", StudyInstanceUID=f"1.2.4.{i}")
        rows.append(f"P1{i},{i % 2}")
        shot = {
            "Modality": "DX",
            "ImagePositionPatient": None,
            "ImageOrientationPatient": None,
            "FrameOfReferenceUID": None,
        }
        own = {
            name: f"1.3.{n}.{i}" for n, name in enumerate(("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
        }
        made.file(folder / "DX" / f"x{i}", **shot, **own, PatientID=f"P1{i}")
    (folder / "DX" / "labels.csv").write_text("\n".join(rows) + "\n")


def module(name: str) -> ModuleType:
    """Return a maker of DICOM files of the tests of data/dicom."""
    file = Path(__file__).resolve().parents[1] / "data" / "dicom" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def made_small(command: str) -> list[str]:
    """Return the words of an example, with what makes it small, or with --dry-run."""
    words = shlex.split(command)[1:]
    if words[:2] in (["study", "run"], ["study", "report"]):  # would take hours; the plan looks at everything
        return ["study", "plan", *(word for word in words[2:] if word != "--keep-going")]
    line = " ".join(words)
    if any(line.startswith(start) for start in PLAIN):
        return words
    small = next((more for start, more in SMALL.items() if line.startswith(start)), None)
    return [*words, *shlex.split(small)] if small is not None else [*words, "--dry-run"]


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    prepare(tmp_path)
    ran: set[str] = set()
    for words in pages():
        for command in examples(shown(words, capsys, monkeypatch)):
            line = made_small(command)
            if command not in ran:
                assert main.main(line) == 0, (shlex.join(line), capsys.readouterr().err)
            ran.add(command)
    made = {path.name for path in tmp_path.iterdir() if not path.name.startswith(".")}
    assert made >= {
        "phantom",
        "mine",
        "xrays",
        "run-diffusion",
        "synthetic",
        "tissues",
        "results-correlation",
        "report",
    }
