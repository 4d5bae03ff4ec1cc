"""Settings of an import: what can be said, what is recorded, and what cannot be."""

import pytest
from pydantic import ValidationError

from understudy.core.errors import UsageError
from understudy.data.options import ImportOptions
from understudy.data.sources.pairs import FolderOptions


@pytest.mark.parametrize(("settings", "says"), [
    ({"leave_out": "kind"}, "COLUMN=VALUE"), ({"leave_out": "=north"}, "COLUMN=VALUE"),
    ({"leave_out": "kind=a", "split_column": "split"}, "give one of them"),
])  # fmt: skip
def test_leaving_out_that_is_not_said_well(settings: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        FolderOptions(**settings)


@pytest.mark.parametrize(("settings", "says"), [
    ({"draw": 2}, "give both, or neither"), ({"train_subjects": 2, "unlabelled_beyond": 2}, "make two cohorts"),
])  # fmt: skip
def test_draws_that_are_not_said_well(settings: dict[str, int], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ImportOptions(**settings)


def test_settings_that_cannot_be() -> None:
    sizes = ({"size": (2,)}, {"size": (1, 2, 3, 4)})
    for wrong in (*sizes, {"channels": ("a", "a")}, {"fit": "squash"}, {"colour": "red"}):
        with pytest.raises(ValidationError):
            FolderOptions.model_validate(wrong)


def test_nothing_that_may_quote_a_path_is_recorded() -> None:
    options = FolderOptions(images="Dr Grey/images", table="t.csv", key="k", subject_pattern="Jones", size=(64,))
    recorded = options.recorded()
    assert not {"images", "table", "key", "subject_pattern"} & recorded.keys()
    assert recorded["size"] == [64]
    assert "draw" not in recorded
    assert ImportOptions(train_subjects=3, draw=2).recorded().keys() >= {"train_subjects", "draw"}
    assert ImportOptions(unlabelled_beyond=3).recorded().items() >= {"unlabelled_beyond": 3, "draw": 0}.items()
    rare = {"synthetic", "leave_out", "draw", "train_subjects", "unlabelled_beyond"}
    assert not rare & FolderOptions().recorded().keys()
    assert options.unrecorded()["subject_pattern"] == "Jones"


def test_one_size_is_for_every_axis() -> None:
    assert ImportOptions.model_validate({"size": 64}) == ImportOptions(size=(64,))
    assert ImportOptions(size=(64,)).resolved_size(3) == (64, 64, 64)
    assert ImportOptions(size=(64, 32)).resolved_size(2) == (64, 32)
    assert ImportOptions().resolved_size(2) is None
    with pytest.raises(UsageError, match="names 2 axes, and the cases have 3"):
        ImportOptions(size=(64, 32)).resolved_size(3)
    assert FolderOptions(leave_out="institution = north").left_out == ("institution", "north")


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_pad_value_is_a_number(value: str) -> None:
    with pytest.raises(ValueError, match="finite number"):
        FolderOptions(pad_value=float(value))
