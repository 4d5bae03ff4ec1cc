"""FORMS is the menu of release forms: how a bundle stores the cohort. A new form is one file and one line here."""

from collections.abc import Sequence

from understudy.core.errors import UsageError
from understudy.core.menu import Menu
from understudy.release.formats.form import Form

FORMS: Menu[Form] = Menu(
    "understudy.release.formats",
    folder="folder:FORM",
    nifti="nifti:FORM",
    png="png:FORM",
    nnunet="nnunet:FORM",
    bids="bids:FORM",
    dicom="dicom:FORM",
)


def known_forms(names: Sequence[str]) -> list[str]:
    """Return release forms in the order of the menu; raises UsageError without any, for an unknown or repeated one."""
    if not names or len(set(names)) != len(names) or not set(names) <= set(FORMS):
        raise UsageError(
            f"forms of a release are out of {', '.join(FORMS)}, each once; found {', '.join(names) or 'none'}"
        )
    return [name for name in FORMS if name in names]
