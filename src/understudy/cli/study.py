"""``understudy study``: whole experiments, from one YAML to one report.

**Checked** in tests/cli/test_study.py.
"""

import shlex
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import understudy as us
from understudy.cli.help import CommandGroup, Verb, example, group
from understudy.cli.options import Key, Set, option, parse_settings, writing
from understudy.core.errors import UnderstudyError, UsageError

if TYPE_CHECKING:
    from understudy.studies.plan import Planned
    from understudy.studies.stage import Stage
    from understudy.studies.study import StudyFile

File = Annotated[Path, typer.Argument(metavar="S.yaml", help="The study.")]
Folder = Annotated[Path, typer.Option("--out", metavar="DIR", help="The study's folder; run again to go on.")]
Data = Annotated[Path | None, option("DIR", "The data, in place of the study's own $data.")]
Only = Annotated[
    list[str] | None,
    option("NAME|LOOP=VALUE", "Only these stages and what they read: fold=1, or a stage; several times if wanted."),
]
Jobs = Annotated[int, typer.Option(min=1, help="Stages at once, each in a process of its own.")]

app = group(CommandGroup, "understudy study new --data DATA --out first.yaml")


@app.callback()
def study() -> None:
    """Run whole experiments: one YAML, many stages, one report."""


def verb(*examples: str) -> Any:
    """Register a sub-command whose help shows examples."""
    name = examples[0].split()[2]
    return app.command(name, cls=Verb, epilog=example(*examples))


@verb("understudy study list")
def list_() -> None:
    """Print the studies that come with understudy: after four papers, at their scale and in small, and others."""
    from understudy.studies.new import shipped

    for name, title in shipped().items():
        typer.echo(f"{name:20s} {title}")


@verb(
    "understudy study new --data DATA --out first.yaml",
    "understudy study new crossval --data DATA --out crossval.yaml",
)
def new(
    data: Annotated[Path, option("DIR", "Your data.")],
    out: Annotated[Path, typer.Option("--out", metavar="S.yaml", help="The file to write.")],
    name: Annotated[str, typer.Argument(metavar="STUDY", help="One that comes with it, see `study list`.")] = "first",
    leave_out: Annotated[
        str | None, option("COLUMN", "Instead of folds: leave each institution, or other value, out in turn.")
    ] = None,
) -> None:
    """Write a study for your own data, to be read and changed: what lies in the folder is guessed from names."""
    from understudy.core.atomic import whole_file
    from understudy.studies.new import leaving_out, new_study

    if out.exists() or not out.absolute().parent.is_dir():
        wrong = "exists already" if out.exists() else "would lie in a folder that does not exist"
        raise UsageError(f"the study {out} {wrong}: choose another --out")
    text, layout = new_study(name, data, out.absolute().parent)
    text = text if leave_out is None else leaving_out(text, layout, data, leave_out)
    with writing(out), whole_file(out) as handle:
        handle.write(text.encode())
    for line in layout.unclear:
        typer.echo(f"not clear: {line}")
    typer.echo(f"study: {out}" + (f" (import {layout.source})" if layout.source else ""))


@verb(
    "understudy study plan crossval.yaml --out crossval", "understudy study plan crossval.yaml --out crossval --stages"
)
def plan(
    context: typer.Context,
    file: File,
    out: Folder,
    data: Data = None,
    settings: Set = None,
    key: Key = None,
    only: Only = None,
    jobs: Jobs = 1,
    stages: Annotated[bool, typer.Option("--stages", help="Print every stage with its command.")] = False,
) -> None:
    """Print the stages, what is done, what is left, and the time and disk that it takes; nothing is run."""
    from understudy.studies.plan import hours_left
    from understudy.studies.plan import plan as planned
    from understudy.studies.stage import chosen

    _, made = read(context, file, data, settings, key)
    found = planned(chosen(made, only or ()), out)
    if stages:
        for one in found:
            typer.echo(f"{one.state.value:8s} {one.stage.name}: {shlex.join(['understudy', *one.stage.arguments])}")
    else:
        _show(found)
    left = [one for one in found if one.state.value != "done"]
    unknown = sum(one.seconds is None for one in left)
    typer.echo(
        f"{len(found) - len(left)} of {len(found)} stages are done; the rest takes about "
        f"{hours_left(found, jobs):.1f} h with --jobs {jobs} and {sum(one.disk_mb or 0 for one in left) / 1024:.1f} GiB"
        + (f" (of {unknown} stages nothing is known yet)" if unknown else "")
    )


