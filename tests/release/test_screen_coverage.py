"""Coverage against counts by hand: 0 to 9 tumour voxels in ten cases, a cyst of one voxel in the even ones."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.release.screen import class_sizes, retained_distribution, retention_warnings, size_sentence

Write = Callable[..., Path]
SMALL_LOST = np.array([1, 0, 0, 1, 1, 1, 1, 1, 1, 0], bool)


def counts(before: int, after: int) -> dict[str, float | None]:
    return {"before": before, "after": after, "share": after / before if before else None}


def test_sizes_are_counted_case_by_case(cohort: Path) -> None:
    sizes = class_sizes(Cohort.open(cohort))
    assert sizes[:, 0].tolist() == list(range(10)) and sizes[:, 1].tolist() == [1, 0] * 5


def test_counts_by_hand(cohort: Path) -> None:
    told = retained_distribution(Cohort.open(cohort), SMALL_LOST)
    assert told["cases"] == counts(10, 7)
    tumour = told["classes"]["tumour"]
    assert tumour["present"] == counts(9, 6) and tumour["absent"] == counts(1, 1)
    assert tumour["terciles"] == {
        "small": {"from_voxels": 1, "to_voxels": 3, **counts(3, 1)},
        "medium": {"from_voxels": 4, "to_voxels": 6, **counts(3, 3)},
        "large": {"from_voxels": 7, "to_voxels": 9, **counts(3, 2)},
    }
    bins = [(b["from_voxels"], b["to_voxels"], b["before"], b["after"]) for b in tumour["bins"]]
    assert bins == [(1, 1, 1, 0), (2, 3, 2, 1), (4, 7, 4, 4), (8, 15, 2, 1)]
    cyst = told["classes"]["small cyst"]
    assert cyst["present"] == counts(5, 4) and cyst["terciles"]["large"] == counts(0, 0)
    assert told["columns"] == {"ill": counts(5, 4)}


def test_a_warning_when_small_lesions_go(cohort: Path) -> None:
    opened = Cohort.open(cohort)
    assert retention_warnings(retained_distribution(opened, SMALL_LOST)) == []  # 1 of 3 is half of 6 of 9, not less
    worse = SMALL_LOST.copy()
    worse[3] = False
    (warning,) = retention_warnings(retained_distribution(opened, worse))
    assert (
        "small lesions are dropped disproportionately: 0 % kept" in warning
        and "56 % of all cases with tumour" in warning
    )
    assert retention_warnings(retained_distribution(opened, np.ones(10, bool))) == []


def test_a_warning_when_a_class_goes(cohort: Path) -> None:
    kept = np.arange(10) < 5
    found = retention_warnings(retained_distribution(Cohort.open(cohort), kept))
    assert found == ["cases of class ill are dropped disproportionately: 0 % kept, 50 % of all"]
    kept = np.arange(10) % 2 == 1
    assert any(
        "cases with small cyst are dropped" in w
        for w in retention_warnings(retained_distribution(Cohort.open(cohort), kept))
    )


def test_the_sentence_names_both_ends(cohort: Path) -> None:
    told = retained_distribution(Cohort.open(cohort), SMALL_LOST)
    assert size_sentence(told) == (
        "Of the 3 cases with the smallest tumour (up to 3 voxels) 1 are kept (33 %), of the 3 with the largest (from "
        "7) 2 (67 %)."
    )


@pytest.mark.parametrize("sizes", [[0] * 4, [5] * 4])
def test_no_lesion_or_one_size(another: Write, sizes: list[int]) -> None:
    opened = Cohort.open(another("even", sizes))
    told = retained_distribution(opened, np.array([1, 1, 1, 0], bool))
    told["classes"].pop("small cyst")
    if sizes[0]:
        assert size_sentence(told) == "All cases with tumour are of one size, and 3 of 4 are kept."
    else:
        assert size_sentence(told).startswith("No label map holds a lesion") and told["classes"]["tumour"]["bins"] == []


def test_without_label_maps_there_are_no_sizes(another: Write) -> None:
    opened = Cohort.open(another("bare", scheme=None, label_source=None))
    told = retained_distribution(opened, SMALL_LOST)
    assert told["classes"] == {} and told["cases"] == counts(10, 7) and retention_warnings(told) == []
