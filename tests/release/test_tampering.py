"""With the signer's key every tampered bundle is refused: bits, files, links, and whatever was made anew.

One bit in each of many bytes here; ``benchmarks/tampering.py`` flips one in every byte, and 10,000 of a real bundle.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.result import Result
from understudy.data.seal import content_id
from understudy.release.bundle import MANIFEST, Manifest
from understudy.release.package import release_cohort
from understudy.release.signature import SIGNATURE, new_key, open_signer
from understudy.release.verify import verify_bundle


@pytest.fixture
def copy(released: Any, tmp_path: Path) -> Path:
    return released.copy(tmp_path / "copy")


def refused(released: Any, bundle: Path, says: str, key: bool = True) -> None:
    with pytest.raises(UnderstudyError, match=says) as error:
        verify_bundle(bundle, released.public if key else None)
    assert "\n" not in str(error.value)


def flip(file: Path, place: int) -> bytes:
    """Flip a bit of one byte of a file, and return the file as it was."""
    content = file.read_bytes()
    spoilt = bytearray(content)
    spoilt[place] ^= 1 << place % 8
    file.write_bytes(spoilt)
    return content


def test_one_bit_of_the_manifest_or_its_signature(released: Any, copy: Path) -> None:
    size = (copy / MANIFEST).stat().st_size
    for place in range(0, size, 7):
        content = flip(copy / MANIFEST, place)
        refused(released, copy, "is not as the signer .* signed it")
        if place % 3 == 0:  # which holds together without a key as well
            refused(released, copy, r"manifest.json (is not the manifest|does not have its own digest)", key=False)
        (copy / MANIFEST).write_bytes(content)
    for place in range(64):
        content = flip(copy / SIGNATURE, place)
        refused(released, copy, "is not as the signer .* signed it")
        (copy / SIGNATURE).write_bytes(content)
    flip(copy / SIGNATURE, 5)
    refused(released, copy, "manifest.sig is not of the signer that manifest.json names", key=False)


def test_one_bit_of_every_other_file(released: Any, copy: Path) -> None:
    manifest = Manifest.model_validate_json((copy / MANIFEST).read_text())
    assert len(manifest.files) == 18
    for name in manifest.files:
        size = (copy / name).stat().st_size
        for place in {0, size // 2, size - 1}:
            content = flip(copy / name, place)
            refused(released, copy, f"{name} was changed")
            refused(released, copy, f"{name} was changed", key=False)
            (copy / name).write_bytes(content)
    assert verify_bundle(copy, released.public)


def replaced_by_a_link(bundle: Path, name: str) -> None:
    moved = shutil.move(bundle / name, bundle.parent / "moved")
    (bundle / name).symlink_to(moved)


def replaced_by_a_pipe(bundle: Path, name: str) -> None:
    (bundle / name).unlink()
    os.mkfifo(bundle / name)


STRUCTURE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "removed": (lambda b: (b / "card.md").unlink(), "card.md is missing"),
    "signature removed": (lambda b: (b / SIGNATURE).unlink(), "is not signed"),
    "added": (lambda b: (b / "notes.md").write_text("x"), "notes.md is not in the manifest"),
    "hidden": (lambda b: (b / ".hidden").write_text("x"), ".hidden is not in the manifest"),
    "inside": (lambda b: (b / "evidence" / "internal.npz").write_text("x"), "internal.npz is not in the manifest"),
    "renamed": (lambda b: (b / "card.md").rename(b / "Card.md"), "Card.md is not in the manifest; card.md is missing"),
    "swapped": (
        lambda b: (b / "card.md").rename(b / "x") and (b / "card.json").rename(b / "card.md")
        and (b / "x").rename(b / "card.json"),
        "card.json was changed; card.md was changed",
    ),
    "an empty folder": (lambda b: (b / "Jane Doe").mkdir(), "Jane Doe is an empty folder"),
    "a folder for a file": (lambda b: ((b / "card.md").unlink(), (b / "card.md").mkdir()), "card.md is an empty fold"),
    "a linked file": (lambda b: replaced_by_a_link(b, "card.md"), "card.md is a link"),
    "a linked folder": (lambda b: replaced_by_a_link(b, "evidence"), "evidence is a link"),
    "a linked manifest": (lambda b: replaced_by_a_link(b, MANIFEST), "manifest.json is a link"),
    "a linked signature": (lambda b: replaced_by_a_link(b, SIGNATURE), "manifest.sig is a link"),
    "a pipe": (lambda b: replaced_by_a_pipe(b, "policy.yaml"), "policy.yaml is no regular file"),
    "a pipe for a manifest": (lambda b: replaced_by_a_pipe(b, MANIFEST), "expected at .*manifest.json, found a pipe"),
    "a further pipe": (lambda b: os.mkfifo(b / "pipe"), "pipe is no regular file"),
    "longer": (lambda b: (b / SIGNATURE).write_bytes((b / SIGNATURE).read_bytes() + b"x"), "is not as the signer"),
}  # fmt: skip


@pytest.mark.parametrize("name", STRUCTURE)
def test_files_that_were_removed_added_renamed_or_linked(released: Any, copy: Path, name: str) -> None:
    change, says = STRUCTURE[name]
    change(copy)
    refused(released, copy, says)
    with pytest.raises(UnderstudyError):
        verify_bundle(copy)


def test_a_bundle_of_another_signer(released: Any, copy: Path, tmp_path: Path) -> None:
    new_key(tmp_path / "forger")
    signer = open_signer(tmp_path / "forger", copy)
    released.rehash(copy, signer=signer.public)
    (copy / SIGNATURE).write_bytes(signer.sign((copy / MANIFEST).read_bytes()))
    refused(released, copy, "is not as the signer .* signed it")
    refused(released, copy, "manifest and request tell different forms or signers", key=False)
    for content in (signer.sign(b"other"), b"", b"x" * 64):
        (copy / SIGNATURE).write_bytes(content)
        refused(released, copy, "is not as the signer .* signed it")


def test_a_signature_over_a_manifest_that_names_another_signer(released: Any, copy: Path) -> None:
    released.rehash(copy, signer="0" * 64)
    signer = open_signer(released.key, copy)
    (copy / SIGNATURE).write_bytes(signer.sign((copy / MANIFEST).read_bytes()))
    refused(released, copy, "names the signer 0000")


def test_what_a_forger_makes_anew_is_only_whole(released: Any, bench: Any, tmp_path: Path) -> None:
    """A real cohort that calls itself synthetic, under a policy and evidence of the forger's own."""
    real = Cohort.open(bench.real)
    stolen = bench.cohort("stolen", np.asarray(real.images)[:12])
    text = (released.bundle / "policy.yaml").read_text().replace("required: true", "required: false")
    (tmp_path / "mild.yaml").write_text(text)
    new_key(tmp_path / "forger")
    forged = release_cohort(
        stolen, bench.evidence(stolen), tmp_path / "forged", policy=tmp_path / "mild.yaml", sign=tmp_path / "forger"
    )
    assert "Integrity only, anyone could have made this" in verify_bundle(forged)
    assert "not one that understudy ships" in verify_bundle(forged)
    refused(released, forged, "is not as the signer .* signed it")
    with pytest.raises(UnderstudyError, match="hold a real patch"):
        verify_bundle(forged, against=bench.real)


