"""Recall of the audit, simulated: how often its 95 % intervals hold the recall of a detector calibrated without end.

    python benchmarks/audit_recall.py [--studies 400]

The nearness of unseen subjects' cases is a subject's effect plus the rest, and so is that of injected copies, shifted
so that the true recall, at the level that 1 % of all unseen cases exceed, is known. A study has so many unseen subjects
to set the threshold, 100 copies of each of five transformations, and the intervals of `evaluate privacy` with audit.
Prints a table for docs/power.md.
"""

import argparse
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from understudy.evaluation.privacy.calibration import ReferenceScores, calibrate
from understudy.evaluation.privacy.canaries.audit import AuditedCases, AuditResult
from understudy.evaluation.privacy.canaries.report import recall_results

RATE, BETWEEN, COPIES, WAYS, DRAWS = 0.01, 0.5, 100, 5, 200
COLUMNS = ("unseen subjects", "cases each", "subjects copied", "recall", "measured, mean",
           "interval of one holds it", "of their mean", "width, one", "width, mean")  # fmt: skip


@dataclass(frozen=True)
class Setting:
    """How many subjects set the threshold, with how many cases each; how many are copied; what share is found."""

    unseen: int
    cases: int
    copied: int
    recall: float


SETTINGS = [
    Setting(unseen, cases, copied, recall)
    for unseen, cases, copied in ((16, 14, 48), (24, 14, 48), (56, 14, 48), (140, 9, 60), (140, 1, 60))
    for recall in (0.5, 0.9, 0.97)
]


def drawn(who: np.ndarray, effects: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the nearness of cases of subjects (n,) with effects (S,): variance 1, a share of it between subjects."""
    return BETWEEN**0.5 * effects[who] + (1 - BETWEEN) ** 0.5 * random.normal(size=len(who))


def study(setting: Setting, seed: int) -> AuditResult:
    """Return an audit of copies whose nearness is drawn."""
    random = np.random.default_rng([seed, setting.unseen, setting.cases, int(1000 * setting.recall)])
    subjects = np.repeat(np.arange(setting.unseen), setting.cases)
    reference = ReferenceScores(drawn(subjects, random.normal(size=setting.unseen), random), subjects, "")
    threshold = calibrate(reference, RATE, DRAWS, seed)
    nearer, ease = norm.ppf(1 - RATE) + norm.ppf(setting.recall), random.normal(size=setting.copied)
    recalls = {}
    for i in range(WAYS):
        who = random.integers(0, setting.copied, COPIES)
        near = drawn(who, ease, random) + nearer
        recalls[str(i)] = AuditedCases(near > threshold.value, who, np.ones(COPIES, bool), nearness=near)
    none = AuditedCases(np.zeros(0, bool), np.zeros(0, int), np.zeros(0, bool))
    return AuditResult(recalls, {}, {}, none, none, none, {}, threshold, none, (0, 0, 0, 0), [])


def row(setting: Setting, studies: int) -> str:
    """Return a row of the table."""
    found = []
    for seed in range(studies):
        results = {one.name.rpartition(".")[2]: one for one in recall_results(study(setting, seed), seed)}
        one, mean = results["0"], results["mean"]
        held = [each.low <= setting.recall <= each.high for each in (one, mean)]
        found.append([mean.value, *held, *(each.high - each.low for each in (one, mean))])
    value, *cells = np.mean(found, 0)
    told = [setting.unseen, setting.cases, setting.copied, setting.recall, f"{value:.2f}", *(f"{c:.2f}" for c in cells)]
    return f"| {' | '.join(map(str, told))} |"


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    asked = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for setting in SETTINGS:
        print(row(setting, asked.studies), flush=True)


if __name__ == "__main__":
    main()
