"""Settings are listed whole: every configuration of every menu, and no field without a meaning."""

from typing import Literal

import pytest
from pydantic import BaseModel, Field

from understudy.api.settings import CONFIGS, RENAMED, Setting, configure, described, names, settings_of
from understudy.core.errors import UsageError
from understudy.data.sources import SOURCES
from understudy.evaluation.utility.stage import TASKS
from understudy.generators import GENERATORS

ALL = [name for group in names().values() for name in group]


class Inner(BaseModel):
    epsilon: float | None = Field(None, ge=0.05, le=100, description="the guarantee")


class Outer(BaseModel):
    dp: Inner | None = Field(None, description="privacy")
    n: int = Field(3, gt=0, description="how many")
    kind: Literal["a", "b"] = Field("a", description="which")
    names: tuple[str, ...] = Field((), description="who")
    by_name: dict[str, float] = Field({}, description="what")


def test_types_defaults_bounds_and_dotted_names() -> None:
    assert list(described(Outer)) == [
        Setting("dp.epsilon", "number or null, from 0.05, to 100", "null", "the guarantee"),
        Setting("n", "whole number, above 0", "3", "how many"),
        Setting("kind", "a|b", "a", "which"),
        Setting("names", "list of text", "[]", "who"),
        Setting("by_name", "{text: number}", "{}", "what"),
    ]


@pytest.mark.parametrize("name", ALL)
def test_every_field_has_a_meaning(name: str) -> None:
    found = list(described(settings_of(name)))
    assert found and not [one.name for one in found if not one.meaning.strip() or not one.type]


def test_every_configuration_is_listed() -> None:
    listed = {settings_of(name) for name in ALL}
    wanted = {method.Config for method in GENERATORS.values()} | {source.options for source in SOURCES.values()}
    assert listed >= wanted | {task.Config for task in TASKS.values()} | set(CONFIGS.values())
    assert len(ALL) == len(set(ALL))


def test_a_setting_of_old_is_told_its_new_name() -> None:
    for old, new in RENAMED.items():
        having = [settings_of(name) for name in ALL if new in settings_of(name).model_fields]
        assert having, f"nothing has the setting {new}"
        for model in having:
            with pytest.raises(UsageError, match=f"'{old}' of it is called '{new}' now"):
                configure(model, {old: 1}, "it")


def test_settings_that_do_not_go_together_are_told_without_all_others() -> None:
    with pytest.raises(UsageError) as told:
        configure(settings_of("dicom"), {"overlap": "last", "modality": "CT"}, "it")
    assert str(told.value).startswith("the settings of it: label_scheme and overlap are for label maps")
    assert "Value error" not in str(told.value) and "CT" not in str(told.value)


def test_what_was_found_is_told_once() -> None:
    for wrong in ({"network": "cnn"}, {"repeats": 0}):
        with pytest.raises(UsageError) as told:
            configure(settings_of("utility"), wrong, "it")
        assert str(told.value).count("found") == 1 and repr(*wrong.values()) in str(told.value)
