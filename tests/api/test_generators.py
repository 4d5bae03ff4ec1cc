"""What a call refuses before anything is trained or drawn; trained and drawn is in tests/test_tutorial.py."""

from pathlib import Path

import pytest

import understudy as us
from understudy.api.generators import placing, training_config
from understudy.core.errors import UsageError


def test_settings_follow_the_preset_and_the_number_of_images(tmp_path: Path) -> None:
    us.import_phantom(tmp_path / "p", subjects=4, slices=1, size=16, split="train=1")
    demo = training_config("progan", tmp_path / "none", "demo", {"images_seen": 7})
    assert demo.images_seen == 7 and demo != training_config("progan", tmp_path / "p", settings={"images_seen": 7})
    with pytest.raises(UsageError, match="there is no preset of progan 'nope': choose from auto, "):
        training_config("progan", tmp_path / "p", "nope")
    with pytest.raises(UsageError, match="there is no generator 'nope'"):
        us.train("nope", tmp_path / "p", tmp_path / "run")
    with pytest.raises(UsageError, match="spade has no setting 'dp'"):
        us.train("spade", tmp_path / "p", tmp_path / "run", preset="demo", dp=3)
    assert not (tmp_path / "run").exists()


def test_lesions_are_placed_into_anatomy() -> None:
    nothing = {"lesion": (), "inside": (), "forbidden": (), "where": None}
    assert placing(None, None, **nothing) == {}
    placed = placing("a", "b", **{**nothing, "lesion": ("x",), "where": "nearest"})
    assert placed == {"anatomy": Path("b"), "lesion": ("x",), "where": "nearest"}
    with pytest.raises(UsageError, match="name both"):
        placing("a", None, **{**nothing, "lesion": ("x",)})
    with pytest.raises(UsageError, match="--where is anywhere or nearest, found 'there'"):
        placing("a", "b", **{**nothing, "where": "there"})


def test_a_translator_takes_no_classes(tmp_path: Path) -> None:
    for name in ("run", "maps"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    with pytest.raises(UsageError, match="leave classes or labels out"):
        us.sample(tmp_path / "run", 3, tmp_path / "out", labels=tmp_path / "maps", classes="data")
    with pytest.raises(UsageError, match="a training run folder was expected"):
        us.load(tmp_path / "none")
