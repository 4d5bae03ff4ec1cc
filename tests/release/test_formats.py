"""The contract of every release form: what is written reads back as the same cohort, and nothing else is touched."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UsageError
from understudy.core.menu import Menu
from understudy.core.provenance import Provenance
from understudy.release import croissant, disclosure, formats, package, rebuild, recipient, verify
from understudy.release.deidentify import write_deidentified
from understudy.release.formats import FORMS, known_forms
from understudy.release.formats.form import Form
from understudy.release.package import release_cohort
from understudy.release.verify import verify_bundle

REFUSED = {("nnunet", "images"), ("nnunet", "labels"), ("bids", "images"), ("dicom", "images")}


@pytest.mark.parametrize("without", ["nothing", "images", "labels"])
@pytest.mark.parametrize("name", list(FORMS))
def test_what_is_written_reads_back_as_the_same_cohort(bench: Any, tmp_path: Path, name: str, without: str) -> None:
    less: dict[str, Any] = {"nothing": {}, "images": {"channels": []}, "labels": {"scheme": None, "label_source": None}}
    source = Cohort.open(bench.cohort("given", **{"channels": [Channel("t1", 0, 255)]} | less[without]))
    if (name, without) in REFUSED:
        with pytest.raises(UsageError, match=r"given .*: choose nifti"):
            FORMS[name].refuse(source)
        return
    FORMS[name].refuse(source)
    write_deidentified(source, tmp_path / "plain", Provenance("release"))
    given, bundle = Cohort.open(tmp_path / "plain"), tmp_path / "made"
    bundle.mkdir()
    before = sorted(p.relative_to(tmp_path / "plain") for p in (tmp_path / "plain").rglob("*"))
    FORMS[name].write(bundle, given)
    read = FORMS[name].read(bundle)
    for array in ("images", "labels"):
        ours, theirs = getattr(given, array), getattr(read, array)
        assert (ours is None) == (theirs is None) == (without == array)
        assert ours is None or (np.array_equal(ours, theirs) and ours.dtype == theirs.dtype)
    assert read.id == given.id and read.columns == given.columns and read.encoding == given.encoding
    assert all(read.column(column).tolist() == given.column(column).tolist() for column in given.columns)
    assert {file.suffix for file in bundle.rglob("*") if file.is_file()} <= FORMS[name].suffixes
    assert len(list(bundle.iterdir())) == 1  # a folder of its own
    written = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()}
    assert written == FORMS[name].names(given) == FORMS[name].names(read)
    assert sorted(p.relative_to(tmp_path / "plain") for p in (tmp_path / "plain").rglob("*")) == before


class ToyForm:
    """A form of two files; what it reads back is a cohort written anew."""

    folder = "toy"
    suffixes = frozenset({".toy"})
    table = "toy/cases.csv.toy"
    pictures = "toy/*.npy.toy"
    media_type = "application/x-toy"
    holds = "toys"

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch

    def refuse(self, cohort: Cohort) -> None:
        pass

    def write(self, bundle: Path, cohort: Cohort) -> None:
        (bundle / "toy").mkdir()
        for file in cohort.path.iterdir():
            (bundle / "toy" / f"{file.name}.toy").write_bytes(file.read_bytes())

    def names(self, cohort: Cohort) -> set[str]:
        return {f"toy/{name}.toy" for name in ("cohort.json", "cases.csv", "images.npy", "labels.npy")}

    def files(self, bundle: Path, channels: Sequence[str], i: int) -> None:
        return None

    def read(self, bundle: Path) -> Cohort:
        self.scratch.mkdir(exist_ok=True)
        for file in (bundle / "toy").iterdir():
            (self.scratch / file.name.removesuffix(".toy")).write_bytes(file.read_bytes())
        return Cohort.open(self.scratch)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second form in the menu, as one line there would add it."""
    menu: Menu[Form] = Menu("understudy.release.formats", folder="folder:FORM")
    menu["toy"] = ToyForm(tmp_path / "scratch")
    for module in (formats, package, verify, rebuild, disclosure, croissant, recipient):
        monkeypatch.setattr(module, "FORMS", menu)


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize("formats", [("toy",), ("toy", "folder")])
def test_a_form_more_in_the_menu_is_packed_compared_and_verified(bench: Any, formats: tuple[str, ...]) -> None:
    out = release_cohort(bench.synthetic, bench.evidence(), bench.root / "out", real=bench.real, formats=formats)
    assert (out / "toy" / "images.npy.toy").is_file() and (out / "cohort").exists() == ("folder" in formats)
    assert verify_bundle(out) and not (out / ".cohort").exists()
    (out / "toy" / "images.npy.toy").unlink()
    with pytest.raises(Exception, match="toy/images.npy.toy is missing"):
        verify_bundle(out)


@pytest.mark.parametrize("names", [(), ("folder", "folder"), ("../x",), ("folder", "nifti-7")])
def test_forms_that_are_none_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="forms .* are out of folder"):
        known_forms(names)
