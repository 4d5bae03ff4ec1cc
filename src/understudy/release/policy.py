"""Policy: the limits that a synthetic cohort must keep to be released; ``policy.yaml`` beside this file is the default.

``policies/`` holds the others that are shipped: stricter (open) and looser ones (research-agreement, internal).

A limit names numbers by the pattern of their name, so that new evidence is held against it without a change here.
Further names that a limit may ask for: ``cohort.subjects`` and ``cohort.cases`` (counts),
``screening.independent_judgement`` (1 where the cohort was judged by matchers that took no part in its screening),
``setting.KIND.KEY`` (a number among the settings of ``evaluate KIND``), and where weights are asked for
``weights.white_box.auc`` (and ``.p``, ``.risk``: the attack on exactly these weights).
**Checked** in tests/release/test_policy.py.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from understudy.core.documents import mistakes
from understudy.core.errors import UsageError
from understudy.core.regular_file import read_regular
from understudy.data.once import OnceLoader

Take = Literal["value", "low", "high", "n"]
LabelSource = Literal["patient", "edited patient", "sampled", "predicted"]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]
NAMES = ("default", "open", "research-agreement", "internal")  # shipped, the default first
MOST_BYTES = 2**20  # of a policy
Sentence = Field(min_length=20)  # why: a sentence, not a word


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Bound(_Part):
    """Another measured number as a limit: its name, and which part of it."""

    result: str = Field(min_length=1)
    take: Take = "value"


class Limit(_Part):
    """One limit on the results whose names match a pattern, or one of several; each that is found must hold.

    In a pattern ``*`` stands for anything. Where the limit is required, missing evidence refuses: at least one number
    is asked for each pattern. A number that was withheld refuses in any case.
    """

    name: str = Field(min_length=1)  # what a person calls it
    result: Name | tuple[Name, ...] = Field(min_length=1)
    take: Take = "value"  # what of the result is compared: its value, an end of its interval, or n
    about: Literal["released", "before", "fresh"] = "released"  # or before screening, or drawn anew from the weights
    at_most: Number | Bound | None = None  # this, ``at_least``, or both
    at_least: Number | None = None
    required: bool = Field(default=True, strict=True)
    why: str = Sentence
    errors: str = ""  # how often it refuses a generator that copies nobody, and one that copies a few cases

    @property
    def patterns(self) -> tuple[str, ...]:
        """Patterns of the names it is for."""
        return (self.result,) if isinstance(self.result, str) else self.result

    @model_validator(mode="after")
    def _bounds(self) -> "Limit":
        if self.at_most is None and self.at_least is None:
            raise ValueError(f"the limit {self.name!r} needs at_most or at_least")
        return self


class LabelSources(_Part):
    """Whose label maps may be released; a cohort without label maps is not asked."""

    allowed: tuple[LabelSource, ...]
    why: str = Sentence


class RealCheck(_Part):
    """The comparison of the bundle with the real cohort."""

    required: bool = Field(default=True, strict=True)  # whether a release without ``--real`` is refused
    near: Number = Field(default=0.995, gt=0.5, le=1)  # Pearson's r from which an image counts as a real one
    drawn: Number = Field(default=0.996, gt=0.5, le=1)  # of a panel without the tenth of pixels that fits worst
    label_voxels: int = Field(default=64, ge=1, strict=True)  # foreground from which a map may not equal a real one
    why: str = Sentence


class Seals(_Part):
    """The seals of the evidence (data/seal.py)."""

    required: bool = Field(default=True, strict=True)  # whether evidence without a seal that can be checked is refused
    why: str = Field(
        default="Evidence that anybody could have edited after it was measured supports nothing.", min_length=20
    )


class WeightsRule(_Part):
    """What is asked beside all other limits where the generator's weights are to be released (weights.py)."""

    limits: tuple[Limit, ...] = Field(min_length=1)
    why: str = Sentence


class Policy(_Part):
    """All limits; names of limits differ. A policy without limits for weights lets none out."""

    name: str = Field(min_length=1)
    why: str = Sentence
    limits: tuple[Limit, ...] = Field(min_length=1)
    label_sources: LabelSources
    real_check: RealCheck
    seals: Seals = Seals()
    weights: WeightsRule | None = None

    @model_validator(mode="after")
    def _names_differ(self) -> "Policy":
        found = [limit.name for limit in (*self.limits, *(self.weights.limits if self.weights else ()))]
        if len(set(found)) != len(found):
            raise ValueError("each limit needs a name of its own")
        return self


@dataclass(frozen=True)
class PolicyFile:
    """A policy with the bytes it was read from, which go into the bundle as they are, and their SHA-256."""

    policy: Policy
    content: bytes

    @property
    def digest(self) -> str:
        """SHA-256 of the file."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def origin(self) -> str:
        """Whether the bytes are those of a policy that understudy ships: in words, whatever the file calls itself."""
        shipped = {file.read_bytes(): file.name for file in _shipped()}
        return f"as shipped ({shipped[self.content]})" if self.content in shipped else "not one that understudy ships"


def _shipped() -> Iterator[Traversable]:
    """Yield the files of the shipped policies."""
    return map(_shipped_file, NAMES)


def _shipped_file(name: str) -> Traversable:
    return files("understudy.release").joinpath("policy.yaml" if name == "default" else f"policies/{name}.yaml")


def shipped() -> dict[str, PolicyFile]:
    """Return the policies that understudy ships, by their names, the default first."""
    found = [read_policy(), *(read_policy(Path(name)) for name in NAMES[1:])]
    return {one.policy.name: one for one in found}


def read_policy(file: Path | None = None) -> PolicyFile:
    """Read a policy: a file, or a shipped one by its name; the default where none is named.

    A name of a shipped one means that, also where a file in the current folder is called so.

    Raises UsageError where there is no such file, it is not YAML, or a limit is wrong: which, and what was found.
    """
    name = "default" if file is None else str(file)
    source: Traversable = _shipped_file(name) if name in NAMES else Path(name)
    if not source.is_file():
        raise UsageError(
            f"a policy was expected at {file}, and there is no file: name one, or {', '.join(NAMES)} of those shipped"
        )
    content = read_regular(source, "a policy", MOST_BYTES) if isinstance(source, Path) else source.read_bytes()
    try:
        return PolicyFile(Policy.model_validate(yaml.load(content.decode(), OnceLoader)), content)
    except ValidationError as error:
        raise UsageError(f"the policy {file} is wrong: {mistakes(error)}: compare with the default") from error
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"the policy {file} is not YAML in UTF-8 ({mistakes(error)[:200]}): mend it") from error
