"""Split by subject into train, validation, control and test: by fractions, seeded, or as published in a table.

**Differs** from a split by image, which puts neighbouring slices of a patient on both sides.
**Checked** in tests/data/test_split.py (counts by largest remainder; order of input does not matter; refusals).
"""

from collections.abc import Iterable

import numpy as np

from understudy.core.cohort import refuse_shared_subjects
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.manifest import SPLITS
from understudy.core.seed import rng
from understudy.data.listing import Item
from understudy.data.options import parse_fold

ALIASES = {
    "train": ("training", "tr"),
    "validation": ("valid", "val", "dev"),
    "control": ("holdout",),
    "test": ("testing", "ts"),
}
PUBLISHED = {name: split for split, others in ALIASES.items() for name in (split, *others)}


def parse_fractions(text: str) -> dict[str, float]:
    """Read ``train=0.6,validation=0.1,control=0.1,test=0.2``; some splits may be left out.

    Raises:
        UsageError: an unknown split, a number that is none or not above 0, or fractions that do not sum to 1.
    """
    fractions: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (p.strip() for p in part.partition("="))
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if name not in SPLITS or name in fractions or not 0 < value <= 1:
            raise UsageError(
                f"--split names each of {', '.join(SPLITS)} at most once with a fraction above 0, as in "
                f"train=0.8,test=0.2; found {text!r}"
            )
        fractions[name] = value
    if abs(sum(fractions.values()) - 1) > 1e-6:
        raise UsageError(f"the fractions of --split must sum to 1, and {text!r} sums to {sum(fractions.values()):g}")
    return {name: fractions[name] for name in SPLITS if name in fractions}


def counts(n: int, fractions: dict[str, float]) -> dict[str, int]:
    """Share n subjects out by largest remainder, one at least to each split; UnderstudyError where n is below that."""
    if n < len(fractions):
        raise UnderstudyError(
            f"{n} subject(s) are too few to give each of {', '.join(fractions)} at least one: name fewer splits, "
            "for example --split train=1"
        )
    exact = {name: n * share for name, share in fractions.items()}
    out = {name: int(np.floor(value + 1e-9)) for name, value in exact.items()}
    by_remainder = sorted(fractions, key=lambda name: (out[name] - exact[name], SPLITS.index(name)))
    for name in by_remainder[: n - sum(out.values())]:
        out[name] += 1
    for name in [name for name in out if out[name] == 0]:
        richest = max(out, key=lambda other: out[other])
        out[richest], out[name] = out[richest] - 1, 1
    return out


def by_fractions(subjects: Iterable[str], text: str, seed: int) -> dict[str, str]:
    """Return subject -> split by fractions, as :func:`parse_fractions` reads them; order and repeats do not matter."""
    names = sorted(set(subjects))
    shared = counts(len(names), parse_fractions(text))
    order = rng(seed, "import", "split").permutation(len(names))
    splits = [name for name, count in shared.items() for _ in range(count)]
    return {names[i]: split for i, split in zip(order.tolist(), splits, strict=True)}


def subjects_of_fold(subjects: Iterable[str], fold: str, seed: int) -> set[str]:
    """Return the subjects of fold K of N: of one seed, each subject is in one fold; sizes differ by one at most.

    Raises:
        UnderstudyError: there are fewer subjects than folds, or none would be left to learn from.
    """
    names, (k, n) = sorted(set(subjects)), parse_fold(fold)
    if len(names) < n or len(names) < 2:
        raise UnderstudyError(f"{len(names)} subject(s) cannot be shared out to {n} folds: ask for fewer folds")
    order = rng(seed, "import", "fold").permutation(len(names))
    return {names[i] for i in order[k - 1 :: n].tolist()}


def published(value: str, where: str) -> str:
    """Return our name of a published split; UsageError where it is not known."""
    found = PUBLISHED.get(value.strip().casefold())
    if found is None:
        raise UsageError(f"{where} names the split {value!r}, which is not known; known are {', '.join(PUBLISHED)}")
    return found


def assigned(items: list[Item], text: str, seed: int) -> dict[str, str]:
    """Return subject -> split for a listing's items.

    Subjects of whom any item names a split are in it, with all their items. The others are shared out by the fractions
    of ``text``, among the splits that no item names: where a table names the test subjects, a fraction for the test
    split is left aside.

    Raises:
        UnderstudyError: a subject lies in two splits, or too few are left to share out.
    """
    subjects, splits = (np.array([getattr(item, name) for item in items]) for name in ("subject", "split"))
    refuse_shared_subjects(subjects, splits, "the table")
    named = {item.subject: item.split for item in items if item.split}
    others = [item.subject for item in items if item.subject not in named]
    if not others:
        return named
    if not named:
        return by_fractions(others, text, seed)
    left = {name: share for name, share in parse_fractions(text).items() if name not in named.values()}
    if not left:
        raise UsageError(f"--split names {text!r}, all of which the table fills already: name other splits")
    whole = sum(left.values())
    return named | by_fractions(others, ",".join(f"{name}={share / whole!r}" for name, share in left.items()), seed)


def fewer(splits: dict[str, str], n: int, draw: int) -> dict[str, str]:
    """Keep n training subjects of subject -> split, drawn at random, and everybody else; for questions on small data.

    Of one seed ``draw``, fewer subjects are a part of more; UnderstudyError where there are not n.
    """
    left = _left_out(splits, n, draw)
    return {subject: split for subject, split in splits.items() if subject not in left}


def beyond(splits: dict[str, str], n: int, draw: int) -> dict[str, str]:
    """Keep those whom :func:`fewer` leaves out, all of them training subjects; UnderstudyError where there are none."""
    left = _left_out(splits, n, draw)
    if not left:
        raise UnderstudyError(f"there are {n} training subjects, and none beyond them: give a lower number")
    return {subject: split for subject, split in splits.items() if subject in left}


def _left_out(splits: dict[str, str], n: int, draw: int) -> set[str]:
    """The training subjects beyond n that are drawn at random."""
    train = sorted(subject for subject, split in splits.items() if split == "train")
    if n > len(train):
        raise UnderstudyError(f"{n} training subjects were asked for, and there are {len(train)}: ask for fewer")
    return {train[i] for i in rng(draw, "import", "draw").permutation(len(train))[n:].tolist()}
