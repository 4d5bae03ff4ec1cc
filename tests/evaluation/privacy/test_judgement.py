"""CopyDetectors of cohorts, label maps, and what is refused or skipped, and why."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from understudy.core.cohort import Cohort
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.evaluation.privacy import judgement
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.copies import detector, label_maps
from understudy.evaluation.privacy.copies.detector import reference_sets
from understudy.evaluation.privacy.copies.transforms import available
from understudy.evaluation.privacy.judgement import (
    CopyDetectors,
    audit_maps,
    judge_images,
    judge_maps,
    judge_swapped,
    numbers,
    settings,
)
from understudy.evaluation.privacy.swap import SwapTest

Write = Callable[..., Path]
CONFIG = PrivacyConfig(matchers=("pixels", "patches"), false_positive_rate=0.1, bootstrap=100, audit_copies=10,
                       audit_low_prevalence=2, audit_among=20)  # fmt: skip

RARE = {"false_positive_rate": 0.001}

pytestmark = pytest.mark.usefixtures("small_bank")


def images(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (n, 2, 8, 8)).astype(np.uint8)


def cohort(write: Write, train: int, control: int, test: int, **changes: Any) -> Cohort:
    splits = ["train"] * train + ["control"] * control + ["test"] * test
    given = {"kind": "real", "label_source": "patient", "splits": splits} | changes
    return Cohort.open(write("real", images(len(splits), 0), **given))


def test_copies_are_flagged_and_what_was_not_looked_at_is_said(write: Write) -> None:
    real = cohort(write, 20, 60, 0)
    assert real.images is not None
    cases = images(12, 1)
    cases[3] = real.images[7]
    detector = CopyDetectors(real, PrivacyConfig(bootstrap=100, matchers=("pixels", "whole", "lesions")), 0).of(
        real.rows("train")
    )
    assert detector is not None
    found = judge_images(Cohort.open(write("synthetic", cases)), detector)
    assert found.scores is not None and found.threshold is not None
    assert found.scores.flagged[3] and found.scores.case[3] == 7
    assert found.scores.p[3] == pytest.approx(1 / 61)
    assert "the encoder of the matcher whole: too few training cases to learn from" in found.skipped


def test_a_detector_is_built_once_for_each_set_of_training_cases(write: Write) -> None:
    real = cohort(write, 12, 6, 0)
    detectors, rows = CopyDetectors(real, CONFIG, 0), real.rows("train")
    assert not detectors.built
    first = detectors.of(rows)
    assert detectors.of(rows.copy()) is first
    assert first is not None
    other = detectors.of(rows[:8])
    assert other is not None and len(other.reference_set.cases) == 8
    assert set(first.control.subjects.tolist()) == set(numbers(real)[real.rows("control")].tolist())
    assert not set(first.reference_set.cases.subjects.tolist()) & set(first.control.subjects.tolist())


@pytest.mark.parametrize(("train", "control"), [(3, 1), (1, 20)])
def test_too_few_subjects_build_no_detector(write: Write, train: int, control: int) -> None:
    real = cohort(write, train, control, 6)
    detectors = CopyDetectors(real, CONFIG, 0)
    assert detectors.of(real.rows("train")) is None
    assert "at least 5 real subjects" in str(detectors.audit(real.rows("train")))


def test_an_audit_needs_five_test_subjects(write: Write) -> None:
    real = cohort(write, 12, 6, 8, subjects=[f"p{i}" for i in range(18)] + ["q0", "q1", "q2", "q3"] * 2)
    detectors = CopyDetectors(real, CONFIG, 0)
    assert detectors.audit(real.rows("train")) == "not audited: 5 test subjects are needed as non-members"


def test_an_audit_injects_among_test_subjects(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = cohort(write, 12, 6, 5), []
    monkeypatch.setattr(judgement, "run", lambda *arguments: asked.append(arguments))
    detectors = CopyDetectors(real, CONFIG, 7)
    made = detectors.of(real.rows("train"))
    detectors.of(real.rows("train")[:6])  # another cohort's, judged before or after
    detectors.audit(real.rows("train"))
    ((detector, unseen, transformations, made_with, plan, seed, beside),) = asked
    assert detector is made and seed == 7
    assert unseen.subjects.tolist() == numbers(real)[real.rows("test")].tolist()
    assert beside is None
    splits = ["train"] * 12 + ["control"] * 6 + ["test"] * 5 + ["validation"] * 3
    real = Cohort.open(write("other", images(26, 0), kind="real", label_source="patient", splits=splits))
    detectors = CopyDetectors(real, CONFIG, 7)
    for rows, n in ((real.rows("train"), 3), (np.r_[real.rows("train"), real.rows("validation")], 0)):
        detectors.audit(rows)
        beside = asked[-1][-1]
        assert (0 if beside is None else len(beside)) == n  # validation subjects, unless copies of them are looked for
    assert (plan.copies, plan.low_prevalence, plan.among) == (10, 2, 20)
    assert "exact" in transformations and made_with.matchers == CONFIG.matchers


def test_an_encoder_that_is_alone_learns_longer(write: Write) -> None:
    assert settings(cohort(write, 2, 50, 5), 1000, CONFIG).updates == 3000  # no fold needs one of its own


def test_settings_learn_all_transformations_but_none(write: Write) -> None:
    made = settings(cohort(write, 12, 6, 5), 300, CONFIG)
    assert "none" not in {one.family for one in made.transformations}
    assert made.updates == CONFIG.updates_for(300) == 900
    assert (made.rate, made.draws) == (0.1, 100)


def test_without_a_detector_nothing_is_judged(write: Write) -> None:
    synthetic = Cohort.open(write("synthetic", images(3, 1)))
    made = judge_images(synthetic, CopyDetectors(cohort(write, 2, 0, 0), CONFIG, 0).of(np.arange(2)))
    assert made.scores is None and made.threshold is None
    assert made.skipped[0].startswith("the detector: two trained subjects, and 5 real ones in all, are needed")


def test_label_maps_that_repeat_are_flagged(write: Write) -> None:
    real = cohort(write, 20, 30, 0)
    assert real.images is not None
    cases = images(8, 1)
    cases[2] = real.images[11][..., ::-1]  # label maps are thresholds of the images
    made = judge_maps(real, Cohort.open(write("synthetic", cases)), real.rows("train"), CONFIG, 0)
    assert not isinstance(made, str) and made.scores is not None
    assert made.scores.flagged[2] and made.scores.case[2] == 11
    assert made.scores.flagged.sum() <= 4


def test_label_maps_whose_classes_were_renumbered_or_merged_are_found(write: Write) -> None:
    real = cohort(write, 20, 30, 0)
    assert real.images is not None and real.scheme is not None
    cases, other = images(8, 1), LabelScheme(("background", "other"), (0, 7))
    cases[2] = real.images[11]
    made = judge_maps(real, Cohort.open(write("synthetic", cases, scheme=other)), real.rows("train"), CONFIG, 0)
    assert not isinstance(made, str) and made.scores is not None and made.scores.flagged[2]
    one, same = label_maps.alike_maps(real, real)
    assert one is real and same is real and one.foreground().scheme == LabelScheme(("background", "foreground"), (0, 1))


def smooth_maps(n: int, seed: int, shape: tuple[int, ...]) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(n, *shape))
    return np.stack([np.digitize(f, np.quantile(f, [0.7, 0.9])) for f in map(smoothed, noise)]).astype(np.uint8)


def smoothed(noise: np.ndarray) -> np.ndarray:
    return np.asarray(ndimage.gaussian_filter(noise, 2))


def written(folder: Path, maps: np.ndarray, splits: Sequence[str]) -> Cohort:
    settings: dict[str, Any] = {"modality": "MR", "size": maps.shape[1:], "channels": (), "dtype": "uint8"}
    settings |= {"scheme": LabelScheme(("background", "core", "edema"), (0, 1, 2))}
    settings |= {"kind": folder.name, "label_source": "patient" if folder.name == "real" else "sampled"}
    with CohortWriter(folder, provenance=Provenance("x", {}, 0), **settings) as writer:
        for i, label in enumerate(maps):
            writer.append(None, label, {"case_id": f"c{i}", "subject_id": f"s{i}", "split": splits[i]})
    return Cohort.open(folder)


def test_label_maps_whose_classes_or_axes_were_exchanged_are_flagged(tmp_path: Path) -> None:
    shape = (32, 32)
    maps = smooth_maps(40, 5, shape)
    real, one = written(tmp_path / "real", maps, ["train", "train", "control"] * 13 + ["train"]), maps[3]
    copies = [np.array(to, np.uint8)[one] for to in ([0, 1, 2], [0, 2, 1], [0, 1, 1], [2, 1, 0])]
    copies += [np.flip(copies[1], 0), one.T]
    shown = np.stack([*copies, *smooth_maps(6, 6, shape)])
    rows = real.rows("train")
    made = judge_maps(real, written(tmp_path / "synthetic", shown, [""] * len(shown)), rows, CONFIG, 0)
    assert not isinstance(made, str) and made.scores is not None
    assert made.scores.flagged[: len(copies)].all() and (rows[made.scores.case[: len(copies)]] == 3).all()
    assert made.scores.flagged[len(copies) :].sum() <= 2


def lumps(n: int, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(n, 64, 64))
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    field = [ndimage.gaussian_filter(one, 4) for one in noise]
    return np.stack([(one / one.std() - 6 * (x * x + y * y) > -0.7) for one in field]).astype(np.uint8)


def test_label_maps_that_were_turned_magnified_or_grown_are_flagged(tmp_path: Path) -> None:
    maps = lumps(80, 0)
    real = written(tmp_path / "real", maps, ["train"] * 20 + ["control"] * 60)
    grown = ndimage.grey_dilation(maps[:10], (1, 3, 3))
    turned = ndimage.rotate(maps[:10], 40, (1, 2), reshape=False, order=0)
    larger = ndimage.zoom(maps[:10], (1, 1.2, 1.2), order=0)[:, 6:70, 6:70]
    synthetic = written(tmp_path / "synthetic", np.concatenate([grown, turned, larger, lumps(30, 1)]), [""] * 60)
    made = judge_maps(real, synthetic, real.rows("train"), CONFIG, 0)
    assert not isinstance(made, str) and made.scores is not None
    found = made.scores.flagged
    assert found[:10].mean() > 0.7 and found[10:20].all() and found[20:30].mean() > 0.8 and found[30:].mean() < 0.25


def test_the_audit_of_label_maps_finds_copies_and_leaves_test_subjects(tmp_path: Path) -> None:
    real = written(tmp_path / "real", lumps(90, 0), ["train"] * 20 + ["control"] * 60 + ["test"] * 10)
    made = audit_maps(real, real.rows("train"), CONFIG.model_copy(update={"audit_copies": 12}), 0)
    assert not isinstance(made, str)
    found = {name: one.flagged.mean() for name, one in made.recalls.items()}
    assert found["as_it_is"] == found["mirrored"] == found["shifted"] == 1 and found["warped_strongly"] < 0.7
    trained = set(numbers(real)[real.rows("train")])
    assert all(len(one.flagged) == 12 and set(one.subjects) <= trained for one in made.recalls.values())
    assert made.recalls["as_it_is"].right.all() and made.non_members.flagged.sum() <= 3
    assert set(made.non_members.subjects) == set(numbers(real)[real.rows("test")])


def test_the_audit_of_label_maps_says_why_there_is_none(write: Write, tmp_path: Path) -> None:
    (tmp_path / "blank").mkdir()
    blank = written(tmp_path / "blank" / "real", np.zeros((70, 64, 64), np.uint8), ["train"] * 60 + ["test"] * 10)
    for real, why in (
        (cohort(write, 20, 30, 0), "5 test subjects are needed"),
        (blank, "the label maps of unseen subjects are all alike"),
        (Cohort.open(write("bare", images(12, 0), scheme=None, label_source=None)), "no label maps"),
    ):
        assert why in str(audit_maps(real, real.rows("train"), CONFIG, 0))


def test_label_maps_as_good_as_equal_are_flagged_whatever_unseen_subjects_show(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cohort(write, 20, 30, 0)
    monkeypatch.setattr(judgement, "RealMaps", lambda maps: label_maps.RealMaps(maps, 16))
    assert real.images is not None
    cases = images(8, 7)
    cases[3] = real.images[4]
    flagged = judge_maps(
        real, Cohort.open(write("synthetic", cases)), real.rows("train"), CONFIG.model_copy(update=RARE), 0
    )
    assert not isinstance(flagged, str) and flagged.scores is not None
    assert flagged.scores.flagged.tolist() == [i == 3 for i in range(8)] and flagged.scores.case[3] == 4


def test_volumes_are_judged_by_the_detector(write: Write) -> None:
    drawn = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(14, 2, 12, 16, 12)), (0, 0, 1, 1, 1))
    volumes = (128 + 127 * drawn / np.abs(drawn).max()).astype(np.uint8)
    splits = ["train"] * 6 + ["control"] * 4
    real = Cohort.open(write("real", volumes[:10], kind="real", label_source="patient", splits=splits))
    shown = volumes[9:13].copy()
    shown[1] = volumes[2, :, ::-1, :, ::-1].transpose(0, 3, 2, 1)
    config = PrivacyConfig(bootstrap=100, matchers=("pixels", "whole"), false_positive_rate=0.1)
    detector = CopyDetectors(real, config, 0).of(real.rows("train"))
    assert detector is not None and detector.reference_set.encoder is None
    found = judge_images(Cohort.open(write("synthetic", shown)), detector)
    assert found.scores is not None and found.scores.flagged[1] and found.scores.case[1] == 2
    assert found.skipped == []
    made = settings(real, 6, config)
    assert len(made.transformations) == len(available(2, 3)) - 1


def test_label_maps_are_skipped_for_a_reason(write: Write) -> None:
    real = cohort(write, 20, 30, 0)
    for name, changes, why in (
        ("bare", {"scheme": None, "label_source": None}, "one of the cohorts has no label maps"),
        (
            "edited",
            {"label_source": "edited patient", "kind": "semi-synthetic"},
            "'edited patient', and repeat patients' by design",
        ),
        ("kept", {"label_source": "patient", "kind": "semi-synthetic"}, "'patient', and repeat"),
    ):
        made = judge_maps(real, Cohort.open(write(name, images(4, 1), **changes)), real.rows("train"), CONFIG, 0)
        assert isinstance(made, str) and made.startswith("skipped") and why in made


def test_label_maps_of_few_subjects_are_withheld(write: Write) -> None:
    real, synthetic = cohort(write, 3, 1, 0), Cohort.open(write("synthetic", images(4, 1)))
    assert "withheld: fewer than 5" in str(judge_maps(real, synthetic, real.rows("train"), CONFIG, 0))


def test_the_encoder_of_the_swap_test_learns_both_sides_alike(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    real = cohort(write, 12, 10, 8)
    rows, learned = real.rows("train"), []
    detectors = CopyDetectors(real, CONFIG, 0)

    def recorded(tasks: Any, made: Any) -> Any:
        learned.append(tasks)
        return reference_sets(tasks, made)

    monkeypatch.setattr(detector, "reference_sets", recorded)
    monkeypatch.setattr(judgement, "reference_sets", recorded)
    synthetic = Cohort.open(write("synthetic", images(12, 1)))
    found = judge_swapped(synthetic, rows, detectors, rows)
    (tasks,) = learned  # all at once
    everyone = {*numbers(real)[rows], *numbers(real)[real.rows("control")]}
    assert isinstance(found, SwapTest) and (found.members, found.non_members) == (12, 10)
    assert set(tasks[-1].cases.subjects.tolist()) == everyone and bool(tasks[-1].known.all())
    assert [set(task.cases.subjects.tolist()) for task in tasks[:-1]] == [set(numbers(real)[rows])] * 4
    some = rows[:-2]  # the generator learned fewer than the detector searches
    found = judge_swapped(synthetic, some, detectors, rows)
    assert isinstance(found, SwapTest) and (found.members, found.non_members) == (10, 10) and len(learned) == 2
    assert judge_swapped(synthetic, some, detectors, rows) == found and len(learned) == 2  # nothing is learned again
    again = CopyDetectors(real, CONFIG, 0)
    assert judge_swapped(synthetic, some, again, rows) == found and len(learned) == 3  # nor what nobody asks for
    assert set(learned[-1][-1].cases.subjects.tolist()) == everyone - set(numbers(real)[rows[-2:]])
