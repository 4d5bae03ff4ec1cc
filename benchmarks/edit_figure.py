"""A figure of one subject whose lesion is grown and moved in the label map, and the image painted anew each time.

    python benchmarks/edit_figure.py COHORT RUN --lesion A,B,C [--inside A,B] [--case 0] [--move 0,10] --out FILE.png

COHORT has anatomy and lesions in its label maps; RUN is a translator trained on it. The case is one of a subject that
the run has not seen (split test). Each column: the label map, then the channels as painted from it; first of all the
real image. Every painting has the same seed, so that the columns differ by their label maps alone.
"""

import argparse
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from understudy.core.cohort import Cohort
from understudy.core.seed import derive
from understudy.generators import load
from understudy.synthesis.editing.lesions import Rules
from understudy.synthesis.editing.request import Edit, edit_map

FACTORS = (0.5, 1.0, 2.0)


def edited(labels: np.ndarray, rules: Rules, move: tuple[float, ...]) -> dict[str, np.ndarray]:
    """Return the label maps of the figure, by what was done to them."""
    volume = np.isin(labels, rules.lesion).sum()
    maps = {"as it is": labels}
    for factor in FACTORS:
        new = edit_map(labels, Edit(grow=factor), rules) if factor != 1 else labels
        maps[f"{factor:g} x: {np.isin(new, rules.lesion).sum()} of {volume} px"] = new
    return maps | {"moved by " + ", ".join(f"{m:g}" for m in move): edit_map(labels, Edit(move=move), rules)}


def draw(cohort: Cohort, maps: dict[str, np.ndarray], images: np.ndarray) -> Figure:
    """Draw label maps above images (n, C, H, W), both by column."""
    channels = cohort.encoding.channels
    figure = Figure(figsize=(2 * len(maps), 2.1 * (1 + len(channels))), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.subplots(1 + len(channels), len(maps), squeeze=False)
    colours = ListedColormap(cohort.scheme.colours)
    for j, (title, labels) in enumerate(maps.items()):
        axes[0, j].imshow(labels, cmap=colours, vmin=-0.5, vmax=len(cohort.scheme) - 0.5, interpolation="nearest")
        axes[0, j].set_title(("real\n" if j == 0 else "painted\n") + title, fontsize=9)
        for c, channel in enumerate(channels):
            axes[1 + c, j].imshow(images[j, c], cmap="gray", vmin=channel.low, vmax=channel.high)
            axes[1 + c, 0].set_ylabel(channel.name)
    axes[0, 0].set_ylabel("label map")
    for ax in axes.ravel():
        ax.set_xticks([])
        ax.set_yticks([])
    figure.tight_layout()
    return figure


def main() -> None:
    """Read the command line; edit, paint and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--lesion", required=True)
    parser.add_argument("--inside", default="")
    parser.add_argument("--case", type=int, default=0, help="of the test cases, the largest lesion first")
    parser.add_argument("--move", default="0,10")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    cohort = Cohort.open(args.cohort)
    lesion, inside = (tuple(filter(None, names.split(","))) for names in (args.lesion, args.inside))
    rules = Rules.named(cohort.scheme, lesion, inside, (), 1)
    rows = cohort.rows("test")
    volumes = np.isin(cohort.labels[rows], rules.lesion).reshape(len(rows), -1).sum(1)
    row = int(rows[np.argsort(-volumes, kind="stable")[args.case]])
    maps = edited(np.asarray(cohort.labels[row]), rules, tuple(float(v) for v in args.move.split(",")))
    told = np.stack(list(maps.values())[1:])
    blocks = list(load(args.run).sample_blocks([derive(0, "figure")] * len(told), told))
    images = np.concatenate([np.asarray(cohort.images[[row]]), *(block.images for block in blocks)])
    draw(cohort, maps, images).savefig(args.out, metadata={"Software": None})


if __name__ == "__main__":
    main()
