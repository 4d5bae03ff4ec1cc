"""Each claim in one line: seen or not seen at this scale, with the number, its interval and n.

Seen is a value within the bounds. Where the interval reaches over a bound, the word says "uncertain": chance alone may
have put the value on this side. Of a gain or difference that was asked to be above or below 0, 0 is a bound too.
**Checked** in tests/studies/report/test_claims.py.
"""

from dataclasses import dataclass
from typing import Any

from understudy.core.result import SCORES
from understudy.evaluation.folder import join_notes
from understudy.report.tables import interval, number
from understudy.studies.report.blocks import named, valued
from understudy.studies.report.config import Claim
from understudy.studies.report.measures import Measures, Number

SEEN, NOT_SEEN, NOT_MEASURED, UNCERTAIN = "seen", "not seen", "not measured", ", uncertain"
CLAIMS = ("claim", "source", "seen", "number", "value", "low", "high", "n", "unit", "detail")
MEASURES = {
    "score": "{score} of {arm}",
    "ratio": "{score} of {arm} divided by that of {real}",
    "gain": "{score} of {arm} minus that of {real}",
    "difference": "{score} of {arm} minus that of {other}",
}


@dataclass(frozen=True)
class Verdict:
    """A claim with its word, the number, and a sentence on the bound and the interval."""

    claim: Claim
    word: str
    number: Number
    what: str
    sentence: str

    @property
    def figure(self) -> str:
        """The number with its interval and n."""
        told = number(self.number.value, self.number.unit)
        ends = interval(self.number.low, self.number.high, self.number.unit)
        return join_notes(told + ("" if ends == "–" else f" [{ends.replace(' to ', ', ')}]"), f"n = {self.number.n:,}")


def claim_row(one: Verdict) -> list[Any]:
    """Return a verdict as a row of tables/claims.csv, with all digits."""
    found = one.number
    value = (found.value, found.low, found.high, found.n or None, found.unit)
    return [one.claim.claim, one.claim.source, one.word, one.what, *value, one.sentence]


def verdicts(measures: Measures) -> list[Verdict]:
    """Judge all claims of the report."""
    return [_verdict(measures, claim) for claim in measures.config.claims]


def _verdict(measures: Measures, claim: Claim) -> Verdict:
    found, what = measures.measured(claim), described(measures, claim)
    if found.value is None:
        return Verdict(claim, NOT_MEASURED, found, what, found.note)
    bounds = [f"{'at least' if low else 'at most'} {bound:g}" for bound, low in _bounds(claim)]
    over = _over(claim, found)
    word = (SEEN if _within(claim, found.value) else NOT_SEEN) + (UNCERTAIN if over else "")
    return Verdict(
        claim, word, found, what, join_notes(f"expected {' and '.join(bounds)}", _reach(over, found), found.note)
    )


def _bounds(claim: Claim) -> list[tuple[float, bool]]:
    return [(bound, low) for bound, low in ((claim.at_least, True), (claim.at_most, False)) if bound is not None]


def _within(claim: Claim, value: float) -> bool:
    return all(value >= bound if low else value <= bound for bound, low in _bounds(claim))


def _over(claim: Claim, found: Number) -> list[float]:
    """Return the bounds that the interval holds, and 0 where a gain or difference was asked to be above or below it."""
    if found.low is None or found.high is None:
        return []
    bounds = {bound for bound, _ in _bounds(claim)}
    if claim.measure in {"gain", "difference"} and any(b >= 0 if low else b <= 0 for b, low in _bounds(claim)):
        bounds.add(0.0)
    return sorted(bound for bound in bounds if found.low < bound < found.high)


def _reach(over: list[float], found: Number) -> str:
    if found.low is None or found.high is None:
        return "no interval"
    if not over:
        return "the whole interval lies on this side"
    return f"the interval reaches over {' and '.join(f'{bound:g}' for bound in over)}: chance alone may decide"


def described(measures: Measures, claim: Claim) -> str:
    """Say which number a claim is judged by."""
    names = measures.config.names
    where = ", ".join(valued(names, loop, value) for loop, value in claim.where.items())
    if claim.result:
        return join_notes(named(names, claim.result.partition(".")[2] or claim.result), where)
    real = "real" + claim.arm[claim.arm.find("@") :] * ("@" in claim.arm)
    other = ", ".join(valued(names, loop, value) for loop, value in claim.against.items())
    score = SCORES.get(claim.score, claim.score) or _score_name(measures, claim)
    text = MEASURES[claim.measure].format(
        score=score, arm=named(names, claim.arm), real=named(names, real), other=other
    )
    return join_notes(text, "" if claim.class_ == "mean" else named(names, claim.class_), where)


def _score_name(measures: Measures, claim: Claim) -> str:
    judged = [one for one in measures.finished.select(claim) if one.kind == "utility"]
    return SCORES.get(measures.scores(judged[0]).score, "score") if judged else "score"
