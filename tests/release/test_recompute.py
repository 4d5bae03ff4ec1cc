"""Numbers that can be measured again in seconds must come out again."""

from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.result import Result
from understudy.release.recompute import NAME, refuse_other_numbers
from understudy.report.reading import Folder, read_folders


def told(bench: Any, name: str, value: float | None, mark: str) -> list[Folder]:
    about = Cohort.open(bench.synthetic).id
    return read_folders([bench.results(mark, "privacy", [Result(f"{NAME}.{name}", value, note="x")], about)])


def test_a_number_that_is_another_is_refused(bench: Any) -> None:
    source, real = Cohort.open(bench.synthetic), Cohort.open(bench.real)
    assert source.images is not None and real.images is not None
    ours, theirs = (np.asarray(c.images, float).reshape(len(c), -1) for c in (source, real))
    highest = np.corrcoef(ours, theirs)[:12, 12:].max(1)
    for name, value in (("max", highest.max()), ("median", np.quantile(highest, 0.5, method="inverted_cdf"))):
        refuse_other_numbers(told(bench, name, float(value), f"{name}-good"), source, real)
        with pytest.raises(
            UnderstudyError, match=f"says that {NAME}.{name} is .* and measured again it is {value:.4f}"
        ):
            refuse_other_numbers(told(bench, name, float(value) - 0.01, f"{name}-bad"), source, real)
    refuse_other_numbers(told(bench, "max", None, "none"), source, real)
