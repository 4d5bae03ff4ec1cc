"""Without a key a bundle that was damaged, or edited and hashed again, is noticed as far as its parts disagree."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result
from understudy.release.package import release_cohort
from understudy.release.verify import verify_bundle

Change = Callable[[Any], Any]


def edit(file: Path, change: Change) -> None:
    data = json.loads(file.read_text())
    change(data)
    file.write_text(json.dumps(data, indent=1) + "\n")


@pytest.fixture
def rehash(released: Any) -> Callable[..., None]:
    return released.rehash


def test_what_was_checked_and_what_was_not_is_said(released: Any, plain: Path) -> None:
    said = verify_bundle(plain).splitlines()
    assert said[0].startswith("15 files have their hashes; every limit of the policy holds. The policy calls itself")
    assert said[1].startswith("Integrity only, anyone could have made this: no signer's public key was given")
    assert said[1].endswith("It has no signature.") and len(said) == 3
    assert "Its seal, made with the key at hand, holds. Computed again: hashes, id and counts" in said[2]
    assert "built again: card, evidence and report. Not computed again" in said[2]
    assert f"{sum(map(_numbers, plain.glob('evidence/*/results.json')))} numbers in evidence/" in said[2]
    with_key = verify_bundle(released.bundle, released.public).splitlines()
    assert with_key[1] == f"Signed by {released.digits}, whose key was given: every byte is as that signer released it."
    without = verify_bundle(released.bundle).splitlines()[1]
    assert without.startswith("Integrity only") and f"signer {released.digits}, and that signature holds." in without
    with pytest.raises(UnderstudyError, match="is not signed, and a signature by .* was asked for"):
        verify_bundle(plain, released.public)


def _numbers(file: Path) -> int:
    return len(json.loads(file.read_text())["results"])


def test_content_that_disagrees_is_noticed_though_its_hashes_fit(
    plain: Path, tmp_path: Path, rehash: Callable[..., None]
) -> None:
    def worse(data: Any) -> None:
        next(r for r in data["results"] if r["name"] == "privacy.copies.flagged_p")["value"] = 0.001

    results, inside = "evidence/privacy/results.json", "does not verify (content): "
    for name, change, says in (
        (results, worse, "judged again, give another verdict"),
        (results, lambda d: d["provenance"]["inputs"].update(real="x"), "results of another cohort"),
        (results, lambda d: d["provenance"]["inputs"].update(synthetic="x"), "results of another cohort"),
        (results, lambda d: d["provenance"].update(seed=4), "provenance.json is not what comes out"),
        ("gate.json", lambda d: d["known"]["facts"][1].update(value=3), "counts are not those of the cohort"),
        ("gate.json", lambda d: d["known"]["facts"][0].update(value=13), "counts are not those of the cohort"),
        ("gate.json", lambda d: d["known"]["facts"].pop(), "counts are not those of the cohort"),
        ("gate.json", lambda d: d["known"]["seals"].update(of=9), "another number of seals"),
        ("gate.json", lambda d: d["known"].update(screened=True), "different screenings"),
        ("gate.json", lambda d: d["known"].update(real="x"), "against another real cohort"),
        ("gate.json", lambda d: d["checks"].pop(), "judged again, give another verdict"),
        ("gate.json", lambda d: d["checks"][0].update(found="x"), "judged again, give another verdict"),
        ("gate.json", lambda d: d.update(override="x"), "different overrides"),
        ("gate.json", lambda d: d.update(compared=None), "another verdict; .*different comparisons"),
        ("gate.json", lambda d: d.pop("known"), "gate.json is not a part of a bundle .*known: Field required"),
        ("gate.json", lambda d: d["compared"].update(highest_r=0.1), "card.json is not what comes out"),
        ("cohort/cohort.json", lambda d: d["trained_on"][0].update(n_subjects=6), "does not have the id"),
    ):
        forged = Path(shutil.copytree(plain, tmp_path / "forged"))
        edit(forged / name, change)
        rehash(forged)
        with pytest.raises(UnderstudyError, match=says) as refused:
            verify_bundle(forged)
        assert inside in str(refused.value)
        shutil.rmtree(forged)
    for changes, says in (
        ({"schema_version": 9}, "a bundle of schema 9, this understudy reads 3: verify it with understudy"),
        ({"policy": "x"}, "not the one that was judged by"),
        ({"cohort": "x"}, "the cohort's id is not the manifest's"),
        ({"override": "x"}, "different overrides"),
        ({"formats": ["folder", "folder"]}, "each once; found folder, folder"),
        ({"formats": []}, "cohort.cases.csv is nothing that a release writes"),
        ({"formats": ["paper"]}, "cohort.cases.csv is nothing that a release writes"),
        ({"signer": "0" * 64}, "manifest.sig is missing"),
    ):
        forged = Path(shutil.copytree(plain, tmp_path / "forged"))
        rehash(forged, **changes)
        with pytest.raises(UnderstudyError, match=says):
            verify_bundle(forged)
        shutil.rmtree(forged)


def test_every_part_of_the_request_is_bound_to_the_cohort(
    plain: Path, tmp_path: Path, rehash: Callable[..., None]
) -> None:
    forged = Path(shutil.copytree(plain, tmp_path / "forged"))
    told = json.loads((forged / "manifest.json").read_text())["provenance"]
    for key, value in told.items():
        entries = {f"{key}.{name}": {**value, name: "x"} for name in value} if isinstance(value, dict) else {key: 7}
        for name, other in entries.items():
            if key in ("command", "understudy"):
                other = "x"
            rehash(forged, provenance={**told, key: other})
            with pytest.raises(UnderstudyError, match="cohort and manifest tell of different requests"):
                verify_bundle(forged)
            assert name
    rehash(forged, provenance=told)
    assert verify_bundle(forged)


def test_a_milder_policy_in_its_place_is_noticed(plain: Path, tmp_path: Path, rehash: Callable[..., None]) -> None:
    forged = Path(shutil.copytree(plain, tmp_path / "forged"))
    text = (forged / "policy.yaml").read_text()
    (forged / "policy.yaml").write_text(text.replace("at_least: 0.9\n", "at_least: 0.5\n"))
    rehash(forged)
    with pytest.raises(UnderstudyError, match="not the one that was judged by.*another verdict"):
        verify_bundle(forged)


def test_an_override_cannot_be_rubbed_out(bench: Any, rehash: Callable[..., None]) -> None:
    evidence = bench.evidence(privacy=[Result("privacy.copies.flagged_p", 0.001)])
    over = release_cohort(bench.synthetic, evidence, bench.root / "over", real=bench.real, override="no choice")
    with pytest.raises(UnderstudyError, match="was released over its policy: 2 limits do not hold .flags left, "):
        verify_bundle(over)
    assert Cohort.open(over / "cohort").provenance["config"]["override"] == "no choice"
    edit(over / "gate.json", lambda d: d.update(override=None))
    rehash(over, override=None)
    with pytest.raises(UnderstudyError, match="different overrides"):
        verify_bundle(over)
    request = json.loads((over / "manifest.json").read_text())["provenance"]
    rehash(over, override=None, provenance={**request, "config": {**request["config"], "override": None}})
    with pytest.raises(UnderstudyError, match="cohort and manifest tell of different requests"):
        verify_bundle(over)


def test_what_is_no_bundle(tmp_path: Path, released: Any) -> None:
    with pytest.raises(UsageError, match="a bundle was expected"):
        verify_bundle(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UnderstudyError, match=r"manifest.json is not the manifest of a bundle of schema 3"):
        verify_bundle(tmp_path)
    with pytest.raises(UsageError, match="a public key was expected"):
        verify_bundle(released.bundle, tmp_path / "none.pub")


@pytest.mark.parametrize("name", ["manifest.json", "gate.json", "card.json", "evidence/privacy/results.json"])
def test_other_types_in_a_bundle_are_refused_in_one_sentence(
    plain: Path, tmp_path: Path, rehash: Callable[..., None], name: str
) -> None:
    forged, told = Path(shutil.copytree(plain, tmp_path / "forged")), 0
    good = json.loads((forged / name).read_text())
    others: list[Any] = ["x", 7, [], {}, None, [[]] * 3, {"a": {"b": 1}}, True]
    contents = [
        json.dumps({**good, key: other}) for key in good for other in others if type(other) is not type(good[key])
    ]
    for content in [*contents, "", "[" * 100_000, "[]", "null", "\0"]:
        (forged / name).write_text(content)
        if name != "manifest.json":
            rehash(forged)
        with pytest.raises(UnderstudyError) as refused:
            verify_bundle(forged)
        assert "\n" not in str(refused.value) and len(str(refused.value)) < 900
        told += 1
    assert told > 10
