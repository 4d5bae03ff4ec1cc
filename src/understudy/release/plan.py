"""``release plan``: which limits of a policy can hold with so many subjects, before anybody trains.

Studies are drawn as numbers, without images, and a policy's limits are held against each by the gate itself: how often
does a perfect generator, which copies nobody, keep a limit, and how often is one refused that copies 1, 5 or 20 % of
its cases? What is assumed: the nearness of a case is half of its subject's; subjects attract cases unequally (gamma,
shape 1); copies are of training cases drawn at random, and the detector finds ``recall`` of them; the scores of the
four attacks correlate by a half, and a copied subject scores three standard deviations higher; of the other subjects
half set the threshold and half are audited on, and all are unseen to the attacks and the swap test. Label maps vary as
images do, apart from them, and a copied case's map is a copy, too. A real cohort differs: the plan says what numbers
of subjects allow, not what data will show.
**Checked** in tests/release/test_plan.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.errors import UsageError
from understudy.core.result import Result
from understudy.core.seed import derive, rng
from understudy.evaluation.paired import holm
from understudy.evaluation.privacy.attacks import ALWAYS
from understudy.evaluation.privacy.attacks.risk import AttackPerformance, measure
from understudy.evaluation.privacy.calibration import MIN_CALIBRATION, ReferenceScores, calibrate
from understudy.evaluation.privacy.chance import LeftOut, exchanged_p
from understudy.evaluation.privacy.swap import swap_test
from understudy.release.gate import check_limits
from understudy.release.policy import Policy

SHARES = (0.0, 0.01, 0.05, 0.2)  # of cases that are copies; 0: a perfect generator
BETWEEN, CORRELATED, LIFT = 0.5, 0.5, 3.0
DRAWS, DEALS, RATE = 200, 499, 0.01
ALL = "all limits"


@dataclass(frozen=True)
class PlannedCohorts:
    """What will be there: subjects trained on, other subjects, synthetic cases, and real cases of a subject."""

    train: int
    others: int
    cases: int = 1000
    each: int = 5
    recall: float = 0.95
    label_maps: bool = True  # sampled ones, which are judged and attacked as well

    def __post_init__(self) -> None:
        """Raise UsageError where too few are named, or a recall that is no share."""
        if min(self.train, self.others) < MIN_SUBJECTS or min(self.cases, self.each) < 1:
            raise UsageError(
                f"a plan needs {MIN_SUBJECTS} subjects on each side and a case, found --train {self.train}, --others "
                f"{self.others}, --cases {self.cases}, --each {self.each}"
            )
        if not 0 < self.recall < 1:
            raise UsageError(f"--recall is a share between 0 and 1, found {self.recall:g}")


@dataclass(frozen=True)
class LimitPlan:
    """How often a limit holds, by the share of copies; the last is of all limits together."""

    limit: str
    holds: dict[float, float]  # empty where the plan has no number for it


class SimulatedStudy:
    """One simulated study, as evidence that the gate reads."""

    def __init__(self, cohorts: PlannedCohorts, copies: float, seed: int) -> None:
        """Draw it."""
        self.cohorts, self.seed, self.draw = cohorts, seed, rng(seed, "plan")
        self.control = max(cohorts.others - cohorts.others // 2, MIN_SUBJECTS)  # the other half is audited on
        self.copied = int(self.draw.binomial(cohorts.cases, copies))
        self.victims = self.draw.integers(0, cohorts.train, self.copied)
        privacy = [*self._copies(), *self._attacks(), *self._audit(), *(self._maps() if cohorts.label_maps else ())]
        facts = [Result("cohort.subjects", cohorts.train), Result("cohort.cases", cohorts.cases)]
        settings = [Result("setting.privacy.false_positive_rate", RATE), Result("screening.independent_judgement", 1)]
        self.found = [("privacy", r) for r in privacy + settings] + [("cohort", r) for r in facts]

    def results(self, about: str) -> list[tuple[str, Result]]:
        """Return what is known of the cohort; nothing is screened out of it."""
        return self.found

    def _near(self, subjects: int, cases: int) -> np.ndarray:
        """Return the nearness (subjects, cases) of cases of subjects."""
        effect, rest = self.draw.normal(size=(subjects, 1)), self.draw.normal(size=(subjects, cases))
        return np.sqrt(BETWEEN) * effect + np.sqrt(1 - BETWEEN) * rest

    def _judged(self) -> tuple[ReferenceScores, float, np.ndarray]:
        """Return the nearness of unseen subjects, the threshold, and the nearness of each case, the copies first."""
        c = self.cohorts
        joined = self.control + (c.train if self.control < MIN_CALIBRATION else 0)
        reference = ReferenceScores(self._near(joined, c.each).ravel(), np.repeat(np.arange(joined), c.each), "")
        threshold, near = calibrate(reference, RATE, 1, self.seed).value, self._near(c.cases, 1).ravel()
        beyond = -np.quantile(self.draw.normal(size=4000), 1 - c.recall)
        near[: self.copied] = threshold + beyond + self.draw.normal(size=self.copied)
        return reference, threshold, near

    def _copies(self) -> list[Result]:
        c = self.cohorts
        reference, threshold, near = self._judged()
        self.reference, left_out, joined = reference, LeftOut(reference, RATE), len(np.unique(reference.subjects))
        flagged, above = int((near > threshold).sum()), int((near > reference.r.max()).sum())
        flags, nearest = left_out.flags(c.cases, self.seed), left_out.nearest(c.cases, self.seed)
        attraction = self.draw.gamma(1, size=c.train + c.others)
        subject = self.draw.choice(c.train + c.others, c.cases, p=attraction / attraction.sum())
        subject[: self.copied] = self.victims
        members, others = np.arange(c.train), np.arange(c.train, c.train + c.others)
        swap = swap_test(near - threshold, subject, members, others, self.seed, DRAWS, DEALS)
        return [
            Result("privacy.copies.flagged", flagged, n=c.cases),
            Result("privacy.copies.expected", flags.expected, *flags.interval, n=c.cases),
            Result("privacy.copies.flagged_p", flags.p(flagged)),
            Result("privacy.copies.above_reference_max_p", nearest.p(above)),
            Result("privacy.copies.false_positive_rate", flags.rate, *flags.rate_interval, n=joined),
            Result("privacy.copies.threshold", threshold, n=joined),
            Result("privacy.swap.p", swap.p),
            Result("privacy.swap.difference", swap.difference.value, swap.difference.low, swap.difference.high),
        ]

    def _attacks(self) -> list[Result]:
        shared, found = self.draw.normal(size=self.cohorts.train + self.cohorts.others), []
        for name in ALWAYS:
            own = self.draw.normal(size=len(shared))
            found.append(self._attack(name, np.sqrt(CORRELATED) * shared + np.sqrt(1 - CORRELATED) * own))
        p = holm([one.p for one in found])
        return [result for name, one, own in zip(ALWAYS, found, p, strict=True) for result in _told(name, one, own)]

    def _attack(self, name: str, scores: np.ndarray) -> AttackPerformance:
        """Measure an attack by the scores that it gives everybody, higher of copied subjects."""
        trained = self.cohorts.train
        scores = scores + LIFT * np.isin(np.arange(len(scores)), self.victims)
        return measure(scores[:trained], scores[trained:], derive(self.seed, "plan", name), DRAWS)

    def _maps(self) -> list[Result]:
        """Return what the search for copied label maps says, and the attack on them."""
        reference, threshold, near = self._judged()
        flags = LeftOut(reference, RATE).flags(self.cohorts.cases, derive(self.seed, "label maps"))
        found = self._attack("label_maps", self.draw.normal(size=self.cohorts.train + self.cohorts.others))
        flagged = Result("privacy.label_maps.flagged_p", flags.p(int((near > threshold).sum())))
        return [flagged, *_told("label_maps", found, found.p)]

    def _audit(self) -> list[Result]:
        """Return what an audit of a detector of this recall would say, by the threshold of the same reference."""
        c, audited = self.cohorts, max(self.cohorts.others // 2, MIN_SUBJECTS)
        near, unseen = self._near(audited, c.each).ravel(), np.repeat(np.arange(audited), c.each)
        p = exchanged_p(self.reference, near, unseen, RATE, self.seed, DEALS)
        recall = Result("privacy.audit.recall.mean", c.recall, c.recall, c.recall)
        worst = Result("privacy.audit.recall.worst", c.recall, c.recall, c.recall)
        return [recall, worst, Result("privacy.audit.false_positive_p", p)]


def _told(name: str, found: AttackPerformance, p: float | None) -> list[Result]:
    """Return the results of an attack."""
    at, risk = f"privacy.attack.{name}", found.risk
    told = [Result(f"{at}.auc", found.auc.value, found.auc.low, found.auc.high), Result(f"{at}.p", p)]
    return [*told, Result(f"{at}.risk", risk.value, risk.low, risk.high)] if risk else told


def plan(
    policy: Policy,
    cohorts: PlannedCohorts,
    seed: int = 0,
    studies: int = 100,
    tell: Callable[[str], None] | None = None,
) -> list[LimitPlan]:
    """Return how often each limit of a policy holds, and all of them together, for each share of copies.

    UsageError where the cohorts are too small to plan with.
    """
    held: dict[str, dict[float, float]] = {}
    for share in SHARES:
        passed: list[list[bool]] = []
        for i in range(studies):
            study = SimulatedStudy(cohorts, share, derive(seed, "plan", str(share), i))
            checks = check_limits(policy, study)
            passed.append([check.holds for check in checks])
        if tell:
            tell(f"{studies} studies with {share:.0%} copies")
        for check, rate in zip(checks, np.mean(passed, 0), strict=True):
            rates = held.setdefault(check.what, {})
            if check.evidence:
                rates[share] = float(rate)
        held.setdefault(ALL, {})[share] = float(np.mean([all(one) for one in passed]))
    return [LimitPlan(name, rates) for name, rates in held.items()]


def told(planned: Sequence[LimitPlan]) -> list[tuple[str, ...]]:
    """Return a plan as rows: the limit, how often a perfect generator keeps it, how often copies are refused."""
    return [
        (one.limit, f"{one.holds[0.0]:.0%}", *(f"{1 - one.holds[share]:.0%}" for share in SHARES[1:]))
        if one.holds
        else (one.limit, "not simulated", *("" for _ in SHARES[1:]))
        for one in planned
    ]


def verdict(planned: Sequence[LimitPlan]) -> str:
    """Say in a sentence what the numbers of subjects allow."""
    every = next(one for one in planned if one.limit == ALL)
    short = [one.limit for one in planned if one.limit != ALL and one.holds.get(0.0, 1) < 0.9]
    if every.holds[0.0] >= 0.9:
        said = "A perfect generator passes in at least nine of ten studies"
    else:
        said = f"A perfect generator passes in {every.holds[0.0]:.0%} of studies only"
        said += f" (most often refused by: {', '.join(short)})" if short else ""
    return f"{said}; one that copies 1 % of its cases is refused in {1 - every.holds[0.01]:.0%}."
