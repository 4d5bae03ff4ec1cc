"""What a reader study asks: one YAML file, written before anybody reads.

    title: Chest x-rays
    about: You will see chest x-rays; some are real, some synthetic.
    margin: 0.10              readers cannot tell: AUC within 0.5 +- margin; fixed here, before the first answer
    repeats: 0.1              share of cases shown twice, for the agreement of a reader with himself
    training: 4               cases shown first, with the truth after each answer; they count nowhere
    undo: last                last | any | never
    questions:
      - {name: source, kind: source, text: "Is this image real or synthetic?"}
      - {name: realism, kind: scale, text: "How realistic is it?", options: [not at all, little, fairly, very]}
      - {name: outline, kind: annotation, text: "Is the outline of the lesion correct?"}
      - {name: findings, kind: checklist, text: "Which findings do you see?", options: [effusion, nodule]}
      - {name: comment, kind: text, text: "What gave it away?"}

Every entry may be left out. ``pairs: true`` shows a real and a synthetic case side by side, and asks a question of the
kind ``pair`` instead of ``source``. **Checked** in tests/reader/test_plan.py.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from understudy.core.documents import mistakes
from understudy.core.errors import NO_VALUE, UsageError
from understudy.core.regular_file import read_regular

CONFIDENCE = 5  # points, beside each call
MAX_OPTIONS = 9  # each has a key
MOST_BYTES = 2**20  # of a plan
Line = Annotated[str, Field(min_length=1, max_length=300)]
Option = Annotated[
    Line, BeforeValidator(lambda value: ("no", "yes")[value] if isinstance(value, bool) else value)
]  # YAML


class Question(BaseModel):
    """One question about every case.

    Kinds: ``source`` (real or synthetic, with confidence), ``pair`` (which of two is real, with confidence), ``scale``
    (one of the options, lowest first), ``annotation`` (is the label map right: yes, no), ``checklist`` (any of the
    options, or none), ``text`` (free, may stay empty).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern="^[a-z][a-z0-9_]{0,39}$", description="as in results")
    kind: Literal["source", "pair", "scale", "annotation", "checklist", "text"]
    text: Line
    options: tuple[Option, ...] = ()

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        least = {"scale": 2, "checklist": 1}.get(self.kind, 0)
        most = MAX_OPTIONS if least else 0
        if not least <= len(self.options) <= most:
            raise ValueError(f"a question of kind {self.kind} has {least} to {most} options, found {len(self.options)}")
        if len(set(self.options)) < len(self.options):
            raise ValueError("an option stands twice")
        return self


SOURCE = Question(name="source", kind="source", text="Is this image real or synthetic?")
PAIR = Question(name="pair", kind="pair", text="Which of the two images is real?")
COMMENT = Question(name="comment", kind="text", text="What made you decide? (may stay empty)")


class StudyPlan(BaseModel):
    """What the YAML of a reader study holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: Line = "Real or synthetic?"
    about: str = Field(
        "You will see medical images one by one. Some are of patients, some were made by a computer. "
        "Judge each by itself: how many of each there are is not told.",
        max_length=5000,
    )
    margin: float = Field(0.10, gt=0, lt=0.5, description="readers cannot tell: AUC within 0.5 +- margin")
    repeats: float = Field(0.1, ge=0, le=0.5, description="share of cases shown twice")
    training: int = Field(0, ge=0, le=100, multiple_of=2, description="cases with feedback, half of them real")
    undo: Literal["last", "any", "never"] = "last"
    pairs: bool = Field(False, description="two cases side by side, one of them real")
    labels: bool = Field(False, description="label maps can be shown as outlines")
    wrong_annotations: float = Field(
        0.0, ge=0, le=0.5, description="share of cases whose label map is that of another case, to be found"
    )
    questions: tuple[Question, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        asked = self.asked
        names, kinds = [one.name for one in asked], [str(one.kind) for one in asked]
        if len(set(names)) < len(names):
            raise ValueError("each question needs a name of its own")
        call, other = ("pair", "source") if self.pairs else ("source", "pair")
        if kinds.count(call) != 1 or other in kinds:
            raise ValueError(f"with pairs: {str(self.pairs).lower()} one question of kind {call}, and none of {other}")
        if self.pairs and ("annotation" in kinds or self.wrong_annotations):
            raise ValueError("annotations are judged one by one: leave out pairs, or the annotation")
        if self.wrong_annotations and "annotation" not in kinds:
            raise ValueError("wrong_annotations needs a question of kind annotation")
        return self

    @property
    def asked(self) -> tuple[Question, ...]:
        """The questions, or the usual ones where the file names none."""
        return self.questions or (PAIR if self.pairs else SOURCE, COMMENT)

    @property
    def call(self) -> Question:
        """The question that tells real from synthetic."""
        return next(one for one in self.asked if one.kind in ("source", "pair"))

    @property
    def shows_labels(self) -> bool:
        """Whether label maps can be shown."""
        return self.labels or any(one.kind == "annotation" for one in self.asked)


def read_plan(file: Path | None) -> StudyPlan:
    """Read a plan; without a file the usual one.

    Raises:
        UsageError: there is no such file, it is no YAML, or it asks for what there is not: what, and where.
    """
    if file is None:
        return StudyPlan()
    content = read_regular(file, "the questions of a reader study (YAML)", MOST_BYTES)
    try:
        return StudyPlan.model_validate(yaml.safe_load(content.decode()) or {})
    except ValidationError as error:
        raise UsageError(f"the questions in {file} are wrong ({mistakes(error)}): correct them") from error
    except (yaml.YAMLError, *NO_VALUE) as error:
        raise UsageError(f"{file} is not YAML in UTF-8 ({mistakes(error)[:200]}): mend it") from error
