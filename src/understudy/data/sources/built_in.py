"""The built-in phantom as a source: subjects are drawn, nothing is read. The drawing itself is in phantom.py.

Its subjects are no people, so their pseudonyms need no secret: the same request gives the same cohort on every machine.
**Checked** in tests/data/test_importing.py.

Fingerprint of what a source found: names, sizes in bytes, and the whole table. Only its keyed hash is recorded.

**Differs** from hashing every pixel, which would read a large source twice: a file changed within its size is not
noticed.
"""

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from understudy.core.cohort import file_hash
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.seed import rng
from understudy.data.listing import Item, Listing, Reading
from understudy.data.options import ImportOptions
from understudy.data.phantom import phantom
from understudy.data.phantom.geometry import affine_mm, voxel_size

SIZE = 64


def list_items(path: Path, options: ImportOptions) -> Listing:
    """List the subjects of a phantom cohort.

    Args:
        path: not used; a phantom lies nowhere.
        options: ``subjects``, ``size``, ``slices``, ``dims``, ``seed``.

    Raises:
        UsageError: a size, or a number of slices, that the phantom has not.
    """
    dims = options.dims or 2
    size = options.size or (SIZE,)
    sides = size if len(size) == dims else size * dims
    if len(set(sides[-2:])) != 1 or len(sides) != dims or min(sides) < 8 or max(sides) > 512:
        raise UsageError(f"a phantom has square slices of 8 to 512 pixels; found --size {','.join(map(str, size))}")
    depth = sides[0] if dims == 3 else max(phantom.SLICES, 2 * options.slices)
    shape = (depth, sides[-1], sides[-1])
    names = [f"phantom-{number:05d}" for number in range(options.subjects)]
    return Listing(
        items=[Item(name, name) for name in names],
        read=partial(_read, seed=options.seed, shape=shape, slices=options.slices if dims == 2 else None),
        channels=phantom.CHANNELS,
        dtype="float32",
        size=sides,
        dims=dims,
        scheme=LabelScheme(phantom.CLASS_NAMES, tuple(range(len(phantom.CLASS_NAMES)))),
        modality=phantom.MODALITY,
        notes={"source": "phantom", "drawn": f"at {' x '.join(map(str, shape))}"},
    )


def _read(item: Item, seed: int, shape: tuple[int, int, int], slices: int | None) -> Iterator[Reading]:
    subject = int(item.name.rpartition("-")[2])
    volumes, labels = phantom.phantom_subject(seed, subject, shape)
    spacing = voxel_size(shape)
    if slices is None:
        yield Reading(volumes, labels, spacing, affine_mm(shape))
        return
    chosen = phantom.phantom_slices(labels, slices, int(rng(seed, "phantom", subject).integers(2**62)))
    for d in chosen.tolist():
        yield Reading(volumes[:, d], labels[d], spacing[1:], affine_mm(shape, d), d)


def fingerprint(path: Path, items: Sequence[Item], table: Path | None = None) -> str:
    """Return a text that changes when files are added, removed, renamed or change their size, or when the table
    changes.

    Args:
        path: the source's folder; its own name and place do not count.
        items: the items found.
        table: a table that belongs to them.
    """
    files = sorted({file for item in items for file in (*item.images, *([item.labels] if item.labels else []))})
    listed = [(file.relative_to(path).as_posix(), file.stat().st_size) for file in files]
    return json.dumps([listed, file_hash(table) if table else None])
