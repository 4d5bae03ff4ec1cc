"""Is a patient's image nearer to a released image than a stranger's is? Membership from the released set alone.

**Source**: the distance attack of Chen, Yu, Zhang, Fritz, "GAN-Leaks" (CCS 2020, arXiv 1909.03935), full black box: the
score of a case is the distance to the nearest released case, turned round.
**Differs**: nearness is Pearson's r, of pixels (``nearest_pixels``) or of features that know no member
(``nearest_features``), so that gain and offset do not hide a copy; no second generator calibrates it, the control group
does.
**Checked** in tests/evaluation/privacy/attacks/test_attacks.py.

Do released cases crowd round a patient's images more than the images of other people do?

An image that many people's images resemble is near to some released case whether or not its patient was a member. So
the density of released cases at the image is divided by the density of real images of other people there.
**Source**: van Breugel, Sun, Qian, van der Schaar, "Membership Inference Attacks against Synthetic Data through
Overfitting Detection" (DOMIAS, AISTATS 2023, arXiv 2302.12580), equation 2: p_released(x) / p_reference(x).
**Differs**: both densities by the nearest neighbour, since one copy shows in no farther one, so that the logarithm of
the ratio is, up to what is the same for all, log d(x, reference) - log d(x, released), d the distance of pixels. The
reference is made of non-members: subjects are dealt into folds, members too, and a case of a fold is scored with the
non-members of the other folds, so that members and non-members meet references alike.
**Checked** in tests/evaluation/privacy/attacks/test_attacks.py.

Membership for somebody who holds the generator itself, and asks it about a patient's images.

Evaluations know no generator: what can be asked is passed in as a function (``Oracle``), of a discriminator or of a
denoiser. `understudy evaluate privacy --generator RUN` makes it of a saved run (synthesis/score_query.py).
**Source**: Hayes, Melis, Danezis, De Cristofaro, "LOGAN" (PETS 2019, arXiv 1705.07663): the discriminator's verdict is
higher for images that it was trained on. Matsumoto, Miura, Yanai, "Membership Inference Attacks against Diffusion
Models" (2023, arXiv 2302.03262), and Carlini et al., "Extracting Training Data from Diffusion Models" (2023, arXiv
2301.13188): the denoising loss is lower for them.
**Differs**: no shadow models (that is Carlini's stronger attack); the control group calibrates.
**Checked** in tests/evaluation/privacy/attacks/test_attacks.py.
"""

from functools import partial

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng
from understudy.evaluation.nearest import nearest
from understudy.evaluation.privacy.attacks.setup import Attack, Attempt, Scene, log_distance

ENCODER_CASES = 16  # fewest that the encoder learns from


def no_features(scene: Scene) -> str:
    """Say why features cannot be learned on the released cases, or ""."""
    n = len(scene.synthetic)
    if scene.features != "encoder" or n >= ENCODER_CASES:
        return ""
    return f"the encoder learns from at least {ENCODER_CASES} released cases, found {n}; set attack_features=random"


def pixels(scene: Scene) -> list[Attempt]:
    """Score each case by its highest r to a released image."""
    return [Attempt(nearest(scene.attacked, scene.released, memory_mib=scene.memory_mib).r)]


def features(scene: Scene) -> list[Attempt]:
    """Score each case by the highest r of its features to those of a released case."""
    attacked, released = scene.described
    return [Attempt(nearest(attacked, released, memory_mib=scene.memory_mib).r)]


_QUESTION = "Was this patient among the training patients?"
PIXELS = Attack(pixels, _QUESTION, "the released cases and images of the patient, compared by pixels", "highest")
FEATURES = Attack(
    features,
    _QUESTION,
    "the released cases and images of the patient, compared by their features",
    "highest",
    no_features,
)


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


DENSITY_RATIO = Attack(
    density_ratio,
    "Was this patient among the training patients?",
    "the released cases, images of the patient, and real images of other people",
    "mean",
    _lacks,
)


def ask(scene: Scene, *, name: str, sign: int) -> list[Attempt]:
    """Score each case by what the generator answers.

    Args:
        scene: with the oracle of that name: (cohort, rows) -> (n,).
        name: of the oracle.
        sign: 1 where a higher answer points to a member, -1 where a lower one does.

    Raises:
        UnderstudyError: not one finite number a case.
    """
    answers = np.asarray(scene.oracles[name].score(scene.real, scene.rows), np.float64)
    if answers.shape != scene.rows.shape or not np.isfinite(answers).all():
        raise UnderstudyError(
            f"the oracle {name} should answer with one finite number for each of {len(scene.rows)} cases, found shape "
            f"{answers.shape} with {int((~np.isfinite(answers)).sum())} that are not finite"
        )
    return [Attempt(sign * answers)]


def _attack(name: str, sign: int, holds: str) -> Attack:
    def lacks(scene: Scene) -> str:
        why = f"needs the generator, asked for its {name.replace('_', ' ')}: name its run with --generator"
        return "" if name in scene.oracles else why

    question = "Was this patient among the training patients?"
    return Attack(partial(ask, name=name, sign=sign), question, holds, "mean", lacks)


DISCRIMINATOR = _attack("discriminator", 1, "the discriminator of the generator, and images of the patient")
DENOISING = _attack("denoising_loss", -1, "the denoising network, and images of the patient")
