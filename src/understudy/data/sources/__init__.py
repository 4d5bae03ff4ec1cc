"""The menu of data set layouts. A new one is one file with ``list_items(path, options) -> Listing``, and one line."""

from understudy.data.listing import Source
from understudy.data.sources import brats, built_in, folder

_FILES = (
    "images",
    "labels",
    "table",
    "label_column",
    "subject",
    "subject_pattern",
    "one_image_per_subject",
    "synthetic",
    "classes",
)
_TABLE = (*_FILES, "split_column", "leave_out")

SOURCES: dict[str, Source] = {
    "folder": Source(
        "pictures and label maps matched by name or through a CSV table", folder.list_items, ("subjects", "slices")
    ),
    "brats": Source(
        "BraTS of any year: a folder per case, one NIfTI per contrast",
        brats.list_items,
        (*_TABLE, "subjects", "slices"),
    ),
    "phantom": Source(
        "a procedural brain with a tumour; no PATH",
        built_in.list_items,
        (*_TABLE, "label_scheme", "channels", "rule", "fit"),
        needs_path=False,
        secret=False,
    ),
}
