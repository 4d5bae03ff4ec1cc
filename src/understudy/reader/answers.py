"""What a browser sends, and whether it answers the questions that were asked.

An answer by the kind of its question: ``source`` {"call": "real" | "synthetic", "confidence": 1..5}; ``pair`` {"call":
"left" | "right", "confidence": 1..5}, the real one; ``scale`` 0..k-1; ``annotation`` true or false; ``checklist`` a
list of 0..k-1; ``text`` up to 2,000 characters. **Checked** in tests/reader/test_answers.py.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from understudy.core.documents import STRICT
from understudy.core.errors import UsageError
from understudy.reader.plan import CONFIDENCE, Question

MAX_TEXT = 2000
CALLS = {"source": ("real", "synthetic"), "pair": ("left", "right")}
Position = Annotated[int, Field(ge=0, le=100_000)]


class Entrance(BaseModel):
    """What the page sends when it is opened by a link."""

    model_config = STRICT

    token: str = Field(max_length=200)


class SentAnswer(BaseModel):
    """The answers to all questions about one case; the nonce makes sending twice harmless.

    The reader's number is that of the page: another link may have been opened in the same browser since.
    """

    model_config = STRICT

    reader: int
    position: Position
    nonce: str = Field(pattern="^[0-9a-f]{32}$")
    answers: dict[Annotated[str, Field(max_length=40)], Any] = Field(max_length=50)
    seconds: float = Field(ge=0, le=86_400)


class SentTraining(BaseModel):
    """The call on a training case."""

    model_config = STRICT

    position: Position
    call: Literal["real", "synthetic", "left", "right"]


def refuse_unasked(questions: Sequence[Question], answers: dict[str, Any]) -> None:
    """Raise UsageError unless every question has an answer of its kind, text aside, and nothing else was answered."""
    asked = {one.name: one for one in questions}
    if unknown := sorted(set(answers) - set(asked)):
        raise UsageError(f"there is no question {unknown[0][:40]!r}")
    for name, question in asked.items():
        if name not in answers:
            if question.kind != "text":
                raise UsageError(f"the question {name!r} has no answer")
        elif not _fits(question, answers[name]):
            raise UsageError(f"the answer to {name!r} is none of those offered")


def _fits(question: Question, answer: Any) -> bool:
    if question.kind in CALLS:
        return (
            isinstance(answer, dict)
            and set(answer) == {"call", "confidence"}
            and answer["call"] in CALLS[question.kind]
            and _whole(answer["confidence"], 1, CONFIDENCE)
        )
    if question.kind == "scale":
        return _whole(answer, 0, len(question.options) - 1)
    if question.kind == "annotation":
        return isinstance(answer, bool)
    if question.kind == "checklist":
        fits = isinstance(answer, list) and all(_whole(one, 0, len(question.options) - 1) for one in answer)
        return fits and len(set(answer)) == len(answer)
    return isinstance(answer, str) and len(answer) <= MAX_TEXT


def _whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high
