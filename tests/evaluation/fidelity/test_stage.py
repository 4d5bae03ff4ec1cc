"""The fidelity stage end to end on toy cohorts."""

import csv
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.result import read_results
from understudy.evaluation import METRICS
from understudy.evaluation.features import extractor
from understudy.evaluation.fidelity.stage import FidelityConfig, evaluate_fidelity
from understudy.report.reading import ROW_PER_CASE

CONFIG = FidelityConfig(draws=4, subsets=8, subset_size=30, bins=16, grid=9, pairs=20, features="random")
OF_FEATURES = [q.name for metric in METRICS.values() if metric.needs == "features" for q in metric.quantities]
COMPARED = (*OF_FEATURES, "intensity.a", "intensity.b", "spectrum")
SHARES = ("", ".size_matched", ".unseen", ".redrawn")
DISTANCES = ("", ".size_matched", ".unseen", ".unseen_extrapolated", ".redrawn")
FILES = [
    "results.json",
    "tables/fidelity.csv",
    "tables/labels.csv",
    "histograms/01-bright-disc.json",
    "curves/intensity-a.json",
    "curves/intensity-b.json",
    "curves/spectrum-a.json",
    "curves/spectrum-b.json",
    "images/stylegan-2.npz",
    "internal/real.npz",
    "internal/INTERNAL.txt",
    "seal.json",
]


