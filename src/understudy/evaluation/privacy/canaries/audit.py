"""The audit: how many planted copies are flagged, by disguise, and how many cases of unseen subjects are.

Many copies: a few hundred in each disguise. Few: ten among ten thousand, most of them strangers in disguise. Left out:
each family of disguises in turn is kept from an encoder, and its copies are sought with that one.
Strangers are the test subjects, whom neither generator nor detector nor calibration has seen.
**Checked** in tests/evaluation/privacy/canaries/test_audit.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from understudy.core.seed import derive, rng
from understudy.evaluation.privacy.canaries.inject import Planted, plant_disguised, plant_lesions, plant_parts
from understudy.evaluation.privacy.copies.cases import Cases, Near, without_subject
from understudy.evaluation.privacy.copies.decision import Found, Verdicts
from understudy.evaluation.privacy.copies.detector import Detector, LeftOut, Settings, left_out
from understudy.evaluation.privacy.copies.matchers import MANY, look
from understudy.evaluation.privacy.copies.transforms import FAMILIES, Disguise

BLOCK = MANY  # of the many strangers at once


@dataclass(frozen=True)
class Recall:
    """Which of some planted copies were flagged.

    Attributes:
        flagged: (N,) mask.
        subjects: (N,) whose cases were copied.
        right: (N,) mask: the nearest case found is of the subject that was copied.
        views: share of the copies that each view alone would have flagged.
    """

    flagged: np.ndarray
    subjects: np.ndarray
    right: np.ndarray
    views: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Audit:
    """What the audit found.

    Attributes:
        recalls: of each disguise.
        left_out: the same for the families of disguises that the encoder had not learned.
        unlearned: unseen cases as they are, to the detector whose encoder had not learned a family.
        strangers: unseen cases as they are: which were flagged, and their subjects.
        disguised: unseen cases in disguise.
        few: flagged among the few copies, and among the many strangers around them.
        skipped: what was not audited, and why.
    """

    recalls: dict[str, Recall]
    left_out: dict[str, Recall]
    unlearned: dict[str, Recall]
    strangers: Recall
    disguised: Recall
    few: tuple[int, int, int, int]
    skipped: list[str]


@dataclass(frozen=True)
class Plan:
    """What is done: copies a disguise, few copies among many strangers, and whether families are left out."""

    copies: int = 200
    few: int = 10
    among: int = 10_000
    left_out: bool = True


def run(
    detector: Detector, strangers: Cases, disguises: Mapping[str, Disguise], settings: Settings, plan: Plan, seed: int
) -> Audit:
    """Audit a detector.

    Args:
        detector: to audit.
        strangers: cases of unseen subjects, with their subjects' numbers.
        disguises: that are planted.
        settings: the detector's.
        plan: how much is planted.
        seed: of all choices.
    """
    training, skipped = detector.gallery.cases, []
    planted = {
        name: plant_disguised(name, one, training, strangers, plan.copies, seed) for name, one in disguises.items()
    }
    planted["part"] = plant_parts(training, strangers, plan.copies, seed)
    if lesions := plant_lesions(training, strangers, plan.copies, seed):
        planted["lesion"] = lesions
    else:
        skipped.append("lesion: no lesion in the training cases, or no room for one in unseen cases")
    seen = look_at(planted, detector)
    recalls = {name: recall(detector.verdicts, planted[name], near, training) for name, near in seen.items()}
    nobody = without_subject(strangers.images, strangers.labels)
    unseen, whose = look(nobody, detector.gallery), strangers.subjects.numpy()
    others = _left_out(detector, disguises, settings, seed) if plan.left_out else {}
    hidden, few = _few(detector, nobody, whose, disguises, plan, seed)
    return Audit(
        recalls,
        _unlearned(others, planted, seen, disguises, training),
        {name: _alarms(one.verdicts.judge(unseen | one.embedded(nobody)), whose) for name, one in others.items()},
        _alarms(detector.verdicts.judge(unseen), whose),
        hidden,
        few,
        skipped,
    )


def look_at(planted: Mapping[str, Planted], detector: Detector) -> dict[str, dict[str, Near]]:
    """Return what each view sees of the copies in each disguise; those without label maps are looked at together."""
    plain = {name: one.cases.images for name, one in planted.items() if one.cases.labels is None}
    together = look(without_subject(torch.cat(list(plain.values()))), detector.gallery)
    ends = np.cumsum([len(images) for images in plain.values()])
    seen = {
        name: {view: near[end - len(images) : end] for view, near in together.items()}
        for (name, images), end in zip(plain.items(), ends.tolist(), strict=True)
    }
    others = {name: one.cases for name, one in planted.items() if name not in plain}
    return seen | {name: look(cases, detector.gallery) for name, cases in others.items()}


def recall(verdicts: Verdicts, planted: Planted, seen: Mapping[str, Near], training: Cases) -> Recall:
    """Return which planted copies are flagged, by what the views saw of them."""
    found, whose = verdicts.judge(dict(seen)), training.subjects.numpy()
    scaled = verdicts.scale({name: near.score for name, near in seen.items()})
    alone = zip(verdicts.scale.names, (scaled > verdicts.threshold.value).mean(1).tolist(), strict=True)
    views = {name: share for name, share in alone if name in seen}
    return Recall(found.flagged, whose[planted.source], whose[found.case] == whose[planted.source], views)


def _few(
    detector: Detector, strangers: Cases, whose: np.ndarray, disguises: Mapping[str, Disguise], plan: Plan, seed: int
) -> tuple[Recall, tuple[int, int, int, int]]:
    """Hide a few copies among many strangers, each in a disguise drawn at random."""
    names = list(disguises)
    which = rng(seed, "audit", "few", "disguises").integers(0, len(names), plan.among)
    rows = rng(seed, "audit", "few", "strangers").integers(0, len(strangers), plan.among)
    draw, flagged = torch.Generator().manual_seed(derive(seed, "audit", "few")), np.zeros(plan.among, bool)
    for start in range(0, plan.among, BLOCK):
        block = slice(start, start + BLOCK)
        shown = strangers.images[rows[block]]
        images = _in_disguise(shown, shown.roll(1, 0), which[block], list(disguises.values()), draw)
        flagged[block] = detector.judge(without_subject(images)).flagged
    training = detector.gallery.cases
    chosen = rng(seed, "audit", "few", "copies").choice(len(training), plan.few)
    wearing = rng(seed, "audit", "few", "worn").integers(0, len(names), plan.few)
    others = strangers.images[np.resize(rows, plan.few)]
    copies = _in_disguise(training.images[chosen], others, wearing, list(disguises.values()), draw)
    found = int(detector.judge(without_subject(copies)).flagged.sum())
    return Recall(flagged, whose[rows], np.zeros(plan.among, bool)), (found, plan.few, int(flagged.sum()), plan.among)


def _in_disguise(
    images: torch.Tensor, others: torch.Tensor, which: np.ndarray, disguises: list[Disguise], draw: torch.Generator
) -> torch.Tensor:
    """Return each image in the disguise that its number names; the others are what is blended in."""
    shown = images.clone()
    for i, disguise in enumerate(disguises):
        rows = torch.from_numpy(np.flatnonzero(which == i))
        if len(rows):
            shown[rows] = disguise.plant(images[rows], others[rows], draw)
    return shown


def _alarms(found: Found, whose: np.ndarray) -> Recall:
    """Return which cases of strangers were flagged."""
    return Recall(found.flagged, whose, np.zeros(len(whose), bool))


def _left_out(
    detector: Detector, disguises: Mapping[str, Disguise], settings: Settings, seed: int
) -> dict[str, LeftOut]:
    """Return for each family of disguises a detector whose encoder has not learned it; none without an encoder."""
    if detector.gallery.encoder is None:
        return {}
    families = [one for one in FAMILIES if any(way.family == one for way in disguises.values())]
    return left_out(detector, families, settings, seed)


def _unlearned(
    others: Mapping[str, LeftOut],
    planted: Mapping[str, Planted],
    seen: Mapping[str, dict[str, Near]],
    disguises: Mapping[str, Disguise],
    training: Cases,
) -> dict[str, Recall]:
    """Return the recall of each disguise by the detector whose encoder has not learned its family."""
    recalls = {}
    for name, way in disguises.items():
        if way.family not in others:
            continue
        other = others[way.family]
        rows = np.flatnonzero(other.gallery.known[torch.from_numpy(planted[name].source)].numpy())
        part = Planted(planted[name].cases[rows], planted[name].source[rows])
        again = {view: near[rows] for view, near in seen[name].items()} | other.embedded(part.cases)
        recalls[name] = recall(other.verdicts, part, again, training)
    return recalls
