"""The README's lines load a bundle in each form; a bundle that was changed, or is none, is told in a sentence."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from monai.data import Dataset

import understudy as us
from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.release.formats import FORMS
from understudy.release.loading import load_bundle
from understudy.release.recipient import write_recipient_files

Cases = Callable[..., Cohort]


def bundle_of(folder: Path, given: Cohort, *forms: str) -> Path:
    """Write what a release writes of a cohort, as far as loading reads it."""
    folder.mkdir()
    for form in forms:
        FORMS[form].write(folder, given)
    (folder / "manifest.json").write_text(json.dumps({"formats": list(forms), "more": 1}))
    write_recipient_files(folder, given, forms, None, None)
    return folder


@pytest.mark.parametrize("form", list(FORMS))
def test_a_case_is_a_dictionary_of_arrays(cases: Cases, tmp_path: Path, form: str) -> None:
    given = cases(channels=("t1", "flair"))
    loaded = us.load_bundle(bundle_of(tmp_path / "bundle", given, form))
    assert len(loaded) == 3 and loaded.forms == (form,) and loaded.cohort.id == given.id
    case, last = loaded[1], loaded[-1]
    assert case["image"].dtype == np.float32 and case["label"].shape == (1, 12, 10) and case["classes"].tolist() == [1]
    assert given.images is not None and np.array_equal(case["image"], given.images[1])
    assert last["case_id"] == "case-000003" and np.isnan(last["classes"]).all()
    assert [one["case_id"] for one in loaded] == [one["case_id"] for one in loaded[:]]
    if form in ("folder", "dicom"):
        with pytest.raises(UsageError, match="files of single cases are in the forms none"):
            loaded.files()
    else:
        assert all(Path(file).is_file() for one in loaded.files(form) for file in (*one["image"], one["label"]))


def lines_of(bundle: Path) -> dict[str, str]:
    """The code in a bundle's README, by library."""
    parts = re.split(r"\n(\w[^\n]*):\n\n", (bundle / "README.md").read_text().replace("BUNDLE", str(bundle)))
    code = {title.split(",")[0]: "\n".join(line[4:] for line in text.splitlines())
            for title, text in zip(parts[1::2], parts[2::2], strict=True)}  # fmt: skip
    assert list(code) == ["PyTorch", "MONAI", "TorchIO", "NumPy alone"]
    assert all(len(text.strip().splitlines()) <= 5 for text in code.values())
    return code


@pytest.mark.filterwarnings("ignore:NvImgCodecPydicomReader")  # of MONAI, which looks for a codec
@pytest.mark.parametrize("forms", [("folder",), ("folder", "nifti"), ("dicom",), ("nnunet", "dicom")], ids="+".join)
@pytest.mark.parametrize("size", [(12, 10), (4, 12, 10)], ids=["2D", "3D"])
def test_the_lines_of_the_readme(cases: Cases, tmp_path: Path, size: tuple[int, ...], forms: tuple[str, ...]) -> None:
    given = cases(size=size, channels=("t1", "flair"))
    code = lines_of(bundle_of(tmp_path / "bundle", given, *forms))
    found: dict[str, dict[str, Any]] = {title: {} for title in code}
    sys.modules["torchio"] = torchio = ModuleType("torchio")  # benchmarks/clients asks the real one
    vars(torchio).update(Subject=dict, ScalarImage=held, LabelMap=held, SubjectsDataset=list)
    for title in code:
        exec(code[title], found[title])
    del sys.modules["torchio"]
    batch, data, subjects = found["PyTorch"]["batch"], found["MONAI"]["data"], found["TorchIO"]["data"]
    assert batch["image"].shape == (3, 2, *size) and batch["label"].dtype == torch.uint8
    assert isinstance(data, Dataset) and given.images is not None and given.labels is not None
    image, label = np.asarray(data[1]["image"]), np.asarray(data[1]["label"])
    turned = np.moveaxis(given.images[1], range(1, 1 + len(size)), range(len(size), 0, -1))  # (C, W, H, D)
    files = bool(set(forms) - {"folder", "dicom"})
    assert np.array_equal(image.reshape(turned.shape), turned) if files else np.array_equal(image, given.images[1])
    assert np.array_equal(label.reshape(turned.shape[1:]), given.labels[1].T) if files else label.shape == (1, *size)
    if not files:
        whole = (2, *size[::-1]) if len(size) == 3 else (2, *size[::-1], 1)
        assert subjects[1]["image"].shape == whole and np.array_equal(subjects[1]["image"], turned.reshape(whole))
    assert np.array_equal(found["NumPy alone"]["images"], given.images)


