"""The one way into every evaluation: opens the cohorts and refuses those that must not be compared.

A real cohort in the place of a synthetic one, cohorts that do not fit, too few subjects, and above all a leak: a test
or control subject among those the generator saw. Messages name the cohort, never a subject.
**Checked** in tests/evaluation/test_guard.py (each refusal, and what the sentence says).
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError

LEAK = "trained_on is not recorded: a leak cannot be ruled out"
PROTECTED = ("control", "test")  # splits whose subjects no generator may have seen


def open_pair(
    real: Path,
    synthetic: Sequence[Path],
    *,
    splits: Mapping[str, int],
    labels: bool,
    images: bool = True,
    classes: Sequence[str] = (),
) -> tuple[Cohort, list[Cohort]]:
    """Open a real cohort and the synthetic cohorts that stand for it.

    The evaluation reads these splits of the real cohort, of at least so many subjects. Of the label maps `classes`
    alone count, the others are background; empty: all. Raises UsageError where kinds are mixed up, or sizes,
    channels or label schemes differ; UnderstudyError for too few subjects, images or label maps missing where they are
    needed, or a leak.
    """
    if not synthetic:
        raise UsageError("at least one synthetic cohort was expected, found none: name them with --synthetic")
    original, others = Cohort.open(real), [Cohort.open(path) for path in synthetic]
    _refuse_kinds(original, others)
    for cohort in (original, *others):
        refuse_missing(cohort, images, labels)
    _refuse_few(original, splits)
    if classes:
        original, others = original.with_classes(classes), [other.with_classes(classes) for other in others]
    for other in others:
        refuse_unfitting(original, other, labels)
        _refuse_leak(original, other)
    return original, others


def leak_note(cohort: Cohort) -> str:
    """Return what must stand beside every number of a cohort that does not record all its training subjects, or ""."""
    if cohort.trained_on and all(entry.get("subjects") for entry in cohort.trained_on):
        return ""
    return LEAK


def short_names(cohorts: Sequence[Cohort]) -> list[str]:
    """Return a stable short name for each synthetic cohort: its generator's, numbered where several share one."""
    return numbered([cohort.generator for cohort in cohorts])


def numbered(generators: Sequence[str]) -> list[str]:
    """Return the short names of cohorts of these generators, "" where one is not recorded."""
    names = [slug(generator or "synthetic") for generator in generators]
    each = [f"{name}-{names[: k + 1].count(name)}" for k, name in enumerate(names)]
    return [one if names.count(name) > 1 else name for name, one in zip(names, each, strict=True)]


def slug(text: str) -> str:
    """Return text as part of a dotted name: lower case, every run of other characters a hyphen."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "unnamed"


def _refuse_kinds(real: Cohort, synthetic: Sequence[Cohort]) -> None:
    for cohort in (real, *synthetic):
        need = "--real needs a cohort of real cases" if cohort is real else "--synthetic needs synthetic cases"
        if (cohort.kind == "real") != (cohort is real):
            raise UsageError(f"{need}, and {cohort.path.name} is {cohort.kind}: were the two sides swapped?")


def refuse_missing(cohort: Cohort, images: bool, labels: bool) -> None:
    """Refuse a cohort that lacks the images, label maps or classes that are needed, or whose classes share a name."""
    for what, needed, array in (("images", images, cohort.images), ("label maps", labels, cohort.labels)):
        if needed and array is None:
            raise UnderstudyError(f"this evaluation needs {what}, and the cohort {cohort.path.name} has none")
    if labels and cohort.scheme is not None and len(cohort.scheme) < 2:
        raise UnderstudyError(
            f"this evaluation needs a class beside the background, and the label scheme of {cohort.path.name} has none"
        )
    if labels and cohort.scheme is not None and len({slug(name) for name in cohort.scheme.names}) < len(cohort.scheme):
        raise UnderstudyError(
            f"classes of {cohort.path.name} have the same name in results, where {', '.join(cohort.scheme.names)} "
            f"become {', '.join(map(slug, cohort.scheme.names))}: import with other names in --label-scheme"
        )


def _refuse_few(real: Cohort, splits: Mapping[str, int]) -> None:
    for split, minimum in splits.items():
        found = len(real.subjects(split))
        if found < minimum:
            raise UnderstudyError(
                f"this evaluation needs at least {minimum} subject(s) in the {split} split of {real.path.name}, found "
                f"{found}: import with a larger share, e.g. --split train=0.6,validation=0.1,control=0.1,test=0.2"
            )


def refuse_unfitting(real: Cohort, other: Cohort, labels: bool) -> None:
    """Refuse a cohort of another size, other channels, or where label maps count, another label scheme."""
    pairs: list[tuple[str, Any, Any]] = [("size", real.size, other.size)]
    if real.images is not None and other.images is not None:
        expected, found = ([(c.name, c.low, c.high) for c in k.encoding.channels] for k in (real, other))
        pairs.append(("channels", expected, found))
    if labels and real.scheme is not None and other.scheme is not None:
        pairs.append(("label scheme", real.scheme.names, other.scheme.names))
    for what, expected, found in pairs:
        if expected != found:
            raise UsageError(
                f"the cohort {other.path.name} does not fit {real.path.name}: its {what} is {found}, and {expected} "
                "was expected: compare cohorts of one import"
            )


def _refuse_leak(real: Cohort, other: Cohort) -> None:
    seen = other.subjects_seen().union(other.subjects())
    for split in PROTECTED:
        leaked = len(seen.intersection(real.subjects(split)))
        if leaked:
            raise UnderstudyError(
                f"the cohort {other.path.name} was made from {leaked} {split} subject(s) of {real.path.name}: its "
                "evaluation would be meaningless; train the generator on the training split only"
            )
