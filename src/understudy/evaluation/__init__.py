"""Floor 4: cohorts in, results out. Evaluations never see a generator; METRICS is the menu of fidelity metrics."""

from understudy.evaluation.fidelity import frechet, intensity, kernel, spectrum
from understudy.evaluation.metric import Metric

METRICS: dict[str, Metric] = {
    "frechet": frechet.METRIC,
    "kid": kernel.METRIC,
    "intensity": intensity.METRIC,
    "spectrum": spectrum.METRIC,
}
