"""The whole of ``evaluate privacy`` on cohorts whose truth is known."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.result import Result, read_results
from understudy.evaluation.privacy.attacks.setup import ScoreQuery
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.stage import evaluate_privacy

Write = Callable[..., Path]
QUICK = PrivacyConfig(matchers=("pixels", "patches"), bootstrap=100)
pytestmark = pytest.mark.usefixtures("small_bank")
TRAINED_ON = [{"cohort": "x", "splits": ["train"], "subjects": [f"patient{i}" for i in range(4, 16)]}]


def images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 2, 8, 8)).astype(np.uint8)


def named(folder: Path) -> dict[str, Result]:
    return {result.name: result for result in read_results(folder)[0]}


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_injected_copies_are_flagged_and_named(write: Write, real: Path, tmp_path: Path) -> None:
    cohort = Cohort.open(real)
    assert cohort.images is not None
    cases = images(16, seed=1)
    cases[5], cases[9] = cohort.images[11], cohort.images[20]
    synthetic = write("synthetic", cases, trained_on=TRAINED_ON)
    out = evaluate_privacy(real, [synthetic], tmp_path / "out", 0, QUICK.model_copy(update={"worst_pairs": 3}))
    pairs = read(out / "internal" / "pairs.csv")
    assert [row["synthetic_case"] for row in pairs] == [f"synthetic-case{i}" for i in range(16)]
    for i, row in ((5, 11), (9, 20)):
        assert pairs[i]["real_case"] == f"real-case{row}"
        assert pairs[i]["subject"] == f"patient{row // 2}"
        assert float(pairs[i]["r"]) == 1
        assert pairs[i]["flagged"] == "1"
    results = named(out)
    flagged = results["privacy.copies.flagged"]
    assert flagged.value == sum(row["flagged"] == "1" for row in pairs) >= 2
    assert flagged.n == 16
    assert results["privacy.correlation.synthetic.max"].value == 1
    assert 0 < results["privacy.copies.expected"].value < min(flagged.value, 10)
    assert results["privacy.copies.flagged_p"].value < 0.5
    assert results["privacy.swap.p"].value is not None and results["privacy.swap.unseen"].value == 0
    worst = np.load(out / "internal" / "worst_pairs.npz")
    assert np.allclose(worst["r"][:2], 1)
    assert np.array_equal(worst["real"][:2], worst["synthetic"][:2])
    first = [np.abs(worst["real"][0] - cohort.images[row] / 255).max() for row in (11, 20)]
    assert min(first) < 1e-6
    assert (out / "internal" / "INTERNAL.txt").is_file()


def test_independent_noise_is_flagged_by_chance_only(write: Write, tmp_path: Path) -> None:
    subjects, splits = [f"p{i}" for i in range(150)], ["train"] * 50 + ["control"] * 100
    real = write("real", images(150, 0), kind="real", label_source="patient", splits=splits, subjects=subjects)
    synthetic = write("synthetic", images(200, 1))
    results = named(
        evaluate_privacy(real, [synthetic], tmp_path / "out", 0, QUICK.model_copy(update={"false_positive_rate": 0.05}))
    )
    flagged, expected = results["privacy.copies.flagged"], results["privacy.copies.expected"]
    assert flagged.value is not None
    assert flagged.low is not None
    assert flagged.high is not None
    assert expected.value == pytest.approx(10, abs=1.5)
    assert expected.low is not None and expected.high is not None and expected.low < flagged.value < expected.high
    assert results["privacy.swap.p"].value is not None and results["privacy.swap.p"].value > 0.01
    assert flagged.low < flagged.value < flagged.high
    error = 200 * (0.05 * 0.95 * (1 / 100 + 1 / 200)) ** 0.5  # of the threshold's subjects and of the cases
    assert abs(flagged.value - 10) < 2.5 * error
    assert "not recorded" in results["privacy.correlation.synthetic.median"].note


def test_two_cohorts_are_judged_apart(write: Write, real: Path, tmp_path: Path) -> None:
    copied = Cohort.open(real).images
    assert copied is not None
    paths = [write("good", images(10, 1), trained_on=TRAINED_ON), write("bad", copied[8:18], trained_on=TRAINED_ON)]
    results = named(evaluate_privacy(real, paths, tmp_path / "out", 0, QUICK))
    assert results["privacy.synthetic-2.copies.flagged"].value == 10
    assert results["privacy.synthetic-1.correlation.synthetic.max"].value != 1
    pairs = read(tmp_path / "out" / "internal" / "pairs.csv")
    assert [row["synthetic_cohort"] for row in pairs[9:11]] == [Cohort.open(path).id for path in paths]


def test_same_request_is_made_once_and_memory_does_not_matter(write: Write, real: Path, tmp_path: Path) -> None:
    synthetic = write("synthetic", images(8, 1), trained_on=TRAINED_ON)
    out = evaluate_privacy(real, [synthetic], tmp_path / "a", 0, QUICK)
    before = {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.rglob("*") if p.is_file()}
    evaluate_privacy(real, [synthetic], out, 0, QUICK)
    assert before == {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in out.rglob("*") if p.is_file()}
    other = evaluate_privacy(real, [synthetic], tmp_path / "b", 0, QUICK.model_copy(update={"memory_mib": 1}))
    assert {name: content for name, (_, content) in before.items()} == {
        p.name: p.read_bytes() for p in other.rglob("*") if p.is_file()
    }
    with pytest.raises(UsageError, match="another request"):
        evaluate_privacy(real, [synthetic], out, 1)


def test_another_size_is_refused(write: Write, real: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="size"):
        evaluate_privacy(real, [write("small", images(3, 1)[..., :4])], tmp_path / "out", 0)
    assert not (tmp_path / "out").exists()


def test_cohorts_without_label_maps_are_compared(write: Write, real: Path, tmp_path: Path) -> None:
    bare = write("bare", images(10, 1), scheme=None, trained_on=TRAINED_ON)
    out = evaluate_privacy(real, [bare], tmp_path / "out", 0, PrivacyConfig(matchers=("pixels", "lesions")))
    assert named(out)["privacy.copies.flagged"].value is not None
    assert "synthetic_labels" not in np.load(out / "internal" / "worst_pairs.npz")


def test_cohorts_of_label_maps_only_are_skipped_and_it_is_said(write: Write, real: Path, tmp_path: Path) -> None:
    out = evaluate_privacy(real, [write("maps", images(10, 1), label_maps_only=True)], tmp_path / "out", 0)
    results = named(out)
    assert list(results) == ["privacy.copies.flagged", "privacy.attack"]
    assert "attacks read images" in results["privacy.attack"].note
    assert results["privacy.copies.flagged"].value is None
    assert "skipped: one of the cohorts has no images" in results["privacy.copies.flagged"].note
    assert not (out / "internal").exists()


def test_attacks_are_chosen_and_score_queries_are_used(write: Write, real: Path, tmp_path: Path) -> None:
    synthetic = write("synthetic", images(20, 1), trained_on=TRAINED_ON)
    known = ScoreQuery("run 7", lambda cohort, rows: 1.0 * (cohort.column("split")[rows] == "train"))
    config = PrivacyConfig(
        matchers=("pixels", "patches"), attacks=("nearest_pixels", "discriminator"), non_members=("control", "test")
    )
    out = evaluate_privacy(real, [synthetic], tmp_path / "out", 0, config, {"discriminator": known})
    results = named(out)
    measured = {name.removesuffix(".auc") for name in results if name.endswith(".auc")}
    assert measured == {"privacy.attack.nearest_pixels", "privacy.attack.discriminator"}
    assert results["privacy.attack.discriminator.auc"].value == 1
    assert results["privacy.attack.discriminator.auc"].n == 12 + 6 + 4
    assert read_results(out)[1]["inputs"]["score_query.discriminator"] == "run 7"
    with pytest.raises(UsageError, match="another request"):  # without its score_query it is another question
        evaluate_privacy(real, [synthetic], out, 0, config)


def test_score_queries_that_no_attack_uses_are_refused(write: Write, real: Path, tmp_path: Path) -> None:
    paths = [write(name, images(20, 1), trained_on=TRAINED_ON) for name in ("a", "b")]
    score_query = {"denoising_loss": ScoreQuery("x", lambda cohort, rows: rows * 1.0)}
    with pytest.raises(UsageError, match="is of one generator, and 2"):
        evaluate_privacy(real, paths, tmp_path / "out", 0, None, score_query)
    with pytest.raises(UsageError, match="no attack uses the score query 'denoising_loss'"):
        evaluate_privacy(
            real,
            paths[:1],
            tmp_path / "out",
            0,
            PrivacyConfig(matchers=("pixels", "patches"), attacks=("singling_out",)),
            score_query,
        )
    with pytest.raises(ValueError, match="no attack 'guessing'"):
        PrivacyConfig(matchers=("pixels", "patches"), attacks=("guessing",))
    assert not (tmp_path / "out").exists()
