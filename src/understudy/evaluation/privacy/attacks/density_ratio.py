"""Do released cases crowd round a patient's images more than the images of other people do?

An image that many people's images resemble is near to some released case whether or not its patient was a member. So
the density of released cases at the image is divided by the density of real images of other people there.
**Source**: van Breugel, Sun, Qian, van der Schaar, "Membership Inference Attacks against Synthetic Data through
Overfitting Detection" (DOMIAS, AISTATS 2023, arXiv 2302.12580), equation 2: p_released(x) / p_reference(x).
**Differs**: both densities by the nearest neighbour, since one copy shows in no farther one, so that the logarithm of
the ratio is, up to what is the same for all, log d(x, reference) - log d(x, released), d the distance of pixels. The
reference is made of non-members: subjects are dealt into folds, members too, and a case of a fold is scored with the
non-members of the other folds, so that members and non-members meet references alike.
**Checked** in tests/evaluation/privacy/attacks/test_attacks.py.
"""

import numpy as np

from understudy.core.seed import rng
from understudy.evaluation.privacy.attacks.scene import Attack, Attempt, Scene
from understudy.evaluation.privacy.attacks.vectors import log_distance
from understudy.evaluation.privacy.correlation import nearest

FOLDS = 5
FEWEST = 10  # non-member subjects


def density_ratio(scene: Scene) -> list[Attempt]:
    """Score each case by how much nearer a released case is than the image of another person."""
    scores = -log_distance(nearest(scene.attacked, scene.released, memory_mib=scene.memory_mib).r)
    folds = _folds(scene)
    for fold in range(FOLDS):
        here, others = np.flatnonzero(folds == fold), np.flatnonzero((folds != fold) & ~scene.is_member)
        r = nearest(scene.pixels(here), scene.pixels(others), memory_mib=scene.memory_mib).r
        scores[here] += log_distance(r)
    return [Attempt(scores)]


def _folds(scene: Scene) -> np.ndarray:
    """Return the fold of each case's subject, (n,); members and non-members are dealt apart."""
    folds = np.empty(len(scene.rows), np.int64)
    for name, side in (("members", scene.is_member), ("non-members", ~scene.is_member)):
        subjects, inverse = np.unique(scene.subjects[side], return_inverse=True)
        dealt = rng(scene.seed, "attack", "folds", name).permutation(len(subjects)) % FOLDS
        folds[side] = dealt[inverse]
    return folds


def _lacks(scene: Scene) -> str:
    n = len(np.unique(scene.subjects[~scene.is_member]))
    few = f"a reference of other people needs at least {FEWEST} non-member subjects, found {n}"
    return few if n < FEWEST else ""


ATTACK = Attack(
    density_ratio,
    "Was this patient among the training patients?",
    "the released cases, images of the patient, and real images of other people",
    "mean",
    _lacks,
)
