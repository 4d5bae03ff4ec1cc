"""Translators against two painters that learn nothing, on label maps of subjects that no training has seen.

    python benchmarks/translators.py COHORT RUN... [--draws 5] [--splits validation,control,test]
        [--seed 0] --out FILE.json

COHORT is the real cohort that the runs were trained on. Every held-out label map is painted once by each run and by

- a constant painter: each class in its mean intensity over the training voxels of that class;
- a nearest-neighbour look-up: the image of the training case whose label map agrees at the most voxels.

Beside each painter: the L1 distance to the real image of that map (mean absolute difference as a share of the channels'
range, mean over cases, then subjects); of painters that draw at random also the L1 distance of the median of `--draws`
images per pixel, since one image out of many is not the guess that L1 asks for. And two Frechet distances on
understudy's random features (squared units, biased alike: the number of cases is the same for all), of one draw:
`frechet` of the images alone, where a look-up has the advantage that its images are real; and `joint`, of each image
with its label map (after DeVries et al., On the evaluation of conditional GANs, 2019, arXiv 1907.08175), which also
sees an image that does not show its map. Intervals are percentiles of a bootstrap over subjects; each painter's L1
difference to the better of these two is paired by subject. `wins`: the share of the resamples in which a painter's
distance is smaller than that of both.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.seed import derive, rng
from understudy.evaluation.features.random_filters import RandomFeatures
from understudy.evaluation.fidelity.fid import gaussian_distance, moments
from understudy.generators import load

DRAWS = 200


def constant(cohort: Cohort, train: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Paint label maps (n, *S) with the mean intensities of each class: (n, C, *S) in [-1, 1]."""
    images, labels = cohort.encoding.encode_images(cohort.images[train]), np.asarray(cohort.labels[train])
    by_channel = images.swapaxes(0, 1)
    means = np.stack([by_channel[:, labels == k].mean(1) if (labels == k).any() else np.full(len(by_channel), -1.0)
                      for k in range(len(cohort.scheme))])  # fmt: skip
    return np.moveaxis(means[maps], -1, 1).astype(np.float32)


def look_up(cohort: Cohort, train: np.ndarray, maps: np.ndarray) -> np.ndarray:
    """Return the image of the training case whose label map agrees at the most voxels: (n, C, *S) in [-1, 1]."""
    known, agreed = np.asarray(cohort.labels[train]).reshape(len(train), -1), 0
    asked = maps.reshape(len(maps), -1)
    for k in range(len(cohort.scheme)):
        agreed = agreed + (asked == k).astype(np.float32) @ (known == k).astype(np.float32).T
    return cohort.encoding.encode_images(cohort.images[train[np.argmax(agreed, axis=1)]])


def painted(run: Path, cohort: Cohort, maps: np.ndarray, seed: int) -> np.ndarray:
    """Paint label maps with a run, as `understudy sample` does: (n, C, *S) in [-1, 1]."""
    blocks = load(run).sample_blocks([derive(seed, "case", i) for i in range(len(maps))], maps)
    return cohort.encoding.encode_images(np.concatenate([block.images for block in blocks]))


def median(run: Path, first: np.ndarray, cohort: Cohort, maps: np.ndarray, seed: int, draws: int) -> np.ndarray | None:
    """Return the median of several draws, the first of which is given; None where the run does not draw at random."""
    one = painted(run, cohort, maps[:2], derive(seed, "draw", 1))
    if draws < 2 or np.array_equal(one, first[:2]):
        return None
    others = [painted(run, cohort, maps, derive(seed, "draw", d)) for d in range(1, draws)]
    return np.median([first, *others], 0)


def one_hot_maps(cohort: Cohort, rows: np.ndarray) -> np.ndarray:
    """Return label maps with a channel a class, (n, K, *S), 1 where it is and -1 elsewhere."""
    labels = np.asarray(cohort.labels[rows])
    return np.stack([np.where(labels == k, 1, -1) for k in range(len(cohort.scheme))], 1).astype(np.float32)


