"""The gate: a policy's limits held against the evidence, one check each; a cohort that fails one is not released.

Missing evidence fails a limit unless the policy says that it is not required; a number that was withheld fails it
always. release/verify.py makes the same checks again from the bundle alone, so that no verdict is edited without its
numbers. **Checked** in tests/release/test_gate.py (each limit, missing and withheld numbers, overrides).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result
from understudy.data.pseudonym import ENVIRONMENT
from understudy.release.policy import Bound, Limit, Policy

Known = Sequence[tuple[str, Result]]
WHEN = {"before": " of the cohort before screening", "fresh": " of fresh samples"}
WORDS = {"value": "", "low": "lower end of ", "high": "upper end of ", "n": "n of "}


@dataclass(frozen=True)
class Check:
    """One limit held against what was found."""

    what: str  # the limit's name
    limit: str  # what it asks, in words
    found: str  # the numbers, in words
    holds: bool
    evidence: str  # which kinds of evidence the numbers are from; "" where there are none
    why: str  # what the limit guards


class KnownResults(Protocol):
    """What is known of a cohort: an evidence set, or a simulated one."""

    def results(self, about: str) -> list[tuple[str, Result]]:
        """Return (kind of evidence, result) of the cohort released, of it before screening, or of fresh samples."""


class Sealed(Protocol):
    """How many seals there are of how many that should be; whether the real cohort's key was at hand, and is public."""

    sealed: int
    of: int
    key: bool
    public: bool


def all_checks(
    policy: Policy, known: KnownResults, label_source: str | None, seals: Sealed, compared: bool, weights: bool = False
) -> list[Check]:
    """Make every check of a policy, in the order in which they are told; those of ``weights`` where they are asked."""
    return [
        *check_limits(policy, known),
        check_labels(policy, label_source),
        check_seals(policy, seals),
        check_real(policy, compared),
        *(check_weights(policy, known) if weights else []),
    ]


def check_limits(policy: Policy, known: KnownResults) -> list[Check]:
    """Hold each measured limit of a policy against an evidence set."""
    return [_check_limit(limit, known.results(limit.about)) for limit in policy.limits]


def check_weights(policy: Policy, known: KnownResults) -> list[Check]:
    """Hold each limit of a policy for a generator's weights against an evidence set."""
    if policy.weights is None:
        why = "A policy that says nothing of weights was not made for them: they cannot be called back."
        return [Check("weights", "limits for weights in the policy", "none: it lets no weights out", False, "", why)]
    return [_check_limit(limit, known.results(limit.about)) for limit in policy.weights.limits]


def check_labels(policy: Policy, label_source: str | None) -> Check:
    """Hold the source of the label maps against a policy."""
    allowed, why = policy.label_sources.allowed, policy.label_sources.why
    holds = label_source is None or label_source in allowed
    return Check("label source", f"one of {', '.join(allowed)}", label_source or "no label maps", holds, "cohort", why)


def check_real(policy: Policy, compared: bool) -> Check:
    """Say whether the bundle was compared with the real cohort; the disclosure check refuses what is found there."""
    rule = policy.real_check
    asked = "the bundle is compared with the real cohort" + ("" if rule.required else " (not required)")
    found = "compared: no real image, patch, label map or name in it" if compared else "not compared: no --real"
    return Check("real check", asked, found, compared or not rule.required, "the real cohort", rule.why)


def check_seals(policy: Policy, seals: Sealed) -> Check:
    """Hold the seals of a cohort and its evidence against a policy; a seal that does not fit is refused before."""
    rule = policy.seals
    asked = "cohort and evidence are sealed with the key of the real cohort" + (
        "" if rule.required else " (not required)"
    )
    found = f"{seals.sealed} of {seals.of} sealed" if seals.key else "not checked: no key of the real cohort is at hand"
    found += ", with the key that everybody knows: anybody can have made these seals" * seals.public
    holds = seals.key and seals.sealed == seals.of and not seals.public
    return Check("seals", asked, found, holds or not rule.required, "cohort", rule.why)


def refuse(cohort: Cohort, checks: Sequence[Check], override: str | None) -> None:
    """Refuse a cohort that fails a check, unless somebody takes it upon them.

    Raises:
        UsageError: an empty reason, or a reason where nothing fails.
        UnderstudyError: all checks that fail, with their numbers.
    """
    failed = [check for check in checks if not check.holds]
    if override is not None and not override.strip():
        raise UsageError("--override needs a reason: it is written into the bundle, for ever; found an empty one")
    if override is not None and not failed:
        raise UsageError("--override was given, and every limit holds: leave it out")
    if failed and override is None:
        told = "; ".join(f"({i}) {c.what}: asked {c.limit}; found {c.found}" for i, c in enumerate(failed, start=1))
        raise UnderstudyError(
            f"release of {cohort.path.name} is refused, {len(failed)} of {len(checks)} limits do not hold: {told}. "
            f"{_advice(failed)}Nothing was written"
        )


def _advice(failed: Sequence[Check]) -> str:
    if not any(check.what == "seals" for check in failed):
        return ""
    return f"Sample, evaluate and release with the key of the real cohort's import; {ENVIRONMENT} names its file. "


def _check_limit(limit: Limit, known: Known) -> Check:
    asked, least, most, unknown = _asked(limit, known)
    named = [one for one in known if any(fnmatchcase(one[1].name, pattern) for pattern in limit.patterns)]
    named.sort(key=lambda one: (one[1].name, str(one[1].value)))
    held = [(kind, r) for kind, r in named if _measured(r)]
    lacking = [p for p in limit.patterns if not any(fnmatchcase(r.name, p) for _, r in held)]
    lacking += [unknown] if unknown else []
    broken = not all(_within(_number(r, limit.take), least, most) for _, r in held)
    told = [f"{r.name} {_said(r, limit.take)}" for _, r in named]
    if lacking:
        when = WHEN.get(limit.about, "")
        told.insert(0, f"no evidence: {', '.join(lacking)} was not measured{when}")
    holds = not broken and not (lacking and limit.required)
    return Check(limit.name, asked, "; ".join(told), holds, ", ".join(sorted({kind for kind, _ in held})), limit.why)


def _measured(result: Result) -> bool:
    """Tell whether a limit can be held against a result; one that was withheld counts, and never holds."""
    return result.value is not None or result.note.startswith("withheld")


def _asked(limit: Limit, known: Known) -> tuple[str, float, float, str]:
    """Return a limit in words, its bounds, and the name of a bound that was not measured, and bounds nothing, or ""."""
    told, least, most = f"{WORDS[limit.take]}{', '.join(limit.patterns)}", -math.inf, math.inf
    if limit.at_least is not None:
        told, least = f"{told} at least {limit.at_least:g}", limit.at_least
    given = limit.at_most
    if not isinstance(given, Bound):
        return (told, least, most, "") if given is None else (f"{told} at most {given:g}", least, given, "")
    numbers = {_number(r, given.take) for _, r in known if r.name == given.result}
    told += f" at most the {WORDS[given.take]}{given.result}"
    number = numbers.pop() if len(numbers) == 1 else None  # two that differ are no bound
    return (told, least, most, given.result) if number is None else (f"{told} ({number:g})", least, number, "")


def _number(result: Result, take: str) -> float | None:
    """Return a part of a result; None where it was withheld, also its n."""
    return None if result.value is None else getattr(result, take)


def _said(result: Result, take: str) -> str:
    number = _number(result, take)
    return result.note or "not available" if number is None else f"{number:.6g}"


def _within(number: float | None, least: float, most: float) -> bool:
    return number is not None and least <= number <= most
