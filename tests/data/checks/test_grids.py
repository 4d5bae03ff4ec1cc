"""Grids: slices of one volume under two subjects are told by geometry; one template for all is no volume."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.data.checks.grids import shared_volumes

Remade = Callable[..., Cohort]


def cohort(
    remade: Remade, subject: Callable[[int, int], str], origin: Callable[[int], float], numbered: bool
) -> Cohort:
    """Twelve volumes of 8 slices each, oblique; slice s of volume v is of ``subject(v, s)``."""
    rows = []
    for v in range(12):
        for s in range(8):
            affine = np.eye(4)
            affine[:3, :3] = np.array([[0, 0, -0.9], [-0.1, -0.9, 0], [4.2, -0.02, 0]])
            affine[:3, 3] = [100, -origin(v), 7.5 + origin(v)] + s * affine[:3, 0]
            name = subject(v, s)
            rows.append({
                "case_id": f"c{v}-{s}", "subject_id": name, "split": "test" if name.endswith("x") else "train",
                "affine": " ".join(f"{value:.8g}" for value in affine.ravel()),
                "slice_index": str(s) if numbered else "",
            })  # fmt: skip
    images = np.random.default_rng(0).normal(size=(96, 1, 4, 4)).astype(np.float32)
    return remade(images, np.zeros((96, 4, 4), np.uint8), rows, channels=[Channel("T1", -4, 4)])


def told(cohort: Cohort) -> list[str]:
    return [notice.sentence for notice in shared_volumes(cohort)]


@pytest.mark.parametrize("numbered", [True, False])
@pytest.mark.parametrize("x", [lambda s: s % 2, lambda s: s >= 4])
def test_a_volume_shared_out(remade: Remade, numbered: bool, x: Callable[[int], bool]) -> None:
    names = cohort(remade, lambda v, s: f"s{v}" + "x" * (v == 3 and bool(x(s))), lambda v: 3.3 * v, numbered)
    (sentence,) = told(names)
    assert sentence.startswith("1 volumes have their slices under more than one subject, 1 of them in two splits")
    assert "(the first: s3, s3x)" in sentence


def test_sound_cohorts(phantom: Cohort, remade: Remade) -> None:
    assert told(phantom) == []
    assert told(cohort(remade, lambda v, s: f"s{v}", lambda v: 3.3 * v, True)) == []
    template = cohort(remade, lambda v, s: f"s{v}" + "x" * (s % 2), lambda v: 0.0, True)
    assert told(template) == []  # all on one stack
    twice = cohort(remade, lambda v, s: f"s{v}", lambda v: 3.3 * (v // 2), True)
    assert told(twice) == []  # two pictures of each place


def test_slices_far_apart_are_not_one_volume(remade: Remade) -> None:
    names = cohort(
        remade,
        lambda v, s: f"s{v}" if s < 2 or v != 3 else ("s3x" if s > 5 else f"s{v}y{s}"[:2]),
        lambda v: 3.3 * v,
        True,
    )
    assert len(told(names)) == 1
