"""Recipes: each step does what it says, files that are none are told in a sentence, and a config keeps them."""

from pathlib import Path

import pytest
import torch

from understudy.core.errors import UsageError
from understudy.evaluation.privacy.canaries.recipes import Recipe, Step, read_recipes
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.copies.registration import blur
from understudy.evaluation.privacy.copies.transforms import TRANSFORMATIONS

FILE = """
- name: tilted_and_dark
  steps: [{flip: vertical}, {gamma: 2.0}]
- name: crumpled
  steps: [{warp: {strength: 0.06}}, {noise: 0.1}]
"""


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def images(seed: int = 0) -> torch.Tensor:
    return blur(torch.rand((3, 2, 64, 64), generator=torch.Generator().manual_seed(seed)) * 2 - 1, 1 / 32)


def test_steps_follow_each_other(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(FILE)
    dark, crumpled = read_recipes(tmp_path / "own.yaml")
    made = dark.transformation().inject(images(), images(1), draw())
    assert torch.allclose(made, ((images().flip(-2) + 1) / 2) ** 2 * 2 - 1, atol=1e-6)
    assert crumpled.transformation().inject(images(), images(1), draw()).shape == (3, 2, 64, 64)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ({"flip": "horizontal"}, "mirrored"),
        ({"flip": "vertical"}, "upside_down"),
        ({"turn": 90}, "turned_90"),
        ({"negative": True}, "negative"),
        ({"noise": 0.1}, "noise"),
        ({"blur": 2 / 64}, "blurred"),
        ({"coarser": 4}, "quarter_resolution"),
        ({"blend": 0.3}, "blended"),
        ({"warp": {"strength": 3 / 64, "smoothness": 6 / 64}}, "warped"),
    ],
)
def test_a_step_is_that_of_the_menu(step: dict[str, object], name: str) -> None:
    expected = TRANSFORMATIONS[name].inject(images(), images(1), draw())
    assert torch.allclose(Step.model_validate(step)(images(), images(1), draw()), expected, atol=1e-6)


def test_moves_by_hand() -> None:
    x = images()
    shifted = Step(shift=(2 / 64, 0.0))(x, x, draw())
    assert torch.allclose(shifted[..., 2:], x[..., :-2], atol=1e-4)
    turned, quarter = Step(rotate=90)(x, x, draw()), torch.rot90(x, 1, (2, 3))
    assert torch.allclose(turned, quarter, atol=1e-4)
    assert not torch.allclose(Step(zoom=1.3)(x, x, draw()), x, atol=0.1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name: x", "list"),
        ("- {name: X, steps: [{turn: 90}]}", "pattern"),
        ("- {name: x, steps: []}", "at least 1"),
        ("- {name: x, steps: [{turn: 90, flip: vertical}]}", "exactly one"),
        ("- {name: x, steps: [{turn: null}]}", "exactly one"),
        ("- {name: x, steps: [{spin: 90}]}", "spin"),
        ("- {name: x, steps: [{gamma: .inf}]}", "less than or equal"),
        ("- {name: x, steps: [{turn: 90}]}\n- {name: x, steps: [{turn: 180}]}", "twice"),
        ("[" * 9000, "is no list"),
        ("\t", "is no list"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "own.yaml").write_text(content)
    with pytest.raises(UsageError, match=said):
        read_recipes(tmp_path / "own.yaml")


def test_a_config_keeps_recipes(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"name": "x", "steps": [{"turn": 90}]})
    config = PrivacyConfig.model_validate({"audit_transformations": [recipe.model_dump(exclude_unset=True)]})
    assert config.audit_transformations == (recipe,)
