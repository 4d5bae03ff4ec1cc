"""Stages: every verb that a study may use is one of the command line."""

import math

import pytest
from pydantic import ValidationError

from understudy.cli.main import VERBS
from understudy.studies.stage import MARKERS, Needs, Stage, depths


def test_every_verb_that_makes_a_folder_may_be_a_stage() -> None:
    assert set(VERBS) - set(MARKERS) == {"demo", "check", "settings", "key", "verify", "study"}
    assert set(MARKERS) <= set(VERBS)


def test_needs_are_counted_from_something_up() -> None:
    for wrong in (
        {"threads": 0},
        {"memory_gb": 0},
        {"gpus": -1},
        {"minutes": 0},
        {"minutes": math.inf},
        {"threads": 10**9},
        {"hours": 1},
    ):
        with pytest.raises(ValidationError):
            Needs(**wrong)


def test_depth_is_the_longest_way() -> None:
    reads = {"a": (), "b": ("a",), "c": ("a", "b"), "d": ()}
    stages = [Stage(name, name, {}, name, "train", (), read, Needs(), "0" * 64) for name, read in reads.items()]
    assert depths(stages) == {"a": 0, "b": 1, "c": 2, "d": 0}
