"""Drawings: which segmentations and structure sets were drawn on which series, and the label map that they make.

One refers to a series by its UID or those of its instances; where none does, those of the same frame of reference and
study count. Several on one series are laid over each other. On a picture without a place, such as an x-ray, a
segmentation lies that refers to it; a structure set, which is millimetres, does not.
**Checked** in tests/data/dicom/test_drawings.py.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.data.dicom import kinds, segmentation, structures
from understudy.data.dicom.annotation import OVERLAPPED, Overlap, classes_of, labels_of, refers_to
from understudy.data.dicom.grid import Grid
from understudy.data.dicom.instance import Instance
from understudy.data.dicom.opening import opened, with_pixels
from understudy.data.dicom.series import Volume
from understudy.data.options import FileOptions

READERS = {"seg": (kinds.SEGMENTATION, segmentation), "rtstruct": (kinds.STRUCTURES, structures)}


@dataclass
class Drawings:
    """Segmentations or structure sets, by what they refer to.

    Attributes:
        kind: seg or rtstruct; blank for none.
        by_uid: series or instance UID -> those that refer to it.
        by_space: study UID and frame of reference -> those that lie in it.
        labels: of each, by the id of its instance.
        classes: spelled label -> value, once ``scheme`` was asked for.
    """

    kind: str = ""
    by_uid: dict[str, list[Instance]] = field(default_factory=lambda: defaultdict(list))
    by_space: dict[tuple[str, str], list[Instance]] = field(default_factory=lambda: defaultdict(list))
    labels: dict[int, list[str]] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, annotations: Sequence[Instance], kind: str | None, passed_over: Counter[str]) -> "Drawings":
        """Read what each annotation of a kind refers to; others are counted as passed over."""
        found = cls(kind or "")
        wanted = READERS[kind][0] if kind else None
        for one in annotations:
            if one.kind != wanted:
                passed_over[f"{one.kind} (--labels takes them)"] += 1
                continue
            dataset, _ = opened(one.file, one.where)
            for uid in refers_to(dataset):
                found.by_uid[uid].append(one)
            for space in {one.frame_of_reference, *_spaces(dataset)} - {""}:
                found.by_space[one.study, space].append(one)
            found.labels[id(one)] = labels_of(dataset)
        return found

    def on(self, volume: Volume) -> list[Instance]:
        """Return what was drawn on a volume, in the order of its files."""
        grid = self._grid(volume)
        if grid is None:
            return []
        uids = [volume.first.series, *(sop for sop, _ in grid.instances)]
        found = {id(one): one for uid in uids for one in self.by_uid.get(uid, ())}
        if not found:
            space = volume.first.study, grid.frame_of_reference
            found = {id(one): one for one in self.by_space.get(space, ())}
        return sorted(found.values(), key=lambda one: one.file)

    def scheme(self, options: FileOptions, volumes: Sequence[Volume], shown: bool = False) -> LabelScheme | None:
        """Return the classes of the label maps of all cases; None without label maps. ``shown``: see ``classes_of``."""
        if not self.kind:
            return None
        named = LabelScheme.from_text(options.label_scheme) if options.label_scheme else None
        labels = [label for volume in volumes for one in self.on(volume) for label in self.labels[id(one)]]
        scheme, self.classes = classes_of(labels, named, shown)
        return scheme

    def drawn(self, volume: Volume, overlap: Overlap) -> tuple[np.ndarray, list[str]]:
        """Return the label map of a volume, (1, I, J, K), or (1, H, W) of a picture; and what should be known of it.

        Raises:
            UnderstudyError: a file is damaged, lies elsewhere, or overlaps another where that is refused.
        """
        grid = self._grid(volume)
        assert grid is not None
        out: np.ndarray | None = None
        remarks: list[str] = []
        for one in self.on(volume):
            dataset = with_pixels(one.file, one.where)
            try:
                found = READERS[self.kind][1].read(dataset, grid, self.classes, overlap)
            except UnderstudyError as error:
                raise UnderstudyError(f"{one.where}: {error}") from error
            remarks += found.remarks
            out = found.array if out is None else _over(out, found.array, overlap, one.where, remarks)
        assert out is not None
        return out if volume.grid is not None else out[..., 0].transpose(0, 2, 1), remarks

    def _grid(self, volume: Volume) -> Grid | None:
        """Return where the voxels of a volume lie; of a picture without a place, a grid that holds it alone."""
        pixels = volume.first.pixels
        if volume.grid is not None or len(volume.slices) > 1 or pixels is None or self.kind != "seg":
            return volume.grid
        alone = (volume.first.sop, volume.slices[0].frame.number)
        return Grid(np.eye(4), (pixels.columns, pixels.rows, 1), "", (alone,))


def _over(below: np.ndarray, above: np.ndarray, overlap: Overlap, where: str, remarks: list[str]) -> np.ndarray:
    """Lay one label map over another: where both draw, the lower or the higher class stays."""
    both = (below != 0) & (above != 0) & (below != above)
    if both.any() and overlap == "refuse":
        raise UnderstudyError(
            f"{where} overlaps another file that was drawn on the same series, and a voxel of a label map has one "
            "class: give --overlap first (the lower class number is kept) or last, or remove one of the files"
        )
    joined = np.where(below == 0, above, below)
    if both.any():
        remarks.append(OVERLAPPED)
        joined = np.where(both, (np.minimum if overlap == "first" else np.maximum)(below, above), joined)
    return joined


def _spaces(dataset: Any) -> set[str]:
    found = dataset.get("ReferencedFrameOfReferenceSequence") or []
    return {str(item.get("FrameOfReferenceUID") or "") for item in found}
