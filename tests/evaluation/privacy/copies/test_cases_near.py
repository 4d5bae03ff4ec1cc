"""Nearest, next subject and score, by hand."""

import numpy as np
import pytest
import torch

from understudy.evaluation.privacy.copies.cases import NearestTwo, joined, nearest_two

SIMILARITY = torch.tensor([[0.9, 0.8, 0.3, 0.5], [0.2, 0.7, 0.7, 0.6]])
SUBJECTS = torch.tensor([4, 4, 7, 9])


def test_the_second_is_of_another_subject() -> None:
    near = nearest_two(SIMILARITY, SUBJECTS, torch.tensor([-1, -1]))
    assert near.case.tolist() == [0, 1]  # a tie goes to the lowest
    assert near.first == pytest.approx([0.9, 0.7])
    assert near.second == pytest.approx([0.5, 0.7])


def test_the_own_subject_is_left_out() -> None:
    near = nearest_two(SIMILARITY, SUBJECTS, torch.tensor([4, 7]))
    assert near.case.tolist() == [3, 1]
    assert near.first == pytest.approx([0.5, 0.7])
    assert near.second == pytest.approx([0.3, 0.6])


def test_candidates_are_named_by_their_case() -> None:
    whose = torch.tensor([[1, 2, 2, 3], [5, 5, 6, 6]])
    cases = torch.tensor([[10, 20, 21, 30], [50, 51, 60, 61]])
    near = nearest_two(SIMILARITY, whose, torch.tensor([1, -1]), cases)
    assert near.case.tolist() == [20, 51]
    assert near.second == pytest.approx([0.5, 0.7])


def test_score_by_hand() -> None:
    near = NearestTwo(np.arange(4), np.array([0.9, 1.0, 0.5, 2.0]), np.array([0.5, 0.0, -1.0, 0.0]))
    expected = [-np.log(0.11) + np.log(0.51) / 2, -np.log(0.01) + np.log(1.01) / 2, -np.log(0.51) + np.log(1.01) / 2]
    assert near.score == pytest.approx([*expected, expected[1]])


def test_what_is_near_to_everybody_scores_less_than_what_is_near_to_one() -> None:
    one, everybody = (
        NearestTwo(*(np.array([x]) for x in (0, 0.9, 0.2))),
        NearestTwo(*(np.array([x]) for x in (0, 0.9, 0.9))),
    )
    assert one.score > everybody.score + 0.5


def test_blocks_are_joined_in_order() -> None:
    near = nearest_two(SIMILARITY, SUBJECTS, torch.tensor([-1, -1]))
    both = joined([near[1:], near[np.array([0])]])
    assert both.case.tolist() == [1, 0]
    assert both.first == pytest.approx([0.7, 0.9])
    assert both.second == pytest.approx([0.7, 0.5])
