"""A stage of a study: one verb of the command line with input folders and one output folder.

**Checked** in tests/studies/test_stage.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from understudy.core.errors import UsageError

MARKERS = {  # the file that lies in a complete output, by verb: written last, or with the folder
    "import": "cohort.json",
    "edit": "cohort.json",
    "sample": "cohort.json",
    "condition": "cohort.json",
    "segment": "cohort.json",
    "screen": "cohort.json",
    "train": "complete.json",
    "import-weights": "complete.json",
    "classify": "classifier.json",
    "evaluate": "results.json",
    "reader": "results.json",
    "report": "provenance.json",
    "release": "manifest.json",
}


class Needs(BaseModel):
    """What a stage takes. ``minutes`` and ``disk_mb`` are expectations; a cluster gives twice the minutes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    threads: int = Field(
        1, ge=1, le=1024, description="processor threads; the last digits of results depend on their number"
    )
    memory_gb: float = Field(4, gt=0, le=1e6, description="main memory")
    gpus: int = Field(0, ge=0, le=1024, description="graphics processors")
    minutes: float | None = Field(None, gt=0, le=1e7, description="expected duration")
    disk_mb: float | None = Field(None, gt=0, le=1e12, description="expected size of the output")


@dataclass(frozen=True)
class Stage:
    """One stage of a study, ready to run in the study's folder.

    Attributes:
        name: unique in the study, and the name of its log: ``painted-fold1-seed0``.
        template: the entry of the YAML that it was made from: ``painted``.
        loops: the loops that it depends on, with their values as texts.
        folder: where its output lies below the study's folder: ``painted/painted-fold1-seed0``.
        verb: the first word of the command.
        arguments: all words after ``understudy``, with paths of other stages relative to the study's folder.
        inputs: names of the stages whose outputs it reads.
        needs: what it takes.
        digest: SHA-256 of the request, in which the digests of the inputs stand for their folders.
    """

    name: str
    template: str
    loops: dict[str, str]
    folder: str
    verb: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    needs: Needs
    digest: str

    @property
    def marker(self) -> str:
        """The file whose presence in the output says that the stage is complete."""
        return MARKERS[self.verb]


def depths(stages: Sequence[Stage]) -> dict[str, int]:
    """Return for each stage, inputs first, how many stand one behind the other before it; the deepest runs first."""
    found: dict[str, int] = {}
    for stage in stages:
        found[stage.name] = 1 + max((found[name] for name in stage.inputs), default=-1)
    return found


def chosen(stages: Sequence[Stage], only: Sequence[str]) -> list[Stage]:
    """Return the stages that ``only`` names, and those whose outputs they read; all where it names none.

    Args:
        stages: of a study, inputs first.
        only: ``fold=1``, a value of a loop, or ``utility``, an entry of the YAML or one stage's name. Of one loop, and
            of names, any will do; of several loops, and beside names, all must hold.

    Raises:
        UsageError: the study has no such name or value, or no stage for which all hold.
    """
    values: dict[str, set[str]] = {}
    names: set[str] = set()
    for text in only:
        loop, equals, value = text.partition("=")
        known = {v for s in stages for name, v in s.loops.items() if name == loop} if equals else _names(stages)
        if (value if equals else loop) not in known:
            entries = sorted({stage.template for stage in stages})
            raise UsageError(f"--only {text} is nothing of this study: a loop's value, or one of {', '.join(entries)}")
        (values.setdefault(loop, set()) if equals else names).add(value if equals else loop)
    found = [s for s in stages if not names or names & {s.name, s.template}]
    found = [s for s in found if all(s.loops.get(loop) in wanted for loop, wanted in values.items())]
    if not found:
        raise UsageError(f"no stage is all of --only {' --only '.join(only)}: ask for less")
    needed = {stage.name for stage in found}
    for stage in reversed(stages):  # readers before what they read
        needed |= set(stage.inputs) if stage.name in needed else set()
    return [stage for stage in stages if stage.name in needed]


def _names(stages: Sequence[Stage]) -> set[str]:
    return {name for stage in stages for name in (stage.name, stage.template)}
