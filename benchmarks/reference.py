"""Write the reference pages from the code: settings from the menus, commands from their help, Python from docstrings.

python benchmarks/reference.py > docs/reference.md
python benchmarks/reference.py commands > docs/commands.md
python benchmarks/reference.py python > docs/python.md
"""

import inspect
import re
import sys
from collections.abc import Iterator
from typing import Any

import typer

import understudy
from understudy.api.settings import described, names, presets_of, settings_of
from understudy.cli.main import app
from understudy.data.sources import SOURCES
from understudy.evaluation import quantities
from understudy.release.formats import FORMS

HEAD = """# Settings

Settings, metrics, sources and forms, made from the menus by `python benchmarks/reference.py > docs/reference.md`.
The same on the screen: `understudy settings NAME`. Commands have a [page of their own](commands.md), and so has
[Python](python.md); a test holds that all three are up to date.
"""
COMMANDS = """# Commands

What `understudy VERB --help` says, made by `python benchmarks/reference.py commands > docs/commands.md`.
Settings, which `--set NAME=VALUE` changes, have a [page of their own](reference.md).
"""
PYTHON = """# Python

`import understudy as us` gives these names; made from their docstrings by
`python benchmarks/reference.py python > docs/python.md`. They are typed (`py.typed`), and the import costs nothing
until a name is used. The [tutorial](tutorial.md) uses most of them.
"""
WIDTH = 80  # columns of a command's help
LONG = 80  # characters of a signature on one line


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def reference() -> str:
    """Return the page of settings."""
    parts = [HEAD, "## Metrics of fidelity\n"]
    rows = []
    for name, q in quantities().items():
        low, high = q.bounds
        bounds = f"{low:g} to {high:g}"
        rows.append((f"`{name}`", q.title, q.unit or "", q.better, bounds, ", ".join(sorted(q.laws))))
    parts.append(table(("name", "title", "unit", "better", "bounds", "laws that tests hold"), rows))
    parts.append("\n## Sources and release forms\n")
    parts.append("\n".join(f"- `import {name}`: {SOURCES[name].summary}" for name in SOURCES))
    parts.append("\n".join(f"- `release --format {name}`" for name in FORMS))
    for kind, known in names().items():
        parts.append(f"\n## Settings of {kind}")
        for name in known:
            parts.append(f"\n### `{name}`\n")
            found = [(f"`{one.name}`", one.type, one.default, one.meaning) for one in described(settings_of(name))]
            parts.append(table(("setting", "type", "default", "meaning"), found))
            for preset, values in presets_of(name).items():
                told = ", ".join(f"{key}={value}" for key, value in values.items()) or "the defaults"
                parts.append(f"\nPreset `{preset}`: {told}.")
    return "\n".join(parts) + "\n"


def verbs(command: Any, context: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every command below a group, with its context."""
    if not hasattr(command, "list_commands"):
        yield command, context
        return
    for name in [*command.list_commands(context), *(["release plan"] if context.parent is None else [])]:
        found = command.get_command(context, name)
        yield from verbs(found, type(context)(found, parent=context, info_name=name, terminal_width=WIDTH))


def commands() -> str:
    """Return the page of commands."""
    top = typer.main.get_command(app)
    context = top.make_context("understudy", [], resilient_parsing=True)
    parts = [COMMANDS]
    for command, its in verbs(top, context):
        parts.append(f"## `{its.command_path}`\n\n```text\n{command.get_help(its).strip()}\n```\n")
    return "\n".join(parts)


def markdown(docstring: str) -> str:
    """Return a docstring in Google style as Markdown: its sections as lists."""
    text = re.sub(r"``(.+?)``", r"`\1`", re.sub(r":\w+:`(.+?)`", r"`\1`", inspect.cleandoc(docstring)))
    lines = []
    for line in text.splitlines():
        if line in ("Args:", "Attributes:", "Raises:", "Returns:"):
            line = f"**{line[:-1]}**\n"
        elif item := re.fullmatch(r"    (\w+): (.*)", line):
            line = f"- `{item[1]}`: {item[2]}"
        elif line.startswith("    "):
            line = f"  {line.strip()}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def entry(title: str, name: str, found: Any) -> str:
    """Return what a function is called with and its docstring, below a title."""
    signature = str(inspect.signature(found)).replace("(self, ", "(").replace("(self)", "()")
    signature = re.sub(r"(?:\w+\.)+(\w+)", r"\1", signature)
    if len(signature) > LONG:
        head, tail = signature.removeprefix("(").rsplit(")", 1)
        lines = "".join(f"    {one},\n" for one in re.split(r", (?=\*|\w+:)", head))
        signature = f"(\n{lines}){tail}"
    return f"{title}\n\n```python\n{name}{signature}\n```\n\n{markdown(found.__doc__)}"


def python() -> str:
    """Return the page of what ``import understudy`` gives."""
    parts = [PYTHON]
    for name in understudy.__all__:
        found = getattr(understudy, name)
        if inspect.isclass(found):
            parts.append(f"## `us.{name}`\n\n{markdown(str(found.__doc__))}")
            for method, made in inspect.getmembers(found, callable):
                if not method.startswith("_"):
                    parts.append(entry(f"### `{name}.{method}`", method, made))
        elif callable(found):
            parts.append(entry(f"## `us.{name}`", name, found))
    return "\n".join(parts)


PAGES = {"settings": reference, "commands": commands, "python": python}

if __name__ == "__main__":
    print(PAGES[(*sys.argv[1:], "settings")[0]](), end="")
