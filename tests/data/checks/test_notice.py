"""Notices: their order, and rows spaced evenly."""

from understudy.data.checks.notice import Notice, evenly, worst_first


def test_the_worst_stands_first_and_the_order_stays() -> None:
    notices = [Notice("info", "a"), Notice("warning", "b"), Notice("error", "c"), Notice("warning", "a")]
    assert [notice.sentence for notice in worst_first(notices)] == ["c", "b", "a", "a"]


def test_rows_are_spaced_evenly() -> None:
    assert evenly(list(range(10)), 20) == list(range(10))
    assert evenly(list(range(10)), 5) == [0, 2, 4, 6, 8]
    assert evenly(list(range(11)), 5) == [0, 3, 6, 9]
    assert evenly([], 5) == []
