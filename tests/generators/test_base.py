"""The contract's own part: which settings a number of images calls for, and what a condition must be."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.generators.base import Generator


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
