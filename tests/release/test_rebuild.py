"""What can be made again is made again: nothing hides in evidence, card and report, though all hashes fit."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.folder import write_grid
from understudy.release import verify
from understudy.release.bundle import MANIFEST, Manifest
from understudy.release.formats import FORMS
from understudy.release.package import release_cohort
from understudy.release.rebuild import foreign_files
from understudy.release.verify import verify_bundle


@pytest.fixture
def forged(released: Any, tmp_path: Path) -> Path:
    """Return a copy of the bundle; a forger signs nothing, since only the signer can."""
    return released.copy(tmp_path / "forged")


def edit(file: Path, change: Callable[[Any], Any]) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data, indent=1) + "\n")


def hidden_image(bundle: Path) -> None:
    """Put pixels as a further array into a file of pictures."""
    file = bundle / "evidence" / "privacy" / "images" / "first.npz"
    with np.load(file) as arrays:
        np.savez_compressed(file, **arrays, more=np.arange(1024, dtype=np.uint16))


def other_picture(bundle: Path, real: Path) -> None:
    write_grid(bundle / "evidence" / "privacy" / "images" / "first.npz", Cohort.open(real), np.arange(3), "x")


FORGERIES: dict[str, tuple[Callable[[Path, Path], Any], str]] = {
    "a card that claims differential privacy": (
        lambda b, r: edit(b / "card.json", lambda d: d.update(differential_privacy="epsilon 1")),
        "card.json is not what comes out",
    ),
    "other subjects": (
        lambda b, r: edit(b / "card.json", lambda d: d["trained_on"][0].update(n_subjects=600)),
        "card.json is not what comes out",
    ),
    "nothing uncovered": (
        lambda b, r: edit(b / "card.json", lambda d: d.update(not_covered=[])),
        "card.json is not what comes out",
    ),
    "other limits": (
        lambda b, r: edit(b / "card.json", lambda d: d["checks"][0].update(limit="none")),
        "card.json is not what comes out",
    ),
    "another scorecard": (
        lambda b, r: edit(b / "card.json", lambda d: d["headings"][0]["found"].append("better than real")),
        "card.json is not what comes out",
    ),
    "other words": (
        lambda b, r: (b / "card.md").write_text((b / "card.md").read_text() + "\nAnonymous.\n"),
        "card.md is not what comes out",
    ),
    "another licence": (
        lambda b, r: (b / "README.md").write_text((b / "README.md").read_text().replace("Licence", "Licence CC0")),
        "README.md is not what comes out",
    ),
    "another description": (
        lambda b, r: edit(b / "croissant.json", lambda d: d.update(license="CC0")),
        "croissant.json is not what comes out",
    ),
    "a page of scripts": (
        lambda b, r: (b / "report" / "report.html").write_text("<script>alert(1)</script>"),
        "report/report.html is not what comes out",
    ),
    "a field more in a curve": (
        lambda b, r: edit(b / "evidence/privacy/curves/privacy-r.json", lambda d: d.update(more=[1, 2])),
        "curves/privacy-r.json is not what comes out",
    ),
    "a further table": (
        lambda b, r: (b / "evidence/privacy/tables/more.csv").write_text("a\n1\n"),
        "tables/more.csv is not what comes out",
    ),
    "an array more": (lambda b, r: hidden_image(b), "images/first.npz is not what comes out"),
    "a real picture": (other_picture, "shows a picture .number 1. that is no case"),
    "a setting of many numbers": (
        lambda b, r: edit(
            b / "evidence/audit/results.json", lambda d: d["provenance"]["config"].update(x=list(range(4096)))
        ),
        "4,096 entries of the setting x",
    ),
    "an own file more": (lambda b, r: (b / "notes.md").write_text("x"), "notes.md is nothing that a release writes"),
    "a file more in the cohort": (
        lambda b, r: (b / "cohort" / "more.npy").write_bytes(b"x"),
        "cohort/more.npy is nothing that a release writes",
    ),
    "a folder more": (
        lambda b, r: ((b / "patients").mkdir(), (b / "patients" / "a.txt").write_text("x")),
        "patients/a.txt is nothing that a release writes",
    ),
    "evidence in a folder with a patient's name": (
        lambda b, r: (b / "evidence" / "privacy").rename(b / "evidence" / "Jane Doe"),
        "evidence/Jane Doe is nothing that a release of these cases writes",
    ),
    "pixels beside the array": (
        lambda b, r: (b / "cohort" / "images.npy").write_bytes((b / "cohort" / "images.npy").read_bytes() + b"Jane"),
        "images.npy goes on for 4 bytes after its array",
    ),
    "a file more in the evidence": (
        lambda b, r: (b / "evidence" / "notes.txt").write_text("x"),
        "notes.txt is not a folder|holds no results.json",
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_with_its_hashes_is_noticed(released: Any, forged: Path, name: str) -> None:
    change, says = FORGERIES[name]
    change(forged, released.bench.real)
    released.rehash(forged)
    with pytest.raises(UnderstudyError, match=says) as refused:
        verify_bundle(forged)
    assert "\n" not in str(refused.value)
    with pytest.raises(UnderstudyError, match="is not as the signer .* signed it, if at all"):
        verify_bundle(forged, released.public)


def test_a_file_more_or_less_in_the_folder_of_a_form(mr_bench: Any, released: Any) -> None:
    forms = list(FORMS)
    bundle = release_cohort(
        mr_bench.synthetic, mr_bench.evidence(), mr_bench.root / "b", real=mr_bench.real, formats=forms
    )
    assert "In nifti, png, nnunet, bids, dicom headers, tags and descriptions beside the pixels" in verify_bundle(
        bundle
    )
    more = ("nifti/patients.csv", "png/images/real.png", "nnunet/Dataset001_Synthetic/imagesTr/case-000099_0000.nii.gz",
            "bids/CHANGES.md", "dicom/Jane/1.dcm")  # fmt: skip
    for name in more:
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).write_text("x")
        released.rehash(bundle)
        with pytest.raises(UnderstudyError, match=f"{name} is nothing that a release of these cases writes"):
            verify_bundle(bundle)
        (bundle / name).unlink()
    (bundle / "dicom" / "Jane").rmdir()
    (bundle / "bids" / "participants.tsv").unlink()
    released.rehash(bundle)
    with pytest.raises(UnderstudyError, match="bids/participants.tsv is nothing .*, or is missing"):
        verify_bundle(bundle)


def test_other_pictures_in_the_report_are_told_and_the_rest_is_built_again(
    released: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from understudy.release import rebuild

    def drawn_by_another_version(*given: Any) -> Path:
        page = write(*given)
        page.write_bytes(rebuild.PICTURE.sub(b"data:image/png;base64,AAAA", page.read_bytes()))
        return page

    write = rebuild.write_report
    assert rebuild.PICTURE.search((released.bundle / "report" / "report.html").read_bytes())
    monkeypatch.setattr(rebuild, "write_report", drawn_by_another_version)
    said = verify_bundle(released.bundle, released.public)
    assert "card, evidence and report but for its pictures, which other versions of libraries drew." in said


def test_another_version_builds_nothing_again_and_says_so(released: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "code_version", lambda: "9.9")
    said = verify_bundle(released.bundle, released.public)
    assert "not built again: card, report and evidence, which understudy " in said and "and this is 9.9." in said


def test_files_that_no_release_writes(released: Any) -> None:
    manifest = Manifest.model_validate_json((released.bundle / MANIFEST).read_text())
    assert foreign_files(manifest) == []
    for name in ("manifest.json", "manifest.sig", "../card.md", "/etc/passwd", "cohort/images.npy/x", "x.json", ""):
        odd = manifest.model_copy(update={"files": {**manifest.files, name: ""}})
        assert foreign_files(odd) == [f"{name} is nothing that a release writes"]
