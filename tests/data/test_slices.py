"""Slices: Akbar's rule to the pixel; the tumour rule; the affine of a slice."""

import numpy as np
import pytest

from understudy.data.listing import Reading
from understudy.data.slices import cut

NEEDED = int(0.15 * 256 * 256)  # 9830.4 pixels: 9831 are more than 15 %, 9830 are not


def volume(counts: list[int], level: int = 51) -> Reading:
    image = np.zeros((2, len(counts), 240, 240), np.uint8)
    for d, count in enumerate(counts):
        image[1, d].reshape(-1)[:count] = level
    labels = np.zeros(image.shape[1:], np.uint8)
    labels[1, 3, 3] = 2
    affine = np.array([[0, 0, -1.0, 5], [0, -2.0, 0, 6], [3.0, 0, 0, 7], [0, 0, 0, 1]])
    return Reading(image, labels, (3.0, 2.0, 1.0), affine)


def test_akbar_s_rule_to_the_pixel() -> None:
    counts = [NEEDED - 1, NEEDED, NEEDED + 1, 30000, 0]
    kept = [case.slice_index for case in cut(volume(counts), "akbar", judged_by=1)]
    assert kept == [2, 3]
    assert not list(cut(volume(counts, level=50), "akbar", judged_by=1))  # more than 50, not 50
    assert not list(cut(volume(counts), "akbar", judged_by=0))


@pytest.mark.parametrize(("rule", "expected"), [("all", [0, 1, 2]), ("tumour", [1])])
def test_other_rules(rule: str, expected: list[int]) -> None:
    assert [case.slice_index for case in cut(volume([1, 2, 3]), rule)] == expected


def test_a_slice_knows_its_place() -> None:
    whole = volume([1, 2, 3])
    case = list(cut(whole, "all"))[2]
    assert case.affine is not None
    assert whole.affine is not None
    assert (case.affine @ [0, 4, 5, 1]).tolist() == (whole.affine @ [2, 4, 5, 1]).tolist()
    assert case.spacing_mm == (2.0, 1.0)
    assert case.size == (240, 240)
