"""Flags without copies, simulated: how often predictive intervals hold the count, and p-values keep to their level.

    python benchmarks/flags.py [--studies 400] [--cases 1000]

The nearness of unseen subjects' cases is a subject's effect plus the rest, at a share of variance between subjects;
some have heavy tails (t with 3 degrees of freedom). So is that of the synthetic cases, each of a subject of its own:
none is a copy. A second table is of the audit's false positives: p where subjects who set the threshold and tested ones
are exchanged, and how often it finds that the tested ones lie nearer. Prints tables for docs/power.md.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from scipy import stats

from understudy.evaluation.privacy.calibration import ReferenceScores, calibrate
from understudy.evaluation.privacy.chance import LeftOut, exchanged_p

RATE = 0.01
COLUMNS = ("unseen subjects", "cases each", "variance between", "tails", "flags, mean", "expected, mean",
           "interval holds", "of 1 % known", "p <= 0.05", "p <= 0.01",
           "nearer than all: p <= 0.05", "p <= 0.01")  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """What unseen subjects are like."""

    subjects: int
    cases: int
    between: float
    heavy: bool = False

    def drawn(self, subjects: int, cases: int, random: np.random.Generator) -> np.ndarray:
        """Return the nearness of cases (subjects, cases)."""
        shape = (subjects, 1)
        effect = random.standard_t(3, shape) if self.heavy else random.normal(size=shape)
        return np.sqrt(self.between) * effect + np.sqrt(1 - self.between) * random.normal(size=(subjects, cases))


SETTINGS = [
    Setting(8, 14, 0.5), Setting(16, 14, 0.5), Setting(24, 14, 0.5), Setting(24, 1, 1), Setting(56, 14, 0),
    Setting(56, 14, 0.5), Setting(56, 14, 0.8, True), Setting(56, 1, 1), Setting(140, 9, 0.5), Setting(140, 1, 1),
]  # fmt: skip


def simulated(setting: Setting, studies: int, n: int, seed: int = 0) -> list[float]:
    """Return the numbers of a row."""
    random, found = np.random.default_rng(seed), []
    for i in range(studies):
        r = setting.drawn(setting.subjects, setting.cases, random).ravel()
        reference = ReferenceScores(r, np.repeat(np.arange(setting.subjects), setting.cases), "")
        left_out, threshold = LeftOut(reference, RATE), calibrate(reference, RATE, 1, i)
        judged = setting.drawn(n, 1, random).ravel()
        flags, above = int((judged > threshold.value).sum()), int((judged > r.max()).sum())
        chance, nearest = left_out.flags(n, i), left_out.nearest(n, i)
        (low, high), (least, most) = chance.interval, stats.binom.ppf((0.025, 0.975), n, RATE)
        p, q = chance.p(flags), nearest.p(above)
        found.append([flags, chance.expected, low <= flags <= high, least <= flags <= most,
                      p <= 0.05, p <= 0.01, q <= 0.05, q <= 0.01])  # fmt: skip
    return np.mean(found, 0).tolist()


EXCHANGED = ("setting the threshold : tested", "cases each", "variance between", "tails", "tested ones nearer by",
             "flagged", "p <= 0.05", "p < 0.01")  # fmt: skip
TESTED = [
    *(Setting(70, 5, between) for between in (0, 0.5, 0.9)), Setting(70, 5, 0.8, True), Setting(24, 14, 0.5),
    Setting(24, 1, 1),
]  # fmt: skip


def exchanged(setting: Setting, nearer: float, studies: int, seed: int = 0) -> list[float]:
    """Return the share of tested cases that are flagged, and how often p is at most 0.05, and below 0.01."""
    random, found = np.random.default_rng(seed), []
    subjects = np.repeat(np.arange(setting.subjects), setting.cases)
    for i in range(studies):
        near = [setting.drawn(setting.subjects, setting.cases, random).ravel() for _ in range(2)]
        reference, tested = ReferenceScores(near[0], subjects, ""), near[1] + nearer
        p = exchanged_p(reference, tested, subjects, RATE, i, 499)
        found.append([(tested > calibrate(reference, RATE, 1, i).value).mean(), p <= 0.05, p < 0.01])
    return np.mean(found, 0).tolist()


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--cases", type=int, default=1000)
    asked = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for setting in SETTINGS:
        flags, expected, *shares = simulated(setting, asked.studies, asked.cases)
        told = [setting.subjects, setting.cases, setting.between, "heavy" if setting.heavy else "normal"]
        cells = [*told, f"{flags:.1f}", f"{expected:.1f}", *(f"{share:.3f}" for share in shares)]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)
    print(f"\n| {' | '.join(EXCHANGED)} |\n|{'---|' * len(EXCHANGED)}")
    for setting in TESTED:
        for nearer in (0.0, 1.0):
            told = [f"{setting.subjects} : {setting.subjects}", setting.cases, setting.between,
                    "heavy" if setting.heavy else "normal", nearer]  # fmt: skip
            cells = [*told, *(f"{share:.3f}" for share in exchanged(setting, nearer, asked.studies))]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
