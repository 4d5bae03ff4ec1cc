"""Control of the copy detector: p-values of independent phantoms, one image a subject, by all matchers.

    python benchmarks/p_values.py [--pool 500] [--deals 6] [--updates 200] [--control 60 0] --out FILE.csv

A pool of phantom subjects is drawn, one slice of each. It is dealt into training cases, control cases and cases to
judge, none of which can be a copy. With 60 control subjects these are like the judged cases in every way, and p has
to be super-uniform but for the scale of the matchers; with none the training cases stand in, cross-fitted, and up to
twice the level is to be expected. The share of p at or below each level is printed with the standard error between
deals, which is somewhat too small because they share the pool. The encoders learn half as long as the product's.
"""

import argparse
import csv
import time
from pathlib import Path

import numpy as np
import torch

from understudy.core.seed import rng
from understudy.data.phantom.phantom import phantom_subject
from understudy.evaluation.privacy.copies.cases import SmallCases, resized, without_subject
from understudy.evaluation.privacy.copies.detector import DetectorSettings, build
from understudy.evaluation.privacy.copies.matchers import MATCHERS
from understudy.evaluation.privacy.copies.transforms import available

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.5)
SHAPE, SLICES = (24, 64, 64), (8, 17)
TRAINING, JUDGED = 60, 150


def pool(n: int, seed: int) -> SmallCases:
    """Return n phantoms, a slice of each."""
    chosen = rng(seed, "p_values", "slices").integers(*SLICES, n)
    drawn = [phantom_subject(seed, i, SHAPE) for i in range(n)]
    images = np.stack([volumes[:, z] for (volumes, _), z in zip(drawn, chosen, strict=True)])
    labels = np.stack([maps[z] for (_, maps), z in zip(drawn, chosen, strict=True)]).astype(np.int64)
    return SmallCases(resized(torch.from_numpy(images) * 2 - 1), torch.from_numpy(labels), torch.arange(n))


def deal(cases: SmallCases, control: int, updates: int, seed: int) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """Return p of the judged cases of one deal, the number of unseen subjects, and the calibrated matchers."""
    order = torch.from_numpy(rng(seed, "p_values", "deal").permutation(len(cases)))
    training, others = cases[order[:TRAINING]], cases[order[TRAINING : TRAINING + control]]
    judged = cases[order[TRAINING + control : TRAINING + control + JUDGED]]
    learned = [one for name, one in available(cases.images.shape[1]).items() if name != "exact"]
    (made,) = build(training, others, DetectorSettings(MATCHERS, learned, updates, 0.01, 100), seed)
    found = made.decide(without_subject(judged.images, judged.labels))
    return found.p, len(np.unique(made.subjects)), made.decision.scale.names


def main() -> None:
    """Deal, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=int, default=500)
    parser.add_argument("--deals", type=int, default=6)
    parser.add_argument("--updates", type=int, default=200)
    parser.add_argument("--control", type=int, nargs="+", default=[60, 0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    cases, rows, begun = pool(asked.pool, asked.seed), [], time.process_time()
    for control in asked.control:
        shares = []
        for i in range(asked.deals):
            p, unseen, matchers = deal(cases, control, asked.updates, asked.seed + i)
            shares.append([(p <= level).mean() for level in LEVELS])
            said = f"control {control}, deal {i}, {unseen} unseen subjects, {' '.join(matchers)}"
            print(f"{said}: {np.round(shares[-1], 3)}", flush=True)
        for level, share, spread in zip(LEVELS, np.mean(shares, 0), np.std(shares, 0, ddof=1), strict=True):
            rows.append([control, asked.deals, unseen, JUDGED, level, share, spread / asked.deals**0.5])
            print(f"control {control}: p <= {level}: {share:.4f}, standard error {rows[-1][-1]:.4f}", flush=True)
    with asked.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["control_subjects", "deals", "unseen_subjects", "judged", "level", "share", "standard_error"])
        writer.writerows([[f"{v:.5g}" for v in row] for row in rows])
    print(f"{time.process_time() - begun:.0f} s of processor time")


if __name__ == "__main__":
    main()