def test_end_to_end_is_reproducible_and_made_once(real: Path, synthetic: Path, tmp_path: Path) -> None:
    first = evaluate_fidelity(real, [synthetic], tmp_path / "first", 0, CONFIG)
    evaluate_fidelity(real, [synthetic], tmp_path / "second", 0, CONFIG)
    assert sorted(str(p.relative_to(first)) for p in first.rglob("*") if p.is_file()) == sorted(FILES)
    for file in FILES:
        assert (first / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    results, provenance = read_results(first)
    disc = "labels.bright-disc"
    better = {q.name: q.better for metric in METRICS.values() for q in metric.quantities}
    endings = [f"{m}{e}" for m in COMPARED for e in (SHARES if better.get(m) == "higher" else DISTANCES)]
    endings += ["inception_score", "ms_ssim", "ms_ssim.real"]
    endings += ["labels.empty", f"{disc}.without"]
    endings += [f"{disc}.{m}{e}" for m in ("wasserstein", "ks") for e in DISTANCES]
    assert [r.name for r in results] == [f"fidelity.{ending}" for ending in endings]
    found = {r.name.removeprefix("fidelity."): r for r in results}
    assert all(found[f"{m}{e}"].note.startswith("128 features of random") for m in OF_FEATURES for e in SHARES)
    assert all("cases are too few for 128" in found[f"frechet{e}"].note for e in DISTANCES)
    assert "real cases of 10 subjects outside the training split" in found["kid.unseen"].note
    assert found["inception_score"].value is None and "not measured: it needs prob" in found["inception_score"].note
    assert provenance["inputs"] == {"real": Cohort.open(real).id, "synthetic": Cohort.open(synthetic).id}
    before = (first / "results.json").stat().st_mtime_ns
    assert (
        evaluate_fidelity(real, [synthetic], first, 0, CONFIG) == first
        and (first / "results.json").stat().st_mtime_ns == before
    )
    with pytest.raises(UsageError, match="made by another request"):
        evaluate_fidelity(real, [synthetic], first, 1, CONFIG)


def test_grids_hold_synthetic_cases_and_real_ones_stay_inside(real: Path, synthetic: Path, tmp_path: Path) -> None:
    out = evaluate_fidelity(real, [synthetic], tmp_path / "out", 0, CONFIG)
    cohort, other = Cohort.open(real), Cohort.open(synthetic)
    with np.load(out / "images" / "stylegan-2.npz") as grid, np.load(out / "internal" / "real.npz") as held:
        assert other.images is not None and np.allclose(grid["images"] * 255, other.images[:9], atol=1e-4)
        assert cohort.images is not None and np.allclose(
            held["images"] * 255, cohort.images[cohort.rows("train")[:9]], atol=1e-4
        )


def test_volumes_and_missing_labels(toy: Callable[..., Path], tmp_path: Path) -> None:
    plain = {"size": 16, "depth": 8, "scheme": None, "label_source": None}
    real = toy(tmp_path / "real", "real", 12, 0, cases=1, splits=("train",), **plain)
    made = toy(tmp_path / "made", "synthetic", 6, 1, cases=1, **plain)
    assert (evaluate_fidelity(real, [made], tmp_path / "out", 0, CONFIG) / "results.json").is_file()


def test_label_maps_alone(real: Path, toy: Callable[..., Path], tmp_path: Path) -> None:
    made = toy(tmp_path / "made", "synthetic", 20, 5, channels=[], generator="mask_gan")
    out = evaluate_fidelity(real, [made], tmp_path / "out", 0, CONFIG)
    found = {r.name: r for r in read_results(out)[0]}
    assert found["fidelity.images"].value is None
    assert found["fidelity.images"].note == "not measured: the synthetic cohort has no images"
    assert found["fidelity.labels.bright-disc.wasserstein.size_matched"].value is not None
    assert not any("frechet" in name for name in found) and not (out / "curves").exists()
    assert not (out / "tables" / "fidelity.csv").exists()
    with np.load(out / "images" / "mask-gan.npz") as grid:
        assert (grid["images"] == 0).all() and (grid["labels"] == Cohort.open(made).labels[:9]).all()  # type: ignore[index]
    reals = toy(tmp_path / "reals", "real", 12, 0, channels=[], splits=("train",))
    both = evaluate_fidelity(reals, [made], tmp_path / "both", 0, CONFIG)
    assert "fidelity.labels.bright-disc.ks" in {r.name for r in read_results(both)[0]}


def test_each_cohort_is_compared_by_what_it_has(real: Path, toy: Callable[..., Path], tmp_path: Path) -> None:
    changes = {"maps": {"channels": []}, "bare": {"scheme": None, "label_source": None}}
    made = [toy(tmp_path / n, "synthetic", 6, 1, generator=n, **c) for n, c in {"both": {}, **changes}.items()]
    out = evaluate_fidelity(real, made, tmp_path / "out", 0, CONFIG)
    found = {r.name: r.value for r in read_results(out)[0]}
    assert (
        all(found[f"fidelity.{n}.kid"] is not None for n in ("both", "bare")) and found["fidelity.maps.images"] is None
    )
    assert (
        all(found[f"fidelity.{n}.labels.empty"] == 0 for n in ("both", "maps"))
        and found["fidelity.bare.labels"] is None
    )
    with pytest.raises(
        UnderstudyError, match="nothing can be compared: the synthetic cohort has no images, and the real"
    ):
        evaluate_fidelity(toy(tmp_path / "r", "real", 9, 0, **changes["bare"]), [made[1]], tmp_path / "no", 0, CONFIG)
    other = toy(tmp_path / "o", "synthetic", 6, 1, channels=[], scheme=LabelScheme(("background", "other"), (0, 1)))
    with pytest.raises(UnderstudyError, match="no images, and the label schemes differ"):
        evaluate_fidelity(real, [other], tmp_path / "no", 0, CONFIG)


def test_no_public_file_has_a_row_for_each_case(real: Path, synthetic: Path, tmp_path: Path) -> None:
    out = evaluate_fidelity(real, [synthetic], tmp_path / "out", 0, CONFIG)
    with (out / "tables" / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and not ROW_PER_CASE & set(rows[0])
    for file in out.glob("histograms/*.json"):
        for panel in json.loads(file.read_text())["panels"]:
            assert len(panel["series"][0]["counts"]) < 45 and min(panel["series"][0]["counts"]) >= 5


def test_the_size_of_a_block_changes_no_number(
    real: Path, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluate_fidelity(real, [synthetic], tmp_path / "whole", 0, CONFIG)
    monkeypatch.setattr(extractor, "VOXELS_PER_BLOCK", 32 * 32 * 7)
    parts = evaluate_fidelity(real, [synthetic], tmp_path / "parts", 0, CONFIG)
    for one, other in zip(read_results(whole)[0], read_results(parts)[0], strict=True):
        assert other.name == one.name and (one.value is None) == (other.value is None)
        assert one.value is None or other.value == pytest.approx(one.value, rel=1e-3, abs=1e-6), one.name


def test_other_features_and_the_cache(real: Path, synthetic: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"features": "encoder", "encoder_updates": 2})
    cache = tmp_path / "cache"
    outs = [evaluate_fidelity(real, [synthetic], tmp_path / n, 0, config, cache=cache) for n in ("first", "again")]
    assert (
        len(list(cache.glob("*.npy"))) == 1 + 3 * 3
    )  # the encoder; features, intensities and spectra of all three sets
    assert outs[0].joinpath("results.json").read_bytes() == outs[1].joinpath("results.json").read_bytes()
    results, provenance = read_results(outs[0])
    assert provenance["config"]["features"] == "encoder" and "cache" not in json.dumps(provenance)
    assert results[0].note.startswith("160 features of encoder") and results[0].value is not None
    plain = evaluate_fidelity(real, [synthetic], tmp_path / "plain", 0, CONFIG)
    found = {r.name: r.value for r in read_results(plain)[0]}
    assert found["fidelity.frechet"] != results[0].value and found["fidelity.spectrum"] is not None
    asked = CONFIG.model_copy(update={"network_classes": "logits"})
    with pytest.raises(UsageError, match="network_classes are for features=torchscript, and features=random was asked"):
        evaluate_fidelity(real, [synthetic], tmp_path / "no", 0, asked)
    refused = {"network": tmp_path / "n.pt"}, {"cache": real / "c"}, {"cache": outs[0] / "internal"}
    for wrong in refused:
        with pytest.raises(UsageError):
            evaluate_fidelity(real, [synthetic], tmp_path / "no", 0, CONFIG, **wrong)
    assert not (tmp_path / "no").exists() and not (real / "c").exists()


SMALL = FidelityConfig(draws=2, subsets=2, subset_size=50, sizes=2, pairs=10, features="random", grid=4)
FEW, MANY = 100, 700
KIB_PER_CASE = (
    8  # its rows: 128 features and copies of them in float64, intensities, spectra, the case table; measured: 4
)


def peak(real: Path, made: Path, out: Path) -> int:
    tracemalloc.start()
    evaluate_fidelity(real, [made], out, 0, SMALL)
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return highest


@pytest.mark.parametrize("growing", ["real", "synthetic"])
def test_memory_grows_with_rows_only(
    growing: str, toy: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extractor, "VOXELS_PER_BLOCK", 64 * 64 * 16)
    other = "synthetic" if growing == "real" else "real"

    def cohort(kind: str, n: int) -> Path:
        return toy(tmp_path / f"{kind}{n}", kind, n // 5, n, size=64, cases=5, splits=("train",))

    fixed, peaks = cohort(other, FEW), {}
    for n in (FEW, MANY):
        sides = {growing: cohort(growing, n), other: fixed}
        peaks[n] = peak(sides["real"], sides["synthetic"], tmp_path / f"out{n}")
    assert (peaks[MANY] - peaks[FEW]) / (MANY - FEW) < KIB_PER_CASE * 1024
