"""Distances of label statistics: closed forms, baselines, few subjects, and what is told of real cases."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.result import Result
from understudy.core.writer import CohortWriter
from understudy.evaluation.fidelity.config import FidelityConfig
from understudy.evaluation.fidelity.image_distances import CaseSet
from understudy.evaluation.fidelity.label_distances import (
    TABLE,
    LabelFindings,
    compare_labels,
    kolmogorov_smirnov,
    wasserstein,
)

SCHEME = LabelScheme(("background", "brain", "lesion"), (0, 1, 2))
CONFIG = FidelityConfig(draws=10, label_bins=12)


def test_wasserstein_of_a_shift_is_the_shift_and_of_uniform_samples_known() -> None:
    values = np.random.default_rng(0).normal(0, 2, 500)
    assert wasserstein(real=values, synthetic=values + 3, scale=2.0).value == pytest.approx(1.5)
    assert wasserstein(real=values, synthetic=values[::-1]).value == 0
    # uniform on [0, 1] against uniform on [0, 2]: the quantiles differ by q, 1 / 2 on average
    grid = (np.arange(1000) + 0.5) / 1000
    assert wasserstein(real=grid, synthetic=2 * grid).value == pytest.approx(0.5)


def test_kolmogorov_smirnov_is_the_largest_difference_of_the_distributions() -> None:
    grid = (np.arange(1000) + 0.5) / 1000
    assert kolmogorov_smirnov(real=grid, synthetic=2 * grid).value == pytest.approx(0.5)
    assert kolmogorov_smirnov(real=grid, synthetic=grid).value == 0
    assert kolmogorov_smirnov(real=grid, synthetic=grid + 5).value == 1


def write(
    out: Path,
    kind: str,
    subjects: int,
    seed: int,
    *,
    low: int = 3,
    empty: int = 0,
    cases: int = 2,
    bare: int = 0,
    control: int = 0,
) -> Cohort:
    """Maps of a brain (not in the first `bare` subjects) with a square lesion, sides low..low + 5; some are empty."""
    random = np.random.default_rng(seed)
    settings: dict[str, Any] = {"kind": kind, "modality": "MR", "size": (32, 32), "channels": [], "dtype": "uint8"}
    source = "patient" if kind == "real" else "sampled"
    with CohortWriter(
        out, **settings, scheme=SCHEME, label_source=source, provenance=Provenance("t", {}, seed)
    ) as writer:
        for i in range(subjects):
            for j in range(cases):
                label = np.zeros((32, 32), np.uint8)
                if i * cases + j >= empty:
                    label[4:28, 4:28] = i >= bare
                    side = random.integers(low, low + 6)
                    y, x = random.integers(6, 24 - side, 2)
                    label[y : y + side, x : x + side] = 2
                row = {"case_id": f"{kind}-{i}-{j}", "subject_id": f"{kind}-{i}"}
                split = ("control" if i >= subjects - control else "train") if kind == "real" else ""
                writer.append(None, label, row | {"split": split})
    return Cohort.open(out)


def compare(real: Cohort, *others: Cohort, config: FidelityConfig = CONFIG) -> LabelFindings:
    sides = [CaseSet(f"s{i}", f"fidelity.s{i}", other, other.rows()) for i, other in enumerate(others)]
    ours, unseen = (CaseSet(n, "", real, real.rows(s)) for n, s in (("real", "train"), ("unseen", "control")))
    return compare_labels(ours, unseen, sides, config, 0)


def by_name(found: LabelFindings) -> dict[str, Result]:
    return {result.name: result for result in found.results}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> LabelFindings:
    folder = tmp_path_factory.mktemp("labels")
    real, near = write(folder / "r", "real", 36, 0, control=12), write(folder / "n", "synthetic", 40, 1)
    return compare(real, near, write(folder / "f", "synthetic", 40, 2, low=7, empty=20))


def test_new_cases_lie_near_unseen_subjects_and_larger_lesions_do_not(found: LabelFindings) -> None:
    results = by_name(found)
    for distance in ("wasserstein", "ks"):
        near, far = (results[f"fidelity.s{i}.labels.lesion.{distance}.size_matched"].value or 0 for i in (0, 1))
        unseen, again = (results[f"fidelity.s{i}.labels.lesion.{distance}.unseen"] for i in (0, 1))
        assert unseen.value and unseen.low and near < 2 * unseen.value < far and 0 < unseen.low < unseen.value
        assert unseen.value == again.value and unseen.n == again.n <= 24
        redrawn, new = (
            results[f"fidelity.s0.labels.lesion.{distance}.{k}"].value or 0 for k in ("redrawn", "unseen_extrapolated")
        )
        assert 0 < redrawn < unseen.value and new <= unseen.value
    assert results["fidelity.s0.labels.lesion.wasserstein"].unit == "SD"
    assert "not recorded" in results["fidelity.s0.labels.lesion.ks.size_matched"].note
    assert "not recorded" not in results["fidelity.s0.labels.lesion.ks.unseen"].note


def test_cases_without_a_class_and_empty_maps_are_counted(found: LabelFindings) -> None:
    results = by_name(found)
    assert results["fidelity.s0.labels.empty"].value == 0 and results["fidelity.s1.labels.empty"].value == 20 / 80
    without = results["fidelity.s1.labels.lesion.without"]
    assert without.value == 20 / 80 and "real 0.000" in without.note and without.n == 80


def test_the_table_holds_every_statistic(found: LabelFindings) -> None:
    rows = [dict(zip(TABLE, row, strict=True)) for row in found.rows]
    assert len(rows) == 2 * 2 * 8 and {row["class"] for row in rows} == {"brain", "lesion"}
    volume = next(r for r in rows if (r["cohort"], r["class"], r["statistic"]) == ("s1", "lesion", "volume"))
    assert volume["unit"] == "pixels" and volume["n_real"] == 48 and volume["n_synthetic"] == 60
    expected = abs(volume["mean"] - volume["real_mean"]) / volume["real_sd"]  # one-sided: the difference of the means
    assert volume["wasserstein"] == pytest.approx(expected, rel=0.05) and volume["unseen"] < volume["size_matched"] / 2
    extent = next(r for r in rows if (r["class"], r["statistic"]) == ("brain", "extent width"))
    assert extent["real_sd"] == 0 and extent["wasserstein"] == 0 and "do not differ" in extent["note"]


def test_histograms_stand_by_class(found: LabelFindings) -> None:
    assert list(found.histograms) == ["01-brain", "02-lesion"]
    panel = found.histograms["02-lesion"]["panels"][0]
    assert [s["name"] for s in panel["series"]] == ["real", "s0", "s1"] and min(panel["series"][0]["counts"]) >= 5


def test_a_class_of_few_subjects_tells_nothing_real(tmp_path: Path) -> None:
    real = write(tmp_path / "r", "real", 12, 0, bare=8)
    found = compare(real, write(tmp_path / "s", "synthetic", 12, 1))
    results = by_name(found)
    for distance in ("wasserstein", "ks"):
        held = results[f"fidelity.s0.labels.brain.{distance}"]
        assert held.value is None and "withheld: 4 real subjects" in held.note
    assert "real withheld" in results["fidelity.s0.labels.brain.without"].note
    assert {row[1] for row in found.rows} == {"lesion"} and list(found.histograms) == ["02-lesion"]


def test_a_class_that_is_never_drawn_is_said_to_be(tmp_path: Path) -> None:
    real = write(tmp_path / "r", "real", 12, 0)
    results = by_name(compare(real, write(tmp_path / "s", "synthetic", 6, 1, bare=6)))
    assert results["fidelity.s0.labels.brain.without"].value == 1
    held = results["fidelity.s0.labels.brain.ks"]
    assert held.value is None and "0 synthetic cases have the class" in held.note


def test_spacing_makes_volumes_mm(tmp_path: Path, toy: Callable[..., Path]) -> None:
    real, made = write(tmp_path / "r", "real", 12, 0), write(tmp_path / "s", "synthetic", 12, 1)
    real._table["spacing"] = ["2 0.5"] * len(real)
    in_mm, in_pixels = compare(real, made), compare(made_real(real), made)
    volumes = [next(r for r in f.rows if r[1:3] == ["lesion", "volume"]) for f in (in_mm, in_pixels)]
    assert volumes[0][3] == "mm2" and volumes[1][3] == "pixels" and volumes[0][4:] == volumes[1][4:]


def made_real(cohort: Cohort) -> Cohort:
    """The same cohort, its spacings forgotten."""
    again = Cohort.open(cohort.path)
    assert not any(again.column("spacing"))
    return again


def test_the_larger_the_lesions_the_farther(tmp_path: Path) -> None:
    real = write(tmp_path / "real", "real", 24, 0)
    made = [write(tmp_path / f"from-{low}", "synthetic", 24, 1, low=low) for low in (3, 5, 7, 9)]
    results = by_name(compare(real, *made, config=CONFIG.model_copy(update={"draws": 2})))
    for distance in ("wasserstein", "ks"):
        values = [results[f"fidelity.s{i}.labels.lesion.{distance}"].value or 0 for i in range(4)]
        assert all(a < b for a, b in zip(values, values[1:], strict=False)), values
