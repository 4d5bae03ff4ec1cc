"""Pictures hold the numbers of a cohort as they are; what they cannot hold is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from understudy.core.cohort import Cohort, array_hash
from understudy.core.errors import UsageError
from understudy.release.formats.png import FORM

Cases = Callable[..., Cohort]


@pytest.mark.parametrize(("dtype", "top", "mode"), [("uint8", 255, "L"), ("int16", 90, "L"), ("float32", 300, "I;16")])
def test_numbers_and_nothing_else(cases: Cases, tmp_path: Path, dtype: str, top: int, mode: str) -> None:
    given = cases(dtype="int16", bounds=(0, top)) if dtype != "float32" else whole_floats(cases, top)
    FORM.refuse(given)
    FORM.write(tmp_path, given)
    with Image.open(tmp_path / "png" / "images" / "case-000002_0000.png") as picture:
        assert picture.mode == mode and not picture.info
        assert given.images is not None and np.array_equal(np.asarray(picture), given.images[1, 0])
    with Image.open(tmp_path / "png" / "labels" / "case-000002.png") as picture:
        assert picture.mode == "L" and set(np.unique(np.asarray(picture))) == {0, 1, 2}
    assert FORM.read(tmp_path).id == given.id


def whole_floats(cases: Cases, top: int) -> Cohort:
    """Return a cohort of float32 that holds whole numbers."""
    given = cases("floats", dtype="float32", bounds=(0, top))
    assert given.images is not None
    whole = np.rint(np.asarray(given.images))
    np.lib.format.open_memmap(given.path / "images.npy", mode="r+")[:] = whole
    text = (given.path / "cohort.json").read_text()
    old = given._manifest.hashes.images

    (given.path / "cohort.json").write_text(text.replace(str(old), array_hash(whole)))
    return Cohort.open(given.path)


def test_what_a_picture_cannot_hold_is_refused(cases: Cases) -> None:
    for name, change, says in (
        ("deep", {"size": (4, 12, 10)}, "holds volumes"),
        ("below", {"dtype": "int16", "bounds": (-3, 3)}, "has values from -3 to 3"),
        ("beyond", {"dtype": "int32", "bounds": (0, 70000)}, "has values from [0-9]+ to [0-9]+"),
        ("fractions", {"dtype": "float32", "bounds": (0, 1)}, "has fractions"),
    ):
        with pytest.raises(UsageError, match=f"{says}: choose nifti"):
            FORM.refuse(cases(name, **change))