@verb(
    "understudy study run crossval.yaml --out crossval --jobs 2 --keep-going",
    "understudy study run crossval.yaml --out crossval --only fold=1",
)
def run(
    context: typer.Context,
    file: File,
    out: Folder,
    data: Data = None,
    settings: Set = None,
    key: Key = None,
    only: Only = None,
    jobs: Jobs = 1,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="After a failure, run all that does not depend on it.")
    ] = False,
) -> None:
    """Run what is missing; a changed setting remakes only what depends on it, and ends with the report."""
    from understudy.studies.record import State, state_of
    from understudy.studies.report.page import write_study_report
    from understudy.studies.runner import last_words, run_stages
    from understudy.studies.stage import chosen

    whole, made = read(context, file, data, settings, key)
    wanted = chosen(made, only or ())
    _keep(file, whole, made, out)
    width, numbers = len(str(len(made))), {stage.name: i for i, stage in enumerate(made, start=1)}

    def told(event: str, stage: "Stage", record: Any) -> None:
        took = "" if record is None else f" ({record.seconds:.0f} s, {record.peak_mb:.0f} MiB)"
        typer.echo(f"[{numbers[stage.name]:{width}d}/{len(made)}] {event:6s} {stage.name}{took}")

    with writing(out):
        undone = run_stages(wanted, out, jobs=jobs, keep_going=keep_going, told=told)
        page = write_study_report(whole, made, out)
    if undone:
        first = next((stage for stage in undone if state_of(out, stage) is State.FAILED), undone[0])
        raise UnderstudyError(
            f"{len(undone)} of {len(wanted)} stages are not done; {first.name} failed: {last_words(out, first)} "
            f"(the rest in {out / 'logs' / first.name}.log): mend it and run the same command again"
        )
    typer.echo(f"report: {page}")


@verb("understudy study report crossval.yaml --out crossval")
def report(
    context: typer.Context, file: File, out: Folder, data: Data = None, settings: Set = None, key: Key = None
) -> None:
    """Write the report of the stages that are done: one page, its figures and tables; `study run` ends with it."""
    from understudy.studies.report.page import write_study_report

    whole, made = read(context, file, data, settings, key)
    if not (out / "study.yaml").is_file():
        raise UsageError(f"a study's folder was expected at {out}: run the study first")
    _keep(file, whole, made, out)
    with writing(out):
        typer.echo(f"report: {write_study_report(whole, made, out)}")


@verb("understudy study export crossval.yaml --out crossval --engine snakemake")
def export(
    context: typer.Context,
    file: File,
    out: Folder,
    data: Data = None,
    settings: Set = None,
    key: Key = None,
    engine: Annotated[str, typer.Option(metavar="snakemake", help="What is to run the stages.")] = "snakemake",
    program: Annotated[
        str, typer.Option(metavar="COMMAND", help="How jobs call understudy, e.g. with a container's words before it.")
    ] = "understudy",
) -> None:
    """Write a Snakefile of the same commands, and a profile for SLURM, into the study's folder."""
    from understudy.studies.snakefile import write_snakefile

    if engine != "snakemake":
        raise UsageError(f"--engine is snakemake, found {engine!r}")
    whole, made = read(context, file, data, settings, key)
    _keep(file, whole, made, out)
    with writing(out):
        written = write_snakefile(made, out, study=whole.study, program=program)
    typer.echo(
        f"{len(made)} stages: {written}; run them with: cd {shlex.quote(str(out))} && snakemake --profile profile"
    )


