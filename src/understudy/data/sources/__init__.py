"""The menu of data set layouts. A new one is a file that ends with its ``SOURCE``, and one line."""

from understudy.core.menu import Menu
from understudy.data.listing import Source

SOURCES: Menu[Source] = Menu(
    "understudy.data.sources",
    folder="folder:SOURCE",
    dicom="dicom:SOURCE",
    brats="brats:SOURCE",
    nnunet="nnunet:SOURCE",
    msd="msd:SOURCE",
    bids="bids:SOURCE",
    isles="isles:SOURCE",
    chestxray14="chestxray14:SOURCE",
    phantom="built_in:SOURCE",
)
