"""Class combinations: rare ones are never recorded; requests are met by seed and case number alone."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from understudy.core.classes import (
    class_combinations,
    class_record,
    class_row,
    declared_combinations,
    short_class_names,
    wanted_classes,
)
from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

NAMES = ("ill", "old")


def cohort(out: Path, rows: list[tuple[str, str, str, str]]) -> Cohort:
    """A cohort of (subject, split, ill, old)."""
    with CohortWriter(
        out, kind="real", modality="CR", size=(4, 4), channels=[Channel("x", 0, 1)], dtype="uint8", scheme=None,
        label_source=None, classes=NAMES, provenance=Provenance("test"), key=b"k",
    ) as writer:  # fmt: skip
        for i, (subject, split, ill, old) in enumerate(rows):
            entry = {"case_id": str(i), "subject_id": subject, "split": split, "ill": ill, "old": old}
            writer.append(np.zeros((1, 4, 4), np.uint8), None, entry)
    return Cohort.open(out)


def test_rare_combinations_and_other_splits_are_left_out(tmp_path: Path) -> None:
    rows = [(f"a{i}", "train", "1", "0") for i in range(5)] + [("a0", "train", "1", "0")] * 3  # 8 cases of 5 subjects
    rows += [(f"b{i % 4}", "train", "0", "1") for i in range(20)]  # 20 cases of 4 subjects: rare
    rows += [(f"c{i}", "train", "0", "") for i in range(9)] + [(f"d{i}", "train", "", "") for i in range(9)]
    rows += [(f"t{i}", "test", "1", "1") for i in range(9)]
    made = cohort(tmp_path / "c", rows)
    found = class_combinations(made, NAMES)
    assert found == [{"classes": [0.0, None], "cases": 9}, {"classes": [1.0, 0.0], "cases": 8}]
    assert class_combinations(made, ("ill",)) == [{"classes": [0.0], "cases": 29}, {"classes": [1.0], "cases": 8}]


COMBINATIONS = [{"classes": [0.0, None], "cases": 60}, {"classes": [1.0, 0.0], "cases": 30},
                {"classes": [1.0, 1.0], "cases": 10}]  # fmt: skip


def test_frequencies_of_the_data() -> None:
    wanted = wanted_classes(NAMES, COMBINATIONS, "data", 3000, 0)
    kinds = Counter(map(str, wanted.tolist()))
    assert wanted.dtype == np.float32 and sorted(kinds) == ["[0.0, nan]", "[1.0, 0.0]", "[1.0, 1.0]"]
    assert [kinds[k] / 3000 for k in sorted(kinds)] == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


def test_balanced_is_exact_in_every_round_and_out_of_step() -> None:
    wanted = wanted_classes(NAMES, COMBINATIONS, "balanced", 300, 0)
    for start in range(0, 300, 3):
        assert len(set(map(str, wanted[start : start + 3].tolist()))) == 3
    every_third = Counter(map(str, wanted[::3].tolist()))
    assert len(every_third) == 3 and max(every_third.values()) < 60  # an ensemble of three runs shares them out


@pytest.mark.parametrize("way", ["data", "balanced"])
def test_a_case_depends_on_the_seed_and_its_number_only(way: str) -> None:
    many, few = (wanted_classes(NAMES, COMBINATIONS, way, n, 5) for n in (40, 7))
    assert np.array_equal(many[:7], few, equal_nan=True)
    assert not np.array_equal(many, wanted_classes(NAMES, COMBINATIONS, way, 40, 6), equal_nan=True)


def test_values_by_name_and_what_is_refused() -> None:
    assert np.array_equal(wanted_classes(NAMES, [], {"old": 1}, 2, 0), [[np.nan, 1]] * 2, equal_nan=True)
    with pytest.raises(UsageError, match="no class 'sick': there are ill, old"):
        wanted_classes(NAMES, COMBINATIONS, {"sick": 1}, 2, 0)
    with pytest.raises(UsageError, match="data or balanced, or NAME=VALUE.*'equal'"):
        wanted_classes(NAMES, COMBINATIONS, "equal", 2, 0)
    with pytest.raises(UnderstudyError, match="no combination .* at least 5 training subjects"):
        wanted_classes(NAMES, [], "data", 2, 0)


def test_with_differential_privacy_the_names_alone_tell_combinations(tmp_path: Path) -> None:
    made = cohort(tmp_path / "c", [(f"a{i}", "train", "1", "0") for i in range(9)])
    assert class_record(made, conditional=True)["combinations"] == [{"classes": [1.0, 0.0], "cases": 9}]
    assert class_record(made, conditional=True, private=True) == {"classes": NAMES, "combinations": []}
    assert class_record(made, conditional=False, private=True) == {"classes": ()}
    names = ("kind=ill", "kind=well", "kind=other")
    declared = declared_combinations(names)
    wanted = wanted_classes(names, declared, "balanced", 300, 0)
    assert wanted.sum(0).tolist() == [100, 100, 100] and (wanted.sum(1) == 1).all()
    with pytest.raises(UsageError, match="how often patients have which class is not recorded"):
        wanted_classes(names, declared, "data", 3, 0)
    assert declared_combinations(("kind=ill", "view=AP")) == declared_combinations(("ill",)) == []


def test_rows_and_names() -> None:
    assert class_row(NAMES, np.array([1, np.nan], np.float32)) == {"ill": "1", "old": ""}
    assert class_row(["age"], np.array([63.5], np.float32)) == {"age": "63.5"}
    assert short_class_names(["class=virus", "class=normal", "ill"]) == ["virus", "normal", "ill"]
    assert short_class_names(["l=none", "r=none", "none", "l=x"]) == ["l=none", "r=none", "none", "x"]
