"""The card tells the numbers, claims no more, and a guarantee stands only where nothing else used patients."""

from pathlib import Path
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.release.card import NO_GUARANTEE, guarantee
from understudy.release.package import release_cohort
from understudy.release.verify import verify_bundle

GUARANTEE = {"epsilon": 8.0, "delta": 1e-5, "unit": "patient"}


@pytest.fixture
def card(bench: Any) -> str:
    bundle = release_cohort(bench.synthetic, bench.evidence(), bench.root / "bundle", real=bench.real)
    return (bundle / "card.md").read_text()


def test_the_card_tells_what_it_is_and_whose_data(bench: Any, card: str) -> None:
    for says in (
        "12 synthetic cases, MR, 32 x 32: images (a) and label maps (tumour; sampled).",
        "Made by `sample` with the generator diffusion.",
        f"Learned from the cohort `{bench.real_id}` (split train): 60 subjects.",
        "Compared with all 60 real cases",
        f"{NO_GUARANTEE}: none is recorded.",
        "| privacy.audit.recall.mean at least 0.9 | privacy.audit.recall.mean 0.97 | yes | audit |",
        "| further attacks, AUC | upper end of privacy.attack.*.auc at most 0.7 | privacy.attack.attribute.ill.auc",
        "## Not covered",
    ):
        assert says in card


def test_the_card_reassures_nobody(bench: Any, card: str) -> None:
    out = release_cohort(
        bench.synthetic, bench.evidence(audit=None, mark="b-"), bench.root / "b", real=bench.real, override="because"
    )
    for text in (card, (out / "card.md").read_text()):
        assert not [word for word in ("anonym", "proven", "proof", "guarantees", "safe") if word in text.lower()]


def test_names_make_no_lines_and_no_html_of_their_own(bench: Any) -> None:
    cohort = bench.cohort(
        "named",
        modality="MR\n# Approved\u2028by the <img src=x> ![board](https://example.org/x)",
        provenance=Provenance("sample", {"generator": "d\n- **Compared with all**"}, 3),
    )
    out = release_cohort(cohort, bench.evidence(cohort), bench.root / "named-out", real=bench.real)
    for name in ("card.md", "README.md"):
        text = (out / name).read_text()
        assert "MR # Approved by the &lt;img src=x> ![board]\\(https" in text and "<img" not in text
        assert not [line for line in text.splitlines() if line.startswith(("# Approved", "- **Compared"))]
    assert verify_bundle(out)


def verify_fails_for(bundle: Path, limit: str) -> bool:
    with pytest.raises(UnderstudyError, match=limit):
        verify_bundle(bundle)
    return True


def test_few_subjects_are_not_counted(bench: Any) -> None:
    few = [{"cohort": bench.real_id, "splits": ["train"], "subjects": bench.names[:4]}]
    cohort = bench.cohort("few", trained_on=few)
    bundle = release_cohort(cohort, bench.evidence(cohort), bench.root / "out", real=bench.real, override="a reason")
    text = (bundle / "card.md").read_text()
    assert "a number of subjects that is not told" in text and "withheld: fewer than 5 subjects" in text
    assert "cohort.subjects 4" not in text and verify_fails_for(bundle, "subjects that the generator learned from")
    assert "n_subjects" not in Cohort.open(bundle / "cohort").trained_on[0]


def test_a_guarantee_stands_only_alone(bench: Any) -> None:
    def of(name: str, **sampling: Any) -> str:
        return guarantee(Cohort.open(bench.cohort(name, sampling=sampling)))

    assert of("a", differential_privacy=GUARANTEE) == (
        "Differential privacy, as recorded by the training: epsilon 8, delta 1e-05, for one patient more or less. "
        "It covers the cases, not the numbers in evidence/, which come from real data."
    )
    beside = of("d", differential_privacy=GUARANTEE | {"delta": 0.002, "epsilon_at_delta_1e-5": 11.234})
    assert "epsilon 8, delta 0.002 (epsilon 11.2 at delta 1e-05), for one patient" in beside
    assert of("b", differential_privacy={"epsilon": 8}).startswith(NO_GUARANTEE)
    assert of("c", differential_privacy=GUARANTEE, screened=[{}]).startswith(NO_GUARANTEE)
    assert "drawing away from training images looked at them again" in of(
        "e", differential_privacy=GUARANTEE, away_from={"cohort": "real", "threshold": 0.4}
    )
