"""Small sources made on the spot, and one way to say: this is refused, in one sentence, and nothing is left behind."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.data.importing import import_cohort
from understudy.data.sources import SOURCES

SUBJECTS, EACH = 12, 2


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of 24 RGB images 12 x 16 with 0/1 masks, and a table: subject, split, grade, kind."""
    root = tmp_path / "Dr Grey's data"
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    random = np.random.default_rng(0)
    rows = ["file,subject,split,grade,kind"]
    for s in range(SUBJECTS):
        for i in range(EACH):
            name = f"Jones-{s}_{i}.png"
            Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(root / "images" / name)
            Image.fromarray(random.random((12, 16)) > 0.6).save(root / "masks" / name)
            split = ["Training", "val", "test"][s % 3]
            rows.append(f"{name},Jones-{s},{split},{'' if s == 0 else s % 3},{['benign', 'malignant'][s % 2]}")
    (root / "table.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def bring(tmp_path: Path, pictures: Path) -> Callable[..., Cohort]:
    """Import (the pictures, where no other path is given) and open the cohort."""

    def go(path: Path | None = None, source: str = "folder", out: str = "out", **options: Any) -> Cohort:
        plain: dict[str, Any] = {}
        if path is None and source == "folder":
            path = pictures
            plain = {"images": "images", "labels": "masks", "table": "table.csv", "subject": "subject"}
        settings = {name: value for name, value in (plain | options).items() if value is not None}
        return Cohort.open(import_cohort(source, path, tmp_path / out, SOURCES[source].options(**settings)))

    return go


@pytest.fixture
def refused(tmp_path: Path, bring: Callable[..., Cohort]) -> Callable[..., str]:
    """Import what must be refused: one sentence that says ``says``, and nothing new beside the sources."""

    def go(says: str, path: Path | None = None, **options: Any) -> str:
        before = {file.name for file in tmp_path.iterdir()}
        with pytest.raises(UnderstudyError, match=says) as caught:
            bring(path, **options)
        sentence = str(caught.value)
        assert caught.value.exit_code in (1, 2)
        assert "\n" not in sentence
        assert len(sentence) < 600
        assert {file.name for file in tmp_path.iterdir()} == before
        return sentence

    return go


def _module(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).parent / "dicom" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def annotated() -> ModuleType:
    """Return the maker of small series, SEG and RTSTRUCT, tests/data/dicom/annotated.py."""
    return _module("annotated")


@pytest.fixture(scope="session")
def made() -> ModuleType:
    """Return the maker of DICOM files, tests/data/dicom/made.py."""
    return _module("made")


@pytest.fixture
def save_nifti() -> Callable[..., Path]:
    """Write an array (X, Y, Z) as NIfTI."""

    def go(file: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
        file.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), file)
        return file

    return go
