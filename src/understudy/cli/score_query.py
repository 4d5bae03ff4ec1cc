"""``evaluate privacy --generator RUN``: attacks with a white-box score query, by an attacker who holds the generator.

Evaluations never import a generator; here a saved run becomes the function that they are given.
**Checked** in tests/cli/test_score_query.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def with_score_query(run: Path) -> Callable[[Path, list[Path], Path, int, Any], Path]:
    """Return the privacy evaluation whose attacks may query a run.

    Args:
        run: what made the synthetic cohort.
    """

    def evaluate(real: Path, synthetic: list[Path], out: Path, seed: int, config: Any) -> Path:
        from understudy.core.cohort import Cohort
        from understudy.evaluation.privacy import evaluate_privacy
        from understudy.evaluation.privacy.attacks.setup import ScoreQuery
        from understudy.synthesis.score_query import open_run_query

        one = open_run_query(run, [Cohort.open(path) for path in synthetic], seed)
        return evaluate_privacy(real, synthetic, out, seed, config, {one.attack: ScoreQuery(one.identity, one.score)})

    return evaluate
