"""What an import says at its end: counts and phrases from the manifest, and nothing that names a file."""

from collections.abc import Callable

from understudy.core.cohort import Cohort
from understudy.data.summary import import_summary, import_warnings, total

Bring = Callable[..., Cohort]


def test_what_was_read_is_counted(bring: Bring) -> None:
    cohort = bring(split="train=0.5,test=0.5")
    assert import_summary(cohort) == ["read: 24 cases of 12 subjects from 48 files (train 6, test 6)"]


def test_what_was_passed_over_or_remarked_is_a_warning(bring: Bring) -> None:
    cohort = bring(train_subjects=1, split="train=0.5,test=0.5")
    assert import_warnings(cohort) == ["passed over: 10 (10 x cases of training subjects not drawn)"]
    assert all(line.startswith(("read: ", "warning: ")) for line in import_summary(cohort))
    assert "Jones" not in " ".join(import_summary(cohort))


def test_counts_by_reason() -> None:
    assert total({"files of other kinds": 3, "hidden files": 4}) == "7 (3 x files of other kinds, 4 x hidden files)"


def test_a_cohort_that_no_import_made_says_nothing(bring: Bring) -> None:
    cohort = bring()
    cohort.preprocessing.clear()
    assert import_warnings(cohort) == []
    assert len(import_summary(cohort)) == 1
