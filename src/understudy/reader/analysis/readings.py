"""The answers of a study as matrices: readers and items, with what each item is.

A reader counts who answered everything; others are told, and left out. Where a case came twice, the first answer
counts, and both make the reader's agreement with himself. **Checked** in tests/reader/analysis/test_readings.py.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.reader.documents import (
    TRUTH,
    ItemTruth,
    StudyDocument,
    TruthDocument,
    read_orders,
    read_study_document,
    read_truth,
)
from understudy.reader.plan import CONFIDENCE
from understudy.reader.store import Answer, Store


@dataclass(frozen=True)
class Readings:
    """The answers of R readers to N items, real ones first.

    Attributes:
        study: what was asked.
        truth: what the items are.
        items: their names (N,).
        readers: numbers of the readers who are through (R,).
        unfinished: numbers of the others.
        orders: for each reader the index of the item at each position.
        said: for each reader the answer at each position.
        digest: SHA-256 of all answers.
    """

    study: StudyDocument
    truth: TruthDocument
    items: list[str]
    readers: list[int]
    unfinished: list[int]
    orders: list[np.ndarray]
    said: list[list[Answer]]
    digest: str

    @property
    def facts(self) -> list[ItemTruth]:
        """What each item is (N,)."""
        return [self.truth.items[name] for name in self.items]

    @cached_property
    def synthetic(self) -> np.ndarray:
        """Whether each item is synthetic, bool (N,); of pairs, whether the synthetic one is on the left."""
        return np.array([one.source == "synthetic" for one in self.facts])

    @cached_property
    def generator(self) -> np.ndarray:
        """The generator of each item (N,), "" of real ones."""
        return np.array([one.generator for one in self.facts], dtype=str)

    @cached_property
    def generators(self) -> list[str]:
        """The generators, in the order of their names."""
        return sorted(set(self.generator.tolist()) - {""})

    @cached_property
    def stratum(self) -> np.ndarray:
        """The class of each item (N,)."""
        return np.array([one.stratum for one in self.facts], dtype=str)

    @cached_property
    def first(self) -> np.ndarray:
        """The position at which each reader first saw each item, int (R, N)."""
        places = np.zeros((len(self.readers), len(self.items)), int)
        for r, order in enumerate(self.orders):
            items, where = np.unique(order, return_index=True)
            places[r, items] = where
        return places

    def values(self, name: str) -> list[list[Any]]:
        """Return each reader's first answer to a question about each item (R, N), None where there is none."""
        return [[self.said[r][p].answers.get(name) for p in places] for r, places in enumerate(self.first.tolist())]

    def in_order(self, name: str) -> list[list[Any]]:
        """Return each reader's answers to a question, position by position."""
        return [[one.answers.get(name) for one in said] for said in self.said]

    @cached_property
    def ratings(self) -> np.ndarray:
        """How sure each reader is that an item is synthetic, or of pairs, that the left one is: 1..10, (R, N)."""
        return np.array([[rating(one) for one in row] for row in self.values(self.study.plan.call.name)])

    @property
    def calls(self) -> np.ndarray:
        """Whether each reader calls an item synthetic, or of pairs, the left one, bool (R, N)."""
        return self.ratings > CONFIDENCE

    @property
    def correct(self) -> np.ndarray:
        """Whether each call is right, bool (R, N)."""
        return self.calls == self.synthetic

    @cached_property
    def correct_in_order(self) -> list[np.ndarray]:
        """Whether each call is right, reader by reader, position by position."""
        rows = self.in_order(self.study.plan.call.name)
        return [
            (np.array([rating(one) for one in row]) > CONFIDENCE) == self.synthetic[order]
            for row, order in zip(rows, self.orders, strict=True)
        ]

    @cached_property
    def repeated(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """For each reader the ratings of the items that came twice: the first and the second (k,)."""
        found = []
        for row, order in zip(self.in_order(self.study.plan.call.name), self.orders, strict=True):
            ratings = np.array([rating(one) for one in row])
            twice = [np.flatnonzero(order == item) for item in np.flatnonzero(np.bincount(order) > 1)]
            pairs = np.array([ratings[places[:2]] for places in twice]).reshape(-1, 2)
            found.append((pairs[:, 0], pairs[:, 1]))
        return found

    @cached_property
    def seconds(self) -> list[np.ndarray]:
        """Active seconds of each reader at each position."""
        return [np.array([one.seconds for one in said]) for said in self.said]


def rating(answer: dict[str, Any]) -> int:
    """Return a call with its confidence as one number: 1 surely real (or right), 10 surely synthetic (or left).

    Of pairs the real one is called, and so a call of the right one says that the left one is synthetic.
    """
    synthetic = answer["call"] in ("synthetic", "right")
    return CONFIDENCE + int(answer["confidence"]) if synthetic else CONFIDENCE + 1 - int(answer["confidence"])


def read_readings(folder: Path, truth: Path | None = None) -> Readings:
    """Read the answers of a study with its truth, which may have been kept elsewhere.

    Raises:
        UsageError: no study.
        UnderstudyError: no truth, files that were changed, or nobody is through.
    """
    study = read_study_document(folder)
    orders, facts = read_orders(folder, study), read_truth(truth or folder / TRUTH, study)
    items = sorted(facts.items, key=lambda name: _sorting(facts.items[name], name))
    number = {name: i for i, name in enumerate(items)}
    readers, unfinished, shown, said = [], [], [], []
    store = Store(folder)
    try:
        for reader, order in enumerate(orders.orders, start=1):
            given = store.answers(reader)
            if len(given) < len(order):
                unfinished.append(reader)
                continue
            readers.append(reader)
            shown.append(np.array([number[name] for name in order]))
            said.append([given[p] for p in range(len(order))])
    finally:
        store.close()
    if not readers:
        raise UnderstudyError(
            f"no reader of {folder} has answered every case: go on with `understudy reader serve {folder}`"
        )
    return Readings(study, facts, items, readers, unfinished, shown, said, _digest(said))


def _sorting(truth: ItemTruth, name: str) -> tuple[bool, str, str, str]:
    return truth.source == "synthetic", truth.generator, truth.stratum, name


def _digest(said: Sequence[Sequence[Answer]]) -> str:
    content = [[one.reader, one.position, one.answers, one.seconds] for row in said for one in row]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
