"""Flags by chance: exact with one case a subject, near the truth with several; p-values keep to their level."""

import numpy as np
import pytest
from scipy import stats

from understudy.evaluation.privacy import chance
from understudy.evaluation.privacy.calibration import ReferenceScores, calibrate
from understudy.evaluation.privacy.chance import Chance, LeftOut, exchanged_p


def left_out(r: np.ndarray, rate: float = 0.01) -> LeftOut:
    return LeftOut(ReferenceScores(r.ravel(), np.repeat(np.arange(len(r)), r.shape[1]), ""), rate)


def test_each_subject_is_judged_by_the_threshold_of_the_others() -> None:
    found = left_out(np.array([[0.1, 0.2], [0.3, 0.9], [0.4, 0.8], [0.5, 0.6]]), 0.2)
    # without the second: 0.1 0.2 0.4 0.5 0.6 0.8, a fifth of which exceeds 0.6; and so on
    assert found.shares.tolist() == [0, 0.5, 0.5, 0]
    assert found.often == 2 and found.subjects == 4


def test_one_case_a_subject_is_beta_binomial() -> None:
    found = left_out(np.random.default_rng(0).normal(size=(56, 1)))
    assert found.shares.sum() == 1  # only the nearest exceeds what the others allow
    exact = stats.betabinom(1000, 1, 55)
    for one in (found.flags(1000, 0), found.nearest(1000, 0)):
        assert one.expected == pytest.approx(1000 / 56)
        assert one.interval[0] <= 1 and one.interval[1] == pytest.approx(exact.ppf(0.975), rel=0.1)
        assert one.p(0) == 1
        assert one.p(40) == pytest.approx(exact.sf(39), abs=0.02)


def test_deterministic_and_alike_subjects() -> None:
    found, again = (left_out(np.random.default_rng(3).normal(size=(20, 4))) for _ in range(2))
    assert np.array_equal(found.flags(100, 7).counts, again.flags(100, 7).counts)
    alike = left_out(np.ones((8, 3)))
    assert alike.flags(100, 0).interval == (0, 0) and alike.nearest(100, 0).expected == 0
    tied = left_out(np.append(np.linspace(0, 1, 59), 1.0)[:, None])  # the two highest of 60 subjects are equal
    assert tied.flags(1000, 0).expected == pytest.approx(1000 / 60) and tied.flags(1000, 0).p(1) > 0.5
    assert alike.flags(100, 0).p(1) < 0.001


def test_intervals_hold_the_count_and_the_mean_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chance, "DRAWS", 500)
    random, held, expected, flags, surprised = np.random.default_rng(1), 0, [], [], 0
    studies, subjects = 60, 40
    for i in range(studies):
        effect = random.normal(size=(subjects + 400, 1))
        unseen = effect[:subjects] + random.normal(size=(subjects, 6))
        judged = (effect[subjects:] + random.normal(size=(400, 1))).ravel()
        reference = ReferenceScores(unseen.ravel(), np.repeat(np.arange(subjects), 6), "")
        count = int((judged > calibrate(reference, 0.02, 1, 0).value).sum())
        one = LeftOut(reference, 0.02).flags(400, i)
        held += one.interval[0] <= count <= one.interval[1]
        surprised += one.p(count) <= 0.05
        expected.append(one.expected)
        flags.append(count)
    assert held / studies >= 0.9 and surprised / studies <= 0.1
    assert np.mean(expected) == pytest.approx(np.mean(flags), rel=0.2)


def test_rates_and_counts_of_a_chance() -> None:
    one = Chance(0.02, np.linspace(0, 0.04, 1001), np.arange(1001), 100)
    assert one.expected == 2 and one.interval == (25, 975)
    assert one.rate_interval == (pytest.approx(0.001), pytest.approx(0.039))
    assert one.p(901) == pytest.approx(101 / 1002)


def exchanged(setting: np.ndarray, others: np.ndarray, rate: float, deals: int = 999) -> float:
    reference = ReferenceScores(setting.ravel(), np.repeat(np.arange(len(setting)), setting.shape[1]), "")
    return exchanged_p(reference, others.ravel(), np.repeat(np.arange(len(others)), others.shape[1]), rate, 0, deals)


def test_exchanged_subjects_by_hand() -> None:
    low, high = np.array([[1.0], [2], [3], [4]]), np.array([[5.0], [6]])
    # both exceed the third of those four, who set it; so they do in 3 of 15 deals: where 1, 2 and 3 set it
    assert exchanged(low, high, 0.25, 9999) == pytest.approx(3 / 15, abs=0.01)
    assert exchanged(low, np.array([[0.0], [2.5]]), 0.25) == 1  # nobody is flagged


@pytest.mark.parametrize("between", [0.0, 0.9])
def test_p_of_exchanged_subjects_keeps_to_its_level_and_finds_a_shift(between: float) -> None:
    random, alike, shifted = np.random.default_rng(4), [], []
    for _ in range(100):
        effect = random.normal(size=(80, 1))
        r = np.sqrt(between) * effect + np.sqrt(1 - between) * random.normal(size=(80, 4))
        alike.append(exchanged(r[:40], r[40:], 0.05, 199))
        shifted.append(exchanged(r[:40], r[40:] + 2, 0.05, 199))
    assert np.mean(np.array(alike) <= 0.05) <= 0.1 and np.mean(alike) >= 0.4
    assert np.mean(np.array(shifted) <= 0.05) >= 0.9
