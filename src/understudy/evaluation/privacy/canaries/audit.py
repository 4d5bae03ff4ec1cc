"""The canary audit: how many injected copies are flagged, by transformation, and how many cases of non-members are.

**Recall**: a hundred copies of each transformation, of compounds of two and three, and of chimeras of two patients.
**Low prevalence**: ten copies among thousands of cases of non-members, all transformed. **Left out**: an encoder is
trained without one family of transformations, and the copies of that family are sought with it; so for each family.
Non-members are the test subjects, whom neither generator nor detector nor calibration has seen. **False positives** are
counted over these, over validation subjects, and over all subjects that calibrate, each left out of the threshold once.
**Label maps** have a search of their own, audited by copies of training subjects' maps, each changed in one way.
**Checked** in tests/evaluation/privacy/canaries/test_audit.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from understudy.core.seed import derive, rng
from understudy.evaluation.privacy.calibration import ReferenceScores, Threshold
from understudy.evaluation.privacy.canaries.inject import (
    InjectedCopies,
    Recipe,
    draw_sources,
    inject_lesions,
    inject_parts,
    inject_transformed,
    map_changes,
)
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, without_subject
from understudy.evaluation.privacy.copies.decision import CopyDecision
from understudy.evaluation.privacy.copies.detector import CopyDetector, DetectorSettings, LeftOutDetector, left_out
from understudy.evaluation.privacy.copies.label_maps import MapDetector, RealMaps, cleaned
from understudy.evaluation.privacy.copies.matchers import MANY, match
from understudy.evaluation.privacy.copies.transforms import FAMILIES, Transformation, harder

BLOCK = MANY  # of the low-prevalence test, cases at once


@dataclass(frozen=True)
class AuditedCases:
    """Which of N audited cases were flagged."""

    flagged: np.ndarray  # (N,) mask
    subjects: np.ndarray  # (N,) whose cases they are, or copy
    right: np.ndarray  # (N,) mask: the nearest case found is of the subject that was copied
    matchers: dict[str, float] = field(default_factory=dict)  # share of the copies that each alone would have flagged
    nearness: np.ndarray | None = None  # (N,) where other thresholds can be asked


@dataclass(frozen=True)
class AuditResult:
    """The result of the audit."""

    recalls: dict[str, AuditedCases]  # injected copies of each transformation
    left_out: dict[str, AuditedCases]  # the same, by detectors whose encoder had not learned the family of each
    left_out_non_members: dict[str, AuditedCases]  # non-members' cases as they are, by these detectors
    non_members: AuditedCases  # the same, by the detector
    beside: AuditedCases  # cases of further unseen subjects, by the detector
    calibrating: AuditedCases  # cases of the subjects that calibrated it, each by the threshold that the others set
    harder: dict[str, AuditedCases]  # injected compounds and chimeras, and a steward's own transformations
    threshold: Threshold
    transformed: AuditedCases  # non-members' cases, transformed
    low_prevalence: tuple[int, int, int, int]  # flagged copies, copies; flagged cases of non-members, cases
    skipped: list[str]  # what was not audited, and why


@dataclass(frozen=True)
class MapAudit:
    """The result of the audit of label maps."""

    recalls: dict[str, AuditedCases]  # copies of training cases' maps, by how they were changed
    non_members: AuditedCases  # maps of test subjects, as they are
    threshold: Threshold


@dataclass(frozen=True)
class AuditPlan:
    """What is injected."""

    copies: int = 100  # of each transformation
    low_prevalence: int = 10  # copies of the low-prevalence test ...
    among: int = 2000  # ... hidden among so many cases of non-members
    left_out: bool = True  # whether families of transformations are left out
    own: tuple[Recipe, ...] = ()  # a steward's own transformations, injected too


def run(
    detector: CopyDetector,
    non_members: SmallCases,
    transformations: Mapping[str, Transformation],
    settings: DetectorSettings,
    plan: AuditPlan,
    seed: int,
    beside: SmallCases | None = None,
) -> AuditResult:
    """Audit a detector that was made with these settings by injected copies and by cases of non-members.

    ``beside`` are cases of further unseen subjects, in which false positives are counted and nothing else.
    """
    training, skipped = detector.reference_set.cases, []
    channels, dims = training.images.shape[1], training.images.ndim - 2
    own = {f"own_{one.name}": one.transformation() for one in plan.own}
    apart = {name: Transformation("harder", way) for name, way in harder(channels, dims).items()} | own
    injected = {
        name: inject_transformed(name, one, training, non_members, plan.copies, seed)
        for name, one in [*transformations.items(), *apart.items()]
    }
    injected["part"] = inject_parts(training, non_members, plan.copies, seed)
    if lesions := inject_lesions(training, non_members, plan.copies, seed):
        injected["lesion"] = lesions
    else:
        skipped.append("lesion: no lesion in the training cases, or no room for one in unseen cases")
    matched = match_injected(injected, detector)
    found = {name: recall(detector.decision, injected[name], near, training) for name, near in matched.items()}
    no_subject = without_subject(non_members.images, non_members.labels)
    unseen, whose = match(no_subject, detector.reference_set), non_members.subjects.numpy()
    others = _left_out(detector, transformations, settings, seed) if plan.left_out else {}
    transformed, low_prevalence = _low_prevalence(detector, no_subject, whose, transformations, plan, seed)
    return AuditResult(
        {name: one for name, one in found.items() if name not in apart},
        _left_out_recalls(others, injected, matched, transformations, training),
        {name: _non_members(one.decision, unseen | one.again(no_subject), whose) for name, one in others.items()},
        _non_members(detector.decision, unseen, whose),
        _beside(detector, beside),
        calibrating_cases(detector.decision.threshold),
        {name: found[name] for name in apart},
        detector.decision.threshold,
        transformed,
        low_prevalence,
        skipped,
    )


def run_on_maps(
    detector: MapDetector, labels: np.ndarray, rows: np.ndarray, test: np.ndarray, subjects: np.ndarray, n: int,
    seed: int,
) -> MapAudit | str:  # fmt: skip
    """Audit what judges label maps (N, *S) by those of the training cases in ``rows``; or say why not.

    Copied are n maps that show something; ``test`` are rows of test subjects, ``subjects`` (N,) those of all rows.
    """
    trained = labels[rows]
    shown = np.flatnonzero([np.ptp(cleaned(map_)) > 0 for map_ in trained])
    if not len(shown):
        return "not audited: no label map of a training case shows enough to tell"
    equal, recalls = RealMaps(trained), {}
    for name, change in map_changes().items():
        source = draw_sources(f"label map {name}", shown, n, seed)
        copies = [change(trained[i], rng(seed, "audit", "label maps", name, k)) for k, i in enumerate(source)]
        recalls[name] = _judged(detector, np.stack(copies), equal, subjects[rows[source]], subjects[rows])
    return MapAudit(
        recalls, _judged(detector, labels[test], equal, subjects[test], subjects[rows]), detector.decision.threshold
    )


def _judged(
    detector: MapDetector, maps: np.ndarray, equal: RealMaps, whose: np.ndarray, trained: np.ndarray
) -> AuditedCases:
    """Return which label maps are flagged, those as good as equal whatever their nearness."""
    found = detector.decide(maps, np.arange(len(maps)), equal.copied(maps))
    return AuditedCases(found.flagged, whose, trained[found.case] == whose, nearness=found.nearness)


def match_injected(injected: Mapping[str, InjectedCopies], detector: CopyDetector) -> dict[str, dict[str, NearestTwo]]:
    """Match the copies of each transformation; those without label maps are matched together."""
    plain = {name: one.cases.images for name, one in injected.items() if one.cases.labels is None}
    together = match(without_subject(torch.cat(list(plain.values()))), detector.reference_set)
    ends = np.cumsum([len(images) for images in plain.values()])
    matched = {
        name: {matcher: near[end - len(images) : end] for matcher, near in together.items()}
        for (name, images), end in zip(plain.items(), ends.tolist(), strict=True)
    }
    others = {name: one.cases for name, one in injected.items() if name not in plain}
    return matched | {name: match(cases, detector.reference_set) for name, cases in others.items()}


def recall(
    decision: CopyDecision, injected: InjectedCopies, matched: Mapping[str, NearestTwo], training: SmallCases
) -> AuditedCases:
    """Return which injected copies are flagged, by what the matchers found."""
    found, whose = decision.decide(dict(matched)), training.subjects.numpy()
    scaled = decision.scale({name: near.score for name, near in matched.items()})
    alone = zip(decision.scale.names, (scaled > decision.threshold.value).mean(1).tolist(), strict=True)
    matchers = {name: share for name, share in alone if name in matched}
    source = whose[injected.source]
    return AuditedCases(found.flagged, source, whose[found.case] == source, matchers, found.nearness)


def calibrating_cases(threshold: Threshold) -> AuditedCases:
    """Return which cases of the subjects that set a threshold are flagged, each subject by that of the others."""
    nearness, subjects = threshold.reference.r, threshold.reference.subjects
    flagged = np.zeros(len(nearness), bool)
    for subject in np.unique(subjects):
        mine = subjects == subject
        if not mine.all():
            others = ReferenceScores(nearness[~mine], subjects[~mine], "")
            flagged[mine] = nearness[mine] > others.quantiles(1 - threshold.rate)[0]
    return AuditedCases(flagged, subjects, np.zeros(len(flagged), bool))


def _low_prevalence(
    detector: CopyDetector,
    non_members: SmallCases,
    whose: np.ndarray,
    transformations: Mapping[str, Transformation],
    plan: AuditPlan,
    seed: int,
) -> tuple[AuditedCases, tuple[int, int, int, int]]:
    """Hide few copies among many cases of non-members, each transformed at random."""
    ways = list(transformations.values())
    which = rng(seed, "audit", "few", "disguises").integers(0, len(ways), plan.among)
    rows = rng(seed, "audit", "few", "strangers").integers(0, len(non_members), plan.among)
    draw, found = torch.Generator().manual_seed(derive(seed, "audit", "few")), []
    for start in range(0, plan.among, BLOCK):
        block = slice(start, start + BLOCK)
        shown = non_members.images[rows[block]]
        images = _transformed(shown, shown.roll(1, 0), which[block], ways, draw)
        found.append(detector.decide(without_subject(images)))
    training = detector.reference_set.cases
    chosen = rng(seed, "audit", "few", "copies").choice(len(training), plan.low_prevalence)
    which = rng(seed, "audit", "few", "worn").integers(0, len(ways), plan.low_prevalence)
    others = non_members.images[np.resize(rows, plan.low_prevalence)]
    copies = _transformed(training.images[chosen], others, which, ways, draw)
    seen = int(detector.decide(without_subject(copies)).flagged.sum())
    flagged, nearness = (np.concatenate([getattr(one, name) for one in found]) for name in ("flagged", "nearness"))
    transformed = AuditedCases(flagged, whose[rows], np.zeros(plan.among, bool), nearness=nearness)
    return transformed, (seen, plan.low_prevalence, int(flagged.sum()), plan.among)


def _transformed(
    images: Tensor, others: Tensor, which: np.ndarray, transformations: list[Transformation], draw: torch.Generator
) -> Tensor:
    """Return each image transformed as its number says; the others are what is blended in."""
    shown = images.clone()
    for i, transformation in enumerate(transformations):
        rows = torch.from_numpy(np.flatnonzero(which == i))
        if len(rows):
            shown[rows] = transformation.inject(images[rows], others[rows], draw)
    return shown


def _non_members(decision: CopyDecision, matched: dict[str, NearestTwo], whose: np.ndarray) -> AuditedCases:
    """Return which cases of non-members are flagged, by what the matchers found."""
    found = decision.decide(matched)
    return AuditedCases(found.flagged, whose, np.zeros(len(whose), bool), nearness=found.nearness)


def _beside(detector: CopyDetector, cases: SmallCases | None) -> AuditedCases:
    """Return which cases of further unseen subjects are flagged; none where there are none."""
    if cases is None:
        none = np.zeros(0, bool)
        return AuditedCases(none, np.zeros(0, np.int64), none)
    matched = match(without_subject(cases.images, cases.labels), detector.reference_set)
    return _non_members(detector.decision, matched, cases.subjects.numpy())


def _left_out(
    detector: CopyDetector, transformations: Mapping[str, Transformation], settings: DetectorSettings, seed: int
) -> dict[str, LeftOutDetector]:
    """Return for each family a detector whose encoder has not learned it; none without an encoder."""
    if detector.reference_set.encoder is None:
        return {}
    families = [one for one in FAMILIES if any(way.family == one for way in transformations.values())]
    return left_out(detector, families, settings, seed)


def _left_out_recalls(
    others: Mapping[str, LeftOutDetector],
    injected: Mapping[str, InjectedCopies],
    matched: Mapping[str, dict[str, NearestTwo]],
    transformations: Mapping[str, Transformation],
    training: SmallCases,
) -> dict[str, AuditedCases]:
    """Return the recall of each transformation, by the detector whose encoder has not learned its family."""
    recalls = {}
    for name, way in transformations.items():
        if way.family not in others:
            continue
        other = others[way.family]
        rows = np.flatnonzero(other.reference_set.known[torch.from_numpy(injected[name].source)].numpy())
        part = InjectedCopies(injected[name].cases[rows], injected[name].source[rows])
        again = {matcher: near[rows] for matcher, near in matched[name].items()} | other.again(part.cases)
        recalls[name] = recall(other.decision, part, again, training)
    return recalls
