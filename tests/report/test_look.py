"""check --look: the page names every subject and every notice, loads nothing from elsewhere, and is stamped."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.disclosure import STAMP
from understudy.core.errors import UsageError
from understudy.data.checks.notice import Notice
from understudy.data.importing import import_cohort
from understudy.data.sources import SOURCES
from understudy.report.look import write_look

NOTICES = [Notice("error", "this <b>must</b> be mended"), Notice("info", "6 cases")]


def phantom(out: Path, **options: object) -> Path:
    given = {"subjects": 3, "slices": 3, "size": 32, "split": "train=0.7,test=0.3", **options}
    return import_cohort("phantom", None, out, SOURCES["phantom"].options.model_validate(given))


@pytest.mark.parametrize("dims", [2, 3])
def test_the_page(tmp_path: Path, dims: int) -> None:
    path = phantom(tmp_path / "c", dims=dims)
    page = write_look(path, NOTICES, tmp_path / "look")
    text, cohort = page.read_text(), Cohort.open(path)
    assert page == tmp_path / "look" / "look.html"
    assert all(subject in text for subject in cohort.subjects())
    assert "this &lt;b&gt;must&lt;/b&gt; be mended" in text
    assert "INTERNAL" in text
    assert (page.parent / STAMP).is_file()
    assert page.parent.stat().st_mode & 0o077 == 0
    files = re.findall(r'<img src="(pictures/\d+\.png)" loading="lazy" width="(\d+)" height="(\d+)"', text)
    assert len(files) == 3
    for file, width, height in files:
        with Image.open(page.parent / file) as picture:
            assert picture.size == (int(width), int(height))
    assert sorted(file for file, _, _ in files) == sorted(
        f"pictures/{f.name}" for f in (page.parent / "pictures").iterdir()
    )
    assert not re.findall(r"https?://|<script|<link", text)
    assert "Content-Security-Policy" in text
    assert ("slice" in text) == (dims == 2) or "plane" in text


def test_the_same_request_gives_the_same_bytes_and_is_not_done_again(tmp_path: Path) -> None:
    path = phantom(tmp_path / "c")
    pages = [write_look(path, NOTICES, tmp_path / name) for name in ("a", "b")]
    files = [sorted(file.relative_to(page.parent) for file in page.parent.rglob("*.*")) for page in pages]
    assert files[0] == files[1]
    assert all((pages[0].parent / f).read_bytes() == (pages[1].parent / f).read_bytes() for f in files[0])
    before = pages[0].stat().st_mtime_ns
    assert write_look(path, [], tmp_path / "a") == pages[0]
    assert pages[0].stat().st_mtime_ns == before


def test_what_lies_there_is_kept(tmp_path: Path) -> None:
    path = phantom(tmp_path / "c")
    write_look(path, NOTICES, tmp_path / "look")
    with pytest.raises(UsageError, match="made by another request"):
        write_look(phantom(tmp_path / "d", seed=1), NOTICES, tmp_path / "look")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not a finished output"):
        write_look(path, NOTICES, tmp_path / "mine")
    assert [file.name for file in (tmp_path / "mine").iterdir()] == ["notes.txt"]


def test_a_cohort_of_label_maps_alone(tmp_path: Path) -> None:
    path = phantom(tmp_path / "c")
    (path / "images.npy").unlink()
    import json

    manifest = json.loads((path / "cohort.json").read_text())
    manifest["hashes"]["images"] = None
    manifest["encoding"]["channels"] = []
    (path / "cohort.json").write_text(json.dumps(manifest))
    page = write_look(path, NOTICES, tmp_path / "look")
    colours = np.asarray(Image.open(next((page.parent / "pictures").iterdir())))
    assert colours.any()
    assert "Histograms" not in page.read_text()
