"""What the ``report`` of a study's YAML asks for; every entry may be left out, and then the report shows what there is.

    report:
      pool: [fold, draw, seed]        loops over which numbers are pooled, the outermost first
      names: {progan: Progressive GAN}
      claims:
        - claim: synthetic cases alone reach 80 % of the Dice of real ones
          source: Akbar 2024 [S]
          from: utility               the stage, as the YAML calls it
          measure: ratio              ratio, gain or score of an arm; or ``result``: a name in results.json
          where: {generator: diffusion}
          at_least: 0.8
      tables:
        - from: utility
          task: stroke lesion         as in the papers' rows that may be compared
          paper:
            - {row: "real + synthetic", value: 0.728, source: "Platscher 2021 [S:seed3]", task: stroke lesion,
               resolution: 128 x 128 x 32, slices: volumes}
      curves:
        - {from: utility, x: subjects, arms: [both], measure: gain}
      scatters:
        - {x: {from: "privacy*", result: privacy.attack.best}, y: {from: "utility*"}, beside: [privacy.swap.p]}
      not_measured: ["No radiologist saw these images."]

**Checked** in tests/studies/report/test_config.py.
"""

import re
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

TAGGED = re.compile(r"\[S(:[\w.,' -]+)?\]")  # a number found in a source; those from memory are no evidence
BACKGROUND = re.compile(r"\[B\b")
POOLED = ("fold", "draw", "seed")
ARM = r"^(real|synthetic|both(-\d{1,2})?|finetuned)(@\d+)?$"  # as results name them (evaluation/utility/arms.py)
Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]
ArmName = Annotated[str, Field(pattern=ARM)]
Where = dict[str, Text]
Loops = tuple[str, ...]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Selection(_Asked):
    """Which finished evaluations: those of a stage of the YAML, where loops have these values, pooled over others."""

    template: str = Field(
        alias="from", description="the stage as the YAML calls it; privacy* stands for all whose names begin so"
    )
    where: Where = Field({}, description="loops that have one value, e.g. generator: diffusion")
    pool: Loops | None = Field(None, description="loops pooled over, the outermost first; default: those of the report")

    def takes(self, template: str) -> bool:
        """Tell whether a stage of the YAML is meant."""
        return fnmatchcase(template, self.template)


class Measure(Selection):
    """One number of a selection: a score of networks, or a result by its name."""

    measure: Literal["score", "ratio", "gain", "difference"] = Field(
        "ratio", description="of the arm: its score, divided by real, minus real, or minus that of `against`"
    )
    arm: ArmName = "synthetic"
    class_: str = Field("mean", alias="class", description="a class, or the mean of them")
    score: str = Field("", description="dice, iou, hd95 ...; default: the first of the task")
    against: Where = Field({}, description="of a difference: the values of loops that stand instead of those of where")
    result: str = Field("", description="instead of a score: a name in results.json, without that of the cohort")

    @model_validator(mode="after")
    def _compared(self) -> Self:
        if bool(self.against) != (self.measure == "difference" and not self.result):
            raise ValueError(
                "measure: difference and against belong together: against has the values of loops of what is taken "
                "away, and no other measure and no result has it"
            )
        return self


class Claim(Measure):
    """A sentence, where it is from, and between which bounds the number lies where it is seen."""

    claim: str = Field(min_length=1)
    source: str = ""
    at_least: float | None = Field(None, allow_inf_nan=False)
    at_most: float | None = Field(None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("a claim needs at_least or at_most, with which its number is compared")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("at_least is above at_most: no number lies between them")
        return self


class PaperRow(_Asked):
    """A published number, with what decides whether ours may be compared with it."""

    row: str = Field(min_length=1)
    value: float = Field(allow_inf_nan=False)
    source: str
    class_: str = Field("mean", alias="class")
    measure: Literal["score", "ratio", "gain"] = "score"
    task: str = ""
    resolution: str = ""
    slices: Literal["slices", "volumes", ""] = Field("", description="what a case is")
    n: int | None = Field(None, ge=1, description="test subjects")

    @model_validator(mode="after")
    def _found_in_a_source(self) -> Self:
        if not TAGGED.search(self.source) or BACKGROUND.search(self.source):
            raise ValueError(
                f"a number from a source, tagged [S] or [S:...], may be quoted, and no other; found {self.source!r}"
            )
        return self


class ScoreTable(Selection):
    """A table of scores as papers print them: rows are arms and loops, columns are classes."""

    title: str = ""
    rows: Loops | None = Field(None, description="loops that make rows; default: all that are not pooled")
    arms: tuple[ArmName, ...] = Field((), description="default: all that were trained")
    classes: tuple[str, ...] = Field((), description="default: all, after their mean")
    score: str = ""
    task: str = Field("", description="what is found in what, in the words of the papers' rows")
    paper: tuple[PaperRow, ...] = ()


class NumberTable(Selection):
    """A table of results by name: rows are loops, columns are names in results.json without that of the cohort."""

    title: str = ""
    results: tuple[str, ...] = Field(min_length=1)


class CurvePlan(Measure):
    """A curve: a number against a loop of numbers, or against ``share`` or ``real_subjects`` of the arms."""

    title: str = ""
    x: str
    x_label: str = ""
    y_label: str = ""
    arms: tuple[ArmName, ...] = Field((), description="a line each; of x = share or real_subjects: all that there are")
    lines: Loops | None = Field(None, description="loops that make lines; default: all that are not pooled")

    @model_validator(mode="after")
    def _of_one_selection(self) -> Self:
        if self.against:
            raise ValueError("a curve has no difference to others: leave against out, or make it a claim")
        return self


class Scatter(_Asked):
    """Synthetic cohorts as points: one number against another, each with its interval, e.g. utility and an attack."""

    title: str = ""
    x: Measure
    y: Measure
    x_label: str = ""
    y_label: str = ""
    beside: tuple[str, ...] = Field((), description="further results of the stages of x, in the table alone")
    note: str = Field("", description="what must be known to read it, such as what was chosen on what")

    @model_validator(mode="after")
    def _plain_numbers(self) -> Self:
        if any(side.pool is not None or side.against for side in (self.x, self.y)):
            raise ValueError("a scatter pools what the report pools, and has no difference: leave pool and against out")
        return self


class SampleGrid(Selection):
    """Cases of all synthetic cohorts of a stage, side by side."""

    title: str = ""
    cases: int = Field(8, ge=1, le=24)
    channels: tuple[str, ...] = Field((), description="default: all, of many cohorts the first")


class ReportConfig(_Asked):
    """What a study's report shows."""

    pool: Loops = POOLED
    seed: int = Field(0, description="of resampling")
    draws: int = Field(2000, ge=100, le=100_000, description="resamples")
    names: dict[str, str] = Field({}, description="words for loops, their values and stages")
    claims: tuple[Claim, ...] = ()
    tables: tuple[ScoreTable, ...] | None = Field(None, description="default: one for each `evaluate utility`")
    numbers: tuple[NumberTable, ...] | None = Field(None, description="default: one for each other evaluation")
    curves: tuple[CurvePlan, ...] | None = Field(None, description="default: over every loop of numbers not pooled")
    scatters: tuple[Scatter, ...] = ()
    samples: tuple[SampleGrid, ...] | None = Field(None, description="default: of all cohorts that were evaluated")
    not_measured: tuple[str, ...] = Field((), description="sentences beside those that the page finds itself")


def read_report(given: Any) -> ReportConfig:
    """Return the ``report`` of a study, read or already read; pydantic's ValidationError where it is none."""
    return ReportConfig.model_validate(given)