class Judge:
    """Scores of painters on the held-out cases."""

    def __init__(self, cohort: Cohort, rows: np.ndarray, seed: int) -> None:
        """Read the real images, and draw the resamples of subjects that all painters share."""
        self.real = cohort.encoding.encode_images(cohort.images[rows])
        _, self.subject = np.unique(cohort.column("subject_id")[rows], return_inverse=True)
        self.subjects = self.subject.max() + 1
        self.maps = one_hot_maps(cohort, rows)
        channels = cohort.encoding.image_channels
        self.extract = RandomFeatures(channels, len(cohort.size))
        self.extract_pairs = RandomFeatures(channels + len(cohort.scheme), len(cohort.size))
        self.resamples = rng(seed, "subjects").integers(0, self.subjects, (DRAWS, self.subjects))

    def l1(self, images: np.ndarray) -> np.ndarray:
        """Return the L1 distance of each subject, 0..1."""
        each = np.abs(images - self.real).reshape(len(images), -1).mean(1) / 2
        return np.bincount(self.subject, each) / np.bincount(self.subject)

    def frechet(self, images: np.ndarray) -> np.ndarray:
        """Return the Frechet distance to the real images, then that of each resample of subjects, (1 + DRAWS,)."""
        return self._distances(self.extract(self.real), self.extract(images))

    def joint(self, images: np.ndarray) -> np.ndarray:
        """Return the same of images with their label maps."""
        pairs = (np.concatenate([x, self.maps], 1) for x in (self.real, images))
        return self._distances(*(self.extract_pairs(pair) for pair in pairs))

    def _distances(self, mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        cases = [np.flatnonzero(self.subject == s) for s in range(self.subjects)]
        chosen = [np.arange(len(mine)), *(np.concatenate([cases[s] for s in draw]) for draw in self.resamples)]
        return np.array([gaussian_distance(*moments(mine[r]), *moments(theirs[r])) for r in chosen])

    def mean(self, values: np.ndarray) -> dict[str, float]:
        """Return the mean over subjects with its interval."""
        return spread(float(values.mean()), values[self.resamples].mean(1))


def spread(value: float, resamples: np.ndarray) -> dict[str, float]:
    """Return a value with the middle 95 % of its resamples."""
    low, high = np.percentile(resamples, [2.5, 97.5])
    return {"value": round(value, 5), "low": round(float(low), 5), "high": round(float(high), 5)}


def main() -> None:
    """Read the command line; measure; write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--splits", default="validation,control,test")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    cohort = Cohort.open(args.cohort)
    splits, train = args.splits.split(","), cohort.rows("train")
    held_out = np.flatnonzero(np.isin(cohort.column("split"), splits))
    maps, judge = np.asarray(cohort.labels[held_out]), Judge(cohort, held_out, args.seed)
    painters = {"constant": constant(cohort, train, maps), "look-up": look_up(cohort, train, maps)}
    painters |= {run.name: painted(run, cohort, maps, args.seed) for run in args.runs}
    guesses = {run.name: median(run, painters[run.name], cohort, maps, args.seed, args.draws) for run in args.runs}
    distances = {name: judge.l1(images) for name, images in painters.items()}
    best = min(("constant", "look-up"), key=lambda name: distances[name].mean())
    measures = {"frechet": judge.frechet, "joint": judge.joint}
    found = {m: {name: of(images) for name, images in painters.items()} for m, of in measures.items()}
    rows = []
    for name in painters:
        row = {"painter": name, "l1": judge.mean(distances[name])}
        row |= {f"l1 minus {best}": judge.mean(distances[name] - distances[best])}
        if (guess := guesses.get(name)) is not None:
            each = judge.l1(guess)
            row |= {"l1 of median": judge.mean(each), f"l1 of median minus {best}": judge.mean(each - distances[best])}
        for m, values in found.items():
            beaten = np.minimum(values["constant"], values["look-up"])[1:]
            row[m] = spread(values[name][0], values[name][1:])
            row[m]["wins"] = round(float((values[name][1:] < beaten).mean()), 3)
        rows.append(row)
        print(json.dumps(rows[-1]), flush=True)
    told = {"cohort": cohort.id, "splits": splits, "cases": len(held_out), "subjects": int(judge.subjects)}
    provenance = Provenance("benchmark translators", told, args.seed, {}).to_json()
    args.out.write_text(json.dumps({"provenance": provenance, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
