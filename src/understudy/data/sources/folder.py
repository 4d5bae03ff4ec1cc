"""A folder of images and label maps, a file a case or a file a contrast; what belongs together is found in pairs.py.

**Checked** in tests/data/sources/test_folder.py.
"""

from pathlib import Path

from understudy.data.listing import Listing, Source
from understudy.data.sources.file_listing import Layout, file_listing
from understudy.data.sources.folder_options import FolderOptions
from understudy.data.sources.pairs import pairs


def listing(path: Path, options: FolderOptions) -> Listing:
    """List a folder; headers of all files are read, pixels of label maps only where no scheme is given.

    Raises:
        UsageError: an option is missing, or does not go with another.
        UnderstudyError: the files do not fit together.
    """
    options.refuse_contradictions()
    found = pairs(path, options)
    layout = Layout(
        "folder",
        channels=found.channels,
        classes=found.classes,
        tables=(path / options.table,) if options.table else (),
        passed_over=found.passed_over,
        remarks=found.remarks,
        notes={"files_passed_over_by_table": found.not_in_table},
    )
    return file_listing(path, found.items, layout, options)


SOURCE = Source(
    "pictures and label maps matched by name or through a CSV table",
    listing,
    FolderOptions,
    (
        "understudy import folder DATA --images images --labels masks --subject-pattern '^[^_]+' --out mine",
        "understudy import folder XRAYS --images . --table table.csv --subject child --classes kind --out xrays",
    ),
)
