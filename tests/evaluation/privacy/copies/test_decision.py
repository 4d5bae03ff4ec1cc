"""The decision: one scale for all matchers, the threshold, p-values by subject, and exact copies."""

from typing import Any

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.evaluation.privacy.calibration import ReferenceScores, calibrate
from understudy.evaluation.privacy.copies.cases import NearestTwo, ratio
from understudy.evaluation.privacy.copies.decision import CopyDecision, ScoreScale, p_values


def near(case: list[int], first: list[float]) -> NearestTwo:
    return NearestTwo(np.array(case), np.array(first), ratio(np.array(first), np.zeros(len(case))))


def nears(first: Any) -> NearestTwo:
    return near([0] * len(first), list(first))


def test_a_matcher_without_spread_is_left_out() -> None:
    values, subjects = np.repeat([0.1, 0.5, 0.9], [20, 70, 10]), np.arange(100)
    scale = ScoreScale({"a": values, "b": np.full(100, 0.7), "c": 2 * values + 5}, subjects)
    assert scale.names == ("a", "c")
    put = scale({"a": np.array([0.5, 0.9, 0.1]), "b": np.full(3, 9.0), "c": np.array([6.0, 6.8, 7.2])})
    assert put == pytest.approx(np.array([[0, 1, -1], [0, 1, 1.5]]))
    assert scale({"a": np.array([0.5])})[1].tolist() == [-np.inf]  # a matcher that did not match


def test_unseen_subjects_who_are_all_alike_calibrate_nothing() -> None:
    with pytest.raises(UnderstudyError, match="look alike: run `understudy check`"):
        CopyDecision({"pixels": nears([0.3] * 20)}, np.arange(20), "", 0.01, 100, 0)


def test_a_subject_with_many_cases_does_not_dominate() -> None:
    first = np.concatenate([np.linspace(0, 0.5, 99), np.full(40, 0.95)])
    whose = np.concatenate([np.arange(99), np.full(40, 99)])
    decision = CopyDecision({"pixels": nears(first)}, whose, "", 0.05, 100, 0)
    assert decision.decide({"pixels": nears([0.3, 0.7, 0.99])}).flagged.tolist() == [False, True, True]
    group = CopyDecision({"pixels": nears(first)}, np.arange(139), "", 0.05, 100, 0)
    assert group.decide({"pixels": nears([0.3, 0.7])}).flagged.tolist() == [False, False]


def test_an_exact_copy_is_flagged_whatever_unseen_subjects_say() -> None:
    decision = CopyDecision({"pixels": nears([0.1] * 10 + [1.0] * 10)}, np.arange(20), "", 0.01, 100, 0)
    assert decision.decide({"pixels": nears([1.0, 0.9999])}).flagged.tolist() == [True, False]


def test_the_nearest_matcher_speaks_for_a_case() -> None:
    unseen = nears(np.linspace(0, 0.5, 40))
    decision = CopyDecision({"pixels": unseen, "patches": unseen}, np.arange(40), "", 0.1, 100, 0)
    seen = {
        "pixels": near([1, 2, 3], [0.9, 0.1, 0.2]),
        "patches": near([7, 8, 9], [0.2, 0.95, 0.3]),
    }
    found = decision.decide(seen)
    assert found.case.tolist() == [1, 8, 9]
    assert found.flagged.tolist() == [True, True, False]
    assert set(found.scores) == {"pixels", "patches"}


@pytest.mark.parametrize("cases", [1, 3])
def test_many_matchers_of_few_unseen_subjects_raise_no_more_false_positives(cases: int) -> None:
    """Were unseen subjects put on a scale that they set themselves, 12 % would be the nearest of all 56."""
    draw, subjects, shares = np.random.default_rng(0), np.repeat(np.arange(56), cases), []
    for _ in range(40):
        unseen = {f"matcher{i}": nears(draw.uniform(0, 0.9, len(subjects))) for i in range(6)}
        decision = CopyDecision(unseen, subjects, "", 0.01, 100, 0)
        found = decision.decide({name: nears(draw.uniform(0, 0.9, 200)) for name in unseen})
        shares.append([(found.p <= level).mean() for level in (0.02, 0.05, 0.1, 0.3)])
    assert (np.mean(shares, 0) <= np.array([0.02, 0.05, 0.1, 0.3]) + 3 * np.std(shares, 0) / 40**0.5).all()
    assert np.mean(shares, 0)[3] > 0.25


def test_unseen_subjects_are_put_on_a_scale_that_others_set(monkeypatch: pytest.MonkeyPatch) -> None:
    values, subjects = np.append(np.linspace(0, 1, 10), [2.0, 2.0]), np.append(np.arange(10), [10, 10])
    matchers = {"a": values, "b": np.linspace(0, 1, 12)}
    scale = ScoreScale(matchers, subjects)
    assert scale(matchers)[0, -1] == pytest.approx((2 - 5 / 9) / (21 / 11 - 5 / 9))  # its own: 10 / 11 of the tenth
    others = scale.of_others(matchers, subjects)[0]
    assert others[-2:] == pytest.approx((2 - 4 / 9) / (1 - 4 / 9))  # the other ten: median 4/9, highest 1
    alone = ScoreScale(matchers, np.zeros(12))
    assert np.array_equal(alone.of_others(matchers, np.zeros(12)), alone(matchers))  # nobody else
    one = ScoreScale({"a": values}, subjects)
    assert np.array_equal(one.of_others({"a": values}, subjects), one({"a": values}))  # one matcher needs no scale
    monkeypatch.setattr("understudy.evaluation.privacy.copies.decision.MAX_GROUPS", 2)
    assert scale.of_others(matchers, subjects)[0, -1] > others[-1]


def test_one_odd_subject_alone_gives_a_matcher_no_scale() -> None:
    lesions, draw = np.full(56, -0.2), np.random.default_rng(0)
    lesions[3] = 0.5
    unseen = {"pixels": draw.uniform(0, 0.9, 56), "lesions": lesions}
    assert ScoreScale(unseen, np.arange(56)).names == ("pixels",)
    decision = CopyDecision({k: nears(v) for k, v in unseen.items()}, np.arange(56), "", 0.01, 100, 0)
    assert decision.decide({"pixels": nears([0.99, 0.5])}).flagged.tolist() == [True, False]


def test_p_values_by_hand() -> None:
    reference = ReferenceScores(
        np.array([1.0, 2.0, 3.0, 4.0]), np.array(list("aaab")), ""
    )  # weights 1/6, 1/6, 1/6, 1/2
    p = p_values(np.array([5.0, 4.0, 2.5, 2.0, 0.0, -np.inf]), calibrate(reference, 0.1, 100, 0))
    assert p == pytest.approx((1 + 2 * np.array([0, 1 / 2, 2 / 3, 5 / 6, 1, 1])) / 3)


def test_p_values_hold_where_the_cases_of_a_subject_are_alike() -> None:
    draw, small = np.random.default_rng(0), []
    for _ in range(400):  # 19 unseen subjects with 10 cases each that hardly differ, and one who is judged
        own = draw.normal(size=20)
        r = np.repeat(own[:19], 10) + draw.normal(0, 0.01, 190)
        threshold = calibrate(ReferenceScores(r, np.repeat(np.arange(19), 10), ""), 0.1, 1, 0)
        small.append(p_values(own[19:], threshold)[0])
    for level in (0.01, 0.05, 0.1):
        assert np.mean(np.array(small) <= level + 1e-9) <= level + 2.5 * np.sqrt(level * (1 - level) / 400)
