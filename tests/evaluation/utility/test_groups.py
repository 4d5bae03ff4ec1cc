"""Groups by size and by column: none of fewer than five subjects, and none that could be had by subtraction."""

from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.evaluation.utility.groups import column_groups, grouped, reference_sizes, thirds


def named(groups: list) -> dict[str, int]:
    return {group.name: int(group.chosen.sum()) for group in groups}


def test_a_column_that_was_imported_as_one_column_a_value(tmp_path: Path) -> None:
    with CohortWriter(
        tmp_path / "c", kind="real", modality="MR", size=(4, 4), channels=[Channel("x", 0, 1)], dtype="uint8",
        scheme=None, label_source=None, provenance=Provenance("toy"), classes=["site=a", "site=b"],
    ) as writer:  # fmt: skip
        for i in range(12):
            row = {"case_id": f"c{i}", "subject_id": f"s{i:02d}", "split": "test"}
            row |= {} if i == 11 else {"site=a": str(int(i < 6)), "site=b": str(int(i >= 6))}
            writer.append(np.zeros((1, 4, 4), np.uint8), None, row)
    cohort = Cohort.open(tmp_path / "c")
    found = column_groups(cohort, "test", "site")
    assert named(found) == {"a": 6, "others": 6} and found[0].chosen.tolist() == [True] * 6 + [False] * 6
    with pytest.raises(UsageError, match="has no column 'sit'"):
        column_groups(cohort, "test", "sit")


def test_thirds_hold_those_who_have_the_class_by_size() -> None:
    sizes = np.r_[np.zeros(4), np.arange(17, 0, -1)]
    found = thirds(sizes)
    assert named(found) == {"small": 6, "middle": 6, "large": 5}
    assert [sorted(sizes[g.chosen].astype(int).tolist())[::5] for g in found] == [[1, 6], [7, 12], [13]]
    assert thirds(np.r_[np.zeros(40), np.arange(1, 15)]) == []  # a third would have four subjects


def test_rare_values_are_joined_until_nobody_can_be_subtracted() -> None:
    assert named(grouped("x", np.array(["b"] * 6 + ["a"] * 5))) == {"a": 5, "b": 6}
    assert named(grouped("x", np.array(["b"] * 6 + ["a"] * 5 + ["c"] * 3 + ["d"] * 4))) == {"a": 5, "b": 6, "others": 7}
    assert named(grouped("x", np.array(["b"] * 6 + ["a"] * 9 + ["c"]))) == {"a": 9, "others": 7}
    assert named(grouped("x", np.array(list("abcd")))) == {"others": 4}


def test_columns_sizes_and_units(tmp_path: Path) -> None:
    with CohortWriter(
        tmp_path / "c", kind="real", modality="MR", size=(4, 4), channels=[Channel("x", 0, 1)], dtype="uint8",
        scheme=LabelScheme(("background", "edema", "core"), (0, 1, 2)), label_source="patient",
        provenance=Provenance("toy"), columns=["site"],
    ) as writer:  # fmt: skip
        for i in range(12):
            label = np.zeros((4, 4), np.uint8)
            label[0, : 1 + i // 6] = 1
            label[1, 0] = 2
            site = "" if i == 0 else "north" if i // 2 < 3 or i == 11 else "south"
            row = {"case_id": f"c{i}", "subject_id": f"s{i // 2}", "split": "test", "spacing": "2 0.5", "site": site}
            writer.append(np.zeros((1, 4, 4), np.uint8), label, row)
    cohort = Cohort.open(tmp_path / "c")
    sizes, unit = reference_sizes(cohort, cohort.rows(), np.arange(12) // 2, 6, 3)
    assert unit == "mm2" and sizes[0].tolist() == [2, 2, 4] and sizes[5].tolist() == [4, 2, 6]
    (joined,) = column_groups(cohort, "test", "site")  # two, two and two of one kind each: nobody stands out
    assert joined.name == "others" and joined.chosen.all()
    with pytest.raises(UsageError, match="has no column 'clinic'; it has .*site"):
        column_groups(cohort, "test", "clinic")
