"""The seven headings of the scorecard for synthetic medical data, filled from the evidence of a release.

**Source**: Zamzmi et al., Scorecards for Synthetic Medical Data Evaluation and Reporting (2024, arXiv 2406.11143).
**Differs**: no score and no overall mark; each heading lists the numbers that were measured, with interval and n, or
says that none was. They are those of the evidence in the same bundle, or counted in its cohort.
**Checked** in tests/release/test_headings.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pydantic import BaseModel

from understudy.core.cohort import Cohort
from understudy.core.documents import STRICT
from understudy.core.result import Result

BASELINES = ("", ".unseen", ".unseen_extrapolated", ".redrawn")  # read beside a distance
MAX_FOUND = 40  # numbers under one heading; the rest is counted


@dataclass(frozen=True)
class Heading:
    """A heading: the question that it answers, and the patterns of the names of results that do."""

    name: str
    asks: str
    patterns: tuple[str, ...] = ()


class FilledHeading(BaseModel):
    """A heading of a card: facts and numbers, or what is missing."""

    model_config = STRICT

    name: str
    asks: str
    found: list[str]
    missing: str


def _beside(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}{baseline}" for name in names for baseline in BASELINES)


HEADINGS = (
    Heading(
        "Congruence",
        "Do the synthetic cases agree with real ones, in distribution and for a task?",
        (
            *_beside("fidelity*.frechet", "fidelity*.kid", "fidelity*.precision", "fidelity*.spectrum"),
            *_beside("fidelity*.intensity.*"),
            *(f"utility.{arm}.*.{score}" for arm in ("real", "synthetic", "ratio") for score in ("dice", "auc")),
        ),
    ),
    Heading(
        "Coverage",
        "Do they show the variety of the real cases?",
        (
            *_beside("fidelity*.recall", "fidelity*.coverage"),
            "fidelity*.ms_ssim",
            "fidelity*.ms_ssim.real",
            "fidelity*.diversity.*",
            "cohort.subjects",
        ),
    ),  # fmt: skip
    Heading(
        "Constraint",
        "Do image and label map keep to anatomy, and to each other?",
        (
            "consistency.*.dice",
            "consistency.*.accuracy",
            "consistency.*.quantile",
            "fidelity*.labels.empty",
            "fidelity*.labels.*.without",
            *_beside("fidelity*.labels.*.wasserstein"),
        ),
    ),  # fmt: skip
    Heading("Completeness", "Is everything there that a user of the data needs?", ("cohort.cases",)),
    Heading(
        "Compliance",
        "Do they keep to the limits for privacy that the institution set?",
        (
            "privacy*.copies.flagged",
            "privacy*.copies.expected",
            "privacy*.label_maps.flagged",
            "privacy.swap.*",
            "privacy.audit.recall.mean",
            "privacy.audit.recall.worst",
            "privacy.audit.false_positive_rate",
            "privacy.audit.false_positive_p",
            "privacy*.attack.*.auc",
            "privacy*.attack.*.control",
        ),
    ),  # fmt: skip
    Heading("Comprehension", "Can it be understood how they were made, and where they fail?"),
    Heading(
        "Consistency",
        "Does what was measured hold again: in draws, trainings, groups, other measures?",
        ("utility*.draws*", "utility*.seeds*", "utility.by.*", "correlation.*", "interrater.*"),
    ),
)


def filled_headings(
    cohort: Cohort, results: Sequence[Result], told: Mapping[str, Sequence[str]]
) -> list[FilledHeading]:
    """Fill the headings for the cohort in a bundle; ``told`` are sentences by the name of a heading."""
    facts = {"Completeness": _complete(cohort), **told}
    found = []
    for heading in HEADINGS:
        numbers = sorted(
            {f"{r.name}: {r}" for r in results if any(fnmatchcase(r.name, pattern) for pattern in heading.patterns)}
        )
        shown = numbers[:MAX_FOUND]
        more = [f"{len(numbers) - MAX_FOUND} more in evidence/"] if len(numbers) > MAX_FOUND else []
        sentences = [*facts.get(heading.name, ()), *shown, *more]
        missing = "" if numbers or not heading.patterns else "No number in the evidence speaks of this."
        found.append(FilledHeading(name=heading.name, asks=heading.asks, found=sentences, missing=missing))
    return found


def _complete(cohort: Cohort) -> list[str]:
    """Say which parts of a case all of them have."""
    n = len(cohort)
    images = [channel.name for channel in cohort.encoding.channels]
    told = [f"Images: {', '.join(images)}, of all {n:,} cases." if images else "There are no images."]
    maps = f"Label maps ({', '.join(cohort.scheme.names[1:])}) of all cases." if cohort.scheme else "No label maps."
    told.append(maps)
    for name in cohort.classes:
        told.append(
            f"{name} is given for {sum(entry != '' for entry in cohort.column(name).tolist()):,} of {n:,} cases."
        )
    spaced = sum(entry != "" for entry in cohort.column("spacing").tolist())
    return [*told, f"Voxel spacing is given for {spaced:,} of {n:,} cases."]


def markdown_of(headings: Sequence[FilledHeading]) -> list[str]:
    """Return filled headings as lines of Markdown."""
    lines: list[str] = []
    for heading in headings:
        lines += [f"### {heading.name}", "", f"{heading.asks}", ""]
        lines += [f"- {' '.join(text.split())}" for text in [*heading.found, *filter(None, [heading.missing])]] + [""]
    return lines
