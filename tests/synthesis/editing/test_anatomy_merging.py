"""Merging: two schemes become one, the lesion last, as in Platscher's 29 classes."""

import numpy as np
import pytest

from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.synthesis.editing.anatomy import joining, merge


def test_platschers_layout() -> None:
    anatomy = LabelScheme(("background", *(f"structure{k}" for k in range(1, 28))), tuple(range(28)))
    both = joining(anatomy, LabelScheme(("none", "stroke"), (0, 1)), ["stroke"])
    assert len(both.scheme) == 29 and both.scheme.names[28] == "stroke" and both.scheme.names[:28] == anatomy.names
    assert len(set(both.scheme.source_values)) == 29 and both.scheme.source_values[:28] == anatomy.source_values
    maps = np.arange(28, dtype=np.uint8).reshape(4, 7), np.zeros((4, 7), np.uint8)
    assert np.array_equal(merge(*maps, both), maps[0])
    maps[1][1, :3] = 1
    merged = merge(*maps, both)
    assert merged.dtype == np.uint8 and (merged[1, :3] == 28).all()
    assert (np.delete(merged.ravel(), [7, 8, 9]) == np.delete(np.arange(28), [7, 8, 9])).all()


def test_a_class_that_both_have_is_lesion_and_last() -> None:
    anatomy = LabelScheme(("background", "tumour", "brain"), (0, 4, 9))
    lesion = LabelScheme(("background", "oedema", "tumour", "else"), (0, 9, 4, 5))
    both = joining(anatomy, lesion, ["tumour", "oedema"])
    assert both.scheme.names == ("background", "brain", "oedema", "tumour")
    assert both.scheme.source_values == (0, 9, 10, 4)
    assert both.anatomy.tolist() == [0, 3, 1] and both.lesion.tolist() == [0, 2, 3, 0]
    assert merge(np.array([1, 2, 2]), np.array([3, 0, 1]), both).tolist() == [3, 1, 2]


def test_a_scheme_that_has_all_stays_as_it_is() -> None:
    anatomy = LabelScheme(("background", "tumour", "brain"), (0, 4, 9))
    both = joining(anatomy, LabelScheme(("nothing", "tumour"), (0, 1)), ["tumour"])
    assert both.scheme == anatomy and both.anatomy.tolist() == [0, 1, 2] and both.lesion.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("names", "says"), [((), "name the classes"), (("background",), "name the classes"), (("cyst",), "no class 'cyst'")]
)
def test_what_cannot_be_joined(names: tuple[str, ...], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        joining(LabelScheme(("background", "brain"), (0, 1)), LabelScheme(("background", "tumour"), (0, 1)), names)
