"""``understudy reader``: a blinded reader study in the department's own network, from cohorts to statistics.

**Checked** in tests/cli/test_reader.py.
"""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.cli.help import CommandGroup, Verb, example, group
from understudy.cli.options import DryRun, Out, Seed, names, option, show, writing
from understudy.cli.tables import show_results
from understudy.core.errors import UsageError

PORT = 8765
DEMO = "--tumour regions --subjects 90 --slices 1 --size 64 --split train=0.45,validation=0.1,control=0.2,test=0.25"
DEMO_CASES = 30
SMALL, FEW_READERS = 256, 5  # pixels a side, readers: below these a warning
Study = Annotated[Path, typer.Argument(metavar="STUDY", help="A folder that `reader create` made.")]
Host = Annotated[str, option("ADDRESS", "Where to listen; default: this machine alone.")]
Port = Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0: any that is free.")]
Names = Annotated[
    str | None, option("NAME,...", "Under which names or addresses readers open the page, where --host is 0.0.0.0.")
]
More = Annotated[list[Path] | None, typer.Argument(metavar="COHORT", hidden=True)]

app = group(CommandGroup, "understudy reader demo --out reader-demo")


@app.callback()
def reader() -> None:
    """Ask people: can a reader tell synthetic images from real ones? Offline, blinded, with statistics."""


def verb(*examples: str) -> Any:
    """Register a sub-command whose help shows examples."""
    return app.command(cls=Verb, epilog=example(*examples))


