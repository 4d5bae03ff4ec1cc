"""The YAML's report: two lines are enough, unknown keys and numbers without a source are refused."""

import pytest
from pydantic import ValidationError

from understudy.studies.report.config import ReportConfig, read_report


def test_two_lines_are_enough() -> None:
    found = read_report({"pool": ["fold", "seed"]})
    assert found.pool == ("fold", "seed") and found.tables is None and found.claims == ()
    assert read_report({}) == ReportConfig() and read_report(found) is found


def test_numbers_become_texts_where_they_name_a_value() -> None:
    claim = {"claim": "c", "from": "utility", "where": {"fold": 1, "generator": "diffusion"}, "at_least": 0.8}
    found = read_report({"claims": [claim]}).claims[0]
    assert (
        found.where == {"fold": "1", "generator": "diffusion"} and found.measure == "ratio" and found.arm == "synthetic"
    )


def test_a_pattern_takes_stages_whose_names_begin_so() -> None:
    found = read_report(
        {"scatters": [{"x": {"from": "privacy*", "result": "privacy.swap.p"}, "y": {"from": "utility"}}]}
    )
    x, y = found.scatters[0].x, found.scatters[0].y
    assert x.takes("privacy") and x.takes("privacy_screened") and not x.takes("utility")
    assert y.takes("utility") and not y.takes("utility_screened")


@pytest.mark.parametrize("source", ["Shin 2018 [B-med]", "Shin 2018", "Shin 2018 [S:E], [B-hi]"])
def test_only_a_number_from_a_source_is_quoted(source: str) -> None:
    row = {"row": "r", "value": 0.8, "source": source}
    with pytest.raises(ValidationError, match="from a source"):
        read_report({"tables": [{"from": "utility", "paper": [row]}]})
    read_report({"tables": [{"from": "utility", "paper": [{**row, "source": "Platscher 2021 [S:seed3]"}]}]})


@pytest.mark.parametrize(
    "wrong",
    [
        {"unknown": 1},
        {"claims": [{"claim": "c", "from": "u"}]},
        {"claims": [{"claim": "c", "from": "u", "at_least": 1, "at_most": 0}]},
        {"claims": [{"claim": "c", "from": "u", "at_least": 1, "arm": "everything"}]},
        {"tables": [{"from": "u", "paper": [{"row": "r", "value": float("nan"), "source": "x [S]"}]}]},
        {"samples": [{"from": "u", "cases": 99}]},
        {"claims": [{"claim": "c", "from": "u", "at_least": float("nan")}]},
        {"claims": [{"claim": "c", "from": "u", "at_most": float("inf")}]},
        {"claims": [{"claim": "c", "from": "u", "at_least": 0, "measure": "difference"}]},
        {"claims": [{"claim": "c", "from": "u", "at_least": 0, "against": {"a": "b"}}]},
        {
            "claims": [
                {"claim": "c", "from": "u", "at_least": 0, "result": "x", "measure": "difference", "against": {"a": 1}}
            ]
        },
        {"curves": [{"from": "u", "x": "share", "measure": "difference", "against": {"a": 1}}]},
        {"draws": 10**12},
        {"scatters": [{"x": {"from": "u"}}]},
        {"scatters": [{"x": {"from": "u", "pool": ["seed"]}, "y": {"from": "u"}}]},
    ],
)
def test_what_is_no_report_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        read_report(wrong)
