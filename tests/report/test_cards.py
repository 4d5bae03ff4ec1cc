"""The summary: numbers with interval and n, no ratio without its real-only Dice, no reassurance that is not earned."""

import pytest

from understudy.core.result import Result
from understudy.report.cards import Entry, cards


def entry(results: list[Result], title: str) -> Entry:
    return next(card for card in cards(results) if card.title == title).entries[0]


def test_ratio_stands_beside_its_real_only_dice() -> None:
    ratio = Result("utility.ratio.unet.dice", 0.8, 0.7, 0.9, n=22)
    shown = entry([ratio, Result("utility.real.unet.dice", 0.71, 0.66, 0.76, n=22)], "Utility")
    assert shown.figure == "80 %"
    assert "0.710 (0.660 to 0.760)" in shown.meaning
    assert "22" in shown.detail
    alone = entry([ratio], "Utility")
    assert alone.figure == "–"
    assert "80" not in alone.meaning + alone.detail


def test_ratios_of_classes_and_of_several_cohorts() -> None:
    results = [
        Result("utility.real.unet.dice", 0.7, n=9),
        Result("utility.ratio.diffusion.unet.dice", 0.8, n=9),
        Result("utility.ratio.diffusion.unet.dice.tumour", 0.9, n=9),
        Result("utility.synthetic.diffusion.unet.dice", 0.56, n=9),
    ]
    found = cards(results)[0].entries
    assert [e.who for e in found] == ["diffusion"]
    assert "Dice 0.560" in found[0].meaning


def test_label_maps_stand_in_where_no_images_were_compared() -> None:
    name = "fidelity.mask-gan.labels.stroke.wasserstein"
    results = [
        Result("fidelity.mask-gan.images", None, note="not measured: the synthetic cohort has no images"),
        Result(name, 0.21, n=80),
        Result(f"{name}.size_matched", 0.28, 0.2, 0.4, n=40),
        Result(f"{name}.unseen", 0.19, 0.12, 0.3, n=40),
    ]
    shown = entry(results, "Fidelity")
    assert (shown.who, shown.figure, shown.detail) == (
        "mask-gan, stroke",
        "0.280",
        "95 % interval 0.200 to 0.400; n = 40",
    )
    assert "0.190 (0.120 to 0.300)" in shown.meaning
    assert entry([*results, Result("fidelity.frechet", 31.0, n=9)], "Fidelity").figure == "31.0"


@pytest.mark.parametrize(
    ("flagged", "nearer", "warn", "says"),
    [(3, 0, False, "No more"), (30, 0, True, "More synthetic"), (5, 2, True, "2 lie nearer"), (0, 0, False, "No more")],
)
def test_privacy_verdict(flagged: int, nearer: int, warn: bool, says: str) -> None:
    results = [
        Result("privacy.copies.flagged", flagged, 0, 40, "cases", n=1000),
        Result("privacy.copies.expected", 10, 4, 17, "cases", n=1000),
        Result("privacy.copies.above_reference_max", nearer, unit="cases", n=1000),
        Result("privacy.copies.threshold", 0.9, unit="r", n=51),
    ]
    shown = entry(results, "Privacy")
    assert shown.warn is warn
    assert says in shown.meaning
    assert ("Look at each flagged case" in shown.meaning) is (flagged > 0)
    assert shown.meaning.endswith("near-identical copies only.")
    assert shown.figure == f"{flagged} of 1,000"
    assert "10 (4 to 17) expected by chance; threshold set on 51 subjects" in shown.detail


def test_transformations_are_covered_as_far_as_the_audit_shows() -> None:
    flagged = [Result("privacy.copies.flagged", 3, 0, 9, "cases", n=100), Result("privacy.copies.threshold", 1.2, n=51)]
    assert "no audit says how many" in entry(flagged, "Privacy").meaning
    skipped = Result("privacy.audit", None, note="skipped")
    assert "no audit says how many" in entry([*flagged, skipped], "Privacy").meaning
    audit = [Result("privacy.audit.recall.mean", 0.984, n=9), Result("privacy.audit.recall.worst", 0.855, n=9)]
    assert "98 % are found, and 85 % of the transformation" in entry([*flagged, *audit], "Privacy").meaning


def test_no_verdict_says_why() -> None:
    shown = entry([Result("privacy.copies.flagged", None, note="withheld: too few")], "Privacy")
    assert shown.warn
    assert "Withheld: too few" in shown.meaning


def test_fidelity_stands_beside_new_patients_and_copies() -> None:
    results = [
        Result("fidelity.a.frechet", 31.2, n=1000, note="160 features of encoder; more"),
        Result("fidelity.a.frechet.size_matched", 33.9, 30, 37, n=480),
        Result("fidelity.a.frechet.unseen", 12.8, 11, 14, n=480),
        Result("fidelity.a.frechet.redrawn", 2.5, 2, 3, n=480),
        Result("fidelity.a.kid", 0.03, n=1000),
    ]
    found = cards(results)[1].entries
    assert len(found) == 1
    assert (found[0].who, found[0].figure) == ("a", "33.9")
    assert found[0].detail.endswith("n = 480; 160 features of encoder")
    assert found[0].meaning.startswith("As many new patients would lie 12.8 (11.0 to 14.0) from the training cases; ")
    assert "training cases drawn again lie 2.50" in found[0].meaning
    assert cards([])[1].entries == []


def test_areas_have_a_card_that_names_chance() -> None:
    results = [Result("utility.real.densenet.auc", 0.95, n=40), Result("utility.ratio.densenet.auc", 0.9, n=40)]
    results += [
        Result("utility.synthetic.densenet.auc", 0.855, n=40),
        Result("utility.ratio.densenet.auc.virus", 0.7, n=40),
    ]
    found = cards(results)[0].entries
    assert [(e.figure, e.unit) for e in found] == [("90 %", "of the AUC that real cases give")]
    assert "AUC 0.855" in found[0].meaning and "AUC 0.950" in found[0].meaning and "AUC of 0.5" in found[0].meaning


def attacks(*areas: tuple[str, float | None, float, float]) -> list[Result]:
    return [
        Result(f"privacy.attack.{name}.auc", value, low, high, better="lower", n=40)
        if value is not None
        else Result(f"privacy.attack.{name}.auc", None, note="not measured: no slices")
        for name, value, low, high in areas
    ]


def test_the_best_attack_is_told_with_its_interval() -> None:
    results = attacks(
        ("nearest_pixels", 0.55, 0.42, 0.68), ("singling_out", 0.61, 0.48, 0.74), ("link_slices", None, 0, 0)
    )
    shown = entry(results, "Privacy")
    assert (shown.figure, shown.unit, shown.warn) == ("0.610", "AUC of the best of 2 attacks", False)
    assert "0.480 to 0.740" in shown.detail
    assert "singling out" in shown.meaning
    assert "None tells" in shown.meaning
    assert "1 not measured" in shown.meaning
    assert entry(attacks(("nearest_pixels", 0.9, 0.8, 0.97)), "Privacy").warn
    assert entry(attacks(("nearest_pixels", None, 0, 0)), "Privacy").figure == "–"
