"""``verify --against``: who holds the real cohort compares a bundle with it again, as the release did or more strictly.

A bundle's policy says from where an image counts as a real one. In a forged bundle the policy is the forger's: the
default one's limits count where they are stricter.

**Checked** in tests/release/test_against.py.
"""

from collections.abc import Sequence
from pathlib import Path

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.data.seal import content_id, key_at_hand
from understudy.release.disclosure import Comparison, compare_with_real
from understudy.release.evidence import EvidenceSet, open_real
from understudy.release.policy import RealCheck, read_policy
from understudy.release.recompute import TOLERANCE, refuse_other_numbers, released_rows


def compare_again(
    bundle: Path,
    released: Cohort,
    real: Path,
    known: EvidenceSet,
    rule: RealCheck,
    forms: Sequence[str],
    told: Comparison | None,
) -> str:
    """Compare a bundle with the real cohort behind it, and say what was found.

    Raises:
        UsageError: no real cohort.
        UnderstudyError: another cohort than the bundle names, something real in the bundle, or other numbers than the
            release told.
    """
    original = open_real(real, known, "--against", "bundle")
    original.verify()
    key = key_at_hand(None, bundle)
    checked = original.id in [content_id(original, one) for one in (None, key)]
    found = compare_with_real(bundle, forms, original, _stricter(rule, read_policy().policy.real_check))
    if told is not None and not _agree(found, told):
        raise UnderstudyError(
            f"the bundle says that its highest correlations with {told.real_cases:,} real cases are {told.highest_r} "
            f"and, drawn, {told.highest_r_drawn}, and compared again with {found.real_cases:,} they are "
            f"{found.highest_r} and {found.highest_r_drawn}: get it again from who released it"
        )
    rows = released_rows(original, released)
    n = 0 if rows is None else refuse_other_numbers(known.released, released, original, rows)
    return (
        f"Compared again with all {found.real_cases:,} real cases: no real image, patch, label map, number or name in "
        f"{found.files:,} files; highest correlation {found.highest_r:.3f}; {n} numbers of the evidence measured again."
        + ("" if checked else " The id of the real cohort was not checked, for want of its key.")
    )


def _stricter(one: RealCheck, other: RealCheck) -> RealCheck:
    """Return the stricter limits of two rules."""
    limits = ("near", "drawn", "label_voxels")
    return one.model_copy(update={name: min(getattr(one, name), getattr(other, name)) for name in limits})


def _agree(found: Comparison, told: Comparison) -> bool:
    near = abs(found.highest_r - told.highest_r) <= TOLERANCE
    return near and found.real_cases == told.real_cases and abs(found.highest_r_drawn - told.highest_r_drawn) <= 0.01
