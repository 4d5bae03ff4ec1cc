"""Study: the volumes of one study, and which of them are the channels of a case.

Without patterns a study must have one image series; pictures without a place (screen captures, x-rays) count only
where no study has anything else. A pattern is a regular expression, matched with the modality and the description of a
series.
**Checked** in tests/data/dicom/test_study.py.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.dicom.series import Volume
from understudy.data.listing import size_text

CODES = frozenset(
    (
        "CR",
        "CT",
        "DX",
        "ES",
        "GM",
        "IO",
        "MG",
        "MR",
        "NM",
        "OCT",
        "OP",
        "OPT",
        "OT",
        "PT",
        "PX",
        "RF",
        "RG",
        "SC",
        "US",
        "XA",
        "XC",
    )
)
Several = Literal["first", "all"]

NONE = "no series of a study fits"
MANY = "several series of a study fit"
PARTS = "a series holds several volumes (echoes, time points, b-values)"
NOT_TAKEN = "series, or volumes of series, that no channel takes"
PICTURES = "pictures without a place in the body, beside volumes (screen captures, x-rays)"
APART = "its series do not share a frame of reference (--same-grid takes them voxel by voxel)"
APART_SIZES = "its series share neither a frame of reference nor a size"
SIZES = "its series differ in size, and --same-grid takes them voxel by voxel"
UNFIT = "studies that do not fit: {}"
SHOWN = 10


@dataclass(frozen=True)
class Study:
    """One study of a subject.

    Attributes:
        name: how messages call it. subject: whose it is; never written. uid: never written.
    """

    name: str
    subject: str
    uid: str
    volumes: tuple[Volume, ...]


@dataclass(frozen=True)
class StudyCase:
    """One case to be: the volumes that are its channels; the first is the reference."""

    study: Study
    channels: tuple[Volume, ...]


def code(volume: Volume) -> str:
    """Return a modality as DICOM defines it, or OT for any other text."""
    return volume.first.modality if volume.first.modality in CODES else "OT"


def patterns(given: Sequence[str]) -> dict[str, re.Pattern[str]]:
    """Read NAME=PATTERN, in order; UsageError where one is not so."""
    out: dict[str, re.Pattern[str]] = {}
    for text in given:
        name, sign, pattern = (part.strip() for part in text.partition("="))
        if not (name and sign and pattern) or name in out:
            raise UsageError(
                f"--series is NAME=PATTERN,... with each name once, as in t1=T1,flair=FLAIR; found {text!r}"
            )
        try:
            out[name] = re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            raise UsageError(f"--series {name}={pattern!r} is not a regular expression: {error}") from error
    return out


def choose(
    studies: Sequence[Study],
    wanted: dict[str, re.Pattern[str]],
    several: Several | None,
    same_grid: bool,
    passed_over: Counter[str],
) -> tuple[list[StudyCase], Counter[str]]:
    """Choose the channels of all cases, and count the studies that do not fit, by reason.

    Series that are passed over are added to ``passed_over``.
    """
    volumes = any(_placed(one) for study in studies for one in study.volumes)
    candidates = {study.uid: _candidates(study, wanted, volumes, passed_over) for study in studies}
    chosen: list[StudyCase] = []
    unfit: Counter[str] = Counter()
    for study in studies:
        found, reason = _of_study(study, candidates[study.uid], several)
        reason = reason or next((why for one in found if (why := _apart(one.channels, same_grid))), "")
        if reason:
            unfit[reason] += 1
        else:
            chosen += found
    taken, fitting = {id(volume) for one in chosen for volume in one.channels}, {one.study.uid for one in chosen}
    offered = [volume for study in studies if study.uid in fitting for volume in study.volumes]
    left = sum(id(volume) not in taken and bool(wanted or _placed(volume)) for volume in offered)
    if left:
        passed_over[NOT_TAKEN] += left
    return chosen, unfit


def refuse_unfit(
    studies: Sequence[Study], chosen: Sequence[StudyCase], unfit: Counter[str], show_descriptions: bool
) -> None:
    """Refuse studies that do not fit, with the first of them and what there is; UnderstudyError."""
    fitting = {one.study.uid for one in chosen}
    first = next((f" (the first is {one.name})" for one in studies if one.uid not in fitting), "")
    counts = ", ".join(f"{n} because {reason}" for reason, n in sorted(unfit.items()))
    raise UnderstudyError(
        f"{sum(unfit.values())} of {len(studies)} studies do not fit{first}: {counts}; found "
        f"{_overview(studies, show_descriptions)}: choose with --series NAME=PATTERN,... or --volumes first or all, "
        "mend the files, or pass such studies over with --skip-unfit"
    )


def _apart(channels: tuple[Volume, ...], same_grid: bool) -> str:
    """Why the channels of a case cannot be put on the grid of the first; blank where they can."""
    first = channels[0]
    if same_grid or any(one.grid is None for one in channels):
        return SIZES if len({one.stored for one in channels}) > 1 else ""
    spaces = {one.first.frame_of_reference for one in channels}
    if len(channels) == 1 or (len(spaces) == 1 and first.first.frame_of_reference):
        return ""
    return APART if len({one.stored for one in channels}) == 1 else APART_SIZES


def _candidates(
    study: Study, wanted: dict[str, re.Pattern[str]], volumes: bool, passed_over: Counter[str]
) -> list[list[Volume]]:
    """The volumes that may become each channel; ``volumes`` says whether any study has more than pictures."""
    if wanted:
        return [[one for one in study.volumes if pattern.search(one.first.about)] for pattern in wanted.values()]
    if not volumes:
        return [list(study.volumes)]
    placed = [one for one in study.volumes if _placed(one)]
    if len(study.volumes) > len(placed):
        passed_over[PICTURES] += len(study.volumes) - len(placed)
    return [placed]


def _placed(volume: Volume) -> bool:
    return volume.grid is not None or bool(volume.problem)


def _of_study(study: Study, candidates: list[list[Volume]], several: Several | None) -> tuple[list[StudyCase], str]:
    """The cases of a study, or why there are none."""
    if len(candidates) == 1 and candidates[0] and all(_picture(one) for one in candidates[0]):
        return [StudyCase(study, (one,)) for one in candidates[0]], ""
    taken: list[list[Volume]] = []
    for found in candidates:
        if not found:
            return [], NONE
        series = {(one.first.series, one.slices[0].instance.pixels) for one in found}
        if len({uid for uid, _ in series}) > 1:
            return [], MANY
        if len(found) > 1 and several is None:
            return [], PARTS
        taken.append(found if several == "all" else found[:1])
    if len({len(found) for found in taken}) > 1:
        return [], PARTS
    problems = [one.problem for found in taken for one in found if one.problem]
    if problems:
        return [], problems[0]
    return [StudyCase(study, channels) for channels in zip(*taken, strict=True)], ""


def _picture(volume: Volume) -> bool:
    return volume.grid is None and not volume.problem and len(volume.slices) == 1


def _overview(studies: Iterable[Study], show_descriptions: bool) -> str:
    """What series there are, by how many studies have them; descriptions may hold names and are shown on request."""
    rows: Counter[str] = Counter()
    for study in studies:
        rows.update({_row(volume, show_descriptions) for volume in study.volumes})
    shown = [f"{row} in {n}" for row, n in sorted(rows.items(), key=lambda pair: (-pair[1], pair[0]))[:SHOWN]]
    return "; ".join(shown) + ("; ..." if len(rows) > SHOWN else "")


def _row(volume: Volume, show_descriptions: bool) -> str:
    pixels = volume.first.pixels
    assert pixels is not None
    described = f" {volume.first.about!r}" if show_descriptions else ""
    slices = len(volume.slices)
    size = size_text((pixels.columns, pixels.rows, *([slices] if slices > 1 else [])))
    spacing = volume.slices[0].frame.spacing
    steps = f" ({spacing[1]:.3g} x {spacing[0]:.3g} mm)" if spacing else ""
    return f"{code(volume)}{described} {size}{steps}"
