"""``understudy evaluate consistency``: does each synthetic image show what its label map says?"""

from understudy.cli.evaluate.judge import More, Real, Synthetic, judge
from understudy.cli.help import example
from understudy.cli.options import DryRun, Out, Seed, Set

EXAMPLE = example(
    "understudy evaluate consistency --real phantom --synthetic synthetic --out results-consistency",
)


def consistency(
    real: Real,
    synthetic: Synthetic,
    out: Out,
    more: More = None,
    settings: Set = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Measure image-label consistency: a segmenter trained on real cases reads each synthetic image."""
    judge("consistency", out, settings, seed, dry_run, real=real, synthetic=[*synthetic, *(more or [])])


command = consistency
