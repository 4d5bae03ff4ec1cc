"""Provenance and cost: what every stage took, from the records of the runner, and the requests that were made.

**Checked** in tests/studies/report/test_cost.py.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from understudy.core.provenance import code_version
from understudy.core.regular_file import open_regular
from understudy.core.result import read_results
from understudy.report.tables import View, number
from understudy.studies.record import Record
from understudy.studies.report.blocks import PagePart, StudyTable
from understudy.studies.report.measures import Measures
from understudy.studies.stage import Stage

HEADER = ("Stage", "Command", "Done", "Hours", "Longest, min", "Processor hours", "Peak memory, GiB", "Disk, MiB")
DATA = "DATA"  # stands for a path on the user's machine
KINDS = ("import", "train", "evaluate")  # verbs whose first argument says what kind
KEPT = "study.yaml"  # where `study run` keeps the YAML
MAX_BYTES = 2**20
DATA_LINE = re.compile(r"^data:.*$", re.MULTILINE)
OUTSIDE = re.compile(r"(~|\.\.)?/|file:")
PATHS = re.compile(  # quoted; a whole value; any other, up to a blank
    r"""(?<=["'])~?/[^"'\n]+|(?<=[:-][ ])~?/[^\n,\]}#]*[^\s,\]}#]|(?<![\w./:~$-])~?/(?:[^\s/,"'\]}]+/)*[^\s/,"'\]}]+"""
)


def cost_block(measures: Measures) -> PagePart:
    """Return what was run, on what, and what it took."""
    finished = measures.finished
    rows, raw = [], []
    for template in dict.fromkeys(stage.template for stage in finished.stages):
        cells = _row(measures, template)
        raw.append(cells)
        rows.append(
            [str(c) if isinstance(c, str) else number(c, "count" if i == 2 else "") for i, c in enumerate(cells)]
        )
    known = [r for r in finished.records.values() if r is not None and r.state == "done"]
    head = list(HEADER)
    view = View("Cost by stage of the YAML", head, rows, [False, False, *[True] * 6])
    commands = View("All stages", ["Stage", "State", "Command"], _commands(measures), [False] * 3, folded=True)
    tables = [
        StudyTable("cost", view, raw, HEADER),
        StudyTable("stages", commands, commands.rows, ("stage", "state", "command")),
    ]
    return PagePart(
        "Provenance and cost",
        "The same inputs, settings and seeds give the same numbers.",
        _told(measures, known),
        tables=tables,
    )


def _row(measures: Measures, template: str) -> list[Any]:
    stages = [stage for stage in measures.finished.stages if stage.template == template]
    records = [r for stage in stages if (r := measures.finished.records[stage.name]) is not None and r.state == "done"]
    done = f"{len(measures.finished.done(template))} of {len(stages)}"
    first = stages[0]
    command = " ".join(first.arguments[: 2 if first.verb in KINDS else 1])
    if not records:
        return [template, command, done, *[None] * 5]
    hours, processor = (sum(getattr(r, name) for r in records) / 3600 for name in ("seconds", "cpu_seconds"))
    longest, memory = max(r.seconds for r in records) / 60, max(r.peak_mb for r in records) / 1024
    return [template, command, done, hours, longest, processor, memory, sum(r.disk_mb for r in records)]


def _told(measures: Measures, records: Sequence[Record]) -> list[str]:
    """Say on what it ran and what it took in all."""
    versions = sorted({read_results(one.folder)[1]["understudy"] for one in measures.finished.judged})
    told = [f"Evaluations were made by understudy {', '.join(versions) or 'unknown'}, this page by {code_version()}."]
    config = measures.config
    told.append(
        f"Pooled intervals: {config.draws:,} resamples, seed {config.seed}, pooled over {', '.join(config.pool)}."
    )
    if not records:
        return [*told, "No cost is on record: the stages were not run by the local runner."]
    hosts, threads = sorted({r.host for r in records if r.host}), sorted({r.threads for r in records})
    hours = sum(r.seconds for r in records) / 3600
    on = f" on {len(hosts)} machine{'s' * (len(hosts) != 1)}" if hosts else ""  # their names are nobody's business
    each = " or ".join(map(str, threads))
    return [*told, f"{len(records)} stages took {hours:.2f} hours{on}, {each} thread{'s' * (each != '1')} each; "
            "failed stages, and runs that were killed together with the runner, are not counted."]  # fmt: skip


def _commands(measures: Measures) -> list[list[str]]:
    return [[stage.name, measures.finished.state(stage), command(stage)] for stage in measures.finished.stages]


def command(stage: Stage) -> str:
    """Return a stage's command; a whole path, which names a machine's folders, becomes DATA."""
    return " ".join(["understudy", *map(_without_place, stage.arguments)])


def _without_place(word: str) -> str:
    """Return a word without paths that lead out of the study's folder."""
    key, equals, value = word.rpartition("=")
    return f"{key}{equals}{DATA}" if OUTSIDE.match(value) else PATHS.sub(DATA, word)


def request(study: dict[str, Any], out: Path) -> str:
    """Return the study's YAML: as it is kept beside the outputs, or written anew; whole paths become DATA."""
    kept = out / KEPT
    if not kept.is_file():
        return PATHS.sub(DATA, _yaml({key: value for key, value in study.items() if key != "data" and value}))
    with open_regular(kept, "the YAML of a study") as handle:
        text = DATA_LINE.sub(f"data: {DATA}", handle.read(MAX_BYTES).decode(errors="replace"))
    used = _yaml({"values": study["values"]}) if study.get("values") else ""
    return PATHS.sub(DATA, text + (f"\n# Constants as they were run:\n{used}" if used else ""))


def _yaml(content: dict[str, Any]) -> str:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=100)
