"""Edit one label map: shrink, rotate, deform, translate, grow its lesion, or put another case's in its place.

In this order: the lesion (or another's, in its place) is shrunk, rotated, deformed, put in its place, translated; then
the rules are held; then it grows, where it may. The place that it leaves is filled from the anatomy around. Where a
case's own lesion lay it may lie again, whatever the anatomy beneath is taken for.
**Source** of the idea: Shin et al. (2018, arXiv 1807.10225): the tumour's size and place changed in the label map, or a
tumour put into another brain, and the image rendered from it. **Differs**: volumes are met to the voxel, rules held.
**Checked** in tests/synthesis/editing/test_request.py, in 2D and 3D (volume within 5 %, centroid to one voxel, rules).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from understudy.core.seed import rng
from understudy.synthesis.editing.lesions import CannotBeMet, Lesion, Rules, cut, pasted, refuse_misplaced, removed
from understudy.synthesis.editing.placement import Place, translated
from understudy.synthesis.editing.shapes import deformed, grown, rotated, shrunk

Range = tuple[float, float]
Unit = Literal["voxel", "mm"]


@dataclass(frozen=True)
class Edit:
    """What is done to one lesion."""

    grow: float = 1.0  # factor of its volume; below 1 it shrinks
    move: tuple[float, ...] = ()  # (dims,) how far along each axis; empty: not at all
    unit: Unit = "voxel"  # of ``move``
    rotate: float = 0.0  # degrees around its centroid, from the first to the second axis that rotates
    axis: int = 0  # in 3D, the one that stays
    deform: float = 0.0  # strength, 0 to 1 (shapes.py)
    seed: int = 0  # of the deformation

    def entries(self) -> dict[str, str]:
        """Return it as entries of a case table."""
        move = " ".join(f"{v:.4g}" for v in self.move) + (" mm" if self.move and self.unit == "mm" else "")
        return {"move": move, **{name: f"{getattr(self, name):.4g}" for name in ("grow", "rotate", "deform")}}


class EditRequest(BaseModel):
    """What is wanted of each case; a range (low, high) is drawn from, and low = high is fixed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    grow: Range | None = Field(None, description="factor of the volume; evenly in its logarithm")
    move: tuple[float, ...] | None = Field(None, description="a vector, along the array axes")
    distance: Range | None = Field(None, description="instead: how far, in a random direction")
    unit: Unit = Field("voxel", description="of move and distance")
    rotate: Range | None = Field(None, description="degrees around the centroid")
    axis: Literal[0, 1, 2] = Field(0, description="in 3D: the axis that stays when a lesion is rotated")
    deform: Range | None = Field(None, description="strength of a smooth deformation, 0 to 1")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        limits = {"grow": (1e-6, 1e6), "distance": (0, 1e6), "rotate": (-360, 360), "deform": (0, 1)}
        for name, (lowest, highest) in limits.items():
            asked = getattr(self, name)
            if asked is not None and not lowest <= asked[0] <= asked[1] <= highest:
                raise ValueError(f"{name} goes from a lower to a higher number, within {lowest:g} and {highest:g}")
        if self.move is not None and self.distance is not None:
            raise ValueError("move is a vector or a range of distances, not both")
        return self

    @property
    def asked(self) -> bool:
        """Whether anything is wanted."""
        return any(w is not None for w in (self.grow, self.move, self.distance, self.rotate, self.deform))

    @property
    def random(self) -> bool:
        """Whether two draws differ."""
        ranges = [r for r in (self.grow, self.rotate) if r is not None]
        moved = self.distance is not None and self.distance[1] > 0
        return moved or (self.deform is not None and self.deform[1] > 0) or any(low < high for low, high in ranges)

    def drawn(self, generator: np.random.Generator, dims: int) -> Edit:
        """Draw what is done to one lesion."""
        grow, rotate = self.grow or (1.0, 1.0), self.rotate or (0.0, 0.0)
        direction = generator.standard_normal(dims)
        factor = float(np.exp(generator.uniform(*np.log(grow))))
        angle, strength = float(generator.uniform(*rotate)), float(generator.uniform(*(self.deform or (0.0, 0.0))))
        far = float(generator.uniform(*(self.distance or (0.0, 0.0))))
        move = tuple((direction / np.linalg.norm(direction) * far).tolist()) if self.distance else self.move or ()
        return Edit(factor, move, self.unit, angle, self.axis, strength, int(generator.integers(2**62)))


def edit_map(
    labels: np.ndarray,
    edit: Edit,
    rules: Rules,
    *,
    spacing: Sequence[float] | None = None,
    which: str = "all",
    donor: Lesion | None = None,
    place: Place | None = None,
) -> np.ndarray:
    """Edit the lesion of one label map (*S) with values 0..K-1; return uint8 (*S), or tell why not (CannotBeMet).

    ``spacing`` is mm per voxel, None where it is not known. Where only the "largest" connected part is edited, the
    others stay and are in the way. A ``donor``, another case's lesion on voxels of this map, takes the place of the
    map's own, which is removed. ``place`` says where it comes to lie before it is translated; None: where it lies.
    """
    if edit.move and edit.unit == "mm" and spacing is None:
        raise CannotBeMet("spacing not known", "a move in mm needs a spacing, and the case has none; move by voxels")
    if donor is None or np.isin(labels, rules.lesion).any():
        own = cut(labels, rules, spacing, "all" if donor else which)
        anatomy = removed(labels, own, rules)
        before = own.on(labels.shape) > 0
    else:
        own, anatomy, before = donor, labels, np.zeros(labels.shape, bool)
    allowed = rules.allowed(anatomy) | (before & (donor is None))
    lesion = _shaped(donor or own, edit)
    if place is not None:
        lesion = place(lesion, allowed)
    if edit.move:
        lesion = translated(lesion, edit.move, edit.unit)
    refuse_misplaced(lesion, allowed)
    return pasted(anatomy, grown(lesion, edit.grow, allowed) if edit.grow > 1 else lesion, rules)


def _shaped(lesion: Lesion, edit: Edit) -> Lesion:
    """Do to a lesion what needs no label map."""
    if edit.grow < 1:
        lesion = shrunk(lesion, edit.grow)
    if edit.rotate:
        lesion = rotated(lesion, edit.rotate, edit.axis)
    return deformed(lesion, edit.deform, rng(edit.seed, "deform")) if edit.deform else lesion
