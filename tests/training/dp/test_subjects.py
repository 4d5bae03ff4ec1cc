"""Subjects are drawn one by one, give k cases each, and what one gives depends on nobody else."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from understudy.core.cohort import Cohort
from understudy.training.dp.secret import known
from understudy.training.dp.subjects import DrawnSubjects, SubjectStream

CPU = torch.device("cpu")


def feed(cohort: Cohort, rate: float = 0.5, slices: int = 2, draws: int = 3, **options: bool) -> SubjectStream:
    made = SubjectStream(cohort, 7, rate, slices, draws, **{"mirror": False, "rotate": 0.0, **options})
    made.secret = known(1)
    return made


def drawn(served: SubjectStream, step: int) -> DrawnSubjects:
    return served.batch(step * 4, 4, 16, CPU, slice(0, 4))


def test_only_training_subjects_each_with_the_probability_asked_for(cohort: Cohort) -> None:
    served = feed(cohort, rate=0.3)
    assert len(served.rows) == 8 and sum(map(len, served.rows.values())) == len(cohort.rows("train"))
    counts = [len(drawn(served, step).subjects) for step in range(400)]
    assert abs(np.mean(counts) - 2.4) < 4 * np.sqrt(8 * 0.3 * 0.7 / 400) and min(counts) == 0
    assert abs(np.var(counts) - 8 * 0.3 * 0.7) < 0.4  # binomial, not a fixed number


def test_a_subject_gives_k_cases_without_replacement_each_looked_at_often(cohort: Cohort) -> None:
    served = feed(cohort, slices=4, draws=2)
    for name, own in (("s3", 4), ("s0", 1)):
        x = served.of(name, 0, 0, CPU).cases.x
        assert x.shape == (8, 2, 16, 16) and len(x.unique(dim=0)) == own
        assert torch.equal(x[0::2], x[1::2])


def test_what_a_subject_gives_depends_on_nobody_else(cohort: Cohort, write_cohort: Any, tmp_path: Path) -> None:
    served, without = feed(cohort, mirror=True), feed(write_cohort(tmp_path / "less", leave_out="s2"), mirror=True)
    assert len(without.rows) == 7
    for name in ("s1", "s3", "s7"):
        one, other = served.of(name, 5, 80, CPU), without.of(name, 5, 80, CPU)
        assert torch.equal(one.cases.x, other.cases.x) and one.seed == other.seed
        assert served.of(name, 6, 96, CPU).seed != one.seed


def test_the_classes_of_a_subject_come_with_its_cases(write_cohort: Any, tmp_path: Path) -> None:
    served = feed(write_cohort(tmp_path / "ill", ill=lambda i: str(i % 2)), conditional=True)
    for name in ("s2", "s3"):
        condition = served.of(name, 0, 0, CPU).cases.condition
        assert condition is not None and condition.tolist() == [[int(name[1]) % 2]] * 6
    assert feed(served.cohort).of("s3", 0, 0, CPU).cases.condition is None


def test_steps_may_be_repeated(cohort: Cohort) -> None:
    one, other = (drawn(feed(cohort), 3) for _ in range(2))
    assert [s.seed for s in one.subjects] == [s.seed for s in other.subjects]
