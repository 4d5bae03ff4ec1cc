"""The swap test: counts for sets of equal size, p uniform without copies, copies found, one odd subject forgiven."""

import numpy as np
import pytest

from understudy.evaluation.privacy.swap import swap_test

MEMBERS, OTHERS = np.array([7, 3, 9, 12]), np.array([1, 20])


def test_counts_are_of_sets_of_equal_size() -> None:
    subject = np.array([7, 7, 3, 1, 20, 9, 12])
    found = swap_test(np.array([1.0, 2, 1, 1, -1, -1, -1]), subject, MEMBERS, OTHERS, 0, 200)
    assert (found.size, found.members, found.non_members) == (2, 4, 2)
    assert found.trained == pytest.approx(2 * 3 / 4) and found.unseen == pytest.approx(1)
    assert found.difference.value == pytest.approx(0.5)
    assert found.difference.low < 0.5 < found.difference.high
    assert found == swap_test(np.array([1.0, 2, 1, 1, -1, -1, -1]), subject, MEMBERS, OTHERS, 0, 200)


def test_p_is_uniform_without_copies_and_small_with_them() -> None:
    random, p, copied = np.random.default_rng(0), [], []
    members, others = np.arange(30), np.arange(30, 60)
    for i in range(60):
        odd = random.dirichlet(np.full(60, 0.3))  # some subjects are nearest to many cases
        subject = random.choice(60, 200, p=odd)
        excess = random.normal(-1.5, 1, 200)
        p.append(swap_test(excess, subject, members, others, i, 10, 499).p)
        subject[:10], excess[:10] = random.choice(members, 10), 3
        copied.append(swap_test(excess, subject, members, others, i, 10, 499).p)
    assert 0.35 < np.mean(p) < 0.65 and np.mean(np.array(p) <= 0.1) <= 0.2
    assert np.mean(np.array(copied) <= 0.02) >= 0.9


def test_one_odd_subject_alone_is_no_evidence_and_no_flags_have_an_interval() -> None:
    members, others = np.arange(10), np.arange(10, 20)
    odd = swap_test(np.ones(50), np.zeros(50, int), members, others, 0, 500)
    assert odd.p == pytest.approx(0.5, abs=0.03) and odd.difference.value == 50
    none = swap_test(np.full(50, -1.0), np.arange(50) % 20, members, others, 0, 500)
    assert none.trained == none.unseen == 0 and none.difference.value == 0
    assert none.difference.low < 0 < none.difference.high  # no flag was seen, and some could have been
    assert none.p == 1
    near = swap_test(np.full(50, -0.1), np.arange(50) % 10, members, others, 0, 500)
    assert near.p == 1  # all are nearest to trained subjects, and none is flagged: the attacks ask about that
