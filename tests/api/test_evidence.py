"""Inputs and settings of an evaluation are told apart, and what is missing is said; results: tests/test_tutorial.py."""

from pathlib import Path

import pytest

import understudy as us
from understudy.api.evidence import INPUTS, STAGES, evaluation_config, split_inputs
from understudy.api.settings import CONFIGS
from understudy.core.errors import UsageError


def test_every_evaluation_has_inputs_a_stage_and_settings() -> None:
    assert INPUTS.keys() == STAGES.keys() and INPUTS.keys() <= CONFIGS.keys()


def test_inputs_and_settings_are_told_apart() -> None:
    pair = {"real": "r", "synthetic": ["s"]}
    assert split_inputs("fidelity", {**pair, "network": "file", "draws": 3}) == (
        {**pair, "network": "file"},
        {"draws": 3},
    )
    assert split_inputs("consistency", {**pair, "network": "unet"}) == (pair, {"network": "unet"})
    assert split_inputs("privacy", {**pair, "generator": None}) == (pair, {})
    with pytest.raises(UsageError, match="evaluate utility needs real and synthetic: synthetic is missing"):
        split_inputs("utility", {"real": "r"})
    with pytest.raises(UsageError, match="there is no evaluation 'nope': choose from utility"):
        us.evaluate("nope", out="x")


def test_settings_are_those_of_the_task() -> None:
    assert evaluation_config("utility", {"updates": 3}) != evaluation_config(
        "utility", {"updates": 3}, "classification"
    )
    with pytest.raises(UsageError, match="there is no task 'guessing': choose from segmentation, classification"):
        evaluation_config("utility", {}, "guessing")


def test_what_is_not_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="a cohort folder was expected"):
        us.evaluate("utility", real=tmp_path / "none", synthetic=tmp_path / "none", out=out)
    with pytest.raises(UsageError, match="results were expected at"):
        us.evaluate("correlation", results=tmp_path / "none", out=out)
    for call in (
        lambda: us.report([tmp_path], out),
        lambda: us.release(tmp_path, [], out),
        lambda: us.verify(tmp_path),
    ):
        with pytest.raises(UsageError, match="is not "):
            call()
    assert list(tmp_path.iterdir()) == []
