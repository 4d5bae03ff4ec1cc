"""What an import would read, without writing anything: ``understudy import ... --dry-run``.

Every case is read and nothing is scaled, cut or resampled: shapes, spacings, orientations and values are those of the
files. The preview holds counts and numbers, and no name, path or identifier of the source. Percentiles of a channel
that is one value nearly everywhere are withheld. **Checked** in tests/data/test_preview.py.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.manifest import SPLITS
from understudy.data import formats
from understudy.data.importing import listed
from understudy.data.intensity import HIGH, LOW, RangeMeter
from understudy.data.listing import Listing, Reading, size_text
from understudy.data.options import ImportOptions

UNKNOWN = "not said by the files"


class _Count:
    """What is counted over the readings."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.shapes, self.spacings, self.axes = Counter[str](), Counter[str](), Counter[str]()
        self.remarks = Counter(listing.remarks)
        names = listing.scheme.names if listing.scheme else ()
        self.voxels, self.cases = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
        self.meter = RangeMeter(listing.channels, listing.dtype, "percentile")

    def add(self, reading: Reading) -> None:
        self.shapes[size_text(reading.size)] += 1
        spacing = reading.spacing_mm
        self.spacings[UNKNOWN if spacing is None else " x ".join(f"{v:.4g}" for v in spacing)] += 1
        self.axes[reading.stored_axes or UNKNOWN] += 1
        self.remarks.update(set(reading.remarks))
        if reading.labels is not None:
            counts = np.bincount(reading.labels.reshape(-1), minlength=len(self.voxels))
            self.voxels += counts
            self.cases += counts > 0
        if reading.image is not None:
            self.meter.add(reading.image)

    def values(self) -> dict[str, Any]:
        """Label values with their names and counts."""
        scheme = self.listing.scheme
        return {
            f"{value} ({name})": {"voxels": int(self.voxels[k]), "cases": int(self.cases[k])}
            for k, (name, value) in enumerate(zip(scheme.names, scheme.source_values, strict=True))
        } if scheme else {}  # fmt: skip

    def ranges(self) -> dict[str, Any]:
        """Extremes of each channel, and percentiles where they say something."""
        out: dict[str, Any] = {}
        for c, name in enumerate(self.listing.channels if self.meter.seen else ()):
            (low, high), (first, middle, last) = self.meter.extremes(c), self.meter.percentiles(c, (LOW, 50, HIGH))
            out[name] = {"minimum": low, "maximum": high}
            if first < last:
                out[name] |= {f"percentile {LOW}": first, "median": middle, f"percentile {HIGH}": last}
            else:
                out[name]["percentiles"] = f"withheld: at least {HIGH - LOW:g} % of the pixels are {middle:g}"
        return out


def preview(
    source: str, path: Path | None, options: ImportOptions, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Return what :func:`understudy.data.importing.import_cohort` would read, as plain data; nothing is written.

    Raises:
        UsageError: the request cannot be right.
        UnderstudyError: the data cannot be right.
    """
    listing, splits = listed(source, path, options)
    count = _Count(listing)
    for done, item in enumerate(listing.items, start=1):
        for reading in listing.read(item):
            count.add(reading)
        if progress:
            progress(done, len(listing.items))
    endings = Counter(formats.ending(file) or "other" for item in listing.items for file in item.files)
    subjects = Counter(splits[subject] for subject in {item.subject for item in listing.items})
    return {
        "cases": sum(count.shapes.values()),
        "subjects": {split: subjects[split] for split in SPLITS if subjects[split]},
        "files": dict(sorted(endings.items())),
        "shapes": dict(count.shapes.most_common()),
        "spacings_mm": dict(count.spacings.most_common()),
        "stored_orientations": dict(count.axes.most_common()),
        "channels": count.ranges(),
        "label_values": count.values(),
        "class_columns": list(listing.classes),
        "passed_over": dict(sorted(listing.passed_over.items())),
        "remarks": dict(sorted(count.remarks.items())),
    }
