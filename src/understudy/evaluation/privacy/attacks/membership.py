"""Membership inference: was a patient among the training patients? Seven attacks, three on the generator itself.

**Nearest** (``nearest_pixels``, ``nearest_features``): the score of a case is its highest r to a released case, of
pixels, or of features that know no member.
**Density ratio** (``density_ratio``): an image that many people's images resemble is near to some released case whether
or not its patient was a member. So the density of released cases at the image is divided by the density of real images
of other people there. **Label maps** (``label_maps``): the same of label maps, where the released ones were drawn: a
cohort whose images copy nobody may still follow the outlines of its patients. Both have a **control**: the same attack
on a release that cannot know the members, real cases of people who are neither members nor attacked. What its AUC is
off 0.5 is the deal's: one side is nearer to anybody's cases.
**White-box score queries** (``discriminator``, ``denoising_loss``, ``latent_inversion``): for an attacker who holds the
generator; the last two need no more than what samples. Here the query is a function (``ScoreQuery``); `understudy
evaluate privacy --generator RUN` makes it of a saved run (synthesis/score_query.py, inversion.py).
**Source**: nearest: the distance attack of Chen, Yu, Zhang, Fritz, "GAN-Leaks" (CCS 2020, arXiv 1909.03935), full black
box. Density ratio: van Breugel, Sun, Qian, van der Schaar, "Membership Inference Attacks against Synthetic Data through
Overfitting Detection" (DOMIAS, AISTATS 2023, arXiv 2302.12580), equation 2: p_released(x) / p_reference(x).
Discriminator: Hayes, Melis, Danezis, De Cristofaro, "LOGAN" (PETS 2019, arXiv 1705.07663): its logit is higher for
images that it was trained on. Denoising loss: Matsumoto, Miura, Yanai, "Membership Inference Attacks against Diffusion
Models" (2023, arXiv 2302.03262), and Carlini et al., "Extracting Training Data from Diffusion Models" (2023, arXiv
2301.13188): it is lower for them. Latent inversion: GAN-Leaks, white box: the generator comes nearer to them.
**Differs**: nearest: r instead of a distance, so that gain and offset do not hide a copy; no second generator
calibrates it, the control group does. Density ratio: both densities by the nearest neighbour, since one copy shows in
no farther one, so that the logarithm of the ratio is, up to a constant, log d(x, reference) - log d(x, released), d the
distance of pixels; the reference is made of non-members: members and non-members are dealt into folds, and a case of a
fold is scored with the non-members of the other folds, so that both meet references alike. Label maps: one 0 or 1 a
voxel and class; a case without foreground does not count. Score queries: no shadow
models (that is Carlini's stronger attack).
**Checked** in tests/evaluation/privacy/attacks/test_membership.py.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng
from understudy.core.statistics import by_subject
from understudy.evaluation.nearest import Rows, nearest, unit_vectors
from understudy.evaluation.privacy.attacks.setup import Attack, AttackScores, AttackSetup, log_distance
from understudy.evaluation.privacy.copies.label_maps import alike_maps, not_compared
from understudy.evaluation.privacy.pearson import ImageVectors

ENCODER_CASES = 16  # fewest that the encoder learns from
FOLDS = 5
ROWS = 256  # label maps that are read at once
MIN_NON_MEMBERS = 10  # non-member subjects
QUESTION = "Was this patient among the training patients?"


def no_features(setup: AttackSetup) -> str:
    """Say why features cannot be learned on the released cases, or ""."""
    n = len(setup.synthetic)
    if setup.features != "encoder" or n >= ENCODER_CASES:
        return ""
    return f"the encoder learns from at least {ENCODER_CASES} released cases, found {n}; set attack_features=random"


def pixels(setup: AttackSetup) -> list[AttackScores]:
    """Score each case by its highest r to a released image."""
    return [AttackScores(nearest(setup.attacked, setup.released, memory_mib=setup.memory_mib).r)]


def features(setup: AttackSetup) -> list[AttackScores]:
    """Score each case by the highest r of its features to those of a released case."""
    attacked, released = setup.described
    return [AttackScores(nearest(attacked, released, memory_mib=setup.memory_mib).r)]


def density_ratio(setup: AttackSetup) -> list[AttackScores]:
    """Score each case by how much nearer a released case is than the image of another person."""
    bystanders = setup.bystanders
    control = _log_ratio(setup, setup.pixels, ImageVectors(setup.real, bystanders)) if len(bystanders) else None
    return [AttackScores(_log_ratio(setup, setup.pixels, setup.released), control=control)]


def label_maps(setup: AttackSetup) -> list[AttackScores]:
    """Score each case by how much nearer a released label map is than that of another person."""
    real, released = alike_maps(setup.real, setup.synthetic)
    attacked = MapVectors(real, setup.rows)
    bystanders, shown = setup.bystanders, attacked.shown()

    def scores(side: MapVectors) -> np.ndarray:
        return np.where(shown, _log_ratio(setup, attacked.some, side), np.nan)

    control = scores(MapVectors(real, bystanders)) if len(bystanders) else None
    return [AttackScores(scores(MapVectors(released, released.rows())), control=control)]


def _log_ratio(setup: AttackSetup, attacked: Callable[[np.ndarray], Rows], released: Rows) -> np.ndarray:
    """Return the log (n,) of the distance to the nearest other person, less that to the nearest released case."""
    scores = -log_distance(nearest(attacked(np.arange(len(setup.rows))), released, memory_mib=setup.memory_mib).r)
    folds = _folds(setup)
    for fold in range(FOLDS):
        here, others = np.flatnonzero(folds == fold), np.flatnonzero((folds != fold) & ~setup.is_member)
        scores[here] += log_distance(nearest(attacked(here), attacked(others), memory_mib=setup.memory_mib).r)
    return scores


class MapVectors:
    """The label maps of some rows as unit vectors, read block by block; a value for each voxel and class."""

    def __init__(self, cohort: Cohort, rows: np.ndarray) -> None:
        """Wrap the rows; nothing is read yet."""
        assert cohort.labels is not None and cohort.scheme is not None
        self._cohort, self._labels, self._rows = cohort, cohort.labels, rows
        self._classes = range(1, len(cohort.scheme))  # 0 is the background
        self.dimension = len(self._classes) * int(np.prod(cohort.size))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def some(self, chosen: np.ndarray) -> "MapVectors":
        """Return some of the rows; ``chosen`` counts within them."""
        return MapVectors(self._cohort, self._rows[chosen])

    def shown(self) -> np.ndarray:
        """Return a mask (n,) of the rows with any foreground."""
        parts = (self._labels[self._rows[start : start + ROWS]] for start in range(0, len(self), ROWS))
        return np.concatenate([np.asarray(maps).reshape(len(maps), -1).any(1) for maps in parts])

    def block(self, start: int, stop: int) -> np.ndarray:
        """Return the rows ``start`` to ``stop`` as float32 (n, dimension), centred and of length one."""
        maps = np.asarray(self._labels[self._rows[start:stop]])
        return unit_vectors(np.stack([maps == value for value in self._classes], 1).reshape(len(maps), -1))


def _folds(setup: AttackSetup) -> np.ndarray:
    """Return the fold of each case's subject, (n,); members and non-members are dealt apart."""
    folds = np.empty(len(setup.rows), np.int64)
    for name, side in (("members", setup.is_member), ("non-members", ~setup.is_member)):
        subjects, number, _ = by_subject(setup.subjects[side])
        dealt = rng(setup.seed, "attack", "folds", name).permutation(len(subjects)) % FOLDS
        folds[side] = dealt[number]
    return folds


