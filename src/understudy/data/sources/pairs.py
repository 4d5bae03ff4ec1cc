"""Which image belongs to which label map, subject and split: by name below two folders, or as a CSV table says.

Image ``a/b.png`` belongs to the label map ``a/b.*`` (same path without the ending), or to the one with a suffix that
all label maps have (``_mask``). Contrasts in files of their own are joined by the suffixes of --contrasts. With a table
its rows say what is taken: the ``file`` column names the image below ``images`` (the label map, where there are no
images). What is left out is counted by reason. **Checked** in tests/data/sources/test_pairs.py.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data import formats, identity
from understudy.data.listing import Item
from understudy.data.sources import matching
from understudy.data.sources.folder_options import FolderOptions
from understudy.data.sources.naming import subjects
from understudy.data.sources.table import SourceTable, alike, class_columns, one_file, read_table
from understudy.data.sources.walk import Found, merged, walk
from understudy.data.split import published

NOT_IN_TABLE = "{} that no row of the table names"
NO_CONTRAST = "pictures that are of no contrast"
NO_SUFFIX = "pictures without the suffix of label maps"
Groups = dict[str, tuple[str, ...]]  # names without the ending of each case's images
SHARED = "label maps that several rows of the table name"


@dataclass(frozen=True)
class Pairs:
    """Items found.

    Attributes:
        channels: names of contrasts in files of their own; empty where a file holds all channels.
        classes: names of class columns.
        not_in_table: how many cases the table does not name.
        passed_over: why files and rows were left out, and how many of each.
        remarks: what a user should know, and how many it concerns.
    """

    items: list[Item]
    channels: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    not_in_table: int = 0
    passed_over: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Walked:
    """What was found below the folder of images and that of label maps."""

    images: Found | None
    labels: Found | None

    @property
    def all(self) -> tuple[Found, ...]:
        """The folders walked, each once."""
        return tuple(dict.fromkeys(found for found in (self.images, self.labels) if found))

    @property
    def together(self) -> bool:
        """Whether images and label maps lie in one folder."""
        return self.images is not None and self.images is self.labels

    @property
    def main(self) -> Found:
        """What a case is counted by: images, or label maps where there are no images."""
        return self.all[0]

    @property
    def passed_over(self) -> dict[str, int]:
        """Files left out in both."""
        return merged(*(found.passed_over for found in self.all))


@dataclass(frozen=True)
class _Cases:
    """Cases below the two folders, by name without the ending.

    Attributes:
        images: the image files of each case.
        labels: the label map of each case.
        names: the case of each file that a table may name, by its path below its folder.
        walked: what was found in the folders.
        channels: names of contrasts in files of their own.
        passed_over: pictures left out, by reason.
        remarks: how they were matched.
    """

    images: dict[str, tuple[Path, ...]]
    labels: dict[str, Path]
    names: dict[str, str]
    walked: _Walked
    channels: tuple[str, ...] = ()
    passed_over: dict[str, int] = field(default_factory=dict)
    remarks: dict[str, int] = field(default_factory=dict)

    def files(self, case: str) -> tuple[tuple[Path, ...], Path | None]:
        """Return the image files of a case, and its label map."""
        return self.images.get(case, ()), self.labels.get(case)


def pairs(path: Path, options: FolderOptions) -> Pairs:
    """Find and pair all pictures below a folder.

    Raises:
        UsageError: a folder, the table or one of its columns is not there.
        UnderstudyError: a picture has no partner or no subject, two have one name, or the table is wrong.
    """
    walked = _walked(path, options)
    table = _table(path, options)
    cases = _cases(options, walked, table)
    found = _by_table(path, options, cases, table) if table else _by_name(options, cases)
    for below in walked.all:
        below.refuse_broken(file for item in found.items for file in item.files)
    return found


def _walked(path: Path, options: FolderOptions) -> _Walked:
    """The files below the two folders; one that lies in the other is not part of it."""
    folders = {name: path / told for name in ("images", "labels") if (told := getattr(options, name)) is not None}
    for name, folder in folders.items():
        if not folder.is_dir():
            raise UsageError(f"a folder was expected at {folder}, and there is none: correct --{name}")
    read_elsewhere = [*folders.values(), path / options.table if options.table else None]
    found = {folder: walk(path, folder, leave=read_elsewhere) for folder in dict.fromkeys(folders.values())}
    for folder, below in found.items():
        if not below.files:
            endings = ", ".join(formats.FORMATS)
            raise UnderstudyError(
                f"the folder {folder} holds no picture; read are files that end in {endings} (a DICOM export, whose "
                "files may have no ending, is read by `understudy import dicom`)"
            )
    one = _Walked(*(found[folders[name]] if name in folders else None for name in ("images", "labels")))
    if one.together and not options.label_suffix and not options.contrasts and not options.label_column:
        raise UsageError(
            f"--images and --labels are one folder, {path / str(options.images)}: say which files are label maps with "
            "--label-suffix, such as _mask"
        )
    return one


def _table(path: Path, options: FolderOptions) -> SourceTable | None:
    if options.table is None:
        return None
    named = (options.subject, options.split_column, *(options.left_out or ())[:1], options.label_column)
    return read_table(path / options.table, [n for n in (*named, *options.classes) if n], options.file_column)


def _cases(options: FolderOptions, walked: _Walked, table: SourceTable | None) -> _Cases:
    """All pictures of the two folders, joined by name."""
    pool, maps = (found.stems() if found else {} for found in (walked.images, walked.labels))
    over = Counter(walked.passed_over)
    remarks: dict[str, int] = {}
    if options.label_suffix:
        chosen = matching.without([*maps], options.label_suffix)
        if not chosen:
            raise UnderstudyError(
                f"none of {len(maps)} label maps has a name that ends with {options.label_suffix!r}, before the "
                "ending: correct --label-suffix"
            )
        over[NO_SUFFIX] += 0 if walked.together else len(maps) - len(chosen)
        maps = {case: maps[stem] for case, stem in chosen.items()}
        taken = set(chosen.values()) if walked.together else set()
        pool = {stem: file for stem, file in pool.items() if stem not in taken}
    groups: Groups = {stem: (stem,) for stem in pool}
    if options.contrasts:
        groups, others = matching.joined([*pool], options.by_contrast)
        if walked.together and not options.label_suffix:
            maps = {stem: maps[stem] for stem in others}
        else:
            over[NO_CONTRAST] += len(others)
    wanted = _wanted(walked.main, groups, table)
    if groups and maps and not (options.label_suffix or options.label_column) and not wanted <= maps.keys():
        groups, maps, remarks = _unasked(groups, maps, wanted, whole=table is None)
    return _Cases(
        images={case: tuple(pool[stem] for stem in stems) for case, stems in groups.items()},
        labels=maps,
        names=_names(walked.main, groups or {stem: (stem,) for stem in maps}),
        walked=walked,
        channels=tuple(options.by_contrast),
        passed_over={reason: n for reason, n in over.items() if n},
        remarks=remarks,
    )


def _names(found: Found, groups: Groups) -> dict[str, str]:
    """The case of each file name that a table may give; a case of several files may be named itself."""
    case_of = {stem: case for case, stems in groups.items() for stem in stems}
    named = {name: case_of[stem] for name in found.files if (stem := formats.stem(Path(name))) in case_of}
    return {case: case for case, stems in groups.items() if len(stems) > 1} | named


def _wanted(found: Found, groups: Groups, table: SourceTable | None) -> set[str]:
    """The cases that are to be imported: all, or those of the table."""
    if table is None:
        return set(groups)
    names = _names(found, groups)
    return {names[name] for name in table.files if name in names}


def _unasked(
    groups: Groups, maps: dict[str, Path], wanted: set[str], whole: bool
) -> tuple[Groups, dict[str, Path], dict[str, int]]:
    """Match by suffixes that nobody named, where they fit all files; else all stays as it is."""
    found = matching.suffixes(sorted(wanted), [*maps], whole)
    if found is not None:
        images, labels = matching.without([*groups], found[0]), matching.without([*maps], found[1])
        groups = {case: groups[stem] for case, stem in images.items()}
        return groups, {case: maps[stem] for case, stem in labels.items()}, {matching.BY_SUFFIX: len(wanted)}
    numbers = matching.numbered([*groups], [*maps]) if whole else None
    if numbers is not None:
        groups, _ = matching.joined([*groups], {end: end for end in numbers})
        return groups, maps, {matching.BY_NUMBER: len(groups)}
    return groups, maps, {}


def _by_name(options: FolderOptions, cases: _Cases) -> Pairs:
    """Every picture is a case."""
    if cases.images and cases.walked.labels:
        _refuse_lone(cases)
    names = [*(cases.images or cases.labels)]
    found, told = subjects(names, options)
    items = [Item(name, subject, *cases.files(name)) for name, subject in zip(names, found, strict=True)]
    return Pairs(items, cases.channels, passed_over=cases.passed_over, remarks=merged(cases.remarks, told))


def _refuse_lone(cases: _Cases) -> None:
    """Refuse an image without a label map and a label map without an image."""
    for some, others, what, missing, option in (
        (cases.images, cases.labels, "image", "label map", "labels"),
        (cases.labels, cases.images, "label map", "image", "images"),
    ):
        lone = sorted(some.keys() - others.keys())
        if lone:
            first = cases.images[lone[0]][0] if what == "image" else cases.labels[lone[0]]
            cures = "name them with --label-suffix or, in a table, --label-column"
            if what == "image" and matching.looks_numbered([*cases.images]):
                cures = "join contrasts in files of their own with --contrasts NAME=_0000,NAME=_0001"
            raise UnderstudyError(
                f"{len(lone)} {what}(s) have no {missing} of the same name, the first is {first}: add the {missing}s, "
                f"move the {what}s elsewhere, {cures}, or leave out --{option}"
            )


def _by_table(path: Path, options: FolderOptions, cases: _Cases, table: SourceTable) -> Pairs:
    """Every row is a case."""
    names = [_case(options, cases, name) for name in table.files]
    _refuse_twice(table, names)
    labels = [_label(options, cases, row, name) for row, name in zip(table.rows, names, strict=True)]
    found, told = _subjects(options, table, names)
    classes, entries = class_columns(table.rows, options.classes, table.path, found)
    splits = [_split(options, row) for row in table.rows]
    items = [
        Item(name, subject, cases.images.get(name, ()), label, split, entry)
        for name, subject, label, split, entry in zip(names, found, labels, splits, entries, strict=True)
    ]
    if options.left_out and not any(splits):
        raise UnderstudyError(f"no row of {table.path} says {options.leave_out}: correct --leave-out")
    images, maps = len(cases.images) - len(items), len(cases.labels) - len(set(labels))
    left = {"images": images if cases.images else 0, "label maps": maps if cases.labels else 0}
    over = {NOT_IN_TABLE.format(what): n for what, n in left.items() if n}
    shared = {SHARED: len(labels) - len(set(labels))} if cases.labels and len(set(labels)) < len(labels) else {}
    return Pairs(
        items,
        cases.channels,
        classes,
        left["images"] if cases.images else left["label maps"],
        merged(cases.passed_over, table.passed_over, over),
        merged(cases.remarks, told, shared, alike(classes)),
    )


def _case(options: FolderOptions, cases: _Cases, name: str) -> str:
    """The case that a row of the table names."""
    case = cases.names.get(name)
    if case is None:
        below = cases.walked.main.folder
        raise UnderstudyError(
            f"the table names {name!r}, and there is no such picture: {below / name}{_near(name, cases.names)}"
        )
    return case


def _near(name: str, names: Iterable[str]) -> str:
    """What to do about a name that is not there, where one like it is."""
    for other in names:
        if other.casefold() == name.casefold():
            return f"; there is {other!r}, which differs in capitals only: write it so in the table"
        if formats.stem(Path(other)) == name:
            return f"; there is {other!r}: write the ending too"
    return "; names are paths below that folder, with the ending"


def _refuse_twice(table: SourceTable, names: list[str]) -> None:
    """Refuse two rows of one case, which name different files of it."""
    seen: dict[str, int] = {}
    for line, name in zip(table.lines, names, strict=True):
        if seen.setdefault(name, line) != line:
            raise UnderstudyError(f"rows {seen[name]} and {line} of {table.path} name the same case {name!r}: keep one")


def _label(options: FolderOptions, cases: _Cases, row: dict[str, str], case: str) -> Path | None:
    """The label map of a row, None where there are no label maps."""
    if cases.walked.labels is None:
        return None
    if options.label_column is None:
        label = cases.labels.get(case)
        if label is None:
            raise UnderstudyError(
                f"the image {row[options.file_column]!r} of the table has no label map of the same name below "
                f"{cases.walked.labels.folder}: add it, remove the row, or name label maps with --label-suffix or "
                "--label-column"
            )
        return label
    name = one_file(row[options.label_column], f"the column {options.label_column!r}")
    found = cases.walked.labels.files.get(name)
    if found is None:
        hint = _near(name, cases.walked.labels.files) if name else "; fill it in, or remove the row"
        raise UnderstudyError(
            f"the column {options.label_column!r} names {name!r}, and there is no such label map: "
            f"{cases.walked.labels.folder / name}{hint}"
        )
    return found


def _split(options: FolderOptions, row: dict[str, str]) -> str:
    if options.left_out:
        column, value = options.left_out
        return "test" if identity.plain(row[column]) == identity.plain(value) else ""
    return published(row[options.split_column], "the table") if options.split_column else ""


def _subjects(options: FolderOptions, table: SourceTable, names: list[str]) -> tuple[list[str], dict[str, int]]:
    if options.subject is None:
        return subjects(names, options)
    told = table.column(options.subject)
    cure = "fill it in, or remove the rows"
    found = identity.subjects(told, f"the column {options.subject!r} of {table.path}", cure)
    return found, identity.remarks(told, found)
