"""Each of the seven headings holds the numbers that speak of it, or says that there is none."""

from typing import Any

from understudy.core.cohort import Cohort
from understudy.core.result import Result
from understudy.release.headings import HEADINGS, MAX_FOUND, filled_headings, markdown_of

SEVEN = ["Congruence", "Coverage", "Constraint", "Completeness", "Compliance", "Comprehension", "Consistency"]
UNDER = {
    "fidelity.frechet": "Congruence", "fidelity.frechet.unseen": "Congruence", "fidelity.kid.redrawn": "Congruence",
    "utility.ratio.unet.dice": "Congruence", "utility.synthetic.mixed.densenet.auc": "Congruence",
    "fidelity.recall": "Coverage", "cohort.subjects": "Coverage",
    "consistency.synthetic.segresnet.dice": "Constraint", "fidelity.labels.tumour.wasserstein": "Constraint",
    "cohort.cases": "Completeness", "privacy.copies.flagged": "Compliance", "privacy.swap.p": "Compliance",
    "privacy.attack.density_ratio.auc": "Compliance", "correlation.kid.dice": "Consistency",
}  # fmt: skip


def test_numbers_stand_under_one_heading_each(bench: Any) -> None:
    cohort = Cohort.open(bench.synthetic)
    assert [heading.name for heading in HEADINGS] == SEVEN
    for name, wanted in UNDER.items():
        filled = filled_headings(cohort, [Result(name, 0.25, 0.2, 0.3, n=7)], {})
        assert [h.name for h in filled if f"{name}: 0.250 [0.200, 0.300] (n = 7)" in h.found] == [wanted]
        missing = [h.name for h in filled if h.missing]
        assert missing == [h for h in SEVEN if h not in (wanted, "Comprehension")]


def test_what_was_not_measured_or_is_too_much_is_said(bench: Any) -> None:
    cohort = Cohort.open(bench.synthetic)
    many = [Result(f"correlation.x{i}", 0.5) for i in range(MAX_FOUND + 3)]
    withheld = [Result("fidelity.kid", None, note="withheld: few")]
    filled = filled_headings(cohort, [*many, *withheld], {"Comprehension": ["told\nso"]})
    by = {heading.name: heading for heading in filled}
    assert by["Consistency"].found[-1] == "3 more in evidence/" and len(by["Consistency"].found) == MAX_FOUND + 1
    assert by["Congruence"].found == ["fidelity.kid: not available (withheld: few)"]
    assert by["Completeness"].found == [
        "Images: a, of all 12 cases.", "Label maps (tumour) of all cases.", "ill is given for 12 of 12 cases.",
        "Voxel spacing is given for 0 of 12 cases.",
    ]  # fmt: skip
    text = "\n".join(markdown_of(filled))
    assert "### Comprehension\n\nCan it be understood" in text and "- told so" in text
    assert "### Coverage\n\nDo they show the variety of the real cases?\n\n- No number in the evidence" in text