def _lacks(setup: AttackSetup) -> str:
    n = len(np.unique(setup.subjects[~setup.is_member]))
    few = f"a reference of other people needs at least {MIN_NON_MEMBERS} non-member subjects, found {n}"
    return few if n < MIN_NON_MEMBERS else ""


def _lacks_maps(setup: AttackSetup) -> str:
    return not_compared(setup.real, setup.synthetic) or _lacks(setup)


def query_scores(setup: AttackSetup, *, name: str, sign: int) -> list[AttackScores]:
    """Score each case by the answer of the setup's white-box score query of that name.

    The sign is 1 where a higher answer points to a member, -1 where a lower one does. UnderstudyError where there is
    not one finite number a case.
    """
    answers = np.asarray(setup.score_queries[name].score(setup.real, setup.rows), np.float64)
    if answers.shape != setup.rows.shape or not np.isfinite(answers).all():
        raise UnderstudyError(
            f"the score query {name} should return one finite number for each of {len(setup.rows)} cases, found "
            f"shape {answers.shape} with {int((~np.isfinite(answers)).sum())} that are not finite"
        )
    return [AttackScores(sign * answers)]


def _attack(name: str, sign: int, holds: str) -> Attack:
    def lacks(setup: AttackSetup) -> str:
        why = f"needs the generator, queried for its {name.replace('_', ' ')}: name its run with --generator"
        return "" if name in setup.score_queries else why

    return Attack(partial(query_scores, name=name, sign=sign), QUESTION, holds, "mean", lacks)


HOLDS = "the released cases and images of the patient, compared by"
PIXELS = Attack(pixels, QUESTION, f"{HOLDS} pixels", "highest")
FEATURES = Attack(features, QUESTION, f"{HOLDS} their features", "highest", no_features)
PEOPLE = "the released cases, images of the patient, and real images of other people"
DENSITY_RATIO = Attack(density_ratio, QUESTION, PEOPLE, "mean", _lacks)
MAPS = "the released label maps, a label map of the patient, and those of other people"
LABEL_MAPS = Attack(label_maps, QUESTION, MAPS, "mean", _lacks_maps)
DISCRIMINATOR = _attack("discriminator", 1, "the discriminator of the generator, and images of the patient")
INVERSION = _attack("latent_inversion", -1, "the network that samples, and images of the patient")
DENOISING = _attack("denoising_loss", -1, "the denoising network, and images of the patient")
