"""The finished stages of a study: what may be shown, and which evaluation judged which synthetic cohort.

**Checked** in tests/studies/report/test_finished.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.result import Result, read_results
from understudy.evaluation.guard import numbered
from understudy.studies.record import Record, read_record
from understudy.studies.report.config import Measure, ReportConfig, Selection
from understudy.studies.stage import Stage

EVALUATES = ("evaluate", "reader")  # verbs whose output is results.json
COHORT = "cohort"  # what stands beside the loops: which stage of the YAML made the synthetic cohort


@dataclass(frozen=True)
class Judged:
    """A synthetic cohort in a finished evaluation, or the evaluation alone where it judges none.

    Attributes:
        stage: the evaluation.
        folder: its results.
        cohort: the cohort's short name in the results, "" where there is one.
        loops: those of the evaluation and of the cohort, and ``cohort``: the stage of the YAML that made it.
        of: the stage that made the cohort, or None.
        others: short names of the other cohorts in the results.
    """

    stage: Stage
    folder: Path
    cohort: str
    loops: Mapping[str, str]
    of: Stage | None = None
    others: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Utility, fidelity, privacy ..."""
        return kind_of(self.stage)


@dataclass(frozen=True)
class Finished:
    """The stages of a study and the folder in which they lie."""

    stages: Sequence[Stage]
    out: Path
    _read: dict[str, tuple[list[Result], dict[str, Any]]] = field(default_factory=dict, repr=False)

    @cached_property
    def by_folder(self) -> dict[str, Stage]:
        """The stages by the folder of their output."""
        return {stage.folder: stage for stage in self.stages}

    @cached_property
    def records(self) -> dict[str, Record | None]:
        """What is on record of each stage, by name; None where nothing is, or the record is of another request."""
        found = {stage.name: (stage.digest, read_record(self.out, stage)) for stage in self.stages}
        return {name: r if r is not None and r.digest == digest else None for name, (digest, r) in found.items()}

    def state(self, stage: Stage) -> str:
        """Return done, failed or not run; what another request made, or what no record is of, is not run."""
        record = self.records[stage.name]
        if record is None or record.state == "failed":
            return "failed" if record else "not run"
        there = (self.out / stage.folder / stage.marker).is_file()
        return "done" if there and record.state == "done" else "not run"

    def done(self, template: str = "") -> list[Stage]:
        """Return the stages that are done, of a template (or of all that a pattern takes) or of all."""
        chosen = [stage for stage in self.stages if fnmatchcase(stage.template, template or "*")]
        return [stage for stage in chosen if self.state(stage) == "done"]

    def cohort(self, stage: Stage) -> Cohort:
        """Open the cohort that a stage made."""
        return Cohort.open(self.out / stage.folder)

    def real(self, judged: Judged) -> Cohort | None:
        """Open the real cohort of an evaluation, None where it is not there."""
        folders = _option(judged.stage.arguments, "--real")
        made = [stage for stage in self.done() if stage.folder in folders]
        return self.cohort(made[0]) if made else None

    def training_seeds(self, judged: Judged) -> tuple[str, ...]:
        """Return the seeds of all trainings that a cohort is made with, "" of the default; of other cohorts none."""
        named, found = {stage.name: stage for stage in self.stages}, dict[str, Stage]()
        waiting = [judged.of] if judged.of else []
        while waiting:
            stage = waiting.pop()
            found[stage.name] = stage
            waiting += [named[name] for name in stage.inputs if name not in found]
        return tuple("".join(_option(s.arguments, "--seed")) for _, s in sorted(found.items()) if s.verb == "train")

    def evaluations(self) -> dict[str, str]:
        """Return the templates that evaluate, done or not, with what they evaluate: {"utility": "utility"}."""
        return {stage.template: kind_of(stage) for stage in self.stages if stage.verb in EVALUATES}

    @cached_property
    def judged(self) -> list[Judged]:
        """Every synthetic cohort in every finished evaluation."""
        return [one for stage in self.done() if stage.verb in EVALUATES for one in self._judged(stage)]

    def _judged(self, stage: Stage) -> Iterator[Judged]:
        folder = self.out / stage.folder
        paths = _option(stage.arguments, "--synthetic")
        if len(paths) < 2:
            of = self.by_folder.get(paths[0]) if paths else None
            yield Judged(stage, folder, "", _loops(stage, of), of)
            return
        names = numbered([Cohort.open(self.out / path).generator for path in paths])  # those of elsewhere count too
        for name, path in zip(names, paths, strict=True):
            if of := self.by_folder.get(path):
                yield Judged(stage, folder, name, _loops(stage, of), of, tuple(n for n in names if n != name))

    def select(self, asked: Selection) -> list[Judged]:
        """Return what a selection asks for; UnderstudyError where the study has no such stage or loop."""
        refuse_unknown(self.stages, asked)
        of = [one for one in self.judged if asked.takes(one.stage.template)]
        return [one for one in of if all(one.loops.get(loop) == value for loop, value in asked.where.items())]

    def results(self, judged: Judged) -> dict[str, Result]:
        """Return the results about a cohort, or about all, by name without the cohort's: ``fidelity.frechet``."""
        every = self._whole(judged)[0]
        return {_without(r.name, judged.cohort): r for r in every if not {*r.name.split(".")[1:]} & {*judged.others}}

    def provenance(self, judged: Judged) -> dict[str, Any]:
        """Return the request that an evaluation answered: {"config", "seed", "inputs", ...}."""
        return self._whole(judged)[1]

    def _whole(self, judged: Judged) -> tuple[list[Result], dict[str, Any]]:
        if judged.stage.name not in self._read:
            self._read[judged.stage.name] = read_results(judged.folder)
        return self._read[judged.stage.name]


