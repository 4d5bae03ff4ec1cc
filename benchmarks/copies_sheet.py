"""Synthetic images beside the training images that they are copies of, and what differs: to look at by eye.

    python benchmarks/copies_sheet.py REAL SYNTHETIC --out FILE.png [--which copies|bound|far] [--n 50] [--seed 0]

REAL is the cohort that the generator of SYNTHETIC was trained on. Each group of three: the synthetic image without its
border, the nearest training image laid over it (true_copies.py: shifted, mirrored, with gains and offsets), and the
difference of the two, grey where there is none. ``copies`` draws true copies at random, ``bound`` shows those nearest
to the bound from both sides, ``far`` draws at random from those that are no copies. The figure holds real pixels: it is
INTERNAL and says so, unless the training images are of the phantom, which is no patient.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from true_copies import BOUND, images_of, laid_over, nearest

from understudy.core.cohort import Cohort
from understudy.core.seed import rng

GROUPS = 5  # side by side
PIXELS = 3  # of the figure, a pixel of an image


def chosen(rmse: np.ndarray, which: str, n: int, seed: int) -> np.ndarray:
    """Return which cases are shown, the nearest first: at most n."""
    pools = {"copies": rmse < BOUND, "far": rmse >= BOUND, "bound": np.isfinite(rmse)}
    pool = np.flatnonzero(pools[which])
    if which == "bound":
        shown = pool[np.argsort(abs(rmse[pool] - BOUND), kind="stable")[:n]]
    else:
        shown = rng(seed, "sheet", which).permutation(pool)[:n]
    return shown[np.argsort(rmse[shown], kind="stable")]


def colours(image: np.ndarray) -> np.ndarray:
    """Return an image (C, H, W) in [-1, 1] as (H, W, 3) in [0, 1]: three channels as colours, else the last as grey."""
    shown = image if len(image) == 3 else np.repeat(image[-1:], 3, 0)
    return np.clip(np.moveaxis(shown, 0, -1) / 2 + 0.5, 0, 1)


def main() -> None:
    """Read the command line, search and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("real", type=Path)
    parser.add_argument("synthetic", type=Path)
    parser.add_argument("--which", choices=("copies", "bound", "far"), default="copies")
    parser.add_argument("--n", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    real, synthetic = Cohort.open(given.real), Cohort.open(given.synthetic)
    images, training = (images_of(c, c.rows(s)) for c, s in ((synthetic, None), (real, "train")))
    found = nearest(images, training)
    shown = chosen(found.rmse, given.which, given.n, given.seed)
    if not len(shown):
        parser.error(f"no case of {given.synthetic} is one of the {given.which}")
    rows, side = -(-len(shown) // GROUPS), images.shape[-1] - 2 * found.margin
    width = max(4.0, 3 * min(GROUPS, len(shown)) * side * PIXELS / 100)
    figure = Figure(figsize=(width, rows * (side * PIXELS / 100 + 0.22) + 0.4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    stamp = "" if real.preprocessing.get("source") == "phantom" else "INTERNAL, holds real images. "
    figure.suptitle(f"{stamp}Synthetic | nearest training image | difference, by distance", fontsize=9)
    axes = figure.subplots(rows, 3 * min(GROUPS, len(shown)), squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for i, (a, b, c) in zip(shown, axes.reshape(-1, 3), strict=False):
        made, copied = laid_over(images[i], training[found.index[i]], found, i)
        for axis, image in ((a, made), (b, copied), (c, made - copied)):
            axis.imshow(colours(image), interpolation="nearest")
        b.set_title(f"{found.rmse[i]:.2f}", fontsize=8, pad=2)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(given.out, metadata={"Software": None})


if __name__ == "__main__":
    main()
