"""Who holds the real cohort compares a bundle with it again; what a release would refuse is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.release.recompute import NAME
from understudy.release.verify import verify_bundle


def test_a_bundle_is_compared_again_and_numbers_are_measured_again(bench: Any, monkeypatch: Any) -> None:
    ours, theirs = (np.asarray(Cohort.open(p).images, float).reshape(-1, 1024) for p in (bench.synthetic, bench.real))
    highest = float(np.corrcoef(ours, theirs)[:12, 12:].max())
    evidence = bench.evidence(privacy=[Result(f"{NAME}.max", highest)])
    bundle = release_cohort(bench.synthetic, evidence, bench.root / "bundle", real=bench.real)
    said = verify_bundle(bundle, against=bench.real)
    assert "Compared again with all 60 real cases: no real image" in said and "; 1 numbers of the evidence" in said
    monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(bench.root / "none"))
    assert "The id of the real cohort was not checked, for want of its key." in verify_bundle(bundle, None, bench.real)


def test_other_cohorts_and_something_real_are_refused(bench: Any, released: Any, tmp_path: Path) -> None:
    copied = bench.images.copy()
    copied[5] = Cohort.open(bench.real).images[7]
    cohort = bench.cohort("copies", copied)
    text = (
        (released.bundle / "policy.yaml").read_text().replace("seals:\n  required: true", "seals:\n  required: false")
    )
    (tmp_path / "mild.yaml").write_text(text.replace("real_check:\n  required: true", "real_check:\n  required: false"))
    bundle = release_cohort(cohort, bench.evidence(cohort), tmp_path / "bundle", policy=tmp_path / "mild.yaml")
    assert json.loads((bundle / "gate.json").read_text())["compared"] is None and verify_bundle(bundle)
    with pytest.raises(UnderstudyError, match="hold a real patch"):
        verify_bundle(bundle, against=bench.real)
    with pytest.raises(UsageError, match="--against needs the cohort of real cases, and synthetic is synthetic"):
        verify_bundle(bundle, against=bench.synthetic)
    with pytest.raises(UnderstudyError, match="and the bundle was measured against .*: name that one"):
        verify_bundle(bundle, against=bench.write("other", [f"case-{i:04d}" for i in range(5)]))


def test_a_policy_that_lets_real_images_through_is_the_forgers_own(bench: Any) -> None:
    """Real cases with a little noise, under a policy for which no image is near enough to be one."""
    real = np.asarray(Cohort.open(bench.real).images)[:12].astype(int)
    noisy = np.clip(real + np.random.default_rng(0).integers(-2, 3, real.shape), 0, 255).astype(np.uint8)
    text = read_policy().content.decode()
    text = text.replace("near: 0.995", "near: 1.0").replace("drawn: 0.996", "drawn: 1.0")
    (bench.root / "loose.yaml").write_text(text.replace("label_voxels: 64", "label_voxels: 1000000"))
    cohort = bench.cohort("noisy", noisy)
    about = {"real": bench.real, "policy": bench.root / "loose.yaml"}
    bundle = release_cohort(cohort, bench.evidence(cohort), bench.root / "bundle", **about)
    assert "not one that understudy ships" in verify_bundle(bundle)
    with pytest.raises(UnderstudyError, match="hold a real label map"):
        verify_bundle(bundle, against=bench.real)
    images = bench.cohort("images", noisy, scheme=None, label_source=None)
    bundle = release_cohort(images, bench.evidence(images, "images-"), bench.root / "images-alone", **about)
    with pytest.raises(UnderstudyError, match=r"is a real one, or as good as that .r = \d\.\d+, and .* below 0.995"):
        verify_bundle(bundle, against=bench.real)


def test_other_correlations_than_the_release_told_are_noticed(released: Any, monkeypatch: Any) -> None:
    from understudy.release import against

    def other(*given: Any) -> Any:
        return compare(*given).model_copy(update={"highest_r": 0.1})

    compare = against.compare_with_real
    monkeypatch.setattr(against, "compare_with_real", other)
    with pytest.raises(UnderstudyError, match="says that its highest correlations with 60 real cases are"):
        verify_bundle(released.bundle, released.public, released.bench.real)
