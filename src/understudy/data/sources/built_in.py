"""The built-in phantom as a source: subjects are drawn, nothing is read. The drawing itself is in phantom.py.

Its subjects are no people, so their pseudonyms need no secret: the same request gives the same cohort on every machine.
**Checked** in tests/data/test_importing.py.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, field_validator

from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.seed import rng
from understudy.data.listing import Item, Listing, Reading, Source
from understudy.data.options import NAMES, ImportOptions
from understudy.data.phantom import phantom
from understudy.data.phantom.geometry import affine_mm, voxel_size

SIZE = 64
REGIONS = {  # of the tumour: names, and the class of background, necrosis, oedema, enhancing
    "parts": (phantom.CLASS_NAMES, (0, 1, 2, 3)),
    "regions": (("background", "core", "oedema"), (0, 1, 2, 1)),
    "whole": (("background", "tumour"), (0, 1, 1, 1)),
}


class PhantomOptions(ImportOptions):
    """How many subjects are drawn, and how many slices of each."""

    subjects: int = Field(24, ge=1, le=100_000, description="number of subjects")
    slices: int = Field(8, ge=1, le=512, description="slices of a subject; in 3D size says how many")
    tumour: Literal["parts", "regions", "whole", "none"] = Field(
        "parts",
        description="label maps of three parts (necrosis, oedema, enhancing), of two regions (core, oedema), of one; "
        "none: images alone",
    )
    channels: tuple[Literal["T1", "T1c", "T2", "FLAIR"], ...] = Field(
        (), description="which contrasts, in order; default: T1, T1c, T2, FLAIR", json_schema_extra=NAMES
    )

    @field_validator("channels")
    @classmethod
    def _once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise ValueError("each contrast may stand once")
        return names

    def recorded(self) -> dict[str, Any]:
        """Return the options that stand in the cohort; the usual parts and contrasts go without saying."""
        usual = [("tumour", "parts"), ("channels", [])]
        return {name: value for name, value in super().recorded().items() if (name, value) not in usual}


def listing(path: Path, options: PhantomOptions) -> Listing:
    """List the subjects of a phantom cohort, which lies at no path; UsageError for a size that the phantom has not."""
    dims = options.dims or 2
    size = options.size or (SIZE,)
    sides = size if len(size) == dims else size * dims
    if len(set(sides[-2:])) != 1 or len(sides) != dims or min(sides) < 8 or max(sides) > 512:
        raise UsageError(f"a phantom has square slices of 8 to 512 pixels; found --size {','.join(map(str, size))}")
    depth = sides[0] if dims == 3 else max(phantom.SLICES, 2 * options.slices)
    shape = (depth, sides[-1], sides[-1])
    names = [f"phantom-{number:05d}" for number in range(options.subjects)]
    classes, of_part = REGIONS.get(options.tumour, ((), ()))
    channels = options.channels or phantom.CHANNELS
    taken = [phantom.CHANNELS.index(name) for name in channels]
    drawn: dict[str, Any] = {
        "seed": options.seed,
        "shape": shape,
        "of_part": np.array(of_part, np.uint8),
        "taken": taken,
    }
    slices = options.slices if dims == 2 else None
    return Listing(
        items=[Item(name, name) for name in names],
        read=partial(_read, slices=slices, **drawn),
        channels=channels,
        dtype="float32",
        size=sides,
        dims=dims,
        scheme=LabelScheme(classes, tuple(range(len(classes)))) if classes else None,
        modality=phantom.MODALITY,
        notes={"source": "phantom", "drawn": f"at {' x '.join(map(str, shape))}"},
    )


def _read(
    item: Item,
    seed: int,
    shape: tuple[int, int, int],
    slices: int | None,
    of_part: np.ndarray,
    taken: Sequence[int],
) -> Iterator[Reading]:
    subject = int(item.name.rpartition("-")[2])
    volumes, parts = phantom.phantom_subject(seed, subject, shape)
    volumes, spacing = volumes[list(taken)], voxel_size(shape)
    labels = of_part[parts] if len(of_part) else None
    if slices is None:
        yield Reading(volumes, labels, spacing, affine_mm(shape))
        return
    chosen = phantom.phantom_slices(parts, slices, int(rng(seed, "phantom", subject).integers(2**62)))
    for d in chosen.tolist():
        label = None if labels is None else labels[d]
        yield Reading(volumes[:, d], label, spacing[1:], affine_mm(shape, d), d)


SOURCE = Source(
    "a procedural brain with a tumour; no PATH",
    listing,
    PhantomOptions,
    ("understudy import phantom --subjects 24 --size 64 --out phantom",),
    needs_path=False,
    secret=False,
)
