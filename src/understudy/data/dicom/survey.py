"""Survey: all files below a folder, read as far as headers go; what is no DICOM, or no image, is counted by its kind.

Files are called by their number in the order of their paths, since paths of DICOM files are often names of people.
**Checked** in tests/data/dicom/test_survey.py.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from understudy.core.errors import UnderstudyError
from understudy.data.dicom import kinds
from understudy.data.dicom.instance import Instance, read
from understudy.data.dicom.opening import damaged, is_dicom, pydicom

NO_DICOM = "files that are no DICOM"
LINKS = "links to folders, links that lead out of the folder or nowhere, pipes and devices"


@dataclass(frozen=True)
class Survey:
    """What is there.

    Attributes:
        images: in the order of their paths.
        annotations: segmentations and structure sets, likewise.
        passed_over: why other files were left out, and how many of each.
    """

    images: list[Instance]
    annotations: list[Instance]
    passed_over: Counter[str] = field(default_factory=Counter)


def survey(path: Path, name_files: bool, table: Path | None = None) -> Survey:
    """Read the headers of all DICOM files below a folder, which may hold a table.

    Raises:
        UnderstudyError: a file or folder cannot be opened, a DICOM file is damaged, or there is no image.
        UsageError: pydicom is not installed.
    """
    pydicom()
    found, empty = Survey([], []), []
    files = sorted(_files(path, found.passed_over), key=lambda file: file.relative_to(path).as_posix())
    for place, file in enumerate(files, start=1):
        if file == table:
            continue
        told = f"file {place} of {len(files)} (in the order of their paths; --name-files says which)"
        where = str(file) if name_files else told
        try:
            known = is_dicom(file)
        except OSError as error:
            raise UnderstudyError(f"{where} cannot be opened ({error.strerror}): make it readable") from None
        if not known:
            found.passed_over[NO_DICOM] += 1
            continue
        one = read(file, where)
        if one.kind == kinds.IMAGE:
            found.images.append(one)
        elif one.kind in (kinds.SEGMENTATION, kinds.STRUCTURES):
            found.annotations.append(one)
        else:
            found.passed_over[one.kind] += 1
            empty += [one] if one.kind == kinds.NO_PIXELS else []
    series = {one.series for one in found.images}
    for one in empty:
        if one.series in series:
            raise damaged(one.where, "it has no pixels, and other files of its series have")
    if not found.images:
        others = found.passed_over + Counter(one.kind for one in found.annotations)
        counts = ", ".join(f"{n} {what}" for what, n in sorted(others.items())) or "nothing"
        raise UnderstudyError(f"DICOM images were expected in the folder, and it holds none; it holds {counts}")
    return found


def _files(path: Path, passed_over: Counter[str]) -> Iterator[Path]:
    """Regular files inside a folder; a link is followed to a file inside it only."""
    root = path.resolve()
    for folder, folders, names in os.walk(path, onerror=_refuse_closed):
        at = Path(folder)
        passed_over.update({LINKS: sum((at / name).is_symlink() for name in folders)})
        for name in names:
            file = at / name
            if not file.is_file() or (file.is_symlink() and not file.resolve().is_relative_to(root)):
                passed_over[LINKS] += 1
            else:
                yield file
    if not passed_over[LINKS]:
        del passed_over[LINKS]


def _refuse_closed(error: OSError) -> None:
    """Refuse a folder that cannot be opened: the studies in it would be left out without a word."""
    raise UnderstudyError(
        f"a folder below the one to import cannot be opened ({error.strerror}): make all of it readable"
    ) from None
