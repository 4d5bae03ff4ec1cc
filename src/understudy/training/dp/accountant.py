"""The accountant: which epsilon a training spends, and how much noise an epsilon asks for. Opacus computes it.

**Source**: Abadi et al., Deep Learning with Differential Privacy (2016, arXiv 1607.00133); Gopi, Lee, Wutschitz,
Numerical Composition of Differential Privacy (2021, arXiv 2106.02848): the PRV accountant, here that of Opacus.
**Differs**: nothing is accounted for here. Opacus' upper bound is taken, with its error bound ``eps_error`` at 1 % of
epsilon: at Opacus' default of 0.01 a large epsilon takes minutes and gigabytes.
**Checked**: tests/training/dp/test_accountant.py (against Opacus called directly).

The guarantee is for adding or removing one subject with all cases, subjects drawn independently with probability q a
step (Poisson), a Gaussian of standard deviation sigma C on the sum. How many subjects and images there are counts as
known to everybody. Delta is by default 1 / (10 N): a mechanism that betrayed a subject with probability delta would
betray any one of N with a probability of at most one in ten. That is much, so that epsilon at a delta of 1e-5 is told
beside it, always.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

from understudy.core.errors import UsageError
from understudy.training.dp.settings import PrivacySettings

UNIT = "patient"
ERROR = 0.01  # of epsilon
USUAL_DELTA, USUAL = 1e-5, "epsilon_at_delta_1e-5"  # at which trainings are compared; its name in run.json
MAX_EPSILON = 200.0  # beyond this no number is computed: it would promise nothing


@dataclass(frozen=True)
class PrivacyPlan:
    """A training as the accountant sees it."""

    subjects: int  # N
    rate: float  # q, the probability that a subject is drawn in a step
    steps: int  # T
    noise: float  # sigma, in units of the clip
    clip: float  # C
    epsilon: float  # of the whole training; infinite without noise
    delta: float  # probability with which epsilon may fail

    @property
    def expected(self) -> float:
        """Q N, by which a step divides."""
        return self.rate * self.subjects


def plan(settings: PrivacySettings, subjects: int, batch_size: int, images_seen: int) -> PrivacyPlan:
    """Plan a training: how much noise it needs, or which epsilon its noise gives.

    ``batch_size`` counts images a step on average, of which every subject gives ``slices``; ``images_seen`` is the
    length of the training in such images.

    Raises:
        UsageError: too few subjects for the batch, a noise that promises nothing, or Opacus is missing.
    """
    rate, steps = batch_size / (settings.slices * subjects), math.ceil(images_seen / batch_size)
    if rate >= 1:
        raise UsageError(
            f"a step of {batch_size} images with {settings.slices} of each subject would take all {subjects} subjects "
            "every time, and privacy comes from drawing some: lower batch_size, or raise dp.slices"
        )
    delta = settings.delta or 1 / (10 * subjects)
    if settings.epsilon is not None:
        noise, epsilon = noise_for(settings.epsilon, delta, rate, steps)
    else:
        noise = settings.noise or 0.0
        epsilon = epsilon_of(noise, delta, rate, steps) if noise else math.inf
    return PrivacyPlan(subjects, rate, steps, noise, settings.clip, epsilon, delta)


def epsilon_of(noise: float, delta: float, rate: float, steps: int) -> float:
    """Return epsilon of ``steps`` Gaussian mechanisms on subjects drawn with probability ``rate``.

    Raises:
        UsageError: it is beyond what promises anything, or Opacus is missing.
    """
    bound = _epsilon("rdp", noise, delta, rate, steps)
    if bound > MAX_EPSILON:
        raise UsageError(
            f"a noise of {noise:g} over {steps:,} steps gives an epsilon near {bound:.0f}, which promises nothing: "
            "raise dp.noise, train for fewer images, or set dp.noise=0 to say that there is no guarantee"
        )
    return _epsilon("prv", noise, delta, rate, steps, eps_error=ERROR * max(bound, 0.1))


def noise_for(epsilon: float, delta: float, rate: float, steps: int) -> tuple[float, float]:
    """Return the least noise multiplier that keeps to epsilon, to within 2 % of it, and the epsilon that it gives.

    Raises:
        UsageError: Opacus is missing.
    """
    low, noise = 0.0, 1.0
    while _epsilon("rdp", noise, delta, rate, steps) > epsilon:
        noise *= 1.25  # the moments bound is quick and never below: a start from above
    high = noise
    while True:
        found = _epsilon("prv", noise, delta, rate, steps, eps_error=ERROR * epsilon)
        if (1 - 2 * ERROR) * epsilon <= found <= epsilon:
            return noise, found
        low, high = (noise, high) if found > epsilon else (low, noise)
        noise *= (found / ((1 - ERROR) * epsilon)) ** 0.7  # epsilon falls with the first to second power of the noise
        if not low < noise < high:
            noise = (low + high) / 2


def statement(found: PrivacyPlan, settings: PrivacySettings) -> dict[str, Any] | None:
    """Return what run.json and the cohorts drawn from it say of the guarantee; None where there is none."""
    if not math.isfinite(found.epsilon) or settings.noise_seed is not None:
        return None
    return {
        "epsilon": found.epsilon,
        "delta": found.delta,
        **_at_usual_delta(found),
        "unit": UNIT,
        "neighbours": "one patient with all cases added or removed",
        "noise_multiplier": found.noise,
        "clip": found.clip,
        "slices": settings.slices,
        "sampling": "Poisson",
        "sampling_rate": found.rate,
        "steps": found.steps,
        "accountant": "prv (opacus)",
        **({"public_start": True} if settings.public_start else {}),
    }


def _at_usual_delta(found: PrivacyPlan) -> dict[str, float]:
    """Return the epsilon of the same training at USUAL_DELTA; nothing where that is its delta already."""
    if found.delta == USUAL_DELTA:
        return {}
    error = ERROR * max(found.epsilon, 0.1)
    return {USUAL: _epsilon("prv", found.noise, USUAL_DELTA, found.rate, found.steps, eps_error=error)}


@cache  # a plan asks several times, and takes seconds
def _epsilon(kind: str, noise: float, delta: float, rate: float, steps: int, **options: float) -> float:
    try:
        from opacus.accountants import create_accountant
    except ImportError as error:
        raise UsageError(
            f"differential privacy needs Opacus' accountant, and it is not there ({error}): "
            "install understudy with the extra dp, pip install 'understudy[dp]'"
        ) from error
    with warnings.catch_warnings():  # advice on the orders of the moments bound, which only sets the grid
        warnings.filterwarnings("ignore", message="Optimal order is the")
        accountant: Any = create_accountant(mechanism=kind)
        accountant.history = [(noise, rate, steps)]
        return float(accountant.get_epsilon(delta, **options))
