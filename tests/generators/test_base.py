"""The contract's own part: which settings a number of images calls for, and what a condition must be."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.generators import base
from understudy.generators.base import Generator
from understudy.generators.diffusion.diffusion import Diffusion
from understudy.training.checkpoint import read_state


class Sized(Generator):
    """A generator with presets and nothing else."""

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {"small": {"batch_size": 8, "mirror": True}}
    BY_IMAGES: ClassVar[dict[int, dict[str, Any]]] = {0: {"mirror": False}, 100: {"batch_size": 64}}


@pytest.mark.parametrize(
    ("images", "settings"), [(0, (8, False)), (99, (8, False)), (100, (64, True)), (9999, (64, True))]
)
def test_auto_is_small_and_what_so_many_images_call_for(images: int, settings: tuple[int, bool]) -> None:
    found = Sized.settings_for(images)
    assert (found["batch_size"], found["mirror"]) == settings


def test_a_generator_that_leaves_something_open_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Sized(None)  # type: ignore[abstract,arg-type]


def test_a_training_with_classes_needs_a_condition_and_one_without_takes_any() -> None:
    condition = torch.ones(2, 3)
    assert Generator.class_condition(SimpleNamespace(classes=0), None) is None  # type: ignore[arg-type]
    assert Generator.class_condition(SimpleNamespace(classes=3), condition) is condition  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="trained with 3 classes and needs a condition"):
        Generator.class_condition(SimpleNamespace(classes=3, name="toy"), None)  # type: ignore[arg-type]


def test_what_cases_like_others_are_drawn_from(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort, rows = classes_cohort(tmp_path / "c"), np.array([3, 0])

    def condition(given: str | None, conditional: bool = False) -> np.ndarray | None:
        method: Any = SimpleNamespace(given=given, config=SimpleNamespace(conditional=conditional))
        return Generator.condition_of(method, cohort, rows)

    assert condition(None) is None
    assert np.array_equal(condition("labels"), cohort.labels[rows])  # type: ignore[arg-type,index]
    assert np.array_equal(condition("images"), cohort.images[rows])  # type: ignore[arg-type,index]
    assert np.array_equal(condition(None, True), cohort.class_matrix(rows))  # type: ignore[arg-type]


SMALL = {"channels": (8, 8), "patch": 1, "images_seen": 8, "batch_size": 4, "sampler_steps": 2, "precision": "fp32"}


def diffusion(**changes: Any) -> Diffusion:
    return Diffusion(Diffusion.Config(**{**SMALL, **changes}))


def test_training_cases_are_measured_block_by_block_where_a_method_asks_and_only_once(
    classes_cohort: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, seen, encoded = classes_cohort(tmp_path / "c"), list[int](), Cohort.encoded
    monkeypatch.setattr(base, "MEASURED_VALUES", 1)
    monkeypatch.setattr(Cohort, "encoded", lambda self, rows: (seen.append(len(rows)), encoded(self, rows))[1])
    run = diffusion().fit(cohort, tmp_path / "run", 0)
    cases = len(cohort.rows("train"))
    assert seen == [*[1] * cases, 4, 4]
    measured = diffusion()
    measured.load(run, run / "snapshots" / "000000008")
    seen.clear()
    (run / "complete.json").unlink()  # as if it had been killed
    resumed = diffusion()
    resumed.fit(cohort, run, 0)
    assert not seen
    for name in ("mean", "std"):
        assert torch.equal(getattr(resumed.scale, name), getattr(measured.scale, name))
    assert not torch.equal(resumed.scale.std, torch.ones_like(resumed.scale.std))
    diffusion(formulation="ddpm").fit(cohort, tmp_path / "chain", 0)
    assert seen == [4, 4]


def test_grids_draw_no_more_cases_than_they_show(
    classes_cohort: Callable[..., Cohort], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, drawn, draw = classes_cohort(tmp_path / "c"), list[int](), Diffusion.draw
    monkeypatch.setattr(
        Diffusion, "draw", lambda self, seeds, condition: (drawn.append(len(seeds)), draw(self, seeds, condition))[1]
    )
    monkeypatch.setattr(base, "GRID_CASES", 16)
    for block, grids in ((32, [16]), (6, [6, 6, 6])):
        drawn.clear()
        diffusion(sample_block=block).fit(cohort, tmp_path / str(block), 0)
        assert drawn == grids


def test_an_average_from_another_run_is_not_thrown_away() -> None:
    for taken, expected in (({"ema"}, 0.75), ({"net"}, 3.0), (set(), 3.0)):
        method: Any = SimpleNamespace(ema=nn.Linear(1, 1), taken=taken)
        source = nn.Linear(1, 1)
        method.ema.weight.data.zero_()
        source.weight.data.fill_(3.0)
        Generator.move_average(method, source, 100, 100 / -np.log2(0.75), images_seen=0)
        assert method.ema.weight.item() == pytest.approx(expected)


def test_what_was_taken_from_another_run_is_known(classes_cohort: Callable[..., Cohort], tmp_path: Path) -> None:
    cohort = classes_cohort(tmp_path / "c")
    run = diffusion().fit(cohort, tmp_path / "run", 0)
    before = weights(run)
    on = {"ema_images": 1e9, "images_seen": 4, "warmup_images": 0}
    same = diffusion(**on)
    same.fit(cohort, tmp_path / "same", 1, start=run)
    assert same.taken == {"net", "ema", "scale"}
    after = weights(tmp_path / "same")
    assert all(torch.allclose(after[name], before[name], atol=1e-5) for name in before if name.startswith("ema"))
    assert (same.net.conv_in.weight - same.ema.conv_in.weight).abs().max() > 1e-3
    other = diffusion(conditional=True, **on)
    with pytest.warns(UserWarning, match=r"no weights of net.embed_class, ema.embed_class"):
        other.fit(cohort, tmp_path / "other", 1, start=run)
    assert other.taken == {"scale"}
    assert torch.allclose(other.net.conv_in.weight, other.ema.conv_in.weight)


def weights(run: Path) -> dict[str, Tensor]:
    return read_state(max((run / "snapshots").iterdir()))[0]
