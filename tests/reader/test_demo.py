"""The stand-in of a generator: synthetic, blurred, in the real cohort's ranges."""

from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.reader.demo import PLAN, stand_in


def test_a_stand_in_is_synthetic_and_blurred(cohorts: dict[str, Path], tmp_path: Path) -> None:
    real = Cohort.open(cohorts["real"])
    made = Cohort.open(stand_in(real, tmp_path / "out", seed=1))
    assert (made.kind, made.label_source, made.generator, made.classes) == ("synthetic", "sampled", "blurred", ("ill",))
    assert made.images is not None and real.images is not None
    assert len(made) == len(real.rows("train")) and made.subjects_seen() == set(real.subjects("train"))
    assert np.std(made.images) < np.std(real.images) and made.encoding == real.encoding
    assert {one.kind for one in PLAN.asked} == {"source", "scale", "annotation", "checklist", "text"}
