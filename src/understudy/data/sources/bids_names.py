"""File names of BIDS: entities and a suffix (``sub-01_ses-02_ce-gadolinium_T1w``), and which file is meant.

**Source**: Brain Imaging Data Structure 1.11.1, common principles, filenames.
**Checked** in tests/data/sources/test_bids_names.py.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data import formats

_NAME = re.compile(r"(?:sub-(?P<sub>[^_/]+))?(?P<rest>(?:_?[a-zA-Z0-9]+-[^_/]+)*)_?(?P<suffix>[a-zA-Z0-9]+)")
RUNS = frozenset({"acq", "ce", "rec", "dir", "run", "echo", "inv", "part"})  # entities that tell scans of a session
NO_IMAGES = frozenset({"dseg", "probseg", "mask", "roi", "defacemask"})


@dataclass(frozen=True)
class BidsName:
    """What a file name says.

    Attributes:
        subject, session: labels, without ``sub-`` and ``ses-``; blank where the name has none.
        entities: the others, such as ``ce-gadolinium``.
        suffix: such as ``T1w``.
        datatype: the folder that holds the file, such as ``anat``.
    """

    subject: str
    session: str
    entities: frozenset[str]
    suffix: str
    datatype: str = ""

    @classmethod
    def read(cls, path: str) -> Self | None:
        """Read a path below a data set, without its ending; None where the name is not one of BIDS."""
        match = _NAME.fullmatch(path.rpartition("/")[2])
        if match is None:
            return None
        parts = [part for part in match["rest"].split("_") if part]
        sessions = [part[4:] for part in parts if part.startswith("ses-")]
        others = frozenset(part for part in parts if not part.startswith("ses-"))
        folder = path.rpartition("/")[0].rpartition("/")[2]
        return cls(match["sub"] or "", sessions[0] if sessions else "", others, match["suffix"], folder)

    @property
    def case(self) -> str:
        """The session of the subject: ``sub-01`` or ``sub-01/ses-02``."""
        return f"sub-{self.subject}" + (f"/ses-{self.session}" if self.session else "")

    def holds(self, meant: "BidsName") -> bool:
        """Tell whether this has the suffix and all entities that are meant, and perhaps more."""
        return self.suffix == meant.suffix and meant.entities <= self.entities


def meant(text: str, option: str) -> BidsName:
    """Read what an option names: a suffix, with entities before it where needed; UsageError for anything else."""
    found = BidsName.read(text)
    if found is None or found.subject or found.session:
        raise UsageError(
            f"{option} names a suffix, as in T1w, or entities and a suffix, as in ce-gadolinium_T1w; found {text!r}"
        )
    return found


Files = Mapping[BidsName, Path]


def sessions(files: Mapping[str, Path]) -> tuple[dict[str, dict[BidsName, Path]], int]:
    """Return the pictures of each session by what their names say, and how many pictures have other names.

    Raises:
        UnderstudyError: a file lies in the folder of another subject, or two say the same.
    """
    found: dict[str, dict[BidsName, Path]] = {}
    others = 0
    for path, file in files.items():
        name = BidsName.read(formats.stem(Path(path)))
        if name is None or not name.subject:
            others += 1
            continue
        folders = [part for part in path.split("/")[:-1] if part.startswith("sub-")]
        if any(folder != f"sub-{name.subject}" for folder in folders):
            raise UnderstudyError(
                f"{file} lies in the folder of another subject, {folders[-1]}: whose is it? Move or rename it"
            )
        session = found.setdefault(name.case, {})
        if name in session:
            raise UnderstudyError(f"{session[name]} and {file} have one name: rename one, or move it elsewhere")
        session[name] = file
    return found, others


def picked(wanted: BidsName, files: Files, option: str) -> Path | None:
    """Return the file of a session that is meant, None where there is none.

    Of several, the one without further entities is meant.

    Raises:
        UnderstudyError: several have further entities.
    """
    fits = {name: file for name, file in files.items() if name.holds(wanted)}
    plain = [file for name, file in fits.items() if name.entities == wanted.entities]
    if len(fits) > 1 and len(plain) != 1:
        first, second = sorted(fits.values())[:2]
        more = sorted(next(iter(fits)).entities - wanted.entities)
        if not more:
            raise UnderstudyError(f"{first} and {second} have one name in two folders: move one elsewhere")
        raise UnderstudyError(
            f"{first} and {second} are both {wanted.suffix} of one session: say which with entities, as in {option} "
            f"{'_'.join([*sorted(wanted.entities), *more[:1], wanted.suffix])}"
        )
    return plain[0] if plain else next(iter(fits.values()), None)


def refuse_other_run(images: Sequence[Path], label: Path) -> None:
    """Refuse a label map whose name says another run, acquisition or contrast than those of all its images.

    Args:
        images: the images of a session.
        label: its label map.

    Raises:
        UnderstudyError: an entity of ``RUNS`` has one value in the label map and others in the images.
    """
    names = [BidsName.read(formats.stem(image)) for image in images]
    said = [dict(part.split("-", 1) for part in name.entities) for name in names if name]
    drawn = BidsName.read(formats.stem(label))
    for key, value in sorted(part.split("-", 1) for part in (drawn.entities if drawn else ())):
        others = {one[key] for one in said if key in one}
        if key in RUNS and others and value not in others:
            raise UnderstudyError(
                f"{label} is drawn on {key}-{value}, and the image taken is {key}-{min(others)}: name the two alike "
                "with --channels and --label-name"
            )


def shared_suffixes(found: Mapping[str, Files]) -> tuple[str, ...]:
    """Return the suffixes of anatomical images that every session has; UnderstudyError where there are none."""
    per = [
        {name.suffix for name in files if name.datatype == "anat" and name.suffix not in NO_IMAGES}
        for files in found.values()
    ]
    shared = sorted(set[str].intersection(*per)) if per else []
    if not shared:
        counts = Counter(suffix for files in found.values() for suffix in {name.suffix for name in files} - NO_IMAGES)
        there = ", ".join(f"{suffix} ({n})" for suffix, n in sorted(counts.items())[:8])
        raise UnderstudyError(
            f"no anatomical image is there in all {len(found)} sessions: name what to take with --channels; there are "
            f"{there or 'none'}"
        )
    return tuple(shared)


def fitting(wanted: BidsName, files: Mapping[str, Path]) -> Sequence[str]:
    """Return the paths of pictures that fit what is meant."""
    read = {path: BidsName.read(formats.stem(Path(path))) for path in files if formats.ending(Path(path))}
    return [path for path, name in read.items() if name is not None and name.subject and name.holds(wanted)]
