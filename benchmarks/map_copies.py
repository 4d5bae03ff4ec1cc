"""How many copies of real label maps are found, by what was done to them, and how many maps of unseen people.

    python benchmarks/map_copies.py REAL [--copies 100] [--seed 0] [--csv FILE]

REAL is a cohort with label maps and the splits train, control and test. Copied are maps of training cases that show
something, each changed in one way; judged by `evaluate privacy`'s search for copied label maps, with its defaults. The
last row is of the test subjects' own maps, which copy nobody. Brackets are Clopper and Pearson's, as if copies were
independent: several are of one subject.
"""

import argparse
import csv
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from gate import write
from scipy import ndimage

from understudy.core.cohort import Cohort
from understudy.core.seed import rng
from understudy.evaluation.privacy.calibration import clopper_pearson
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.judgement import judge_maps

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _read(map_: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Return a label map read at other voxels (d, *S), the nearest counting; beyond the border is background."""
    return ndimage.map_coordinates(map_, where, order=0, mode="constant")


def _grid(map_: np.ndarray) -> np.ndarray:
    return np.stack(np.meshgrid(*(np.arange(side, dtype=float) for side in map_.shape), indexing="ij"))


def shifted(share: float) -> Change:
    """Return a shift by a share of the sides, in the plane of the last two axes, in a direction drawn at random."""

    def change(map_: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        signs = draw.choice([-1, 1], 2)
        by = [0] * (map_.ndim - 2) + [round(share * map_.shape[i - 2] * signs[i]) for i in range(2)]
        return ndimage.shift(map_, by, order=0)

    return change


def rotated(degrees: float) -> Change:
    """Return a rotation in the plane of the last two axes, to either side."""
    return lambda map_, draw: ndimage.rotate(map_, degrees * draw.choice([-1, 1]), (-2, -1), reshape=False, order=0)


def scaled(by: float) -> Change:
    """Return a magnification about the centre."""

    def change(map_: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        centre = (np.array(map_.shape) - 1).reshape(-1, *[1] * map_.ndim) / 2
        return _read(map_, centre + (_grid(map_) - centre) / by)

    return change


def warped(strength: float) -> Change:
    """Return a smooth random warp; the strength is the root mean square displacement as a share of the side."""

    def change(map_: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        side = map_.shape[-1]
        field = np.stack([ndimage.gaussian_filter(draw.normal(size=map_.shape), side / 8) for _ in map_.shape])
        return _read(map_, _grid(map_) + field * (strength * side / np.sqrt((field**2).mean())))

    return change


def specks(map_: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Add single voxels of a class that is there, one in two hundred of all."""
    changed = map_.copy()
    at = draw.choice(map_.size, map_.size // 200, replace=False)
    changed.flat[at] = draw.choice(np.unique(map_[map_ > 0]), len(at))
    return changed


def grown(map_: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Grow each class by a voxel into the background."""
    near = ndimage.maximum_filter(map_, footprint=ndimage.generate_binary_structure(map_.ndim, 1))
    return np.where(map_ > 0, map_, near)


def shrunk(map_: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    """Take a voxel away all around what is shown."""
    return np.where(ndimage.binary_erosion(map_ > 0), map_, 0)


CHANGES: dict[str, Change] = {
    "as it is": lambda map_, draw: map_,
    "mirrored": lambda map_, draw: map_[..., ::-1],
    "upside down": lambda map_, draw: map_[..., ::-1, :],
    "shifted by a twentieth of the side": shifted(0.05),
    "shifted by a fifth": shifted(0.2),
    "specks": specks,
    "mirrored, shifted, specks": lambda map_, draw: specks(shifted(0.05)(map_[..., ::-1], draw), draw),
    "grown by a voxel": grown,
    "shrunk by a voxel": shrunk,
    "rotated by 5 degrees": rotated(5),
    "rotated by 15 degrees": rotated(15),
    "magnified by 1.1": scaled(1.1),
    "warped by 1.5 / 64 of the side": warped(1.5 / 64),
    "warped by 3 / 64": warped(3 / 64),
    "mirrored, rotated, warped": lambda map_, draw: warped(1.5 / 64)(rotated(5)(map_[..., ::-1], draw), draw),
}


def main() -> None:
    """Copy, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path)
    parser.add_argument("--copies", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--csv", type=Path)
    asked = parser.parse_args()
    real, config, rows = Cohort.open(asked.real), PrivacyConfig(), []
    assert real.labels is not None and real.images is not None
    trained, test = real.rows("train"), real.rows("test")
    shown = trained[[bool((real.labels[row] > 0).any()) for row in trained]]
    chosen = rng(asked.seed, "map copies").permutation(np.resize(shown, max(asked.copies, len(shown))))[: asked.copies]
    sources, made = [np.array(real.labels[row]) for row in chosen], {}
    for name, change in CHANGES.items():
        made[name] = np.stack([change(map_, rng(asked.seed, name, i)) for i, map_ in enumerate(sources)])
    made["maps of test subjects, no copies"] = np.array(real.labels[test])
    print("| label maps | flagged | of |\n|---|---|---|")
    for name, maps in made.items():
        with tempfile.TemporaryDirectory() as folder:
            images = np.broadcast_to(real.images[:1], (len(maps), *real.images.shape[1:]))
            write(Path(folder) / "maps", real, images, maps.astype(real.labels.dtype))
            found = judge_maps(real, Cohort.open(Path(folder) / "maps"), trained, config, asked.seed)
        assert not isinstance(found, str) and found.scores is not None, found
        flagged = int(found.scores.flagged.sum())
        low, high = clopper_pearson(flagged, len(maps))
        rows.append([name, flagged / len(maps), low, high, len(maps)])
        print(f"| {name} | {rows[-1][1]:.2f} [{low:.2f}, {high:.2f}] | {len(maps)} |", flush=True)
    if asked.csv:
        with asked.csv.open("w", newline="") as file:
            csv.writer(file).writerows([["label_maps", "flagged", "low", "high", "n"], *rows])


if __name__ == "__main__":
    main()
