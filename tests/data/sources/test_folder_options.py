"""The options of a folder: which contradict each other, and what is never recorded."""

import pytest
from pydantic import ValidationError

from understudy.core.errors import UsageError
from understudy.data.sources.folder_options import FolderOptions

PLAIN = {"images": "a", "one_image_per_subject": True}


def test_contrasts_are_names_and_suffixes() -> None:
    assert FolderOptions(contrasts=("T1 = _0000", "T2=_0001")).by_contrast == {"T1": "_0000", "T2": "_0001"}
    for wrong in (("T1",), ("=a",), ("T1=",), ("T1=a", "T1=b"), ("T1=a", "T2=a")):
        with pytest.raises(ValidationError, match="contrasts\n"):
            FolderOptions(contrasts=wrong)


@pytest.mark.parametrize(("more", "says"), [
    ({"images": None}, "needs --images, --labels or both"),
    ({"subject": "p"}, "found 2 of them"),
    ({"one_image_per_subject": False}, "found 0 of them"),
    ({"classes": ("a",)}, "--classes names a column, so a table is needed"),
    ({"label_column": "m", "labels": "b"}, "--label-column names a column"),
    ({"label_suffix": "_m"}, "need --labels"),
    ({"images": None, "labels": "b", "contrasts": ("T1=a",)}, "--contrasts names files of images"),
    ({"labels": "b", "table": "t", "label_suffix": "_m", "label_column": "m"}, "give one of them"),
    ({"contrasts": ("T1=a",), "channels": ("T1",)}, "leave --channels out"),
])  # fmt: skip
def test_options_that_contradict(more: dict[str, object], says: str) -> None:
    FolderOptions(**PLAIN).refuse_contradictions()  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=says):
        FolderOptions(**(PLAIN | more)).refuse_contradictions()  # type: ignore[arg-type]


def test_parts_of_file_names_are_not_recorded() -> None:
    options = FolderOptions(contrasts=("T1=_SMITH",), label_suffix="_JONES", **PLAIN)  # type: ignore[arg-type]
    assert "SMITH" not in str(options.recorded()) and "JONES" not in str(options.recorded())
    assert "SMITH" in str(options.unrecorded()) and "JONES" in str(options.unrecorded())
