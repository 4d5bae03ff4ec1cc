"""The secret is fresh, readable by its owner alone, kept for a resume, and gone afterwards."""

import stat
from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError
from understudy.training.dp.secret import FILE, destroyed, kept, known


def draws(run: Path, name: str = "noise", step: int = 0) -> list[float]:
    return kept(run).stream(name, step).random(4).tolist()


def test_a_secret_is_kept_and_is_like_no_other(tmp_path: Path) -> None:
    runs = [tmp_path / "a", tmp_path / "b"]
    for run in runs:
        run.mkdir()
    first = draws(runs[0])
    assert stat.S_IMODE((runs[0] / FILE).stat().st_mode) == 0o600 and [p.name for p in runs[0].iterdir()] == [FILE]
    assert draws(runs[0]) == first and draws(runs[1]) != first
    assert draws(runs[0], step=1) != first and draws(runs[0], name="subjects") != first
    destroyed(runs[0])
    assert not any(runs[0].iterdir()) and draws(runs[0]) != first


def test_a_begun_training_without_its_secret_is_refused(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "000000016").mkdir(parents=True)
    with pytest.raises(UnderstudyError, match="spend more than it says"):
        kept(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"key": 7}', '{"key": "abc"}'])
def test_a_damaged_secret_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE).write_text(text)
    with pytest.raises(UnderstudyError, match=r"secret\.json is not the secret of a training"):
        kept(tmp_path)


def test_a_known_secret_follows_from_its_seed() -> None:
    assert (
        known(1).stream("noise", 2).random()
        == known(1).stream("noise", 2).random()
        != known(2).stream("noise", 2).random()
    )
