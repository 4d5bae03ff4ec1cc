"""Inventory: what a cohort holds, as tables and histograms: splits, sizes, spacings, orientations, label values.

**Checked** in tests/report/test_inventory.py.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Self

import nibabel.orientations as orientations
import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.manifest import SPLITS
from understudy.report.tables import View

BINS = 60
BLOCK = 32  # cases
MOST_ROWS = 8
TOWARDS = {"R": "right", "L": "left", "A": "anterior", "P": "posterior", "S": "superior", "I": "inferior"}


@dataclass
class Inventory:
    """Counts over a cohort.

    Attributes:
        counts: (splits, C, BINS) pixels over the ranges of the channels, those at the lowest value of their image not
            counted; what lies outside a range is in its last bin.
        ends: (C, 2) lowest and highest intensity.
        voxels: (K,) of each class.
        cases: (K,) that have the class.
        subjects: who have the class.
    """

    cohort: Cohort
    counts: np.ndarray
    ends: np.ndarray
    voxels: np.ndarray
    cases: np.ndarray
    subjects: list[set[str]] = field(default_factory=list)

    @classmethod
    def of(cls, cohort: Cohort) -> Self:
        """Count a cohort, block by block."""
        channels, classes = len(cohort.encoding.channels), len(cohort.scheme or ())
        ends = np.tile([np.inf, -np.inf], (channels, 1))
        counts = np.zeros((len(splits_of(cohort)), channels, BINS), int)
        found = cls(
            cohort, counts, ends, np.zeros(classes, int), np.zeros(classes, int), [set() for _ in range(classes)]
        )
        for first in range(0, len(cohort), BLOCK):
            rows = np.arange(first, min(first + BLOCK, len(cohort)))
            if cohort.images is not None:
                found._add_images(rows, cohort.images[rows])
            if cohort.labels is not None:
                found._add_labels(rows, np.asarray(cohort.labels)[rows])
        return found

    def _add_images(self, rows: np.ndarray, images: np.ndarray) -> None:
        splits = splits_of(self.cohort)
        place = np.array([splits.index(self.cohort.entry("split", row)) for row in rows.tolist()])
        for c, channel in enumerate(self.cohort.encoding.channels):
            values = images[:, c].reshape(len(rows), -1).astype(np.float64)
            values[~np.isfinite(values)] = np.nan
            if np.isnan(values).all():
                continue
            self.ends[c] = min(self.ends[c, 0], np.nanmin(values)), max(self.ends[c, 1], np.nanmax(values))
            above = np.nan_to_num(values, nan=-np.inf) > np.nanmin(values, 1, keepdims=True)
            share = (values - channel.low) / (channel.high - channel.low)
            bins = np.clip(np.nan_to_num(share * BINS), 0, BINS - 1).astype(int)
            index = (place[:, None] * BINS + bins)[above]
            self.counts[:, c] += np.bincount(index, minlength=len(self.counts) * BINS).reshape(-1, BINS)

    def _add_labels(self, rows: np.ndarray, labels: np.ndarray) -> None:
        for row, one in zip(rows.tolist(), labels, strict=True):
            voxels = np.bincount(one.reshape(-1), minlength=len(self.voxels))[: len(self.voxels)]
            self.voxels += voxels
            self.cases += voxels > 0
            for k in np.flatnonzero(voxels).tolist():
                self.subjects[k].add(self.cohort.entry("subject_id", row))

    def panels(self) -> list[dict[str, Any]]:
        """Return the histograms of the channels for report/figures.py, a series a split."""
        channels = self.cohort.encoding.channels if self.cohort.images is not None else ()
        return [
            {
                "name": channel.name,
                "x_label": "",
                "scale": "linear",
                "height": "log",
                "edges": np.linspace(channel.low, channel.high, BINS + 1).tolist(),
                "series": [
                    {"name": split or "not split", "counts": self.counts[s, c].tolist()}
                    for s, split in enumerate(splits_of(self.cohort))
                ],
            }
            for c, channel in enumerate(channels)
        ]

    def tables(self) -> list[View]:
        """Return the tables of the page."""
        cohort = self.cohort
        spacing = [" x ".join(f"{v:.4g}" for v in cohort.spacing_mm(row) or ()) for row in range(len(cohort))]
        sizes = [" x ".join(size.split()) for size in cohort.column("original_size").tolist()]
        views = [
            _counted(cohort, "Splits", "Split", cohort.column("split").tolist()),
            _counted(cohort, "Sizes in the source", "Size", sizes),
            _counted(cohort, "Spacing, as imported", "mm per axis", spacing),
            _counted(
                cohort,
                "Orientation, as imported",
                "Axes run towards",
                [_axes(cohort, row) for row in range(len(cohort))],
            ),
        ]
        if cohort.images is not None:
            views.append(self._intensities())
        if cohort.scheme is not None:
            views.append(self._classes())
        return views

    def _intensities(self) -> View:
        header = ["Channel", "Meaning", "Range from", "to", "Lowest", "Highest"]
        rows = [
            [c.name, c.meaning, *(f"{v:.4g}" for v in (c.low, c.high, *ends))]
            for c, ends in zip(self.cohort.encoding.channels, self.ends.tolist(), strict=True)
        ]
        return View("Intensities", header, rows, [False, False, True, True, True, True])

    def _classes(self) -> View:
        records = self.cohort.scheme.to_json() if self.cohort.scheme else []
        every = max(int(self.voxels.sum()), 1)
        numbers = zip(records, self.voxels.tolist(), self.cases.tolist(), self.subjects, strict=True)
        rows = [
            [
                r["name"],
                str(r["label"]),
                str(r["source_value"]),
                f"{n:,}",
                f"{100 * n / every:.3g} %",
                f"{cases:,}",
                f"{len(who):,}",
            ]
            for r, n, cases, who in numbers
        ]
        header = ["Class", "Label", "In the source", "Voxels", "Share", "Cases", "Subjects"]
        return View("Label values", header, rows, [False, *[True] * 6])


def splits_of(cohort: Cohort) -> list[str]:
    """Return the splits that a cohort has, in the order of their use; "" for cases without one."""
    there = set(cohort.column("split").tolist())
    return [split for split in (*SPLITS, "") if split in there]


def _axes(cohort: Cohort, row: int) -> str:
    """Towards what the axes of a case run, and by how much they are oblique."""
    affine = cohort.affine(row)
    if affine is None:
        return ""
    first = 3 - len(cohort.size)
    lengths = np.sqrt((affine[:3, :3] ** 2).sum(0))
    codes = orientations.aff2axcodes(affine)[first:]
    if min(lengths) == 0 or None in codes:
        return "not three axes"
    degrees = float(np.degrees(np.arccos(np.clip(np.abs(affine[:3, :3] / lengths).max(0), 0, 1))).max())
    return ", ".join(TOWARDS[code] for code in codes) + (f" ({degrees:.0f} degrees oblique)" if degrees >= 0.5 else "")


def _counted(cohort: Cohort, title: str, name: str, values: Iterable[str]) -> View:
    """A table of how many cases and subjects have each value, the most frequent first."""
    subjects: dict[str, set[str]] = defaultdict(set)
    cases: dict[str, int] = defaultdict(int)
    for value, subject in zip(values, cohort.column("subject_id").tolist(), strict=True):
        cases[value] += 1
        subjects[value].add(subject)
    order = sorted(cases, key=lambda value: (-cases[value], value))
    rows = [[value or "not known", f"{cases[value]:,}", f"{len(subjects[value]):,}"] for value in order]
    left = f"{len(rows) - MOST_ROWS} further values, none more frequent, are left out." if len(rows) > MOST_ROWS else ""
    return View(title, [name, "Cases", "Subjects"], rows[:MOST_ROWS], [False, True, True], left)
