"""``evaluate privacy --generator RUN``: attacks by somebody who holds the generator itself.

Evaluations never see a generator; here a saved run becomes the function that they are given.
**Checked** in tests/cli/test_oracle.py.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any


def asking(run: Path) -> Callable[[Path, list[Path], Path, int, Any], Path]:
    """Return the privacy evaluation whose attacks may ask a run.

    Args:
        run: what made the synthetic cohort.
    """

    def evaluate(real: Path, synthetic: list[Path], out: Path, seed: int, config: Any) -> Path:
        from understudy.core.cohort import Cohort
        from understudy.evaluation.privacy import evaluate_privacy
        from understudy.evaluation.privacy.attacks.setup import Oracle
        from understudy.synthesis.score_query import open_informant

        one = open_informant(run, [Cohort.open(path) for path in synthetic], seed)
        return evaluate_privacy(real, synthetic, out, seed, config, {one.attack: Oracle(one.identity, one.score)})

    return evaluate
