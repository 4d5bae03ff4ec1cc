"""The power table of the shipped policies: how often each passes a perfect generator and refuses one with 1 % copies.

    python benchmarks/policies.py [--studies 100] [--shares 0 0.01]

Simulated by ``release/plan.py`` for several numbers of subjects; prints tables for docs/power.md.
"""

import argparse

from understudy.release import plan
from understudy.release.plan import ALL, PlannedCohorts
from understudy.release.policy import shipped

SIDES = {
    "default": ((60, 24), (60, 60), (60, 140), (120, 120), (240, 140)),
    "open": ((60, 140), (300, 300)),
    "research-agreement": ((30, 30), (48, 32), (60, 140)),
    "internal": ((16, 10), (48, 24)),
}


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--policies", nargs="+", default=list(SIDES), choices=list(SIDES))
    parser.add_argument("--shares", type=float, nargs="+", default=[0, 0.01])
    asked = parser.parse_args()
    plan.SHARES = (0.0, *(share for share in asked.shares if share))
    for name in asked.policies:
        for train, others in SIDES[name]:
            planned = plan.plan(shipped()[name].policy, PlannedCohorts(train, others), 0, asked.studies)
            print(f"\n{name}, {train} trained, {others} others\n\n| limit | a perfect generator keeps it |", end="")
            print("".join(f" {share:.0%} copies are refused |" for share in plan.SHARES[1:]))
            print(f"|{'---|' * (1 + len(plan.SHARES))}")
            for one in planned:
                if one.limit == ALL or min(one.holds.values(), default=1) < 1:
                    refused = "".join(f" {1 - one.holds[share]:.2f} |" for share in plan.SHARES[1:])
                    print(f"| {one.limit} | {one.holds[0.0]:.2f} |{refused}", flush=True)


if __name__ == "__main__":
    main()
