"""``understudy import``: real data, or the built-in phantom, becomes a cohort; a sub-command a source of the menu.

**Checked** in tests/cli/test_import.py.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer

import understudy as us
from understudy.cli.help import CommandGroup, Verb, example, group
from understudy.cli.options import Out, names, numbers, progress, show, writing
from understudy.core.errors import UsageError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be read (cases, sizes, spacings, values) and write nothing.")
]
KEYWORD = inspect.Parameter.KEYWORD_ONLY


class Sources(CommandGroup):
    """The group whose sub-commands are the sources, made when they are asked for."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the sources."""
        from understudy.data.sources import SOURCES

        return list(SOURCES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a source, made from its options."""
        from understudy.data.sources import SOURCES

        if cmd_name not in SOURCES:
            raise UsageError(f"there is no source {cmd_name!r}: choose from {', '.join(SOURCES)}")
        single, source = typer.Typer(rich_markup_mode=None, add_completion=False), SOURCES[cmd_name]
        epilog, summary = example(*source.example), f"Make a cohort of {source.summary}."
        single.command(cmd_name, cls=Verb, epilog=epilog, help=summary)(importing(cmd_name))
        return typer.main.get_command(single)


app = group(Sources, "understudy import phantom --subjects 24 --size 64 --out phantom")


@app.callback()
def import_() -> None:
    """Turn real data, or the built-in phantom, into a cohort: images, label maps, subjects, splits, pseudonyms."""


def importing(source: str) -> Callable[..., None]:
    """Return the function of the sub-command of a source of the menu: its parameters are the source's options."""
    from understudy.api.settings import configure
    from understudy.data.sources import SOURCES

    entry = SOURCES[source]
    fields = entry.options.model_fields

    def run(**given: Any) -> None:
        path, out, dry_run = given.pop("path", None), given.pop("out"), given.pop("dry_run")
        told = {name: _read(name, value, fields[name]) for name, value in given.items() if value is not None}
        if dry_run:
            with progress("read") as update:
                found = us.preview_import(source, path, progress=update, **told)
            options = configure(entry.options, told, f"import {source}").model_dump()
            show(f"import {source}", {"path": path, "out": out, **options, "found": found})
            return
        with writing(out), progress("import") as update:
            cohort = us.import_cohort(source, path, out, progress=update, **told)
        from understudy.data.summary import import_summary

        for line in import_summary(cohort):
            typer.echo(line)
        typer.echo(f"cohort: {out}")

    where = Annotated[Path, typer.Argument(metavar="PATH", help="The folder that holds the data.")]
    types: dict[str, Any] = {**({"path": where} if entry.needs_path else {}), "out": Out}
    types |= {name: _option(name, field) for name, field in fields.items()} | {"dry_run": DryRun}
    defaults = {name: None if field.default == () else field.default for name, field in fields.items()}
    defaults |= {"path": inspect.Parameter.empty, "out": inspect.Parameter.empty, "dry_run": False}
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, KEYWORD, annotation=kind, default=defaults[name]) for name, kind in types.items()]
    )
    run.__annotations__ = {**types, "return": None}
    return run


def _option(name: str, field: "FieldInfo") -> Any:
    """Return the type of a parameter for a field of the options."""
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if kind is not type(None)]
    choices = next((get_args(kind) for kind in inner if get_origin(kind) is Literal), ())
    plain = next((kind for kind in (bool, Path, int) if kind in inner), int if choices and choices[0] == 2 else str)
    shown: Any = extra.get("metavar") or "|".join(map(str, choices)) or ("N" if plain is int else "TEXT")
    meaning = str(field.description)
    option = typer.Option(
        f"--{name.replace('_', '-')}",
        metavar=None if plain is bool else shown,
        help=f"{meaning[0].upper()}{meaning[1:]}.",
        show_default=field.default not in ("", ()),
    )
    return Annotated[plain, option] if plain is bool else Annotated[plain | None, option]


def _read(name: str, value: Any, field: "FieldInfo") -> Any:
    """Return what was typed as the option's type: names or numbers with commas."""
    inner = [kind for kind in (field.annotation, *get_args(field.annotation)) if get_origin(kind) is tuple]
    if not inner or not isinstance(value, str):
        return value
    return numbers(value, f"--{name}") if get_args(inner[0])[0] is int else names(value)
