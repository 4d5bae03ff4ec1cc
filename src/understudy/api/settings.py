"""Settings by name: a configuration made from them, and what they are, with type, default, bounds and meaning.

**Checked** in tests/api/test_settings.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from understudy.core.errors import UsageError
from understudy.core.menu import Menu
from understudy.data.sources import SOURCES
from understudy.generators import GENERATORS

Model = TypeVar("Model", bound=BaseModel)
Entry = TypeVar("Entry")

CONFIGS: Menu[Any] = Menu(
    "understudy",
    **{
        "utility": "evaluation.utility.config:UtilityConfig",
        "utility-classification": "evaluation.utility.config:ClassUtilityConfig",
        "fidelity": "evaluation.fidelity.config:FidelityConfig",
        "privacy": "evaluation.privacy.config:PrivacyConfig",
        "consistency": "evaluation.consistency.config:ConsistencyConfig",
        "correlation": "evaluation.correlation.config:CorrelationConfig",
        "interrater": "evaluation.interrater.config:InterraterConfig",
        "classify": "tasks.classification:ClassificationConfig",
        "segment": "tasks.segmentation:SegmentationConfig",
        "condition": "synthesis.conditioning.search:ConditionConfig",
        "edit": "synthesis.editing.stage:EditConfig",
    },
)
RENAMED = {  # settings of old and what they are called now
    "sides": "arms",
    "side": "arm",
    "views": "matchers",
    "false_alarm_rate": "false_positive_rate",
    "gallery": "worst_pairs",
    "audit_few": "audit_low_prevalence",
    "specks": "small_components",
    "wishes": "request",
    "bend": "augment",
}
BOUNDS = {"gt": "above {}", "ge": "from {}", "lt": "below {}", "le": "to {}", "min_length": "at least {} of them"}


class Setting(NamedTuple):
    """One setting: its name, dotted where it lies in another; what it may be; what it is; what it means."""

    name: str
    type: str
    default: str
    meaning: str


def configure(model: type[Model], values: Mapping[str, Any], what: str) -> Model:
    """Make a configuration of settings by name; ``dp.epsilon`` is the setting ``epsilon`` of ``dp``.

    What is configured, e.g. ``stylegan2``, is named in messages.

    Raises:
        UsageError: an unknown setting, or a value of the wrong type or out of range.
    """
    try:
        return model(**_nested(values))
    except ValidationError as error:
        raise UsageError("; ".join(_problem(model, item, what) for item in error.errors())) from error


def one_of(menu: Mapping[str, Entry], name: str, what: str) -> Entry:
    """Look a name up in a menu; where there is no such entry, e.g. ``generator``, a UsageError names all."""
    if name not in menu:
        raise UsageError(f"there is no {what} {name!r}: choose from {', '.join(menu)}")
    return menu[name]


def names() -> dict[str, list[str]]:
    """Return what has settings, by kind; nothing is imported but the menus."""
    return {"generators": list(GENERATORS), "sources": list(SOURCES), "stages": list(CONFIGS)}


def settings_of(name: str) -> type[BaseModel]:
    """Return the configuration class of a generator, a source or a stage; another name is a UsageError."""
    if name in GENERATORS:
        return GENERATORS[name].Config
    if name in SOURCES:
        return SOURCES[name].options
    if name not in CONFIGS:
        known = [known for group in names().values() for known in group]
        raise UsageError(f"nothing called {name!r} has settings: choose from {', '.join(known)}")
    return CONFIGS[name]


def presets_of(name: str) -> dict[str, dict[str, Any]]:
    """Return the presets of a generator, what each of them sets; none of anything else."""
    return GENERATORS[name].PRESETS if name in GENERATORS else {}


def described(model: type[BaseModel], prefix: str = "") -> Iterator[Setting]:
    """Yield every setting of a configuration, those of settings that lie in it under dotted names after a prefix."""
    for name, field in model.model_fields.items():
        inner = _model_in(field.annotation)
        if inner is None:
            kind = ", ".join([_type(field.annotation), *_bounds(field)])
            yield Setting(prefix + name, kind, _default(field), field.description or "")
        else:
            yield from described(inner, f"{prefix}{name}.")


def _model_in(annotation: Any) -> type[BaseModel] | None:
    kinds = (annotation, *get_args(annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _type(annotation: Any) -> str:
    """Write a type in words: ``whole number or null``."""
    origin, inner = get_origin(annotation), [kind for kind in get_args(annotation) if kind is not Ellipsis]
    if origin is Literal:
        return "|".join(map(str, inner))
    if origin in (Union, UnionType):
        return " or ".join(_type(kind) for kind in inner)
    if origin in (tuple, list):
        return f"list of {_type(inner[0])}" if len(set(inner)) == 1 else f"[{', '.join(map(_type, inner))}]"
    if origin is dict:
        return f"{{{_type(inner[0])}: {_type(inner[1])}}}"
    words = {int: "whole number", float: "number", bool: "true|false", str: "text", Path: "file", type(None): "null"}
    return words.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _bounds(field: FieldInfo) -> list[str]:
    found = []
    for constraint in field.metadata:
        for name, words in BOUNDS.items():
            if (value := getattr(constraint, name, None)) is not None:
                found.append(words.format(f"{value:g}" if isinstance(value, float) else value))
        if pattern := getattr(constraint, "pattern", None):
            found.append(f"like {pattern}")
    return found


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if field.is_required():
        return "required"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(str, value))}]"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return str(value) if value != "" else "''"


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings whose names have dots as dictionaries in dictionaries."""
    nested: dict[str, Any] = {}
    for key, value in values.items():
        *parts, last = key.split(".")
        inner = nested
        for part in parts:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise UsageError(f"the settings {part!r} and {key!r} contradict each other: give the latter alone")
        inner[last] = value
    return nested


def _problem(model: type[Model], item: Any, what: str) -> str:
    key = ".".join(str(part) for part in item["loc"]) or "settings"
    if item["type"] == "extra_forbidden":
        *parts, name = item["loc"]
        if new := RENAMED.get(str(name)):
            return f"the setting {key!r} of {what} is called {new!r} now: write that"
        return f"{what} has no setting {key!r}: it has {', '.join(_known(model, [str(part) for part in parts]))}"
    said = item["msg"].removeprefix("Value error, ")
    if not item["loc"]:
        return f"the settings of {what}: {said}"
    found = "" if ", found " in said else f", found {item['input']!r}"
    return f"the setting {key!r} of {what}: {said}{found}"


def _known(model: Any, parts: Sequence[str]) -> list[str]:
    """Return the names of the settings of a model, or of the one that lies in it at the end of these names."""
    for part in parts:
        model = _model_in(model.model_fields[part].annotation)
    return [".".join((*parts, name)) for name in sorted(model.model_fields)]
