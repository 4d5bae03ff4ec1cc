"""Lesions as things: cut out of a label map, the hole filled from the anatomy around it, put back where they may lie.

A lesion is the union of some classes of a label map; where these are nested (oedema, core, enhancing rim) they stay
together. What lay beneath a lesion is not known: each voxel of the hole takes the class of the nearest voxel that is
no lesion, in mm where the spacing is known. A lesion that breaks a rule is refused whole; nothing is clipped.
**Checked** in tests/synthesis/editing/test_lesions.py (a hole is filled from next to it; each rule is kept and named).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme


class CannotBeMet(UnderstudyError):
    """A request that this label map cannot meet; ``reason`` is the same few words for all cases alike, for counting."""

    def __init__(self, reason: str, sentence: str) -> None:
        """Keep the reason beside the sentence."""
        super().__init__(f"{reason}: {sentence}")
        self.reason = reason


@dataclass(frozen=True)
class Lesion:
    """A lesion by itself, in its own box, and where that box lies."""

    classes: np.ndarray  # (*B) uint8, the class of each voxel of the lesion, 0 beside it
    corner: tuple[int, ...]  # (dims,) position of the box's first voxel in the image; may lie outside
    spacing: tuple[float, ...]  # (dims,) mm per voxel; ones where it is not known

    @classmethod
    def of(cls, classes: np.ndarray, corner: Sequence[int], spacing: Sequence[float]) -> "Lesion":
        """Make a lesion of a map that is 0 beside it, in the smallest box; raises CannotBeMet where it is all 0."""
        if not classes.any():
            raise CannotBeMet("no lesion", "the label map has none of the lesion's classes")
        box = ndimage.find_objects((classes > 0).astype(np.uint8))[0]
        start = tuple(int(c) + int(part.start) for c, part in zip(corner, box, strict=True))
        return cls(classes[box].astype(np.uint8), start, tuple(float(s) for s in spacing))

    @property
    def mask(self) -> np.ndarray:
        """Where in its box the lesion is, bool (*B)."""
        return self.classes > 0

    @property
    def voxels(self) -> int:
        """How many voxels it has."""
        return int(np.count_nonzero(self.classes))

    @property
    def centroid(self) -> np.ndarray:
        """Mean position of its voxels in the image, float (dims,)."""
        return np.argwhere(self.classes).mean(0) + np.array(self.corner)

    def translated_by(self, steps: Sequence[int] | np.ndarray) -> "Lesion":
        """Return it so many voxels further."""
        return Lesion(self.classes, tuple(c + int(s) for c, s in zip(self.corner, steps, strict=True)), self.spacing)

    def centred(self, centre: Sequence[float] | np.ndarray) -> "Lesion":
        """Return it with its centroid at a position of the image, to half a voxel."""
        return self.translated_by(np.rint(np.asarray(centre, float) - self.centroid))

    def padded(self, margin: Sequence[int]) -> "Lesion":
        """Return it in a box that is larger by a margin on every side."""
        classes = np.pad(self.classes, [(m, m) for m in margin])
        return Lesion(classes, tuple(c - m for c, m in zip(self.corner, margin, strict=True)), self.spacing)

    def lies_in(self, shape: Sequence[int]) -> bool:
        """Tell whether its box lies in an image of this shape."""
        ends = zip(self.corner, self.classes.shape, shape, strict=True)
        return all(corner >= 0 and corner + side <= n for corner, side, n in ends)

    def on(self, shape: Sequence[int]) -> np.ndarray:
        """Return it on an image of this shape, in which it lies: uint8 (*S), 0 beside it."""
        out = np.zeros(tuple(shape), np.uint8)
        out[self.box] = self.classes
        return out

    @property
    def box(self) -> tuple[slice, ...]:
        """Its box as slices of the image."""
        return tuple(slice(c, c + n) for c, n in zip(self.corner, self.classes.shape, strict=True))


@dataclass(frozen=True)
class Rules:
    """What forms a lesion and where one may lie, as class numbers."""

    lesion: tuple[int, ...]  # classes that form it
    inside: tuple[int, ...] | None = None  # classes that it may cover; None: all
    forbidden: tuple[int, ...] = ()  # classes that it may not cover
    minimum: int = 1  # fewest voxels of it
    fill: tuple[int, ...] = ()  # classes that a hole is filled from; empty: all that are no lesion

    @classmethod
    def named(
        cls,
        scheme: LabelScheme,
        lesion: Sequence[str],
        inside: Sequence[str] = (),
        forbidden: Sequence[str] = (),
        minimum: int = 1,
        fill: Sequence[str] = (),
    ) -> "Rules":
        """Read rules by class names; UsageError: an unknown name, no lesion, or a lesion's class in another role.

        Where ``inside`` names nothing, a lesion may cover every class of the anatomy, and if the scheme has no class
        beside lesion and background, everything.
        """
        if not lesion:
            raise UsageError(f"name the classes that form the lesion, out of {', '.join(scheme.names[1:])}")
        own = class_numbers(scheme, lesion)
        if 0 in own:
            raise UsageError(f"the background {scheme.names[0]!r} is no lesion: name other classes")
        for what, given in (("inside", inside), ("forbidden", forbidden), ("fill", fill)):
            if both := sorted(set(given) & set(lesion)):
                raise UsageError(f"{both[0]!r} cannot be a class of the lesion and {what}: name it once")
        anatomy = tuple(k for k in range(1, len(scheme)) if k not in own)
        wanted = class_numbers(scheme, inside) or anatomy or None
        return cls(own, wanted, class_numbers(scheme, forbidden), minimum, class_numbers(scheme, fill))

    def allowed(self, anatomy: np.ndarray) -> np.ndarray:
        """Return where in a label map without the lesion it may lie, bool (*S)."""
        free = ~np.isin(anatomy, (*self.lesion, *self.forbidden))
        return free if self.inside is None else free & np.isin(anatomy, self.inside)


def class_numbers(scheme: LabelScheme, names: Sequence[str]) -> tuple[int, ...]:
    """Return the numbers of named classes; raises UsageError for a name that the scheme has not."""
    for name in names:
        if name not in scheme.names:
            raise UsageError(f"there is no class {name!r}: there are {', '.join(scheme.names)}")
    return tuple(scheme.names.index(name) for name in names)


def cut(labels: np.ndarray, rules: Rules, spacing: Sequence[float] | None = None, which: str = "all") -> Lesion:
    """Cut "all" of a label map's (*S) lesion, or its "largest" connected part; raises CannotBeMet without a lesion."""
    found = np.where(np.isin(labels, rules.lesion), labels, 0)
    if which == "largest":
        parts, n = ndimage.label(found > 0, np.ones((3,) * labels.ndim))
        if n > 1:
            found = np.where(parts == 1 + np.bincount(parts.reshape(-1))[1:].argmax(), found, 0)
    return Lesion.of(found, (0,) * labels.ndim, spacing or (1.0,) * labels.ndim)


