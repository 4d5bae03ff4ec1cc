"""Is a patient's image nearer to a released image than a stranger's is? Membership from the released set alone.

**Source**: the distance attack of Chen, Yu, Zhang, Fritz, "GAN-Leaks" (CCS 2020, arXiv 1909.03935), full black box: the
score of a case is the distance to the nearest released case, turned round.
**Differs**: nearness is Pearson's r, of pixels (``nearest_pixels``) or of features that know no member
(``nearest_features``), so that gain and offset do not hide a copy; no second generator calibrates it, the control group
does.
**Checked** in tests/evaluation/privacy/attacks/test_attacks.py.
"""

from understudy.evaluation.privacy.attacks.scene import Attack, Attempt, Scene
from understudy.evaluation.privacy.correlation import nearest

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
