"""What the log of screenings holds is what screening writes, and anything else in its place is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.release.screen import screen_cohort
from understudy.release.screening_log import screenings

Write = Callable[..., Path]


def test_what_screening_writes_is_read_whole(cohort: Path, privacy: Write, tmp_path: Path) -> None:
    made = Cohort.open(screen_cohort(cohort, [privacy(cohort, [2, 7])], tmp_path / "out"))
    (entry,) = screenings(made)
    assert [entry.model_dump()] == made.sampling["screened"]
    assert (entry.retained.cases.before, entry.retained.cases.after) == (10, 8)
    assert [one["case_id"] for one in entry.rejected] == ["case2", "case7"]
    assert screenings(Cohort.open(cohort)) == []


@pytest.mark.parametrize("log", [{}, "x", 7, [1], [{}], [{"source": "x", "data_used": [], "retained": {}}]])
def test_another_log_is_refused(bench: Any, log: object) -> None:
    with pytest.raises(UnderstudyError, match=r"should log screenings in sampling\.screened"):
        screenings(Cohort.open(bench.cohort("odd", sampling={"screened": log})))
