"""The audit: recall by hand, and what an encoder with a family left out was taught."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.evaluation.privacy.calibration import ReferenceScores, calibrate
from understudy.evaluation.privacy.canaries import audit
from understudy.evaluation.privacy.canaries.audit import AuditPlan, recall, run
from understudy.evaluation.privacy.canaries.inject import InjectedCopies, inject_transformed
from understudy.evaluation.privacy.copies import kept, likeness
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, ratio
from understudy.evaluation.privacy.copies.detector import CopyDecision, DetectorSettings, build
from understudy.evaluation.privacy.copies.encoder import Lesson
from understudy.evaluation.privacy.copies.matchers import match
from understudy.evaluation.privacy.copies.transforms import TRANSFORMATIONS, Transformation

APPLIED = {name: TRANSFORMATIONS[name] for name in ("exact", "noise", "mirrored", "blended")}
SETTINGS = DetectorSettings(("pixels", "whole"), list(APPLIED.values()), 10, 0.05, 100)
PLAN = AuditPlan(20, 6, 60)


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch, few_maps: Callable[[int], Tensor]) -> list[set[str]]:
    """The families that encoders were taught; they are quick ones, that see pixels as they are."""
    taught: list[set[str]] = []

    def spy(lesson: Lesson, _: Any) -> nn.Module:
        taught.append({one.family for one in lesson.transformations})
        return nn.Flatten()

    monkeypatch.setattr(kept, "learn", spy)
    monkeypatch.setattr(likeness, "affine_bank", few_maps)
    return taught


def near(case: list[int], first: list[float]) -> NearestTwo:
    return NearestTwo(np.array(case), np.array(first), ratio(np.array(first), np.zeros(len(case))))


def test_recall_by_hand() -> None:
    unseen, whose = np.linspace(0, 0.5, 41), np.arange(41)
    alike = {"pixels": near([0] * 41, unseen.tolist()), "patches": near([0] * 41, unseen.tolist())}
    decision = CopyDecision(alike, whose, "", 0.1, 100, 0)
    blank = torch.zeros(4, 1, 64, 64)
    training = SmallCases(blank, None, torch.tensor([7, 7, 8, 9]))
    injected = InjectedCopies(SmallCases(blank, None, torch.full((4,), -1)), np.array([0, 2, 3, 1]))
    seen = {"pixels": near([1, 2, 0, 1], [0.9, 0.1, 0.8, 0.2]), "patches": near([0, 0, 0, 0], [0.1, 0.1, 0.95, 0.1])}
    found = recall(decision, injected, seen, training)
    assert found.flagged.tolist() == [True, False, True, False]
    assert found.subjects.tolist() == [7, 8, 9, 7]
    assert found.right.tolist() == [True, True, False, True]  # another case of the same subject is right
    assert found.matchers == {"pixels": 0.5, "patches": 0.25}


def test_the_audit(fields, learned: list[set[str]], monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    training, unseen = fields(30, 0, cases=2), fields(10, 1, cases=2, first=500)
    (made,), applied = build(training, fields(60, 2, first=1000), SETTINGS, 0), []
    original = audit._transformed

    def spy(images: Tensor, others: Tensor, *rest: Any) -> Tensor:
        applied.append((images, others))
        return original(images, others, *rest)

    monkeypatch.setattr(audit, "_transformed", spy)
    monkeypatch.setattr(audit, "BLOCK", 25)
    further = fields(2, 3, cases=3, first=700)
    copied = torch.cat([further.images[:3], training.images[:3]])  # of the second subject all cases are copies
    further = SmallCases(copied, None, further.subjects)
    found = run(made, unseen, APPLIED, SETTINGS, PLAN, 0, further)
    assert found.beside.subjects.tolist() == [700] * 3 + [701] * 3
    assert found.beside.flagged[3:].all() and not found.beside.flagged[:3].all()
    assert set(found.recalls) == {*APPLIED, "part"}
    assert set(found.harder) == {"compound_2", "compound_3", "chimera_halves"}
    assert set(found.calibrating.subjects.tolist()) == set(range(1000, 1060))
    assert found.calibrating.flagged.mean() < 0.1
    assert found.skipped == ["lesion: no lesion in the training cases, or no room for one in unseen cases"]
    assert all(len(one.flagged) == 20 for one in found.recalls.values())
    for name in ("exact", "noise", "blended"):
        assert found.recalls[name].flagged.all() and found.recalls[name].right.all()
    assert found.recalls["mirrored"].matchers["whole"] == found.recalls["mirrored"].flagged.mean() > 0.9
    assert set(found.recalls["exact"].subjects.tolist()) <= set(range(30))
    # families: each that is learned is left out once, and is not taught
    assert learned[0] == {"none", "degraded", "turned", "blended"}
    assert [learned[0] - one for one in learned[1:]] == [{"degraded"}, {"blended"}]
    assert set(found.left_out) == {"noise", "blended"}
    assert found.left_out["noise"].flagged.all()
    assert 8 <= len(found.left_out["noise"].flagged) < 20  # of the cases that its encoder knows
    assert set(found.left_out_non_members) == {"degraded", "blended"}
    assert all(one.subjects.tolist() == unseen.subjects.tolist() for one in found.left_out_non_members.values())
    assert max(one.flagged.mean() for one in found.left_out_non_members.values()) < 0.4
    # non-members: each as it is, and many transformed
    assert found.non_members.subjects.tolist() == unseen.subjects.tolist()
    assert found.non_members.flagged.mean() < 0.4
    flagged, few, false_positives, among = found.low_prevalence
    assert (few, among) == (6, 60) and flagged <= 6 and false_positives == found.transformed.flagged.sum() < 20
    assert len(found.transformed.flagged) == 60
    assert set(found.transformed.subjects.tolist()) <= set(range(500, 510))
    assert [len(images) for images, _ in applied] == [25, 25, 10, 6]
    for images, others in applied:
        for image in others:
            assert any(torch.equal(image, one) for one in unseen.images)
        source = training if images is applied[-1][0] else unseen
        assert all(any(torch.equal(image, one) for one in source.images) for image in images)


def test_each_subject_is_judged_by_the_threshold_of_the_others() -> None:
    nearness, subjects = np.array([0.0, 0.1, 0.2, 0.3, 5.0, 5.1]), np.array([1, 2, 3, 4, 5, 5])
    threshold = calibrate(ReferenceScores(nearness, subjects, ""), 0.05, 100, 0)
    assert not (nearness > threshold.value).any()  # the odd subject hides itself
    assert audit.calibrating_cases(threshold).flagged.tolist() == [False] * 4 + [True, True]


def test_looking_at_copies_together_is_looking_at_each(fields) -> None:  # type: ignore[no-untyped-def]
    training, others = fields(20, 0), fields(6, 1, first=500)
    (made,) = build(training, fields(50, 2, first=1000), DetectorSettings(("pixels", "patches"), [], 1, 0.05, 100), 0)
    injected = {
        name: inject_transformed(name, way, training, others, 5 + i, 0) for i, (name, way) in enumerate(APPLIED.items())
    }
    labelled = SmallCases(training.images[:3], torch.zeros(3, 64, 64, dtype=torch.int64), torch.full((3,), -1))
    injected["lesion"] = InjectedCopies(labelled, np.arange(3))
    together = audit.match_injected(injected, made)
    for name, one in injected.items():
        for matcher, near in match(one.cases, made.reference_set).items():
            assert together[name][matcher].case.tolist() == near.case.tolist()
            assert together[name][matcher].first == pytest.approx(near.first, abs=1e-5)


def test_each_image_is_transformed_by_its_number() -> None:
    ways = [Transformation("a", lambda x, _, __: x + 1, None), Transformation("b", lambda x, o, _: x + o, None)]  # type: ignore[arg-type]
    images, others = torch.arange(5.0), torch.arange(5.0) * 10
    shown = audit._transformed(images, others, np.array([1, 0, 1, 0, 0]), ways, torch.Generator())
    assert shown.tolist() == [0, 2, 22, 4, 5]


def test_without_an_encoder_no_family_can_be_left_out(fields) -> None:  # type: ignore[no-untyped-def]
    alone = DetectorSettings(("pixels",), [], 1, 0.05, 100)
    (made,) = build(fields(20, 0), fields(50, 2, first=1000), alone, 0)
    found = run(made, fields(6, 1, first=500), APPLIED, alone, PLAN, 0)
    assert found.left_out == {} and not len(found.beside.flagged)
