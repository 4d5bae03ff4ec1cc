"""Files of one case by their names: suffixes and numbers that leave no doubt, contrasts that are named."""

import re

import pytest

from understudy.core.errors import UnderstudyError
from understudy.data.sources.matching import joined, looks_numbered, numbered, shared_suffix, suffixes, without


@pytest.mark.parametrize("suffix", ["_mask", "_seg", "-label", "_Segmentation", ".gt", " mask", "/seg", "_MASK"])
def test_one_suffix_of_all(suffix: str) -> None:
    labels = [f"p{i}{suffix}" for i in range(3)]
    assert shared_suffix(labels) == suffix
    assert suffixes(["p0", "p1", "p2"], labels) == ("", suffix)


@pytest.mark.parametrize(
    "labels", [["p0_mask", "p1_seg"], ["p0_mask", "p1"], ["p0mask", "p1mask"], ["p0_x", "p1_x"], []]
)
def test_suffixes_that_leave_doubt(labels: list[str]) -> None:
    assert shared_suffix(labels) is None
    assert suffixes(["p0", "p1"], labels) is None


def test_images_and_label_maps_that_both_have_one() -> None:
    assert suffixes(["p0_image", "p1_image"], ["p0_mask", "p1_mask"]) == ("_image", "_mask")
    assert suffixes(["p0_img", "p1_img"], ["p0", "p1"]) == ("_img", "")
    assert suffixes(["p0", "p1"], ["p0_mask", "p1_mask", "p2_mask"]) is None
    assert suffixes(["p0", "p1"], ["p0_mask", "p1_mask", "p2_mask"], whole=False) == ("", "_mask")
    assert suffixes(["p0", "p9"], ["p0_mask", "p1_mask", "p2_mask"], whole=False) is None


def test_what_is_left_before_a_suffix() -> None:
    assert without(["p1/seg", "p2/seg", "p3"], "seg") == {"p1": "p1/seg", "p2": "p2/seg"}
    assert without(["a_mask"], "_mask") == {"a": "a_mask"}
    assert without(["bigseg", "seg", "_mask"], "seg") == {}
    assert without(["a", "b"], "") == {"a": "a", "b": "b"}
    with pytest.raises(UnderstudyError, match="are one name before 'seg'"):
        without(["p1/seg", "p1_seg"], "seg")


def test_numbers_that_are_channels() -> None:
    images = [f"case_{i}_{c:04d}" for i in range(3) for c in range(2)]
    cases = [f"case_{i}" for i in range(3)]
    assert looks_numbered(images) and numbered(images, cases) == ["_0000", "_0001"]
    assert numbered(images[:-1], cases) is None  # one case lacks a channel
    assert numbered(images, cases[:2]) is None
    assert numbered([f"v_{i:04d}" for i in range(1, 4)], ["v"]) is None  # from 1: frames
    assert numbered(["a_0000", "b"], ["a", "b"]) is None
    assert not looks_numbered([]) and not looks_numbered(["_0000"]) and not looks_numbered(["p_000"])


def test_contrasts_that_are_named() -> None:
    names = ["p1/t1", "p1/t1ce", "p1/seg", "p2/t1ce", "p2/t1", "ct1"]
    found, others = joined(names, {"T1": "t1", "T1c": "t1ce"})
    assert found == {"p1": ("p1/t1", "p1/t1ce"), "p2": ("p2/t1", "p2/t1ce")}
    assert others == ["p1/seg", "ct1"]
    found, _ = joined(["a_0001", "a_0000"], {"second": "_0001", "first": "_0000"})
    assert found == {"a": ("a_0001", "a_0000")}


@pytest.mark.parametrize(("names", "says"), [
    (["p1_a", "p1_b", "p2_a"], "1 of 2 cases lack a contrast, the first is 'p2' without B"),
    (["p1_a", "p1-a", "p1_b"], "'p1_a' and 'p1-a' are both A of one case"),
])  # fmt: skip
def test_cases_that_are_not_whole(names: list[str], says: str) -> None:
    with pytest.raises(UnderstudyError, match=re.escape(says)):
        joined(names, {"A": "a", "B": "b"})
