"""Do released cases crowd round a patient's images more than the images of other people do?

An image that many people's images resemble is near to some released case whether or not its patient was a member. So
the density of released cases at the image is divided by the density of real images of other people there.
**Source**: van Breugel, Sun, Qian, van der Schaar, "Membership Inference Attacks against Synthetic Data through
Overfitting Detection" (DOMIAS, AISTATS 2023, arXiv 2302.12580), equation 2: p_released(x) / p_reference(x).
**Differs**: both densities by the k-th nearest neighbour in features that know no member, so that the logarithm of the
ratio is, up to what is the same for all, log d_k(x, reference) - log d_k(x, released). The reference is made of
non-members: subjects are dealt into folds, members too, and a case of a fold is scored with the non-members of the
other folds, so that members and non-members meet references alike.
**Checked** in tests/evaluation/privacy/attacks/test_attacks.py.
"""

import numpy as np

from understudy.core.seed import rng
from understudy.evaluation.privacy.attacks.nearest import no_features
from understudy.evaluation.privacy.attacks.scene import Attack, Attempt, Scene
from understudy.evaluation.privacy.attacks.vectors import kth_similarity, log_distance

NEIGHBOURS = 5
FOLDS = 5
FEWEST = 10  # non-member subjects


def density_ratio(scene: Scene) -> list[Attempt]:
    """Score each case by how much nearer its released neighbours are than its neighbours among other people."""
    attacked, released = scene.described
    folds, scores = _folds(scene), np.empty(len(scene.rows))
    scores[:] = -log_distance(kth_similarity(attacked, released, NEIGHBOURS, scene.memory_mib))
    for fold in range(FOLDS):
        here, others = np.flatnonzero(folds == fold), np.flatnonzero((folds != fold) & ~scene.is_member)
        r = kth_similarity(attacked.take(here), attacked.take(others), NEIGHBOURS, scene.memory_mib)
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
    few = f"a reference of other people needs at least {FEWEST} non-member subjects, found {n}" if n < FEWEST else ""
    return few or no_features(scene)


ATTACK = Attack(
    density_ratio,
    "Was this patient among the training patients?",
    "the released cases, images of the patient, and real images of other people",
    "mean",
    _lacks,
)
