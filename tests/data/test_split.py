"""Splits: by subject, by largest remainder, from the seed alone."""

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.listing import Item
from understudy.data.split import (
    assigned,
    beyond,
    by_fractions,
    counts,
    fewer,
    parse_fractions,
    published,
    subjects_of_fold,
)

FOUR = "train=0.6,validation=0.1,control=0.1,test=0.2"


@pytest.mark.parametrize(("n", "expected"), [
    (80, (48, 8, 8, 16)), (10, (6, 1, 1, 2)), (13, (8, 1, 1, 3)),
    (7, (4, 1, 1, 1)), (4, (1, 1, 1, 1)), (5, (2, 1, 1, 1)),
])  # fmt: skip
def test_counts(n: int, expected: tuple[int, ...]) -> None:
    assert tuple(counts(n, parse_fractions(FOUR)).values()) == expected


@pytest.mark.parametrize("n", range(2, 200, 7))
def test_counts_sum_up_and_stay_within_one(n: int) -> None:
    fractions = parse_fractions("train=0.7,test=0.3")
    found = counts(n, fractions)
    assert sum(found.values()) == n
    assert min(found.values()) >= 1
    if n > 3:
        assert all(abs(found[name] - n * share) < 1 for name, share in fractions.items())


def test_the_order_of_the_input_does_not_matter_and_the_seed_does() -> None:
    names = [f"s{i}" for i in range(40)]
    first = by_fractions(names, FOUR, 3)
    assert first == by_fractions(reversed(names + names), FOUR, 3)
    assert first != by_fractions(names, FOUR, 4)
    assert {split: list(first.values()).count(split) for split in ("train", "test")} == {"train": 24, "test": 8}


def test_too_few_subjects() -> None:
    with pytest.raises(UnderstudyError, match=r"3 subject\(s\) are too few.*--split train=1"):
        by_fractions(["a", "b", "c"], FOUR, 0)


@pytest.mark.parametrize(
    "text", ["train", "train=0.5", "train=0.5,train=0.5", "train=-1,test=2", "train=nan", "exam=1", ""]
)
def test_fractions_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--split"):
        parse_fractions(text)


def test_published_names() -> None:
    assert [published(name, "x") for name in ("Training", "VAL", " valid ", "test", "Control")] == [
        "train", "validation", "validation", "test", "control"]  # fmt: skip
    with pytest.raises(UsageError, match="x names the split 'fold1'"):
        published("fold1", "x")


def test_a_subject_in_two_published_splits() -> None:
    items = [Item("a", "s", split="train"), Item("b", "s", split="test")]
    with pytest.raises(UnderstudyError, match="a subject must lie in one split"):
        assigned(items, FOUR, 0)


def test_the_table_names_the_test_subjects_and_the_others_are_shared_out() -> None:
    held = [Item(f"t{i}", f"t{i}", split="test") for i in range(7)]
    items = held + [Item(f"a{i}", f"s{i // 2}") for i in range(80)]
    found = assigned(items, FOUR, 0)
    assert {s for s, split in found.items() if split == "test"} == {f"t{i}" for i in range(7)}
    assert [list(found.values()).count(s) for s in ("train", "validation", "control")] == [30, 5, 5]
    with pytest.raises(UsageError, match="all of which the table fills already"):
        assigned(items, "test=1", 0)
    assert assigned(items[7:], FOUR, 0) == by_fractions((item.subject for item in items[7:]), FOUR, 0)


def test_a_subject_of_whom_one_item_names_a_split_is_in_it_with_all() -> None:
    items = [Item("a0", "a", split="test"), Item("a1", "a"), *(Item(f"b{i}", f"b{i}") for i in range(9))]
    for seed in range(8):
        found = assigned(items, "train=0.8,test=0.2", seed)
        assert found["a"] == "test" and {found[f"b{i}"] for i in range(9)} == {"train"}


def test_fewer_training_subjects() -> None:
    splits = by_fractions((f"s{i:03d}" for i in range(50)), "train=0.6,validation=0.1,control=0.1,test=0.2", 0)
    ten, twenty, other = fewer(splits, 10, 3), fewer(splits, 20, 3), fewer(splits, 10, 4)
    assert [list(ten.values()).count(s) for s in ("train", "validation", "control", "test")] == [10, 5, 5, 10]
    assert ten.items() <= twenty.items() <= splits.items() and set(ten) != set(other)
    with pytest.raises(UnderstudyError, match="31 training subjects were asked for, and there are 30"):
        fewer(splits, 31, 0)


def test_training_subjects_beyond_a_number_are_all_whom_fewer_leaves_out() -> None:
    splits = by_fractions((f"s{i:03d}" for i in range(50)), "train=0.6,validation=0.1,control=0.1,test=0.2", 0)
    for n, draw in ((1, 0), (10, 3), (29, 7)):
        kept, others = fewer(splits, n, draw), beyond(splits, n, draw)
        assert len(others) == 30 - n and set(others.values()) == {"train"}
        assert kept | others == splits and not kept.keys() & others.keys()
    with pytest.raises(UnderstudyError, match="there are 30 training subjects, and none beyond them"):
        beyond(splits, 30, 0)
    with pytest.raises(UnderstudyError, match="31 training subjects were asked for, and there are 30"):
        beyond(splits, 31, 0)


def test_every_subject_is_in_one_fold() -> None:
    names = [f"s{i}" for i in range(17)]
    folds = [subjects_of_fold([*names, *names], f"{k}/5", 3) for k in range(1, 6)]
    assert sorted(name for fold in folds for name in fold) == sorted(names)
    assert sorted(map(len, folds)) == [3, 3, 3, 4, 4]
    assert folds == [subjects_of_fold(reversed(names), f"{k}/5", 3) for k in range(1, 6)]
    assert folds != [subjects_of_fold(names, f"{k}/5", 4) for k in range(1, 6)]


def test_more_folds_than_subjects() -> None:
    with pytest.raises(UnderstudyError, match=r"2 subject\(s\) cannot be shared out to 3 folds: ask for fewer"):
        subjects_of_fold(["a", "b"], "1/3", 0)
