"""The swap test on phantoms, without a generator: is p uniform where no case is a copy?

    python benchmarks/swap_phantoms.py [--pools 4] [--deals 50] [--updates 200] --out FILE.csv

A pool is 500 phantom subjects, one slice of each: 300 are cases to judge, 200 are dealt again and again into 60 trained
and 140 unseen subjects. No case is a copy, so that p has to be super-uniform, and nearly uniform, as ties are few. All
matchers take part; as in `evaluate privacy` one encoder learns both sides alike, here once a pool, which serves for the
scale and the threshold of every deal as well. Those the product learns from the trained subjects alone.
Deals of a pool share its cases: standard errors are those between pools, and few.
"""

import argparse
import csv
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from p_values import pool

from understudy.core.seed import derive, rng
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, without_subject
from understudy.evaluation.privacy.copies.decision import CopyDecision
from understudy.evaluation.privacy.copies.detector import DetectorSettings, EncoderTask, reference_sets
from understudy.evaluation.privacy.copies.matchers import MATCHERS, ReferenceSet, match
from understudy.evaluation.privacy.copies.transforms import available
from understudy.evaluation.privacy.swap import swap_test

LEVELS = (0.02, 0.05, 0.1, 0.2, 0.5)
TRAINED, UNSEEN, JUDGED = 60, 140, 300
RATE, DRAWS = 0.01, 100


@dataclass(frozen=True)
class Pool:
    """Cases whose subjects are dealt, and what the cases to judge are nearest to among them."""

    both: ReferenceSet  # one case of each of the dealt subjects
    nearest: dict[str, NearestTwo]  # of the judged cases, by matcher


def learned(cases: SmallCases, updates: int, seed: int) -> Pool:
    """Let an encoder learn the dealt subjects; match the others with them."""
    dealt, judged = cases[torch.arange(TRAINED + UNSEEN)], cases[torch.arange(TRAINED + UNSEEN, len(cases))]
    ways = [one for name, one in available(cases.images.shape[1]).items() if name != "exact"]
    task = EncoderTask(dealt, torch.ones(len(dealt), dtype=torch.bool), ways, derive(seed, "swap"))
    (both,) = reference_sets([task], DetectorSettings(MATCHERS, ways, updates, RATE, DRAWS))
    return Pool(both, match(without_subject(judged.images, judged.labels), both))


def deal(pooled: Pool, seed: int) -> tuple[float, int]:
    """Return p of one deal, and how many of the judged cases are flagged."""
    both = pooled.both
    order = torch.from_numpy(rng(seed, "swap_phantoms", "deal").permutation(len(both.cases)))
    members, others = order[:TRAINED], both.cases[order[TRAINED:]]
    trained = replace(both, cases=both.cases[members], known=both.known[members])
    decision = CopyDecision(match(others, trained), others.subjects.numpy(), "", RATE, DRAWS, seed)
    scores, subjects = decision.decide(pooled.nearest), both.cases.subjects.numpy()
    excess = scores.nearness - decision.threshold.value
    swap = swap_test(excess, subjects[scores.case], subjects[members.numpy()], others.subjects.numpy(), seed, DRAWS)
    return swap.p, int((excess > 0).sum())


def main() -> None:
    """Deal, judge, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("pools", 4), ("deals", 50), ("updates", 200), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    begun, shares, found = time.process_time(), [], []
    for i in range(asked.pools):
        seed = asked.seed + i
        pooled = learned(pool(TRAINED + UNSEEN + JUDGED, seed), asked.updates, seed)
        dealt = np.array([deal(pooled, 1000 * seed + j) for j in range(asked.deals)])
        shares.append([(dealt[:, 0] <= level).mean() for level in LEVELS])
        found.append(dealt)
        said = f"{dealt[:, 1].mean():.1f} of {JUDGED} flagged, no flag in {(dealt[:, 1] == 0).mean():.2f} of deals"
        print(f"pool {i}: {said}; p at or below {LEVELS}: {np.round(shares[-1], 3)}", flush=True)
    with asked.out.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["trained", "unseen", "judged", "pools", "deals", "level", "share", "standard_error"])
        for level, share, spread in zip(LEVELS, np.mean(shares, 0), np.std(shares, 0, ddof=1), strict=True):
            error = spread / asked.pools**0.5
            print(f"p <= {level}: {share:.3f}, standard error {error:.3f}", flush=True)
            writer.writerow([TRAINED, UNSEEN, JUDGED, asked.pools, asked.deals, level, f"{share:.4f}", f"{error:.4f}"])
    print(f"flagged {np.concatenate(found)[:, 1].mean():.2f}; {time.process_time() - begun:.0f} s of processor time")


if __name__ == "__main__":
    main()
