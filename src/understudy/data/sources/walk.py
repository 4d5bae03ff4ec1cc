"""All files below a folder, for every source: each folder once, links followed inside the source, the rest counted.

A link is followed where it stays inside the source; one that leads out, back into itself, or to a folder that is met
another way is refused (its files would be there twice, and links can multiply without end). What is left out is counted
by reason: hidden files, folders that systems make, other kinds of files by their ending where that is a common one (any
other ending might be part of a name).
**Checked** in tests/data/sources/test_walk.py.
"""

import errno
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.identity import file_name

HIDDEN = "hidden files and folders"
SYSTEM = "folders that systems make (such as __MACOSX, @eaDir)"
OTHER = "files of other kinds"
ODD = "pipes, devices and sockets"
NOWHERE = "links that lead nowhere"
SYSTEM_FOLDERS = frozenset(
    {"__macosx", "@eadir", "$recycle.bin", "#recycle", "system volume information", "lost+found"}
)
COMMON = frozenset(
    {
        *("txt", "json", "csv", "tsv", "xls", "xlsx", "ods", "xml", "yaml", "yml", "pdf", "doc", "docx"),
        *("odt", "rtf", "md", "html", "htm", "zip", "gz", "tar", "7z", "rar", "db", "ini", "lnk", "log"),
        *("bak", "tmp", "py", "m", "r", "sh", "ipynb", "mat", "npy", "npz", "h5", "hdf5", "pkl", "pt"),
        *("pth", "onnx", "bval", "bvec", "sql", "sqlite", "url", "dcm", "dicom", "ima", "mp4", "avi", "mov"),
        *("svg", "svs", "ndpi", "gif", "heic", "eps", "ps", "img", "hdr", "raw", "zraw", "mgz", "mgh"),
        *("mnc", "vtk", "stl", "ply", "obj", "sum", "md5", "sha256", "checksum", "part", "crdownload"),
    }
)


@dataclass(frozen=True, eq=False)
class Found:
    """What lies below a folder.

    Attributes:
        folder: where the walk began.
        files: files of the wanted kind by their path below it, in one form (``identity.file_name``), in their order.
        broken: those of them that are links to nothing.
        passed_over: why others were left out, and how many of each.
    """

    folder: Path
    files: dict[str, Path]
    broken: frozenset[Path] = frozenset()
    passed_over: dict[str, int] = field(default_factory=dict)

    def stems(self) -> dict[str, Path]:
        """Return the files by their names without the ending; UnderstudyError where two have one."""
        out: dict[str, Path] = {}
        for name, file in self.files.items():
            stem = formats.stem(Path(name))
            if stem in out:
                raise UnderstudyError(
                    f"{out[stem]} and {file} have one name but for the ending: rename one, or move it elsewhere"
                )
            out[stem] = file
        return out

    def refuse_broken(self, files: Iterable[Path]) -> None:
        """Refuse files that are to be read and are links to nothing, with UnderstudyError."""
        lost = [file for file in files if file in self.broken]
        if lost:
            raise UnderstudyError(
                f"{len(lost)} file(s) are symbolic links that lead nowhere, the first is {lost[0]}: fetch the content "
                "(git annex get, datalad get), or move the links elsewhere"
            )


def is_picture(name: str) -> bool:
    """Tell whether a file name has an ending that is read."""
    return formats.ending(Path(name)) is not None


def walk(
    root: Path, folder: Path, wanted: Callable[[str], bool] = is_picture, leave: Iterable[Path | None] = ()
) -> Found:
    """Find the files below a folder of a source, whose name ``wanted`` takes.

    Files and folders in ``leave`` are read elsewhere: they are neither looked at nor counted.

    Raises:
        UnderstudyError: a link leads out of ``root``, in a circle or to a folder met another way; a wanted file is none
            (a pipe, a device); two have one name; or a folder cannot be opened.
    """
    going = _Walk(root, folder, wanted, leave)
    going.through()
    for partner in going.partners():
        going.over[_reason(partner.name)] -= 1
    over = {reason: n for reason, n in sorted(going.over.items()) if n}
    return Found(folder, dict(sorted(going.files.items())), frozenset(going.broken), over)


