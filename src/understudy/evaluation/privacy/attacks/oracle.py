"""Membership for somebody who holds the generator itself, and asks it about a patient's images.

Evaluations know no generator: what can be asked is passed in as a function (``Oracle``), of a discriminator or of a
denoiser. `understudy evaluate privacy --generator RUN` makes it of a saved run (synthesis/oracle.py).
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
from understudy.evaluation.privacy.attacks.scene import Attack, Attempt, Scene


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
