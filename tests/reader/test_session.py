"""Whose turn it is: positions in order, undo as the study says, training with feedback, no truth read."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from understudy.core.errors import UsageError
from understudy.reader.answers import SentAnswer, SentTraining
from understudy.reader.create import Created
from understudy.reader.session import OpenStudy, OutOfTurn


@contextmanager
def opened(made: Created) -> Iterator[OpenStudy]:
    (made.folder / "truth.json").rename(made.folder.parent / "truth.json")  # the server needs no truth
    study = OpenStudy.open(made.folder)
    yield study
    study.store.close()


def say(study: OpenStudy, reader: int, sent: SentAnswer) -> dict[str, Any]:
    study.store.add(study.accepted(reader, sent), sent.nonce)
    return study.following(reader)


def said(reading: Any, position: int, nonce: int = 0, **more: Any) -> SentAnswer:
    return SentAnswer(**reading.sent(position, nonce, **more))


def test_cases_come_in_order(make: Callable[..., Created], reading: Any) -> None:
    with opened(make()) as study:
        state = study.state(1)
        assert (state["next"], state["total"], state["training"]) == (0, 26, 0) and "margin" not in state
        assert study.item(1, 0) != study.item(1, 1)
        for later in (2, 25, -1, 26):
            with pytest.raises(OutOfTurn):
                study.item(1, later)
        with pytest.raises(OutOfTurn):
            say(study, 1, said(reading, 1))
        assert say(study, 1, said(reading, 0)) == {"next": 1}
        assert say(study, 1, said(reading, 0)) == {"next": 1}  # sent twice, stored once
        assert study.state(2)["next"] == 0
        with pytest.raises(UsageError, match="another link was opened in this browser"):
            say(study, 2, said(reading, 0))
        with pytest.raises(UsageError, match="no answer"):
            say(study, 1, SentAnswer(reader=1, position=1, nonce="f" * 32, answers={}, seconds=1))
        for position in range(1, 26):
            say(study, 1, said(reading, position))
        with pytest.raises(OutOfTurn):
            say(study, 1, said(reading, 26))
        assert [one["answered"] for one in study.progress()["readers"]] == [26, 0]


@pytest.mark.parametrize(("undo", "allowed"), [("last", [2]), ("any", [0, 1, 2]), ("never", [])])
def test_undo_as_the_study_says(make: Callable[..., Created], reading: Any, undo: str, allowed: list[int]) -> None:
    with opened(make(undo=undo)) as study:
        for position in range(3):
            say(study, 1, said(reading, position))
        for position in range(3):
            if position in allowed:
                assert study.answered(1, position)["answers"] == reading.SAID
                say(study, 1, said(reading, position, 100 + position, realism=0))
                assert study.answered(1, position)["answers"]["realism"] == 0
            else:
                with pytest.raises(OutOfTurn):
                    study.answered(1, position)
                with pytest.raises(OutOfTurn):
                    say(study, 1, said(reading, position, 100 + position))
        assert study.state(1)["next"] == 3


def test_training_cases_tell_what_they_were(make: Callable[..., Created]) -> None:
    with opened(make(training=2)) as study:
        assert len(study.training_item(0)) == study.study.item_bytes
        told = [study.feedback(SentTraining(position=i, call="real")) for i in range(2)]
        assert sorted((one["truth"], one["right"]) for one in told) == [("real", True), ("synthetic", False)]
        with pytest.raises(OutOfTurn):
            study.training_item(2)
