"""Floor 4: cohorts in, results out. Evaluations never see a generator; METRICS is the menu of fidelity metrics."""

from understudy.evaluation.fidelity import fid, inception_score, intensity, kid, prdc, spectrum
from understudy.evaluation.metric import Metric

METRICS: dict[str, Metric] = {
    "frechet": fid.METRIC,
    "frechet_infinity": fid.INFINITY,
    "kid": kid.METRIC,
    "precision": prdc.PRECISION,
    "recall": prdc.RECALL,
    "density": prdc.DENSITY,
    "coverage": prdc.COVERAGE,
    "inception_score": inception_score.METRIC,
    "intensity": intensity.METRIC,
    "spectrum": spectrum.METRIC,
}