def refuse_unknown(stages: Sequence[Stage], asked: Selection) -> None:
    """Refuse a selection of a stage, a loop or a value that a study has not, with UnderstudyError."""
    templates = sorted({stage.template for stage in stages})
    values: dict[str, set[str]] = {COHORT: set(templates)}
    for loop, value in {pair for stage in stages for pair in stage.loops.items()}:
        values.setdefault(loop, set()).add(value)
    taken = [name for name in templates if asked.takes(name)]
    wanted = [("stage", asked.template, [asked.template] if taken else templates)]
    for loop, value in (*asked.where.items(), *(asked.against.items() if isinstance(asked, Measure) else ())):
        wanted += [("loop", loop, sorted(values)), (f"value of the loop {loop}", value, sorted(values.get(loop, ())))]
    for what, name, known in wanted:
        if name not in known:
            raise UnderstudyError(
                f"the report asks for the {what} {name!r}, and the study has {', '.join(known)}: correct it"
            )


def refuse_unknown_names(stages: Sequence[Stage], config: ReportConfig) -> None:
    """Refuse a report that asks for what the study has not, before anything runs."""
    parts = (config.claims, config.tables, config.numbers, config.curves, config.samples)
    axes = [axis for scatter in config.scatters for axis in (scatter.x, scatter.y)]
    for asked in (*(one for part in parts for one in part or ()), *axes):
        refuse_unknown(stages, asked)


def kind_of(stage: Stage) -> str:
    """Return what a stage evaluates: utility, fidelity ...; or reader, of a reader study."""
    return stage.arguments[1] if stage.verb == "evaluate" else stage.verb


def _loops(stage: Stage, of: Stage | None) -> dict[str, str]:
    return {**({COHORT: of.template, **of.loops} if of else {}), **stage.loops}


def _option(arguments: Sequence[str], name: str) -> list[str]:
    """Return the values of an option that may stand several times, or have several values."""
    found: list[str] = []
    reading = False
    for word in arguments:
        if word.startswith("--"):
            reading = word == name
        elif reading:
            found.append(word)
    return found


def _without(name: str, cohort: str) -> str:
    """Return a result's name without that of the cohort that it is about."""
    parts = name.split(".")
    if cohort and cohort in parts[1:]:
        parts.pop(parts.index(cohort, 1))
    return ".".join(parts)
