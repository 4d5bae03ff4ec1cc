"""A steward's own transformations of copies, from a file such as transformations.yaml: recipes of known steps.

The audit injects them beside the menu's, and no encoder learns them. A file holds a list::

    - name: tilted_and_dark
      steps: [{rotate: 25}, {gamma: 2.0}]
    - name: crumpled
      steps: [{warp: {strength: 0.06, smoothness: 0.1}}, {noise: 0.1}]

Lengths are shares of the side, intensities of the half range, angles degrees.
**Checked** in tests/evaluation/privacy/canaries/test_recipes.py.
"""

from pathlib import Path
from typing import Annotated, Literal

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator
from torch import Tensor

from understudy.core.documents import mistakes
from understudy.core.errors import UsageError
from understudy.core.regular_file import open_regular
from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, blur, random_warp
from understudy.evaluation.privacy.copies.transforms import Draw, Transform, Transformation, coarser, gamma, turned

MOST_BYTES = 2**16
Share = Annotated[float, Field(ge=-0.5, le=0.5)]


class Warp(BaseModel):
    """A smooth random warp."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    strength: float = Field(gt=0, le=0.2, description="root mean square displacement along each axis")
    smoothness: float = Field(0.1, ge=0.02, le=0.5, description="standard deviation of the Gaussian that smooths it")


class Step(BaseModel):
    """One step: exactly one of these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotate: float | None = Field(None, ge=-180, le=180, description="degrees")
    zoom: float | None = Field(None, ge=0.5, le=2, description="above 1 larger")
    shift: tuple[Share, Share] | None = Field(None, description="to the right, and downwards")
    turn: Literal[90, 180, 270] | None = Field(None, description="degrees, counter-clockwise")
    flip: Literal["horizontal", "vertical"] | None = Field(None, description="left and right, or top and bottom")
    gamma: float | None = Field(None, ge=0.1, le=10, description="exponent")
    negative: Literal[True] | None = Field(None, description="dark for bright")
    noise: float | None = Field(None, gt=0, le=1, description="standard deviation")
    blur: float | None = Field(None, ge=1 / 128, le=0.2, description="standard deviation of a Gaussian")
    coarser: int | None = Field(None, ge=2, le=16, description="by how often the resolution is divided")
    warp: Warp | None = Field(None, description="smooth and random")
    blend: float | None = Field(None, gt=0, lt=1, description="share of another patient's image")

    @model_validator(mode="after")
    def _one(self) -> "Step":
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(f"a step is exactly one of {', '.join(type(self).model_fields)}")
        return self

    def __call__(self, x: Tensor, others: Tensor, draw: Draw) -> Tensor:
        """Return images (N, C, S, S) after this step; others are blended in."""
        geometric = _moved(self, x)
        if geometric is not None:
            return geometric
        if self.gamma is not None:
            return gamma(x, torch.full((len(x),), self.gamma))
        if self.negative is not None:
            return -x
        if self.noise is not None:
            return x + self.noise * torch.randn(x.shape, generator=draw)
        if self.blur is not None:
            return blur(x, self.blur)
        if self.coarser is not None:
            return coarser(x, self.coarser)
        if self.warp is not None:
            return random_warp(x, self.warp.strength, self.warp.smoothness, draw)
        assert self.blend is not None
        return (1 - self.blend) * x + self.blend * others


def _moved(step: Step, x: Tensor) -> Tensor | None:
    """Return images after a step that moves them; None for other steps."""
    if step.flip is not None:
        return x.flip(-1 if step.flip == "horizontal" else -2)
    if step.turn is not None:
        return turned(x, step.turn // 90, False)
    if step.rotate is None and step.zoom is None and step.shift is None:
        return None
    n, shift = len(x), torch.tensor([step.shift or (0.0, 0.0)])
    return apply_affine(x, affine_maps(torch.full((n,), step.rotate or 0.0), torch.full((n,), step.zoom or 1.0),
                                       shift.expand(n, 2)))  # fmt: skip


class Recipe(BaseModel):
    """A named transformation: steps, one after another."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,39}$", description="of its result: privacy.audit.recall.own_NAME")
    steps: tuple[Step, ...] = Field(min_length=1, max_length=8)

    def transformation(self) -> Transformation:
        """Return what the audit injects."""

        def inject(x: Tensor, others: Tensor, draw: Draw) -> Tensor:
            for step in self.steps:
                x = step(x, others, draw)
            return x

        way: Transform = inject
        return Transformation("own", way, way)


Recipes = Annotated[tuple[Recipe, ...], Field(max_length=50)]


def read_recipes(file: Path) -> tuple[Recipe, ...]:
    """Read a file of recipes.

    Raises:
        UsageError: the file cannot be read, is no list of recipes in YAML, or names one twice.
    """
    with open_regular(file, "a file of transformations") as handle:
        content = handle.read(MOST_BYTES + 1)
    try:
        if len(content) > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        found = TypeAdapter(Recipes).validate_python(yaml.safe_load(content.decode()))
    except (ValidationError, ValueError, yaml.YAMLError, RecursionError) as error:
        wanted = "is no list of transformations, each with name and steps"
        raise UsageError(f"{file} {wanted} ({mistakes(error)}): see `understudy evaluate privacy --help`") from error
    names = [one.name for one in found]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{file} names the transformation {name!r} twice: give each a name of its own")
    return found
