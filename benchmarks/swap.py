"""The swap test, simulated: p without copies, coverage of the difference, and the power against a share of copies.

    python benchmarks/swap.py [--studies 300] [--cases 1000]

A subject is a point in six dimensions, its five cases lie about it, and the similarity of two cases falls with their
distance; nearness is the ratio test of the product, flagged above what 1 % of unseen subjects' cases exceed. Synthetic
cases are cases of other subjects, a share of them training cases with noise: "near" copies have 15 % of the spread
between subjects, "far" ones 30 %. Prints a table for docs/power.md.
"""

import argparse
from dataclasses import dataclass

import numpy as np
import torch

from understudy.evaluation.privacy.calibration import ReferenceScores, calibrate
from understudy.evaluation.privacy.chance import LeftOut
from understudy.evaluation.privacy.copies.cases import NearestTwo, nearest_two
from understudy.evaluation.privacy.swap import swap_test

DIMENSIONS, CASES, WITHIN, RATE = 6, 5, 0.6, 0.01
NEAR, FAR = 0.15, 0.3
COLUMNS = ("trained", "unseen", "copies", "noise", "swap: p <= 0.02", "p <= 0.05", "p <= 0.5", "difference, mean",
           "its interval holds 0", "flags: p <= 0.02", "nearer than all: p <= 0.02", "one of the three")  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """Subjects and copies."""

    trained: int
    unseen: int
    copies: float  # share of the synthetic cases
    noise: float = NEAR


SETTINGS = [
    *(Setting(60, m, 0) for m in (8, 24, 60, 140)), Setting(240, 140, 0),
    *(Setting(60, m, 0.01) for m in (24, 60, 140)), Setting(60, 140, 0.01, FAR),
    *(Setting(60, m, 0.05) for m in (24, 60, 140)), Setting(60, 140, 0.05, FAR),
    *(Setting(60, m, 0.2, FAR) for m in (24, 140)), Setting(240, 140, 0.01),
]  # fmt: skip


def drawn(subjects: int, cases: int, random: np.random.Generator) -> np.ndarray:
    """Return cases of subjects, (subjects * cases, dimensions)."""
    centres = random.normal(size=(subjects, 1, DIMENSIONS))
    rest = WITHIN * random.normal(size=(subjects, cases, DIMENSIONS))
    return (centres + rest).reshape(-1, DIMENSIONS)


def matched(queries: np.ndarray, targets: np.ndarray, whose: np.ndarray, own: np.ndarray | None = None) -> NearestTwo:
    """Return the nearest of two subjects of each query."""
    distance = (queries**2).sum(1)[:, None] + (targets**2).sum(1) - 2 * queries @ targets.T
    similar = torch.from_numpy(np.exp(-np.maximum(distance, 0) / (2 * DIMENSIONS)))
    mine = np.full(len(queries), -1) if own is None else own
    return nearest_two(similar, torch.from_numpy(whose), torch.from_numpy(mine))


def study(setting: Setting, n: int, random: np.random.Generator, seed: int) -> list[float]:
    """Return the three p-values and the difference with its interval, of one simulated study."""
    m, u = setting.trained, setting.unseen
    training, unseen, synthetic = (drawn(*many, random) for many in ((m, CASES), (u, CASES), (n, 1)))
    whose, others = np.repeat(np.arange(m), CASES), np.repeat(np.arange(m, m + u), CASES)
    copies = random.binomial(n, setting.copies)
    synthetic[:copies] = training[random.integers(0, len(training), copies)]
    synthetic[:copies] += setting.noise * random.normal(size=(copies, DIMENSIONS))
    scores, subjects = [matched(unseen, training, whose).score], [others]
    if u < 50:
        scores.append(matched(training, training, whose, whose).score)
        subjects.append(whose)
    reference = ReferenceScores(np.concatenate(scores), np.concatenate(subjects), "")
    threshold, left_out = calibrate(reference, RATE, 1, seed).value, LeftOut(reference, RATE)
    judged = matched(synthetic, training, whose).score
    flags = left_out.flags(n, seed).p(int((judged > threshold).sum()))
    nearest = left_out.nearest(n, seed).p(int((judged > reference.r.max()).sum()))
    pool = np.concatenate([whose, others])
    both = matched(synthetic, np.concatenate([training, unseen]), pool)
    swap = swap_test(both.score - threshold, pool[both.case], np.arange(m), np.arange(m, m + u), seed, 400)
    return [swap.p, flags, nearest, swap.difference.value, swap.difference.low, swap.difference.high]


def row(setting: Setting, studies: int, n: int) -> str:
    """Return a row of the table."""
    random = np.random.default_rng(0)
    found = np.array([study(setting, n, random, i) for i in range(studies)])
    swap, flags, nearest, difference, low, high = found.T
    shares = [(swap <= 0.02), (swap <= 0.05), (swap <= 0.5)]
    held = (low <= 0) & (high >= 0)
    either = (swap <= 0.02) | (flags <= 0.02) | (nearest <= 0.02)
    told = [setting.trained, setting.unseen, f"{setting.copies:.0%}", f"{setting.noise:g}" if setting.copies else ""]
    cells = [f"{one.mean():.2f}" for one in shares]
    rest = [f"{one.mean():.2f}" for one in (held, flags <= 0.02, nearest <= 0.02, either)]
    return f"| {' | '.join(map(str, [*told, *cells, f'{difference.mean():.1f}', *rest]))} |"


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--cases", type=int, default=1000)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for setting in SETTINGS:
        print(row(setting, asked.studies, asked.cases), flush=True)


if __name__ == "__main__":
    main()
