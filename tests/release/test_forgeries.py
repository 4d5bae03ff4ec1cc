"""What a red team tried on the gate: evidence, cohorts, screenings, policies and bundles that somebody edited."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort, file_hash
from understudy.core.errors import UnderstudyError
from understudy.core.result import Result
from understudy.data.pseudonym import PUBLIC_KEY
from understudy.data.seal import COHORT, SEAL, content_id, seal, seal_folder
from understudy.evaluation.privacy.copies.matchers import MATCHERS
from understudy.evaluation.privacy.copies.second import SECOND
from understudy.release.bundle import Manifest
from understudy.release.evidence import open_evidence_set
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.release.screen import screen_cohort
from understudy.release.verify import verify_bundle

Change = Callable[[Any], Any]


def edit(file: Path, change: Change) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data, indent=1) + "\n")


def rewrite(bundle: Path, **changes: Any) -> None:
    """Change a manifest, and give it the digest that belongs to it."""
    told = json.loads((bundle / "manifest.json").read_text()) | changes
    (bundle / "manifest.json").write_bytes(Manifest.model_validate_json(json.dumps(told)).encoded())


def refused(bench: Any, cohort: Path, evidence: list[Path], says: str, **more: Any) -> None:
    with pytest.raises(UnderstudyError, match=says) as error:
        release_cohort(cohort, evidence, bench.root / "out", **{"real": bench.real, **more})
    assert "\n" not in str(error.value) and not (bench.root / "out").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["results"][0].update(value=0, low=0, high=0),
        lambda d: d["results"].append({**d["results"][0], "name": "privacy.more"}),
        lambda d: d["provenance"]["config"].update(false_positive_rate=0.02),
        lambda d: d["provenance"].update(seed=7),
        lambda d: d["provenance"].update(understudy="9.9"),
    ],
)
def test_edited_evidence_is_refused_with_or_without_a_reason(bench: Any, change: Change) -> None:
    evidence = bench.evidence(privacy=[Result("privacy.copies.flagged", 2)])
    edit(evidence[0] / "results.json", change)
    for more in ({}, {"override": "we must"}):
        refused(bench, bench.synthetic, evidence, "does not hold: results.json was changed", **more)


def test_another_cohorts_evidence_under_a_new_label_is_refused(bench: Any) -> None:
    other = bench.cohort("other", bench.images[:5])
    theirs, ours = bench.evidence(other, "other-"), Cohort.open(bench.synthetic).id
    for folder in theirs:
        edit(folder / "results.json", lambda d: d["provenance"]["inputs"].update(synthetic=ours))
    refused(bench, bench.synthetic, theirs, "does not hold: results.json was changed")
    about_none = bench.evidence(other, "none-")
    for folder in about_none:
        edit(folder / "results.json", lambda d: d["provenance"]["inputs"].pop("synthetic"))
    refused(bench, bench.synthetic, about_none, "does not hold: results.json was changed")


@pytest.mark.parametrize("key", [None, b"a forger's own key", PUBLIC_KEY])
def test_evidence_without_the_seal_of_the_real_cohorts_key_is_refused(bench: Any, key: bytes | None) -> None:
    evidence = bench.evidence()
    for folder in evidence[1:]:
        (folder / SEAL).unlink()
        seal_folder(folder, key)
    says = r"1 of \d+ limits do not hold: \(1\) seals: asked cohort and evidence are sealed .*; found 2 of 4 sealed"
    refused(bench, bench.synthetic, evidence, says)


def test_seals_that_anybody_can_make_are_of_no_worth_but_for_a_phantom(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = bench.evidence(privacy=[Result("privacy.copies.flagged_p", 0.0)])
    monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(bench.root / "none"))
    edit(bench.real / "cohort.json", lambda d: d.update(id=content_id(Cohort.open(bench.real), None)))
    real = Cohort.open(bench.real).id
    edit(bench.synthetic / "cohort.json", lambda d: d["trained_on"][0].update(cohort=real))
    edit(bench.synthetic / "cohort.json", lambda d: d.update(id=content_id(Cohort.open(bench.synthetic), None)))
    inputs = {"real": real, "synthetic": Cohort.open(bench.synthetic).id}
    seal_folder(bench.synthetic, PUBLIC_KEY, COHORT)
    for folder in evidence:
        edit(folder / "results.json", lambda d: d["provenance"]["inputs"].update(inputs))
        edit(folder / "results.json", lambda d: [r.update(value=0.9) for r in d["results"] if r["name"].endswith("_p")])
        (folder / SEAL).unlink()
        seal_folder(folder, PUBLIC_KEY)
    says = r"1 of \d+ limits do not hold: \(1\) seals: .*; found 4 of 4 sealed, with the key that everybody knows"
    refused(bench, bench.synthetic, evidence, says)


def test_without_a_key_at_hand_a_sentence_says_so(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence, text = bench.evidence(), read_policy().content.decode()
    (bench.root / "mild.yaml").write_text(text.replace("seals:\n  required: true", "seals:\n  required: false"))
    semi = bench.cohort("semi", kind="semi-synthetic", label_source="edited patient", key=bench.key)
    of_semi = bench.evidence(semi, "semi-")
    monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(bench.root / "none"))
    refused(bench, bench.synthetic, evidence, "real/cohort.json does not have the id that its content gives")
    says = "seals: .* found not checked: no key of the real cohort is at hand.*UNDERSTUDY_KEY_FILE names its file"
    refused(bench, bench.synthetic, evidence, says, real=None)
    refused(bench, semi, of_semi, "id of semi, which is semi-synthetic, is keyed and cannot be checked without the key")
    mild = read_policy(bench.root / "mild.yaml")
    assert not mild.policy.seals.required and not (bench.root / "none").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(label_source="sampled"),
        lambda d: d.update(modality="CT"),
        lambda d: d["sampling"].update(differential_privacy={"epsilon": 1.0, "delta": 1e-6, "unit": "patient"}),
        lambda d: d.update(kind="synthetic", label_source="sampled"),
    ],
)
def test_an_edited_semi_synthetic_cohort_is_refused(bench: Any, change: Change) -> None:
    made = {"kind": "semi-synthetic", "label_source": "edited patient", "key": bench.key, "sampling": {"asked": 12}}
    semi = bench.cohort("semi", **made)
    evidence = bench.evidence(semi)
    edit(semi / "cohort.json", change)
    refused(bench, semi, evidence, "semi/cohort.json does not have the id", override="we must")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["sampling"].update(differential_privacy={"epsilon": 1.0, "delta": 1e-6, "unit": "patient"}),
        lambda d: d["trained_on"][0]["subjects"].pop(),
        lambda d: d["provenance"]["config"].update(generator="another"),
        lambda d: d.update(modality="CT"),
    ],
)
@pytest.mark.parametrize("seal_of", ["the old one", "none", "the public key", "a forger's own key"])
def test_a_synthetic_cohort_that_was_edited_before_it_was_evaluated(bench: Any, change: Change, seal_of: str) -> None:
    """Its id has no key, so that a forger makes it anew; its seal has one."""
    cohort = bench.cohort("edited", sampling={"asked": 12})
    edit(cohort / "cohort.json", change)
    forged = content_id(Cohort.open(cohort), None)
    edit(cohort / "cohort.json", lambda d: d.update(id=forged))
    evidence = bench.evidence(cohort)
    if seal_of == "the old one":
        refused(bench, cohort, evidence, "the seal of .*edited does not hold: cohort.json was changed", override="x")
        return
    (cohort / SEAL).unlink()
    seal_folder(cohort, {"the public key": PUBLIC_KEY, "a forger's own key": b"f" * 32}.get(seal_of), COHORT)
    refused(bench, cohort, evidence, r"1 of \d+ limits do not hold: \(1\) seals: .*; found 3 of 4 sealed")


def test_screening_and_editing_launder_no_edited_cohort(bench: Any) -> None:
    before = bench.judged("before", bench.synthetic, [2])
    (bench.synthetic / SEAL).unlink()
    once = screen_cohort(bench.synthetic, [before], bench.root / "once")
    assert not (once / SEAL).exists()
    edited = bench.cohort("edited")
    edit(edited / "cohort.json", lambda d: d["provenance"]["config"].update(generator="another"))
    forged = content_id(Cohort.open(edited), None)
    edit(edited / "cohort.json", lambda d: d.update(id=forged))
    with pytest.raises(UnderstudyError, match="the seal of .*edited does not hold"):
        screen_cohort(edited, [bench.judged("again", edited, [2])], bench.root / "twice")
    assert not (bench.root / "twice").exists()


def test_an_edited_real_cohort_is_no_cohort_to_compare_with(bench: Any) -> None:
    evidence = bench.evidence()
    edit(bench.real / "cohort.json", lambda d: d.update(modality="CT"))
    refused(bench, bench.synthetic, evidence, "real/cohort.json does not have the id", override="we must")


def test_an_edited_cohort_in_a_bundle_is_noticed(bench: Any) -> None:
    text = read_policy().content.decode().replace("allowed: [sampled]", "allowed: [sampled, edited patient]")
    (bench.root / "mild.yaml").write_text(text)
    semi = bench.cohort("semi", kind="semi-synthetic", label_source="edited patient", key=bench.key)
    about = {"real": bench.real, "policy": bench.root / "mild.yaml"}
    bundle = release_cohort(semi, bench.evidence(semi), bench.root / "bundle", **about)
    edit(bundle / "cohort" / "cohort.json", lambda d: d.update(label_source="sampled"))
    files = {p.relative_to(bundle).as_posix(): file_hash(p) for p in bundle.rglob("*.*") if p.name != "manifest.json"}
    rewrite(bundle, files=files)
    with pytest.raises(UnderstudyError, match="does not have the id that its content gives"):
        verify_bundle(bundle)


def independent(cohort: Path, evidence: list[Path]) -> float | None:
    found = open_evidence_set(Cohort.open(cohort), evidence).results("released")
    return next(result.value for _, result in found if result.name == "screening.independent_judgement")


def test_screening_again_with_the_last_judgements_matchers_is_no_second_judgement(bench: Any) -> None:
    before = bench.judged("before", bench.synthetic, [2], MATCHERS)
    once = screen_cohort(bench.synthetic, [before], bench.root / "once")
    again = bench.judged("once-1", once, [4], tuple(SECOND))
    assert independent(once, [before, again]) == 1
    assert independent(once, [before, bench.judged("once-2", once, [], ("ranks",))]) == 0  # not the whole of it
    twice = screen_cohort(once, [again], bench.root / "twice")
    for name, matchers in (("a", tuple(SECOND)), ("b", ("pixels",)), ("c", MATCHERS)):
        assert independent(twice, [before, bench.judged(f"twice-{name}", twice, [], matchers)]) == 0


def test_a_log_of_screenings_that_was_edited_is_refused(bench: Any) -> None:
    before = bench.judged("before", bench.synthetic, [2])
    once = screen_cohort(bench.synthetic, [before], bench.root / "once")
    assert Cohort.open(once).sampling["screened"][0]["seal"]["key"] == seal(bench.key, 0).key

    def change(data: Any) -> None:
        data["sampling"]["screened"][0]["data_used"][0]["matchers"] = "ranks"

    edit(once / "cohort.json", change)
    forged = content_id(Cohort.open(once), None)
    edit(once / "cohort.json", lambda d: d.update(id=forged))
    evidence = [before, bench.judged("once-0", once, [])]
    refused(bench, once, evidence, "the seal of .*once does not hold: cohort.json was changed", override="we must")
    (once / SEAL).unlink()
    refused(bench, once, evidence, "the seal of a screening in .*once/cohort.json does not hold", override="we must")


def test_edited_evidence_screens_nothing(bench: Any) -> None:
    before = bench.judged("before", bench.synthetic, [2, 3])
    pairs = before / "internal" / "pairs.csv"
    pairs.write_text(pairs.read_text().replace("0.95,1", "0.95,0"))
    with pytest.raises(UnderstudyError, match="does not hold: internal/pairs.csv was changed"):
        screen_cohort(bench.synthetic, [before], bench.root / "once")
    assert not (bench.root / "once").exists()


def test_a_loosened_policy_cannot_pass_as_the_shipped_one(bench: Any) -> None:
    loose = bench.root / "loose.yaml"
    loose.write_text(read_policy().content.decode().replace("at_least: 0.9\n", "at_least: 0.5\n"))
    shipped = release_cohort(bench.synthetic, bench.evidence(), bench.root / "shipped", real=bench.real)
    evidence = sorted(bench.root.glob("results-*"))
    bundle = release_cohort(bench.synthetic, evidence, bench.root / "loose", real=bench.real, policy=loose)
    assert read_policy(loose).policy.name == read_policy().policy.name == "default"
    for folder, says in ((shipped, "as shipped (policy.yaml)"), (bundle, "not one that understudy ships")):
        assert f"Policy default, {says}" in (folder / "card.md").read_text()
        assert f"calls itself 'default' and is {says}" in verify_bundle(folder)


def test_label_maps_that_are_real_but_for_a_voxel_are_refused(bench: Any) -> None:
    labels = Cohort.open(bench.real).labels
    assert labels is not None
    images = bench.images.copy()
    for i in range(len(images)):
        moved = np.asarray(labels[i])[::-1].copy()
        moved[tuple(np.argwhere(moved)[0])] = 0
        images[i] = np.where(moved[None] == 1, 151 + images[i] // 8, images[i] // 2)  # write_images: the map of this
    cohort = bench.cohort("maps", images)
    says = "12 image.s. in the cohort .folder. hold a real label map"
    refused(bench, cohort, bench.evidence(cohort, "maps-"), says)


def test_a_bundle_that_was_made_anew_has_no_seal_of_its_institution(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = release_cohort(bench.synthetic, bench.evidence(), bench.root / "bundle", real=bench.real)
    assert "Its seal, made with the key at hand, holds." in verify_bundle(bundle)
    sealed = json.loads((bundle / "manifest.json").read_text())

    rewrite(bundle, seal={**sealed["seal"], "hmac": "0" * 64})
    with pytest.raises(UnderstudyError, match="the seal of .*bundle does not hold"):
        verify_bundle(bundle)
    rewrite(bundle, seal=None)
    assert "It has no seal of its institution." in verify_bundle(bundle)
    manifest = Manifest.model_validate_json(json.dumps(sealed))
    rewrite(bundle, seal=seal(b"a forger's own key", manifest.content()).model_dump())
    assert "Its seal was not checked" in verify_bundle(bundle)
    rewrite(bundle, seal=sealed["seal"])
    monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(bench.root / "none"))
    assert "Its seal was not checked, for want of the key" in verify_bundle(bundle)
