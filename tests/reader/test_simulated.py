"""Simulated readers answer everything, find planted errors, tell about as well as they should, and go on."""

from collections.abc import Callable
from typing import Any

from understudy.reader.analysis.readings import read_readings
from understudy.reader.create import Created
from understudy.reader.session import OpenStudy
from understudy.reader.simulated import answer_all
from understudy.reader.statistics.roc import areas
from understudy.reader.statistics.simulation import readers_with
from understudy.reader.store import Answer


def test_they_tell_as_well_as_they_should(make: Callable[..., Created]) -> None:
    made = make(n=16, readers=8)
    assert answer_all(made.folder, readers_with(0.9)) == 8 * (32 + 4)
    assert answer_all(made.folder, readers_with(0.9)) == 0
    found = read_readings(made.folder)
    fakes = found.synthetic
    area = areas(real=found.ratings[:, ~fakes], synthetic=found.ratings[:, fakes]).values.mean()
    assert 0.75 < area < 0.99
    assert found.values("comment")[0][0] == "simulated reader"


def test_they_go_on_where_a_person_stopped(make: Callable[..., Created], reading: Any) -> None:
    made = make(plan=reading.plan(pairs=True, questions=(), wrong_annotations=0.0), readers=1)
    study = OpenStudy.open(made.folder)
    study.store.add(Answer(1, 0, {"pair": {"call": "left", "confidence": 5}}, 1, 1), "n")
    study.store.close()
    assert answer_all(made.folder, readers_with(0.5)) == 12