@verb(
    "understudy reader create --real phantom --synthetic synthetic --n 100 --readers 6 --out study",
    "understudy reader create --real phantom --synthetic synthetic --n 40 --readers 3 --questions Q.yaml --out study",
)
def create(
    real: Annotated[Path, option("COHORT", "The real cohort.")],
    synthetic: Annotated[list[Path], option("COHORT...", "One or more synthetic cohorts.")],
    out: Out,
    more: More = None,
    n: Annotated[int, typer.Option(min=1, help="Real cases, and as many of each synthetic cohort; or pairs.")] = 100,
    readers: Annotated[int, typer.Option(min=1, max=100, help="How many people will read.")] = 6,
    questions: Annotated[Path | None, option("Q.yaml", "What is asked; default: real or synthetic, and why.")] = None,
    splits: Annotated[str, option("SPLIT,...", "Where real cases are from; no generator saw test and control.")] = (
        "test,control"
    ),
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Make a blinded study folder; prints the power of the design, and each reader's secret link once."""
    from understudy.core.cohort import Cohort
    from understudy.reader.plan import read_plan

    plan, paths = read_plan(questions), [*synthetic, *(more or ())]
    for path in (real, *paths):
        if not path.is_dir():
            raise UsageError(f"a cohort was expected at {path}, and there is none: make one with import or sample")
    if dry_run:
        given = {"real": real, "synthetic": paths, "out": out, "n": n, "readers": readers, "splits": splits}
        show("reader create", {**given, "seed": seed, **plan.model_dump(mode="json")})
        return
    size = Cohort.open(real).size

    from understudy.reader.create import create as made

    with writing(out):
        found = made(real, paths, out, n=n, readers=readers, plan=plan, splits=names(splits), seed=seed)
    for line in advice(readers, n, min(size[-2:]), plan.margin, plan.pairs, seed):
        typer.echo(line)
    show_links(found.links, f"http://127.0.0.1:{PORT}/")
    typer.echo(f"study: {out} ({found.items} cases); next: understudy reader serve {out}")


def advice(readers: int, n: int, pixels: int, margin: float, pairs: bool, seed: int) -> list[str]:
    """Return what must be known of a design before anybody reads: its power, and what is too small."""
    from understudy.reader.statistics.simulation import power

    lines = []
    if pixels < SMALL:
        lines.append(f"warning: {pixels} pixels a side are shown; under {SMALL} readers judge a thumbnail, no image")
    if readers < FEW_READERS:
        lines.append(f"warning: {readers} reader(s); under {FEW_READERS} the result hardly holds for other readers")
    if readers < 2:
        return [*lines, "power: with one reader nothing can be said of readers in general"]
    found, what = power(readers, n, margin, seed, pairs=pairs), "the share of pairs told" if pairs else "the AUC"
    cases = f"{n} pairs" if pairs else f"{n} + {n} cases"
    lines.append(
        f"power: {readers} readers x {cases} show that {what} lies within 0.5 +- {margin:g} in {found.share:.0%} of "
        f"{found.studies} simulated studies of readers who cannot tell; 95 % interval {found.width:.2f} wide on average"
    )
    if found.share < 0.8:
        lines.append("warning: under 80 %: plan more readers or cases, or do not promise equivalence")
    return lines


def show_links(links: dict[int, str], address: str) -> None:
    """Print the secret links; nobody can print them again."""
    typer.echo("links, shown once and kept as hashes only (`reader serve --new-links` makes others):")
    for who, token in links.items():
        typer.echo(f"  {f'reader {who}' if who else 'progress':9s} {address}{'' if who else 'admin'}#{token}")


@verb(
    "understudy reader serve study",
    "understudy reader serve study --host 0.0.0.0 --name 192.168.1.20 --port 8080 --new-links",
)
def serve(
    study: Study,
    host: Host = "127.0.0.1",
    port: Port = PORT,
    name: Names = None,
    new_links: Annotated[bool, typer.Option("--new-links", help="Make new links; the old ones end.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Show the study to readers in their browsers, until Ctrl-C; every answer is on the disk before it is confirmed."""
    if dry_run:
        show("reader serve", {"study": study, "host": host, "port": port, "name": name, "new_links": new_links})
        return
    from understudy.reader.documents import read_study_document

    read_study_document(study)
    try:
        from understudy.reader.serving import serve as serving
    except ImportError as error:
        raise UsageError("`reader serve` needs the extra: pip install 'understudy[reader]'") from error
    from understudy.reader.store import Store

    def ready(address: str) -> None:
        if new_links:
            store = Store(study)
            show_links(store.new_links(), address)
            store.close()
        typer.echo(f"serving {study} on {address} (Ctrl-C ends it; answers stay)")

    serving(study, host, port, names(name), ready)


@verb("understudy reader analyze study --out results-reader")
def analyze(
    study: Study,
    out: Out,
    truth: Annotated[Path | None, option("FILE", "truth.json, if it was kept elsewhere while readers read.")] = None,
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Turn answers into results: AUC over readers and cases, equivalence, agreement, errors found, drift."""
    if dry_run:
        show("reader analyze", {"study": study, "out": out, "truth": truth, "seed": seed})
        return
    from understudy.reader.documents import read_study_document

    read_study_document(study)
    from understudy.reader.analysis.stage import analyze_study

    with writing(out):
        analyze_study(study, out, truth=truth, seed=seed)
    show_results(out)
    typer.echo(f"results: {out}")


@verb("understudy reader demo --out reader-demo")
def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to make.")] = Path("reader-demo"),
    seed: Seed = 0,
    dry_run: DryRun = False,
) -> None:
    """Run a small study on the built-in phantom with two simulated readers, in a minute; ends with its report."""
    if dry_run:
        show("reader demo", {"out": out, "seed": seed})
        return
    if out.exists():
        raise UsageError(f"the output {out} exists already: choose another --out or remove it")
    from understudy.core.cohort import Cohort
    from understudy.reader.create import create as made
    from understudy.reader.demo import PLAN, stand_in
    from understudy.reader.simulated import answer_all
    from understudy.reader.statistics.simulation import readers_with

    out.mkdir(parents=True)
    _run(context, f"import phantom {DEMO} --key {out / 'demo.key'} --seed {seed} --out {out / 'real'}")
    stand_in(Cohort.open(out / "real"), out / "synthetic", seed)
    found = made(out / "real", [out / "synthetic"], out / "study", n=DEMO_CASES, readers=2, plan=PLAN, seed=seed)
    show_links(found.links, f"http://127.0.0.1:{PORT}/")
    answer_all(out / "study", readers_with(0.7), seed)
    typer.echo("two simulated readers, whose AUC is 0.70 on average, answered everything: no person looked at an image")
    _run(context, f"reader analyze {out / 'study'} --out {out / 'results'} --seed {seed}")
    _run(context, f"report {out / 'results'} --out {out / 'report'}")
    typer.echo(f"to see the page yourself: understudy reader serve {out / 'study'} --new-links")


def _run(context: typer.Context, line: str) -> None:
    typer.echo(f"$ understudy {line}")
    root: Any = context.find_root().command
    code = root.main(args=shlex.split(line), prog_name="understudy", standalone_mode=False)
    if code:
        raise typer.Exit(code)
