"""``evaluate correlation``: do fidelity metrics show which synthetic cohorts are useful?

**Source** of the question: Akbar et al., Brain tumor segmentation using synthetic MR images (Sci Data 11:259, 2024),
whose abstract says in words that Frechet distance and inception score do not. Here results of ``evaluate fidelity`` and
``evaluate utility`` on many cohorts of one real cohort are joined, and every metric is correlated with one utility
score. A coefficient only from 12 cohorts up; below that the table and the scatter alone.
**Not covered**: that cohorts of one generator, such as its snapshots, rise and fall together with training time: a
metric may follow utility there, and fail to choose between two finished generators.
**Checked** in tests/evaluation/correlation/test_stage.py.
"""

from pathlib import Path

from understudy.core.provenance import Provenance
from understudy.core.stage import finished
from understudy.evaluation.correlation.config import CorrelationConfig
from understudy.evaluation.correlation.join import join
from understudy.evaluation.correlation.report import write_correlation
from understudy.evaluation.folder import results_folder


def evaluate_correlation(results: list[Path], out: Path, seed: int, config: CorrelationConfig | None = None) -> Path:
    """Correlate each fidelity metric with utility over synthetic cohorts.

    The results are folders that ``evaluate fidelity`` and ``evaluate utility`` wrote, or that hold such; the seed is
    that of resamples and permutations. Returns `out`, with results.json, tables and curves.

    Raises:
        UsageError: nothing to join, or an output of another request.
        UnderstudyError: results that do not belong together: other real cohorts or settings, a cohort on one side only.
    """
    config = config or CorrelationConfig()
    joined = join(results, config)
    inputs = {"real": joined.real, "synthetic": ",".join(one.id for one in joined.cohorts), "results": joined.digest}
    provenance = Provenance("evaluate correlation", config.model_dump(mode="json"), seed, inputs)
    if finished(out, "results.json", provenance):
        return Path(out)
    with results_folder(out) as folder:
        write_correlation(folder, joined, config, provenance)
    return Path(out)
