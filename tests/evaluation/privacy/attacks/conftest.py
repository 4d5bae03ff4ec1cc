"""Scenes with a known truth: members, non-members, and released cases that are copies or independent."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.attacks.setup import AttackSetup

MakeScene = Callable[..., AttackSetup]


def subject_images(subjects: int, cases: int, seed: int, side: int = 8) -> np.ndarray:
    """Return images (subjects * cases, 2, side, side): slices of a subject resemble each other."""
    draw = np.random.default_rng(seed)
    own = draw.normal(128, 30, (subjects, 1, 2, side, side))
    return np.clip(own + draw.normal(0, 15, (subjects, cases, 2, side, side)), 0, 255).reshape(-1, 2, side, side)


def rounded(images: np.ndarray) -> np.ndarray:
    return np.clip(np.round(images), 0, 255).astype(np.uint8)


@pytest.fixture
def setup(write: Callable[..., Path]) -> MakeScene:
    """Return a function that makes a setup; released cases are given, or drawn from nobody."""

    def make(
        members: int = 24,
        others: int = 16,
        cases: int = 3,
        seed: int = 0,
        released: str = "independent",
        real_changes: dict[str, Any] | None = None,
        released_changes: dict[str, Any] | None = None,
        **changes: Any,
    ) -> AttackSetup:
        people = members + others
        real_images = subject_images(people, cases, seed)
        draw = np.random.default_rng(1000 + seed)
        if released == "copies":
            made = real_images[: members * cases] + draw.normal(0, 8, (members * cases, 2, 8, 8))
        else:
            made = subject_images(60, 1, 2000 + seed)
        splits = np.repeat(["train"] * members + ["control"] * others, cases).tolist()
        subjects = np.repeat([f"patient{i}" for i in range(people)], cases).tolist()
        slices = [str(j) for _ in range(people) for j in range(cases)]
        settings: dict[str, Any] = {"kind": "real", "splits": splits, "slices": slices}
        settings |= {"subjects": subjects, "scheme": None} | (real_changes or {})
        name = f"real-{seed}-{released}"
        real = Cohort.open(write(name, rounded(real_images), **{"label_source": None} | settings))
        given = {"scheme": None} | (released_changes or {})
        synthetic = Cohort.open(write(f"released-{seed}-{released}", rounded(made), **given))
        rows = real.rows("train"), real.rows("control")
        return AttackSetup(real, synthetic, *rows, seed, **changes)

    return make
