"""FORMS is the menu of release forms: how a bundle stores the cohort. A new form is one file and one line here."""

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
