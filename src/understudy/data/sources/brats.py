"""BraTS of all years: a folder per case with one file per contrast and ``seg``, by the names of each year.

    2013-2016  pat0001/VSD.Brain.XX.O.MR_T1c.54512/VSD.Brain.XX.O.MR_T1c.54512.mha, label maps VSD.Brain_3more.XX.O.OT
    2013-2015  brats_2013_pat0001_1/{flair,t1,t1c,t2,seg}.nii.gz            labels 0 1 2 3 4
    2017, 2018 Brats17_CBICA_AAB_1/Brats17_CBICA_AAB_1_{t1ce,...}.nii.gz    labels 0 1 2 4
    2020, 2021 BraTS20_Training_001/BraTS20_Training_001_t1ce.nii           labels 0 1 2 4
    2023       BraTS-GLI-00000-000/BraTS-GLI-00000-000-{t1n,t1c,t2w,t2f}    labels 0 1 2 3 (3 is the enhancing part)

Contrasts are those that every case has (or that ``channels`` names). Visits of one patient are one subject.
**Source** for the slices: Akbar et al., Sci Data 11:259 (2024), see data/slices.py; slices come padded to 256 x 256.
**Checked** in tests/data/sources/test_brats.py (a tree of each year).
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data import formats, identity
from understudy.data.listing import Item, Listing, Source, size_text
from understudy.data.options import FileOptions
from understudy.data.slices import AKBAR_SIDE
from understudy.data.sources.file_listing import Layout, file_listing
from understudy.data.sources.walk import Found, merged, walk

CONTRASTS = ("T1", "T1c", "T2", "FLAIR")
_TOKENS = {
    **{"t1": "T1", "t1n": "T1", "t1c": "T1c", "t1ce": "T1c", "t1gd": "T1c", "t2": "T2", "t2w": "T2"},
    **{"flair": "FLAIR", "t2f": "FLAIR", "seg": "seg", "segm": "seg"},
}
_EARLY_TOKENS = {"mr_flair": "FLAIR", "mr_t1c": "T1c", "mr_t1": "T1", "mr_t2": "T2", "ot": "seg"}
_NAME = re.compile(rf"^(.*?)(?:^|[_-])({'|'.join(sorted(_TOKENS, key=len, reverse=True))})$", re.IGNORECASE)
_EARLY = re.compile(r"(?i)^vsd\.brain[^.]*\.[^.]*\.o\.(mr_flair|mr_t1c|mr_t1|mr_t2|ot)\.\d+$")
NO_CONTRAST = "pictures that are no contrast of BraTS"
NOT_EVERYWHERE = "volumes of contrasts that not every case has"
_VISITS = (r"(?i)^(brats_(?:2013|tcia)_pat\d+)_\d+$", r"(?i)^(brats1[789]_.+)_\d+$", r"(?i)^(brats-[a-z]+-\d+)-\d{3}$")
_PARTS = {1: "necrosis", 2: "oedema", 3: "non-enhancing", 4: "enhancing"}
CONTRAST = re.compile(r"(^|[_-])(t1ce|t1c|t1gd|flair|t2f)\.nii", re.IGNORECASE)  # in names of files


def listing(path: Path, options: FileOptions) -> Listing:
    """List a BraTS folder.

    Raises:
        UsageError: an option does not go with it.
        UnderstudyError: it has no case, or cases that lack a file or have one twice.
    """
    walked = walk(path, path)
    cases, over = _cases(walked)
    channels = _channels(cases, options.channels)
    labelled = [name for name, files in cases.items() if "seg" in files]
    if labelled and len(labelled) < len(cases):
        lone = next(name for name in cases if name not in labelled)
        raise UnderstudyError(
            f"{len(cases) - len(labelled)} of {len(cases)} cases have no seg file, the first is {lone}: add it, or "
            "import the cases with and without label maps one by one"
        )
    told = [subject_of(name) for name in cases]
    subjects = identity.subjects(told, "the folder", "rename the folders of the cases")
    items = [
        Item(name, subject, tuple(files[c] for c in channels), files.get("seg"))
        for (name, files), subject in zip(cases.items(), subjects, strict=True)
    ]
    walked.refuse_broken(file for item in items for file in item.files)
    for item in items:
        _refuse_no_volume(item)
    layout = Layout(
        "brats",
        akbar=True,
        channels=channels,
        taken=tuple(range(len(channels))),
        scheme=_scheme(cases) if labelled else None,
        modality="MR",
        passed_over=merged(walked.passed_over, over, {} if options.channels else _not_taken(cases, channels)),
        remarks=identity.remarks(told, subjects),
        notes={"contrasts_not_in_every_case": sorted(_seen(cases) - set(channels))},
    )
    rule = options.rule or ("akbar" if options.dims != 3 else None)
    cut = options if options.dims == 3 else options.model_copy(update={"dims": 2, "rule": rule})
    found = file_listing(path, items, layout, cut)
    return found if options.dims == 3 else _sliced(found, options)


def subject_of(name: str) -> str:
    """Return the patient of a case folder; visits (the last number of some years' names) are one patient's."""
    matches = (re.match(pattern, name) for pattern in _VISITS)
    return next((match.group(1) for match in matches if match), name)


def _sliced(found: Listing, options: FileOptions) -> Listing:
    """The listing with the rule by which its volumes are cut."""
    if options.rule in ("tumour", "all"):
        return replace(found, rule=options.rule, sliced=True)
    if options.intensity not in ("dtype", "volume-max"):
        raise UsageError(
            f"--rule akbar needs volumes scaled by their maximum, and --intensity {options.intensity} was asked for: "
            "leave it out, or choose --rule tumour or all"
        )
    judge = found.channels.index("T1") if "T1" in found.channels else 0
    notes, padded = {**found.notes, "slices_judged_by": found.channels[judge]}, (AKBAR_SIDE,) * 2
    return replace(
        found, rule="akbar", judged_by=judge, intensity="volume-max", sliced=True, padded=padded, notes=notes
    )


def _cases(walked: Found) -> tuple[dict[str, dict[str, Path]], dict[str, int]]:
    """Files by case and contrast, and how many are of none.

    A case is a folder; or, where a folder holds many, what the names begin with.
    """
    found: dict[Path, list[tuple[str, str, Path]]] = {}
    others = 0
    for file in walked.files.values():
        stem = formats.stem(Path(file.name))
        early, match = _EARLY.match(stem), _NAME.match(stem)
        if early:
            own = file.parent.name == stem  # each file in a folder of its own
            found.setdefault(file.parents[int(own)], []).append(("", _EARLY_TOKENS[early.group(1).lower()], file))
        elif match:
            found.setdefault(file.parent, []).append((match.group(1), _TOKENS[match.group(2).lower()], file))
        else:
            others += 1
    cases: dict[str, dict[str, Path]] = {}
    for folder, files in found.items():
        many = len({contrast for _, contrast, _ in files}) < len(files)
        for prefix, contrast, file in files:
            name = prefix if many and prefix else folder.name
            if contrast in cases.setdefault(name, {}):
                raise UnderstudyError(
                    f"{cases[name][contrast]} and {file} are the {contrast} of one case: move one elsewhere"
                )
            cases[name][contrast] = file
    if not cases:
        raise UnderstudyError(
            f"{walked.folder} holds no BraTS case: volumes named like t1c.nii.gz, BraTS20_Training_001_t1ce.nii or "
            f"BraTS-GLI-00000-000-t1c.nii.gz were expected in folders below it"
        )
    return cases, {NO_CONTRAST: others} if others else {}


def _seen(cases: dict[str, dict[str, Path]]) -> set[str]:
    return {contrast for files in cases.values() for contrast in files} - {"seg"}


def _not_taken(cases: dict[str, dict[str, Path]], channels: tuple[str, ...]) -> dict[str, int]:
    left = sum(contrast not in (*channels, "seg") for files in cases.values() for contrast in files)
    return {NOT_EVERYWHERE: left} if left else {}


def _channels(cases: dict[str, dict[str, Path]], wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The contrasts to take: those named, or those that every case has."""
    if not wanted:
        common = tuple(c for c in CONTRASTS if all(c in files for files in cases.values()))
        if not common:
            raise UnderstudyError("no contrast is there in every case: complete them")
        return common
    known = {name.casefold(): name for name in CONTRASTS}
    for name in wanted:
        if name.casefold() not in known:
            raise UsageError(f"--channels names {name!r}, and the contrasts of BraTS are {', '.join(CONTRASTS)}")
        lone = next((case for case, files in cases.items() if known[name.casefold()] not in files), None)
        if lone is not None:
            raise UnderstudyError(
                f"the case {lone} has no {name}: add the file, or leave the contrast out of --channels"
            )
    return tuple(known[name.casefold()] for name in wanted)


def _scheme(cases: dict[str, dict[str, Path]]) -> LabelScheme:
    """What the label values mean in that year; the year shows in the names."""
    names = " ".join(file.name for files in cases.values() for file in files.values()).casefold()
    if re.search(r"-(t1n|t2f|t2w)\.", names):
        return LabelScheme(("background", "necrosis", "oedema", "enhancing"), (0, 1, 2, 3))
    early = "vsd.brain" in names or any(re.match(_VISITS[0], name) for name in cases)
    values = (1, 2, 3, 4) if early else (1, 2, 4)
    return LabelScheme(("background", *(_PARTS[v] for v in values)), (0, *values))


def _refuse_no_volume(item: Item) -> None:
    """Refuse a file of a case that is no volume of one channel."""
    for file in item.files:
        head = formats.header(file)
        if head.channels != 1 or len(head.size) != 3:
            raise UnderstudyError(
                f"{file} is {size_text(head.size)} in {head.channels} channel(s), and a file of a BraTS case is a "
                "volume of one channel: replace it"
            )


def fits(files: Sequence[Path]) -> bool:
    """Tell whether files are named as contrasts of BraTS."""
    return any(CONTRAST.search(file.name) for file in files)


SOURCE = Source(
    "BraTS of any year: a folder per case, one volume per contrast",
    listing,
    FileOptions,
    ("understudy import brats BRATS --channels T1c,FLAIR --size 64 --out brats",),
    fits=fits,
)