def removed(labels: np.ndarray, lesion: Lesion, rules: Rules) -> np.ndarray:
    """Return a label map (*S) without this lesion, filled from the nearest anatomy; raises CannotBeMet without any."""
    hole = lesion.on(labels.shape) > 0
    source = ~np.isin(labels, rules.lesion)
    if rules.fill:
        source &= np.isin(labels, rules.fill)
    if not source.any():
        raise CannotBeMet("nothing to fill from", "the label map has no class that the lesion's place could take")
    nearest = ndimage.distance_transform_edt(
        ~source, sampling=lesion.spacing, return_distances=False, return_indices=True
    )
    out = labels.copy()
    out[hole] = labels[tuple(nearest[:, hole])]
    return out


def refuse_misplaced(lesion: Lesion, allowed: np.ndarray) -> None:
    """Refuse (CannotBeMet) a lesion that leaves the image, or covers what is not ``allowed``, bool (*S)."""
    if not lesion.lies_in(allowed.shape):
        raise CannotBeMet(
            "outside the image", f"a lesion of {lesion.voxels} voxels would leave it; ask for less, or another place"
        )
    over = int(np.count_nonzero(lesion.mask & ~allowed[lesion.box]))
    if over:
        raise CannotBeMet(
            "outside its region",
            f"{over} of the {lesion.voxels} voxels of a lesion would cover classes that it may not; ask for less, for "
            "another place, or allow more classes",
        )


def pasted(anatomy: np.ndarray, lesion: Lesion, rules: Rules) -> np.ndarray:
    """Return a label map (*S) with a lesion in it laid over; raises CannotBeMet below the minimum size."""
    if lesion.voxels < rules.minimum:
        raise CannotBeMet(
            "below the minimum size", f"a lesion would have {lesion.voxels} voxels, fewer than {rules.minimum}"
        )
    over = lesion.on(anatomy.shape)
    return np.where(over, over, anatomy).astype(np.uint8)
