"""Simulated readers who answer a study through its store: for the demo, for tests, for trying a design out.

They see no pixel: a rating is drawn from the model of statistics/simulation.py, and every result of theirs says so.
**Checked** in tests/reader/test_simulated.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.seed import rng
from understudy.reader.documents import TRUTH, ItemTruth, read_truth
from understudy.reader.plan import CONFIDENCE, Question
from understudy.reader.session import OpenStudy
from understudy.reader.statistics.simulation import THRESHOLDS, SimulatedReaders
from understudy.reader.store import Answer

REMARK = "simulated reader"


def answer_all(folder: Path, people: SimulatedReaders, seed: int = 0) -> int:
    """Let simulated readers answer everything that is not answered yet, and return how many answers that were."""
    open_study, given = OpenStudy.open(folder), 0
    try:
        for reader in range(1, open_study.study.readers + 1):
            said = simulated_answers(folder, open_study, reader, people, seed)
            given += open_study.store.add_all([(answer, f"{answer.position:032x}") for answer in said])
    finally:
        open_study.store.close()
    return given


def simulated_answers(
    folder: Path, open_study: OpenStudy, reader: int, people: SimulatedReaders, seed: int
) -> Iterator[Answer]:
    """Yield what a simulated reader says at each position that has no answer yet."""
    study, order = open_study.study, open_study.orders.orders[reader - 1]
    truths = read_truth(folder / TRUTH, study).items
    bias = people.separation + float(rng(seed, "reader", "simulated", reader).normal(0, people.reader))
    for position in range(open_study.store.next_position(reader), len(order)):
        draw = rng(seed, "reader", "simulated", reader, position)
        truth, name = truths[order[position]], order[position]
        common = rng(seed, "reader", "simulated case", name)
        rating = _rating(truth, people, bias, common, draw)
        said = {one.name: _said(one, truth, rating, draw) for one in study.plan.asked}
        seconds = round(float(draw.lognormal(2, 0.4)), 1)
        yield Answer(reader, position, said, seconds, 0.0)


def _rating(
    truth: ItemTruth, people: SimulatedReaders, bias: float, common: np.random.Generator, draw: np.random.Generator
) -> int:
    """Return a rating 1..10: what the case is to all readers, what this reader sees in synthetic ones, and the rest.

    Of a pair: how much more synthetic the left one looks.
    """
    sides = 1 if len(truth.cases) == 1 else 2
    looks = common.normal(0, people.case, sides) + draw.normal(0, people.rest, sides)
    if sides == 1:
        return int(np.digitize(looks[0] + bias * (truth.source == "synthetic"), THRESHOLDS)) + 1
    looks[0 if truth.source == "synthetic" else 1] += bias
    return int(np.digitize((looks[0] - looks[1]) / np.sqrt(2), THRESHOLDS)) + 1


def _said(question: Question, truth: ItemTruth, rating: int, draw: np.random.Generator) -> Any:
    """Return an answer to a question."""
    synthetic = rating > CONFIDENCE
    confidence = rating - CONFIDENCE if synthetic else CONFIDENCE + 1 - rating
    if question.kind == "source":
        return {"call": "synthetic" if synthetic else "real", "confidence": confidence}
    if question.kind == "pair":
        return {"call": "right" if synthetic else "left", "confidence": confidence}
    if question.kind == "scale":
        return int(draw.integers(0, len(question.options)))
    if question.kind == "annotation":
        return bool(draw.random() < (0.3 if truth.wrong else 0.9))
    if question.kind == "checklist":
        return [k for k in range(len(question.options)) if draw.random() < 0.2]
    return REMARK