def read(
    context: typer.Context, file: Path, data: Path | None, settings: Sequence[str] | None, key: Path | None
) -> "tuple[StudyFile, list[Stage]]":
    """Return a study with what was told on the command line, and its stages; settings and report are looked at."""
    from understudy.studies.command_line import CommandLine
    from understudy.studies.expand import expand
    from understudy.studies.report.finished import refuse_unknown_names
    from understudy.studies.study import read_study

    found = read_study(file)
    told = parse_settings(list(settings or ()), us.evaluate)
    if unknown := [name for name in told if name not in found.values]:
        raise UsageError(f"--set {unknown[0]} is no value of the study: it has {', '.join(found.values) or 'none'}")
    changes: dict[str, Any] = {"values": {**found.values, **told}}
    if data is not None:
        if not data.exists():
            raise UsageError(f"data were expected at {data}, and there are none: correct --data")
        changes["data"] = str(data.resolve())  # as that of the file is
    found = found.model_copy(update=changes)
    stages = expand(found, CommandLine(context.find_root().command), key and key.absolute())
    for stage in stages:
        _look_at_settings(stage)
    refuse_unknown_names(stages, found.report)
    return found, stages


def _look_at_settings(stage: "Stage") -> None:
    """Refuse settings that a training or an evaluation has not, before anything runs."""
    from understudy.api.evidence import evaluation_config
    from understudy.api.settings import CONFIGS, configure, presets_of, settings_of

    told = {name: value for name, value in pairwise(stage.arguments) if name in ("--preset", "--task")}
    pairs = [value for name, value in pairwise(stage.arguments) if name == "--set"]
    settings, (verb, kind) = parse_settings(pairs, us.evaluate), stage.arguments[:2]
    try:
        if verb == "train":
            preset = presets_of(kind).get(told.get("--preset", ""), {})
            configure(settings_of(kind), {**preset, **settings}, kind)
        elif verb == "evaluate":
            evaluation_config(kind, settings, told.get("--task"))
        elif verb in CONFIGS and settings:
            configure(CONFIGS[verb], settings, verb)
    except UsageError as error:
        raise UsageError(f"stage {stage.name}: {error}") from error


def _keep(file: Path, study: "StudyFile", stages: "Sequence[Stage]", out: Path) -> None:
    """Keep the YAML beside the outputs, so that the folder tells what it is of; another study is refused."""
    from understudy.core.atomic import whole_file
    from understudy.studies.study import read_study

    _refuse_among_data(stages, out)
    kept = out / "study.yaml"
    if not out.is_dir() and (out.exists() or not out.absolute().parent.is_dir()):
        raise UsageError(f"--out is a study's folder, or a new one in a folder that exists; found {out}: correct it")
    if kept.exists() and (name := read_study(kept).study) != study.study:
        raise UsageError(f"{out} holds the study {name}, and this is {study.study}: choose another --out")
    if not kept.exists() and out.exists() and any(out.iterdir()):
        raise UsageError(f"{out} is no study's folder, and not empty: choose another --out")
    content = file.read_bytes()
    with writing(out):
        out.mkdir(exist_ok=True)
        if not kept.exists() or kept.read_bytes() != content:
            with whole_file(kept) as handle:
                handle.write(content)


def _refuse_among_data(stages: "Sequence[Stage]", out: Path) -> None:
    """Refuse a study's folder among the images that it imports: the next import would find the report's figures."""
    for words in (stage.arguments for stage in stages if stage.verb == "import"):
        images = Path(words[2]) / dict(pairwise(words)).get("--images", "")
        if words[2].startswith("/") and out.resolve().is_relative_to(images.resolve()):
            raise UsageError(f"{out} lies among the data that are imported, {images}: choose another --out")


def _show(found: "list[Planned]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "verb", "made for each", "done", "left", "minutes each", "MiB each", box=None)
    for name in dict.fromkeys(one.stage.template for one in found):
        mine = [one for one in found if one.stage.template == name]
        states = Counter(one.state.value for one in mine)
        left = ", ".join(f"{count} {state}" for state, count in states.items() if state != "done")
        seconds, disk = mine[0].seconds, mine[0].disk_mb
        table.add_row(
            name,
            mine[0].stage.verb,
            ", ".join(mine[0].stage.loops) or "once",
            str(states["done"]),
            left,
            "?" if seconds is None else f"{seconds / 60:.1f}",
            "?" if disk is None else f"{disk:.1f}",
        )
    Console(markup=False, highlight=False).print(table)
