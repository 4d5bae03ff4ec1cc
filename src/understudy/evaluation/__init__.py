"""Floor 4: cohorts in, results out. Evaluations never see a generator; METRICS is the menu of fidelity metrics."""

from understudy.evaluation.fidelity import (
    extrapolation,
    frechet,
    inception_score,
    intensity,
    kernel,
    manifold,
    spectrum,
)
from understudy.evaluation.metric import Metric

METRICS: dict[str, Metric] = {
    "frechet": frechet.METRIC,
    "frechet_infinity": extrapolation.METRIC,
    "kid": kernel.METRIC,
    "precision": manifold.PRECISION,
    "recall": manifold.RECALL,
    "density": manifold.DENSITY,
    "coverage": manifold.COVERAGE,
    "inception_score": inception_score.METRIC,
    "intensity": intensity.METRIC,
    "spectrum": spectrum.METRIC,
}
