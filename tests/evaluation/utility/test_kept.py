"""Networks on real cases are trained once: the same bytes as without a cache; what misses; what is refused."""

import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.stage import evaluate_utility
from understudy.evaluation.utility.task import Task

CONFIG = UtilityConfig(updates=3, checks=1, repeats=2, channels=(4, 4, 8), batch_size=4, draws=100, precision="fp32")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks were trained, as a list that grows."""
    made: list[int] = []
    run = Task.run

    def counted(task: Task, *given: object) -> None:
        made.append(1)
        run(task, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Task, "run", counted)
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_another_cohort_against_the_same_real_one_gives_the_same_bytes(
    real: Path, synthetic: Path, toy: Callable[..., Path], tmp_path: Path, trained: list[int]
) -> None:
    seen = [{"cohort": "x", "splits": ["train"], "subjects": ["real-0"]}]
    other, cache = toy(tmp_path / "other", "synthetic", 7, 9, trained_on=seen), tmp_path / "cache"
    config = CONFIG.model_copy(update={"real_subjects": (4,)})
    evaluate_utility(real, [synthetic], tmp_path / "first", 0, config, cache=cache)
    assert len(trained) == 6
    alone = evaluate_utility(real, [other], tmp_path / "alone", 0, config)
    assert len(trained) == 12
    kept = evaluate_utility(real, [other], tmp_path / "kept", 0, config, cache=cache)
    assert len(trained) == 14  # the synthetic arm
    assert files(kept) == files(alone)
    assert all(np.load(file).size < 200 for file in cache.glob("*.npy")) and len(list(cache.glob("*.npy"))) == 2 * 4


def test_what_real_networks_do_not_depend_on_hits_and_all_else_misses(
    real: Path, synthetic: Path, tmp_path: Path, trained: list[int]
) -> None:
    def again(seed: int = 0, **changes: object) -> int:
        before, out = len(trained), tmp_path / secrets.token_hex(4)
        config = CONFIG.model_copy(update={"repeats": 1, **changes})
        evaluate_utility(real, [synthetic], out, seed, config, cache=tmp_path / "cache")
        return len(trained) - before

    assert (again(), again(), again(repeats=2)) == (2, 1, 1 + 2)
    assert again(draws=200) == again(select="last") == again(arms=("both",)) == again(shares=(0.25,), arms=()) == 1
    for changes in ({"updates": 4}, {"batch_size": 5}, {"augment": False}, {"tolerance": 1.0}, {"checks": 2}):
        assert again(**changes) == 2, changes
    assert again(seed=1) == 2


def test_a_forged_entry_changes_no_results(real: Path, synthetic: Path, tmp_path: Path) -> None:
    cache, config = tmp_path / "cache", CONFIG.model_copy(update={"repeats": 1})
    evaluate_utility(real, [synthetic], tmp_path / "first", 0, config, cache=cache)
    file = max(cache.glob("*.npy"), key=lambda one: np.load(one).size)
    better = np.ones_like(np.load(file))
    content = file.read_bytes()
    np.save(file, better)
    file.write_bytes(file.read_bytes() + content[-64:])
    with pytest.raises(UnderstudyError, match=f"the seal of .*{file.name} does not hold"):
        evaluate_utility(real, [synthetic], tmp_path / "second", 0, config, cache=cache)
    assert not (tmp_path / "second").exists()
