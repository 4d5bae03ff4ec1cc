"""The README tells licence, forms and what the arrays mean; the licence of the source is carried."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance
from understudy.release.package import release_cohort
from understudy.release.recipient import NOT_STATED, checked_licence, licence_of, licence_told, readme

Cases = Callable[..., Cohort]


def test_licences() -> None:
    assert checked_licence(None) is None and checked_licence("CC-BY-4.0") == "CC-BY-4.0"
    assert checked_licence("https://example.org/terms?v=1") == "https://example.org/terms?v=1"
    for wrong in ("", "CC BY", "http://x", "a\nb", "x" * 65, "https://x/<b>"):
        with pytest.raises(UsageError, match="a licence is an identifier of SPDX"):
            checked_licence(wrong)
    assert licence_told(None, None) == NOT_STATED and licence_told(None, "MIT") == licence_told("MIT", "MIT") == "MIT"
    assert licence_told("CC0-1.0", "CC-BY-4.0") == "CC0-1.0; the source data are under CC-BY-4.0"


def test_the_licence_that_the_source_was_imported_with(cases: Cases) -> None:
    for said, found in (("CC-BY-NC-4.0", "CC-BY-NC-4.0"), ("Dr. Name", None), (None, None)):
        real = cases(f"real-{found}-{said}"[:12], provenance=Provenance("import folder", {"licence": said}))
        assert licence_of(real) == found


def test_what_the_readme_says(cases: Cases) -> None:
    given = cases(channels=("t1", "flair"), spacing="")
    told = readme(given, ["nifti", "dicom"], "CC-BY-4.0")
    for line in (
        "3 synthetic cases with images and label maps, made by understudy",
        "Licence: CC-BY-4.0.",
        "- `nifti/`: NIfTI,",
        "- Channel 1: flair, 0 to 255",
        "- Label 2: small cyst",
        "- Class of a case: ill",
        "- The spacing is not known",
        "TorchIO, from the files:",
    ):
        assert line in told
    assert "TorchIO, from the arrays:" in readme(given, ["dicom"], "")
    assert "images = " not in readme(cases("maps", channels=()), ["nifti"], "")


def test_a_release_carries_both_files_in_its_manifest(bench: Any) -> None:
    out = release_cohort(bench.synthetic, bench.evidence(), bench.root / "out", real=bench.real, licence="CC0-1.0")
    manifest = (out / "manifest.json").read_text()
    assert '"README.md"' in manifest and '"croissant.json"' in manifest and '"licence": "CC0-1.0"' in manifest
    assert "Licence: CC0-1.0." in (out / "README.md").read_text()
    assert Path(out, "croissant.json").read_text().count("spdx.org/licenses/CC0-1.0") == 1