def test_evidence_and_cohort_of_another_release(released: Any, copy: Path, bench: Any) -> None:
    other = release_cohort(bench.synthetic, bench.evidence(), bench.root / "other", real=bench.real)
    for name in ("evidence", "cohort", "policy.yaml"):
        mixed = bench.root / "mixed"
        shutil.copytree(copy, mixed)
        shutil.rmtree(mixed / name) if (mixed / name).is_dir() else (mixed / name).unlink()
        (shutil.copytree if (other / name).is_dir() else shutil.copyfile)(other / name, mixed / name)
        (mixed / "policy.yaml").write_text((mixed / "policy.yaml").read_text() + "# milder\n")
        refused(released, mixed, "does not verify .files.")
        released.rehash(mixed)
        refused(released, mixed, "is not as the signer .* signed it")
        shutil.rmtree(mixed)
    whole = bench.root / "whole"
    shutil.copytree(other, whole)
    shutil.copyfile(released.bundle / SIGNATURE, whole / SIGNATURE)
    refused(released, whole, "is not as the signer .* signed it")


def test_a_signed_override_fails_for_ever(released: Any, bench: Any) -> None:
    evidence = bench.evidence(privacy=[Result("privacy.copies.flagged_p", 0.001)])
    more = {"real": bench.real, "sign": released.key, "override": "no choice"}
    over = release_cohort(bench.synthetic, evidence, bench.root / "over", **more)
    refused(released, over, "is whole, and was released over its policy: 2 limits")