class _Walk:
    """A walk on its way: folders to come, folders seen, files found."""

    def __init__(self, root: Path, folder: Path, wanted: Callable[[str], bool], leave: Iterable[Path | None]) -> None:
        self.root, self.shown, self.folder = root.resolve(), root, folder
        self.wanted, self.leave = wanted, frozenset(leave)
        self.files: dict[str, Path] = {}
        self.others: set[Path] = set()
        self.broken: list[Path] = []
        self.over: Counter[str] = Counter()
        self.seen: dict[tuple[int, int], Path] = {}
        self.coming = [folder]

    def through(self) -> None:
        _refuse_beyond(self.root, self.shown, self.folder)
        while self.coming:
            here = self.coming.pop()
            try:
                self._once(here)
                with os.scandir(here) as entries:
                    listed = sorted(entries, key=lambda entry: entry.name)
                for entry in listed:
                    if here / entry.name not in self.leave:
                        self._meet(entry, here / entry.name)
            except OSError as error:
                raise UnderstudyError(
                    f"the folder {here} cannot be read ({error.strerror}): mend it, or the link to it"
                ) from error

    def _once(self, here: Path) -> None:
        """Note a folder; refused where another way leads to it."""
        found = here.stat()
        before = self.seen.setdefault((found.st_dev, found.st_ino), here)
        if before != here:
            raise UnderstudyError(
                f"{here} and {before} are one folder, through a symbolic link: its files would be taken twice, or "
                "without end; remove the link"
            )

    def _meet(self, entry: "os.DirEntry[str]", path: Path) -> None:
        name = entry.name
        if name.startswith("."):
            self.over[HIDDEN] += 1
            return
        if entry.is_symlink():
            kind = self._through_link(path, name)
        else:
            kind = entry.stat(follow_symlinks=False).st_mode
        if kind is None:
            return
        if stat.S_ISDIR(kind):
            if name.casefold() in SYSTEM_FOLDERS:
                self.over[SYSTEM] += 1
            else:
                self.coming.append(path)
        elif self.wanted(name):
            self._take(path, kind)
        elif stat.S_ISREG(kind):
            self.over[_reason(name)] += 1
            self.others.add(path)
        else:
            self.over[ODD] += 1

    def _through_link(self, path: Path, name: str) -> int | None:
        """The kind of what a link leads to, or None where it leads nowhere."""
        kind: int | None = None
        try:
            kind = path.stat().st_mode
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise _in_a_circle(path) from error
            if not self.wanted(name):
                self.over[NOWHERE] += 1
                return None
        if kind is None or self.wanted(name) or stat.S_ISDIR(kind):
            _refuse_beyond(self.root, self.shown, path)
        if kind is None:
            self._take(path, None)
            self.broken.append(path)
        return kind

    def _take(self, path: Path, kind: int | None) -> None:
        if kind is not None and not stat.S_ISREG(kind):
            raise UnderstudyError(f"{path} is no regular file (a pipe, a device or a socket): remove it")
        name = file_name(path.relative_to(self.folder).as_posix())
        if name in self.files:
            raise UnderstudyError(
                f"{self.files[name]} and {path} have one name, written in two Unicode forms: rename one"
            )
        self.files[name] = path

    def partners(self) -> list[Path]:
        """Files in which other files keep their voxels: they were read."""
        found = []
        for file in self.files.values():
            partner: Any = getattr(formats.FORMATS.get(formats.ending(file) or ""), "data_file", None)
            data = partner(file) if partner and file not in self.broken else None
            if data is not None and data in self.others:
                found.append(data)
        return found


def _reason(name: str) -> str:
    """Why a file is passed over: the phrase holds its ending only where that is a common one."""
    end = name.rpartition(".")[2].lower() if "." in name else ""
    return f"files that end in .{end}" if end in COMMON else OTHER


def _refuse_beyond(root: Path, shown: Path, file: Path) -> None:
    """Refuse a file that leads out of the source folder, resolved, through a symbolic link, with UnderstudyError."""
    try:
        there = file.resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle
        raise _in_a_circle(file) from error
    if not there.is_relative_to(root):
        raise UnderstudyError(
            f"{file} leads out of {shown} through a symbolic link: put the file itself there, or import the "
            "folder that holds it"
        )


def _in_a_circle(file: Path) -> UnderstudyError:
    return UnderstudyError(f"{file} is a symbolic link that leads in a circle: remove it")


def merged(*counts: dict[str, int]) -> dict[str, int]:
    """Add what was counted by reason."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return dict(sorted(total.items()))
