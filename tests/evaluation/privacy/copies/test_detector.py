"""The detector keeps to its rate on unseen subjects, flags copies, and judges nobody by an encoder that knew them."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.evaluation.privacy.copies import detector, kept, likeness
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases
from understudy.evaluation.privacy.copies.detector import FOLDS, DetectorSettings, build, folds, left_out
from understudy.evaluation.privacy.copies.encoder import Lesson
from understudy.evaluation.privacy.copies.matchers import ReferenceSet
from understudy.evaluation.privacy.copies.pairs import PairLesson, PairNetwork
from understudy.evaluation.privacy.copies.transforms import TRANSFORMATIONS

QUICK = ("pixels", "patches")


def settings(*matchers: str, rate: float = 0.05) -> DetectorSettings:
    return DetectorSettings(matchers or QUICK, list(TRANSFORMATIONS.values()), 30, rate, 100)


def strange(images: Tensor) -> SmallCases:
    return SmallCases(images, None, torch.full((len(images),), -1))


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch, few_maps: Callable[[int], Tensor]) -> list[dict[str, Any]]:
    """What encoders were made of; they are quick ones, that see pixels as they are."""
    made: list[dict[str, Any]] = []

    def no_pairs(lesson: PairLesson, _: Any) -> nn.Module:
        encoder, targets = lesson.targets.encoder, lesson.targets
        (of_encoder,) = [one for one in made if one["encoder"] is encoder]
        of_encoder["pairs"] = set(targets.subjects[targets.known].tolist())
        return PairNetwork().eval()

    def spy(lesson: Lesson, _: Any) -> nn.Module:
        encoder = nn.Flatten()
        families = {one.family for one in lesson.transformations}
        subjects_known = set(lesson.subjects.tolist())
        made.append({"encoder": encoder, "subjects": subjects_known, "families": families})
        made[-1] |= {"updates": lesson.updates, "cases": len(lesson.images)}
        assert len(lesson.images) == len(lesson.subjects)
        return encoder

    monkeypatch.setattr(kept, "learn", spy)
    monkeypatch.setattr(kept, "learn_pairs", no_pairs)
    monkeypatch.setattr(likeness, "affine_bank", few_maps)
    return made


@pytest.mark.parametrize("control", [120, 0])
def test_p_values_of_independent_cases_are_super_uniform(fields, control: int) -> None:  # type: ignore[no-untyped-def]
    draws, n, shares = 6, 150, []
    levels = np.array([0.02, 0.05, 0.1, 0.3])
    for draw in range(draws):  # one set of unseen subjects sets one threshold, so several are drawn
        training = fields(60, 10 + draw)
        others = fields(control, 20 + draw, first=1000) if control else training[:0]
        (made,) = build(training, others, settings(), 0)
        p = made.decide(strange(fields(n, 30 + draw).images)).p
        shares.append([(p <= level).mean() for level in levels])
    assert len(made.subjects) == (control or 60)
    # training cases are each other's nearest, so that they count for half as many
    error = np.sqrt(levels * (1 - levels) * (2 / (control or 60) + 1 / n) / draws)
    assert (np.mean(shares, 0) <= levels + 3 * error).all()
    assert np.mean(shares, 0)[3] > 0.2  # and they are no lazy ones


def test_injected_copies_are_flagged_however_many_are_judged_and_in_any_order(
    fields, monkeypatch: pytest.MonkeyPatch, few_maps: Callable[[int], Tensor]
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(detector, "MIN_CALIBRATION", 20)
    monkeypatch.setattr(likeness, "affine_bank", few_maps)
    training, shown, others = fields(30, 0), fields(12, 2).images.clone(), fields(12, 3).images
    (made,) = build(training, fields(24, 1, first=1000), settings("pixels", "whole"), 0)
    draw = torch.Generator().manual_seed(0)
    for i, name in enumerate(("exact", "noise", "mirrored", "shifted", "gamma", "blended")):
        row = torch.tensor([2 * i])
        shown[row] = TRANSFORMATIONS[name].inject(training.images[row + 1], others[row], draw)
    found = made.decide(strange(shown))
    assert found.flagged[::2].all()
    assert found.case[::2].tolist() == [1, 3, 5, 7, 9, 11]
    assert found.p[::2] == pytest.approx(1 / 25)  # the smallest attainable
    assert found.flagged[1::2].sum() <= 2
    order = np.random.default_rng(0).permutation(12)
    again = made.decide(strange(shown[order]))
    assert again.flagged.tolist() == found.flagged[order].tolist()
    assert again.nearness == pytest.approx(found.nearness[order], abs=1e-3)
    alone = [bool(made.decide(strange(shown[i : i + 1])).flagged[0]) for i in (0, 7)]
    assert alone == found.flagged[[0, 7]].tolist()


def test_folds_never_hold_a_subject_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    subjects = np.random.default_rng(0).integers(0, 40, 300)
    parts = folds(subjects, 0)
    assert len(parts) == FOLDS
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(300))
    owners = [set(subjects[part]) for part in parts]
    assert not (owners[0] & owners[1] or owners[0] & owners[2] or owners[1] & owners[2])
    assert [part.tolist() for part in folds(subjects, 0)] == [part.tolist() for part in parts]
    assert set(subjects[folds(subjects, 1)[0]]) != owners[0]
    monkeypatch.setattr(detector, "MAX_CALIBRATION_CASES", 50)
    rows = np.concatenate(folds(subjects, 0))
    assert len(rows) == len(set(rows)) == 50
    assert len(folds(np.array([3, 3, 8, 8]), 0)) == 2


def test_cross_fitted_encoders_never_saw_the_subjects_they_judge(
    fields, learned: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:  # type: ignore[no-untyped-def]
    judged: list[tuple[set[int], ReferenceSet]] = []
    looked = detector.match

    def spy(queries: SmallCases, reference_set: ReferenceSet) -> dict[str, NearestTwo]:
        judged.append((set(queries.subjects.tolist()), reference_set))
        return looked(queries, reference_set)

    monkeypatch.setattr(detector, "match", spy)
    training, control = fields(30, 0, cases=2), fields(10, 1, first=1000)
    (made,) = build(training, control, settings("pixels", "whole"), 0)
    assert len(judged) == 1 + FOLDS
    knew = {id(one["encoder"]): one["subjects"] for one in learned}
    assert len(knew) == 1 + FOLDS
    assert all(one["pairs"] == one["subjects"] for one in learned)  # nor has a pair network
    for subjects, reference_set in judged:
        assert reference_set.encoder is not None
        assert not subjects & knew[id(reference_set.encoder)]
        assert knew[id(reference_set.encoder)] == set(training.subjects[reference_set.known].tolist())
    assert set.union(*(subjects for subjects, _ in judged)) == set(range(30)) | set(range(1000, 1010))
    assert learned[0]["subjects"] == set(range(30))
    assert [one["updates"] for one in learned] == [30, 20, 20, 20]
    assert set(made.decision.scale.names) == {"whole"}
    assert "training subjects (60 cases, cross-fitted)" in made.decision.threshold.reference.note
    assert len(made.subjects) == 70


def test_many_control_subjects_calibrate_alone(fields, learned: list[dict[str, Any]]) -> None:  # type: ignore[no-untyped-def]
    (made,) = build(fields(48, 0), fields(50, 1, first=1000), settings("pixels", "whole"), 0)
    assert len(learned) == 1
    assert made.subjects.tolist() == list(range(1000, 1050))
    assert "training subjects" not in made.decision.threshold.reference.note
    assert len(build(fields(45, 0), fields(49, 1, first=1000), settings("pixels"), 0)[0].subjects) == 49 + 45


def test_too_few_cases_for_the_encoder_of_a_fold_mean_no_encoder(fields, learned: list[dict[str, Any]]) -> None:  # type: ignore[no-untyped-def]
    (few,) = build(fields(40, 0), fields(8, 1, first=1000), settings("pixels", "whole"), 0)  # 26 in the smallest
    assert not learned and few.reference_set.encoder is None
    assert few.decision.scale.names == ("whole",)
    assert not few.decide(strange(fields(3, 2).images)).flagged.all()
    (enough,) = build(fields(48, 0), fields(8, 1, first=1000), settings("pixels", "whole"), 0)  # 32
    assert len(learned) == 1 + FOLDS
    assert enough.decision.scale.names == ("whole",)
    assert enough.reference_set.encoder is not None


@pytest.mark.parametrize("control", [0, 8, 50])
def test_left_out_knows_neither_the_family_nor_a_fold(fields, learned: list[dict[str, Any]], control: int) -> None:  # type: ignore[no-untyped-def]
    training = fields(30, 0, cases=2)
    wanted = settings("pixels", "whole")
    (made,) = build(training, fields(control, 1, first=1000) if control else training[:0], wanted, 0)
    before = len(learned)
    other = left_out(made, ["moved"], wanted, 0)["moved"]
    (last,) = learned[before:]
    assert all("moved" in one["families"] for one in learned[:before])
    assert "moved" not in last["families"] and "warped" in last["families"]
    fold = set(training.subjects.numpy()[folds(training.subjects.numpy(), 0)[0]].tolist())
    assert last["subjects"] == set(range(30)) - fold
    assert other.decision.threshold == made.decision.threshold  # the other matchers' levels and the threshold stay
    assert other.decision.scale.levels["whole"] != made.decision.scale.levels["whole"]
    near = other.again(strange(training.images))["whole"]
    assert not set(training.subjects.numpy()[near.case].tolist()) & fold
    assert last["updates"] == round(30 / 3 * last["cases"] / len(training))
    left_out(made, ["moved"], replace(wanted, updates=3000), 0)
    assert learned[-1]["updates"] == round(500 * last["cases"] / len(training))