def test_the_same_request_is_made_once_and_another_signer_is_another_request(released: Any, tmp_path: Path) -> None:
    bench = released.bench
    before = (released.bundle / SIGNATURE).stat().st_mtime_ns
    release_cohort(bench.synthetic, released.evidence, released.bundle, real=bench.real, sign=released.key)
    assert (released.bundle / SIGNATURE).stat().st_mtime_ns == before
    again = release_cohort(bench.synthetic, released.evidence, tmp_path / "b", real=bench.real, sign=released.key)
    for file in sorted(p for p in again.rglob("*") if p.is_file()):
        assert file.read_bytes() == (released.bundle / file.relative_to(again)).read_bytes(), file
    with pytest.raises(UnderstudyError, match="made by another request"):
        release_cohort(bench.synthetic, released.evidence, released.bundle, real=bench.real)
    assert json.loads((again / MANIFEST).read_text())["signer"] == released.digits


def test_values_that_no_release_writes_are_refused_and_no_fault(released: Any, tmp_path: Path) -> None:
    def refuse(name: str, change: Callable[[Any], Any], says: str) -> None:
        bundle = released.copy(tmp_path / "forged")
        told, more = json.loads((bundle / name).read_text()), {}
        change(told)
        (bundle / name).write_text(json.dumps(told))
        if name == "cohort/cohort.json" and "a whole" not in says:
            more["cohort"] = told["id"] = content_id(Cohort.open(bundle / "cohort"), None)
            (bundle / name).write_text(json.dumps(told))
        released.rehash(bundle, **more)
        refused(released, bundle, f"does not verify .content.: .*{says}", key=False)
        shutil.rmtree(bundle)

    results, cohort, huge = "evidence/privacy/results.json", "cohort/cohort.json", 10**400
    refuse(results, lambda d: [one.update(n=huge) for one in d["results"]], "a whole number of at most 256 bits")
    refuse(results, lambda d: d["provenance"]["config"].update(false_positive_rate=huge), "a whole number of at most")
    refuse(
        cohort, lambda d: d.update(sampling={"differential_privacy": {"epsilon": huge}}), "a whole number of at most"
    )
    for wrong in ("x", {"threshold": "x"}, {"threshold": [1]}):
        value = {"away_from": wrong}
        refuse(cohort, lambda d, value=value: d.update(sampling=value), "a value in it is none that a release writes")


def test_numbers_that_no_evaluation_writes_are_refused_by_a_release(bench: Any) -> None:
    evidence = bench.evidence()
    for change in (
        lambda d: [one.update(n=10**400) for one in d["results"]],
        lambda d: d["provenance"]["config"].update(false_positive_rate=10**400),
    ):
        told = json.loads((file := evidence[0] / "results.json").read_text())
        before = file.read_bytes()
        change(told)
        file.write_text(json.dumps(told))
        bench.sealed(evidence[0])
        with pytest.raises(UnderstudyError, match="a whole number of at most 256 bits was expected"):
            release_cohort(bench.synthetic, evidence, bench.root / "out", real=bench.real)
        file.write_bytes(before)