def held(file: Any = None, tensor: Any = None) -> Any:
    """What the real class would hold."""
    return file if tensor is None else tensor


@pytest.mark.parametrize("form", ["nifti", "dicom"])
def test_the_lines_of_the_readme_without_label_maps(cases: Cases, tmp_path: Path, form: str) -> None:
    given = cases(scheme=None, label_source=None)
    code = lines_of(bundle_of(tmp_path / "bundle", given, form))
    assert not any("label" in text for text in code.values()) and 'batch["image"], batch["classes"]' in code["PyTorch"]
    found: dict[str, Any] = {}
    exec(code["PyTorch"], found)
    assert found["batch"]["image"].shape == (3, 1, 12, 10)


def test_no_training_code_is_imported(cases: Cases, tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path / "bundle", cases(), "nifti")
    lines = f"import understudy as us, sys; us.load_bundle({str(bundle)!r})[0]; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "monai", "understudy.training.loop", "understudy.nets", "understudy.release.package"} & set(
        said
    )


def test_what_is_no_bundle_or_was_changed(cases: Cases, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a bundle was expected at"):
        load_bundle(tmp_path)
    bundle = bundle_of(tmp_path / "bundle", cases(), "folder")
    manifest, cohort = bundle / "manifest.json", bundle / "cohort" / "cohort.json"
    whole = manifest.read_bytes()
    for text in ("", "[]", '{"formats": []}', '{"formats": "folder"}', '{"formats": ["../x"]}', "[" * 10**5, "\xff"):
        manifest.write_text(text)
        with pytest.raises(UnderstudyError, match=r"manifest\.json (is not|should name)"):
            load_bundle(bundle)
    manifest.write_bytes(whole)
    cohort.write_text(cohort.read_text().replace('"MR"', '"CT"'))
    with pytest.raises(UnderstudyError, match="cohort.json was changed after it was released"):
        load_bundle(bundle)
    with pytest.raises(UsageError, match="found bids"):
        load_bundle(bundle_of(tmp_path / "other", cases("more"), "nifti")).files("bids")


def damaged(data: bytes, how: int, draw: np.random.Generator) -> bytes:
    """Return bytes with one of three damages: a few changed, cut short, a few put between."""
    at = int(draw.integers(len(data)))
    if how == 1:
        return data[:at]
    some = draw.bytes(int(draw.integers(1, 5)))
    return data[:at] + some + data[at + (len(some) if how == 0 else 0) :]


@pytest.mark.parametrize("form", list(FORMS))
def test_a_bundle_damaged_anywhere_is_told_or_is_the_same_cohort(cases: Cases, tmp_path: Path, form: str) -> None:
    given, draw = cases(n=2), np.random.default_rng(5)
    bundle, told = bundle_of(tmp_path / "bundle", given, form), list[str]()
    files = sorted(file for file in bundle.rglob("*") if file.is_file())
    for k in range(45):
        file = files[int(draw.integers(len(files)))]
        whole = file.read_bytes()
        file.write_bytes(damaged(whole, k % 3, draw))
        try:
            loaded = load_bundle(bundle)
            assert given.images is not None and np.array_equal(loaded[1]["image"], given.images[1])
        except (UnderstudyError, UsageError) as error:
            told.append(str(error))
        file.write_bytes(whole)
    assert len(told) > 5 and not any("\n" in one for one in told)
