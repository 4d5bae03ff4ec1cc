"""Seen, not seen, not measured: by the value; the interval is told."""

from typing import Any

import pytest

from understudy.studies.report.claims import NOT_MEASURED, NOT_SEEN, SEEN, UNCERTAIN, verdicts
from understudy.studies.report.measures import Measures, Number


def judged(fake: Any, **claim: Any) -> Any:
    given = {"claim": "c", "from": "utility", "where": {"cohort": "painted"}, **claim}
    return verdicts(fake.measures(claims=(given,)))[0]


@pytest.mark.parametrize(
    ("bounds", "word", "told"),
    [
        ({"at_least": 0.8}, SEEN, "expected at least 0.8; the whole interval lies on this side"),
        ({"at_least": 0.99}, NOT_SEEN, "expected at least 0.99; the whole interval lies on this side"),
        ({"at_most": 0.5}, NOT_SEEN, "expected at most 0.5"),
        ({"at_least": 0.8, "at_most": 0.95}, SEEN, "expected at least 0.8 and at most 0.95"),
    ],
)
def test_words(folds: Any, bounds: dict[str, float], word: str, told: str) -> None:
    found = judged(folds, **bounds)
    assert found.word == word and found.sentence.startswith(told)
    assert found.figure.startswith("0.899 [") and found.figure.endswith("; n = 12")
    assert found.what == "Dice of synthetic divided by that of real; cohort painted".replace(
        "cohort painted", "painted"
    )


def test_an_interval_over_the_bound_is_told(folds: Any) -> None:
    middle = folds.measures().measured(judged(folds, at_least=0.1).claim).value
    for bound, word in ((middle - 1e-4, SEEN), (middle + 1e-4, NOT_SEEN)):
        found = judged(folds, at_least=bound)
        assert (
            found.word == word + UNCERTAIN
            and "the interval reaches over" in found.sentence
            and "chance alone" in found.sentence
        )


@pytest.mark.parametrize(
    ("bounds", "low", "over"),
    [
        ({"at_least": 0}, -0.01, True),
        ({"at_least": 0}, 0.001, False),
        ({"at_least": 0.06}, -0.01, True),  # it may be a loss
        ({"at_least": -0.5}, -0.01, False),  # no more was asked than that little is lost
        ({"at_most": -0.1}, -0.01, True),
        ({"at_most": 0.5}, -0.01, False),
    ],
)
def test_a_gain_that_was_asked_for_and_may_be_none_is_uncertain(
    folds: Any, monkeypatch: pytest.MonkeyPatch, bounds: dict[str, float], low: float, over: bool
) -> None:
    """The bound alone does not tell: it may lie beside the interval, and yet the gain may be nothing."""
    monkeypatch.setattr(Measures, "measured", lambda *_: Number(0.02, low, 0.05, 12))
    found = judged(folds, measure="gain", arm="both", **bounds)
    assert found.word.endswith(UNCERTAIN) == over and ("reaches over 0:" in found.sentence) == over
    assert judged(folds, measure="ratio", at_least=0.06).word == NOT_SEEN  # 0 means nothing to a ratio


def test_results_and_gaps(folds: Any) -> None:
    found = judged(folds, **{"from": "privacy", "result": "privacy.copies.flagged", "at_most": 2})
    assert found.word == SEEN + UNCERTAIN and found.what == "copies · flagged; painted"
    none = judged(folds, **{"from": "privacy", "result": "privacy.nothing", "at_most": 2})
    assert none.word == NOT_MEASURED and none.sentence == "not among the results"
    other = judged(folds, measure="difference", against={"cohort": "joint"}, at_least=0)
    assert other.what == "Dice of synthetic minus that of joint; painted"
