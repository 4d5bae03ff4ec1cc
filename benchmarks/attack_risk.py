"""The attack's residual risk and AUC, simulated: how often intervals hold the truth, and which bounds can be kept.

    python benchmarks/attack_risk.py [--studies 500]

Scores of members are normal and shifted so that the AUC is known; so is then the share of members above all but a tenth
of non-members, and with it the risk. Then the limit of the shipped policies on classes: of generators that copy nobody,
1 % of 1,000 cases (each of another member, whose class is then guessed right) or all, how many keep it, by how many
classes of people are guessed right anyway. Prints tables for docs/power.md.
"""

import argparse

import numpy as np
from scipy.stats import norm

from understudy.evaluation.privacy.attacks.risk import RATE, above, advantage, area, residual_risk, threshold_risk
from understudy.release.policy import shipped

COLUMNS = ("members", "non-members", "AUC", "risk", "its interval holds", "threshold taken as known", "AUC's holds",
           "AUC's upper end, median", "risk's upper end, median")  # fmt: skip
SIDES = ((48, 8), (48, 24), (48, 50), (60, 140), (240, 60), (240, 140))
POLICIES = (("default", 60, 140), ("default", 240, 140), ("open", 300, 300), ("research-agreement", 48, 32),
            ("internal", 48, 24))  # fmt: skip
LIMIT, COPIES = "classes of patients, advantage", 10
CLASSES = ("policy", "members", "non-members", "limit", "guessed right anyway", "no copies keep it", "1 % copies",
           "all members copied", "interval holds 0")  # fmt: skip


def row(members: int, others: int, auc: float, studies: int) -> str:
    """Return a row of the table."""
    random, shift = np.random.default_rng(0), norm.ppf(auc) * 2**0.5
    truth, found = (norm.cdf(shift - norm.ppf(1 - RATE)) - RATE) / (1 - RATE), []
    for i in range(studies):
        a, b = random.normal(shift, 1, members), random.normal(0, 1, others)
        attack, control = above(a, b, RATE)
        risk, area_ = threshold_risk(a, b, i, 400), area(a, b, i, 200)
        known = residual_risk(attack, members, control, others)
        assert known is not None
        held = [one.low <= true <= one.high for one, true in ((risk, truth), (known, truth), (area_, auc))]
        found.append([*held, area_.high, risk.high])
    shares, ends = np.mean(found, 0)[:3], np.median(found, 0)[3:]
    cells = [members, others, auc, f"{truth:.2f}", *(f"{one:.2f}" for one in (*shares, *ends))]
    return f"| {' | '.join(map(str, cells))} |"


def classes(policy: str, members: int, others: int, guessed: float, studies: int) -> str:
    """Return a row of the table of classes."""
    limit = next(one.at_most for one in shipped()[policy].policy.limits if one.name == LIMIT)
    random, kept, held = np.random.default_rng(0), [], 0.0
    control = random.binomial(others, guessed, studies) / others
    for copied in (0, min(COPIES, members), members):
        attack = (copied + random.binomial(members - copied, guessed, studies)) / members
        found = [advantage(a, members, c, others) for a, c in zip(attack, control, strict=True)]
        kept.append(np.mean([one.high <= limit for one in found]))
        held = held if copied else float(np.mean([one.low <= 0 <= one.high for one in found]))
    cells = [policy, members, others, limit, guessed, *(f"{one:.2f}" for one in (*kept, held))]
    return f"| {' | '.join(map(str, cells))} |"


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500)
    asked = parser.parse_args()
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    for members, others in SIDES:
        for auc in (0.5, 0.7, 0.9):
            print(row(members, others, auc, asked.studies), flush=True)
    print(f"\n| {' | '.join(CLASSES)} |\n|{'---|' * len(CLASSES)}")
    for policy, members, others in POLICIES:
        for guessed in (0.5, 0.75, 0.88):
            print(classes(policy, members, others, guessed, 20 * asked.studies), flush=True)


if __name__ == "__main__":
    main()
