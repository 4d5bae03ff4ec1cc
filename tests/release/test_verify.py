"""Every file tampered with is noticed, and so is a verdict, a card or a policy that was edited with its hash."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.cohort import Cohort, file_hash
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result
from understudy.release.card import ReleaseCard, markdown
from understudy.release.package import release_cohort
from understudy.release.verify import verify_bundle


@pytest.fixture
def bundle(bench: Any) -> Path:
    return release_cohort(bench.synthetic, bench.evidence(), bench.root / "bundle", real=bench.real)


@pytest.fixture
def overridden(bench: Any) -> Path:
    flags = [Result("privacy.copies.flagged_p", 0.001)]
    evidence = bench.evidence(privacy=flags, mark="flagged-")
    return release_cohort(bench.synthetic, evidence, bench.root / "over", real=bench.real, override="no choice")


def edit(bundle: Path, name: str, change: Callable[[Any], None]) -> None:
    """Change a JSON file and put its new hash into the manifest, as a careful forger would."""
    data = json.loads((bundle / name).read_text())
    change(data)
    (bundle / name).write_text(json.dumps(data, indent=1) + "\n")
    rehash(bundle, name)


def rehash(bundle: Path, name: str) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text())
    if name in manifest["files"]:
        manifest["files"][name] = file_hash(bundle / name)
        (bundle / "manifest.json").write_text(json.dumps(manifest))


def test_every_changed_missing_or_further_file_is_named(bundle: Path) -> None:
    assert verify_bundle(bundle)
    names = sorted(p.relative_to(bundle).as_posix() for p in bundle.rglob("*.*") if p.name != "manifest.json")
    for name in names:
        file, content = bundle / name, (bundle / name).read_bytes()
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(UnderstudyError, match=f"{name} was changed"):
            verify_bundle(bundle)
        file.unlink()
        with pytest.raises(UnderstudyError, match=f"{name} is missing"):
            verify_bundle(bundle)
        file.write_bytes(content)
    for further in ("internal/pairs.csv", ".hidden", "evidence/privacy/internal.npz"):
        (bundle / further).parent.mkdir(exist_ok=True)
        (bundle / further).write_text("x")
        with pytest.raises(UnderstudyError, match=f"{further} is not in the manifest"):
            verify_bundle(bundle)
        (bundle / further).unlink()
    copy = shutil.copyfile(bundle / "card.md", bundle.parent / "card.md")
    (bundle / "card.md").unlink()
    (bundle / "card.md").symlink_to(copy)
    with pytest.raises(UnderstudyError, match="card.md is a link"):
        verify_bundle(bundle)


def test_content_that_disagrees_is_noticed_though_its_hashes_fit(bundle: Path, tmp_path: Path) -> None:
    def worse(data: Any) -> None:
        next(r for r in data["results"] if r["name"] == "privacy.copies.flagged_p")["value"] = 0.001

    def fewer(data: Any) -> None:
        data["known"]["facts"][1]["value"] = 3

    for name, change, says in (
        ("evidence/privacy/results.json", worse, "judged again, give another verdict"),
        ("gate.json", fewer, "judged again, give another verdict"),
        ("gate.json", lambda d: d["checks"].pop(), "seals or the comparison with the real cohort are not"),
        ("gate.json", lambda d: d["checks"][0].update(found="x"), "the card tells other checks"),
        ("gate.json", lambda d: d["known"].update(real="x"), "against another real cohort"),
        ("gate.json", lambda d: d.pop("known"), "gate.json is not a part of a bundle .*known: Field required"),
        ("card.json", lambda d: d.update(cases=13), "counts other cases.*card.md and card.json differ"),
        ("card.json", lambda d: d.update(cohort="x"), "the cohort's id is not the manifest's"),
        ("card.json", lambda d: d.update(override="x"), "different overrides"),
        ("card.json", lambda d: d["policy"].update(sha256="x"), "not the one that was judged by"),
        ("cohort/cohort.json", lambda d: d["trained_on"][0].update(n_subjects=6), "does not have the id"),
        ("manifest.json", lambda d: d.update(schema_version=9), "a bundle of schema 9"),
        ("manifest.json", lambda d: d.update(policy="x"), "not the one that was judged by"),
    ):
        forged = Path(shutil.copytree(bundle, tmp_path / "forged"))
        edit(forged, name, change)
        with pytest.raises(UnderstudyError, match=says):
            verify_bundle(forged)
        shutil.rmtree(forged)


def test_a_milder_policy_in_its_place_is_noticed(bundle: Path) -> None:
    text = (bundle / "policy.yaml").read_text()
    (bundle / "policy.yaml").write_text(text.replace("at_least: 0.9\n", "at_least: 0.5\n"))
    rehash(bundle, "policy.yaml")
    with pytest.raises(UnderstudyError, match="not the one that was judged by.*another verdict"):
        verify_bundle(bundle)


def test_an_override_cannot_be_rubbed_out(overridden: Path) -> None:
    with pytest.raises(UnderstudyError, match="was released over its policy: 2 limits do not hold .flags left, "):
        verify_bundle(overridden)
    assert Cohort.open(overridden / "cohort").provenance["config"]["override"] == "no choice"
    for name in ("card.json", "gate.json", "manifest.json"):
        edit(overridden, name, lambda d: d.update(override=None))
    with pytest.raises(UnderstudyError, match="different overrides"):
        verify_bundle(overridden)
    edit(overridden, "manifest.json", lambda d: d["provenance"]["config"].update(override=None))
    with pytest.raises(UnderstudyError, match=r"card.md and card.json differ"):
        verify_bundle(overridden)
    (overridden / "card.md").write_text(
        markdown(ReleaseCard.model_validate_json((overridden / "card.json").read_text()))
    )
    rehash(overridden, "card.md")
    with pytest.raises(UnderstudyError, match="2 limits do not hold .flags left, .* Reason given: None"):
        verify_bundle(overridden)


def test_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a bundle was expected"):
        verify_bundle(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(UnderstudyError, match="manifest.json is not a part of a bundle"):
        verify_bundle(tmp_path)


@pytest.mark.parametrize("name", ["manifest.json", "gate.json", "card.json", "evidence/privacy/results.json"])
def test_other_types_in_a_bundle_are_refused_in_one_sentence(bundle: Path, name: str) -> None:
    good = json.loads((bundle / name).read_text())
    others: list[Any] = ["x", 7, [], {}, None, [[]] * 3, {"a": {"b": 1}}, True]
    told = 0
    for key in good:
        for other in [other for other in others if type(other) is not type(good[key])]:
            if other is None and (good[key] is None or key == "seal"):  # without a seal: see test_forgeries.py
                continue
            (bundle / name).write_text(json.dumps({**good, key: other}))
            if name != "manifest.json":
                rehash(bundle, name)
            with pytest.raises(UnderstudyError) as refused:
                verify_bundle(bundle)
            assert "\n" not in str(refused.value) and len(str(refused.value)) < 900
            told += 1
    for content in ("", "[" * 100_000, "[]", "null", "\0"):
        (bundle / name).write_text(content)
        if name != "manifest.json":
            rehash(bundle, name)
        with pytest.raises(UnderstudyError):
            verify_bundle(bundle)
    assert told > 10
