"""Lesions: cut out, the hole filled from next to it, rules kept and named."""

import numpy as np
import pytest

from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.synthesis.editing.lesions import CannotBeMet, Lesion, Rules, cut, pasted, refuse_misplaced, removed

SCHEME = LabelScheme(("background", "grey", "white", "oedema", "core"), (0, 1, 2, 3, 4))
RULES = Rules.named(SCHEME, ["oedema", "core"])


def strip() -> np.ndarray:
    """Grey on the left, white on the right, a lesion over both, background around."""
    labels = np.zeros((9, 14), np.uint8)
    labels[1:8, 1:7], labels[1:8, 7:13] = 1, 2
    labels[3:6, 4:10], labels[4, 5:8] = 3, 4
    return labels


def test_a_lesion_is_cut_whole_and_in_its_place() -> None:
    labels = strip()
    lesion = cut(labels, RULES)
    assert lesion.corner == (3, 4) and lesion.classes.shape == (3, 6) and lesion.voxels == 18
    assert np.array_equal(lesion.on(labels.shape), np.where(labels >= 3, labels, 0))
    assert lesion.centroid.tolist() == [4.0, 6.5]
    assert lesion.centred((2, 9)).centroid == pytest.approx([2, 9], abs=0.5)
    assert np.array_equal(lesion.padded((2, 1)).translated_by((1, 1)).on((12, 16))[4:7, 5:11], lesion.classes)


def test_a_hole_takes_the_nearest_anatomy() -> None:
    labels = strip()
    filled = removed(labels, cut(labels, RULES), RULES)
    whole = strip()
    whole[1:8, 1:7], whole[1:8, 7:13] = 1, 2
    assert np.array_equal(filled, whole)
    only_white = Rules.named(SCHEME, ["oedema", "core"], fill=["white"])
    assert (removed(labels, cut(labels, only_white), only_white)[labels >= 3] == 2).all()


def test_nearest_is_in_mm() -> None:
    labels = np.zeros((7, 7), np.uint8)
    labels[:, :2], labels[:, 5:] = 1, 1
    labels[:2], labels[5:] = 2, 2
    labels[2:5, 2:5] = 3
    middle = [removed(labels, cut(labels, RULES, spacing), RULES)[3, 3] for spacing in ((1.0, 5.0), (5.0, 1.0))]
    assert middle == [2, 1]


def test_the_largest_part_alone() -> None:
    labels = strip()
    labels[1, 12] = 3
    assert cut(labels, RULES).voxels == 19 and cut(labels, RULES, which="largest").voxels == 18
    assert removed(labels, cut(labels, RULES, which="largest"), RULES)[1, 12] == 3
    assert not RULES.allowed(removed(labels, cut(labels, RULES, which="largest"), RULES))[1, 12]


def test_where_a_lesion_may_lie() -> None:
    anatomy = removed(strip(), cut(strip(), RULES), RULES)
    assert np.array_equal(RULES.allowed(anatomy), anatomy > 0)
    assert np.array_equal(Rules.named(SCHEME, ["core", "oedema"], inside=["white"]).allowed(anatomy), anatomy == 2)
    assert np.array_equal(Rules.named(SCHEME, ["core", "oedema"], forbidden=["white"]).allowed(anatomy), anatomy == 1)
    assert Rules.named(LabelScheme(("background", "tumour"), (0, 1)), ["tumour"]).allowed(anatomy * 0).all()


@pytest.mark.parametrize(
    ("steps", "reason"),
    [((-4, 0), "outside the image"), ((0, -9), "outside the image"), ((3, 0), "outside its region")],
)
def test_a_misplaced_lesion_is_refused(steps: tuple[int, int], reason: str) -> None:
    labels = strip()
    lesion = cut(labels, RULES)
    allowed = RULES.allowed(removed(labels, lesion, RULES))
    refuse_misplaced(lesion, allowed)
    with pytest.raises(CannotBeMet, match=reason) as caught:
        refuse_misplaced(lesion.translated_by(steps), allowed)
    assert caught.value.reason == reason and "\n" not in str(caught.value)


def test_the_smallest_lesion() -> None:
    labels, rules = strip(), Rules.named(SCHEME, ["oedema", "core"], minimum=18)
    lesion = cut(labels, rules)
    assert np.array_equal(pasted(removed(labels, lesion, rules), lesion, rules), labels)
    smaller = Lesion.of(np.where(lesion.classes == 3, 3, 0), lesion.corner, lesion.spacing)
    with pytest.raises(CannotBeMet, match="15 voxels, fewer than 18"):
        pasted(labels, smaller, rules)


def test_nothing_to_cut_or_to_fill_from() -> None:
    with pytest.raises(CannotBeMet, match="no lesion"):
        cut(np.zeros((4, 4), np.uint8), RULES)
    full = np.full((4, 4), 3, np.uint8)
    with pytest.raises(CannotBeMet, match="nothing to fill from"):
        removed(full, cut(full, RULES), RULES)


IMPOSSIBLE = [
    ((), (), "name the classes"),
    (("tumour",), (), "no class 'tumour': there are background"),
    (("background",), (), "no lesion"),
    (("core",), ("core",), "cannot be a class of the lesion and inside"),
]


@pytest.mark.parametrize(("lesion", "inside", "says"), IMPOSSIBLE)
def test_rules_that_cannot_be(lesion: tuple[str, ...], inside: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Rules.named(SCHEME, lesion, inside)
