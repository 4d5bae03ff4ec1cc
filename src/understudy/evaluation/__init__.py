"""Floor 4: cohorts in, results out. Evaluations never see a generator; METRICS is the menu of fidelity metrics."""

from understudy.evaluation.fidelity import fid, inception_score, intensity, kid, prdc, spectrum
from understudy.evaluation.metric import Metric, Quantity

METRICS: dict[str, Metric] = {
    "frechet": fid.METRIC,
    "frechet_infinity": fid.INFINITY,
    "kid": kid.METRIC,
    "prdc": prdc.METRIC,
    "inception_score": inception_score.METRIC,
    "intensity": intensity.METRIC,
    "spectrum": spectrum.METRIC,
}


def quantities() -> dict[str, Quantity]:
    """Return what the metrics of the menu measure, by name."""
    return {quantity.name: quantity for metric in METRICS.values() for quantity in metric.quantities}
