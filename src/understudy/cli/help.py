"""Help without markup: examples that can be copied at 80 columns, and names that are read from the menus when shown.

**Checked** in tests/cli/test_help.py.
"""

import re
from collections.abc import Callable
from typing import Any

from typer.core import TyperCommand, TyperGroup

from understudy.cli.renamed import refuse_renamed

LONG = 1000
WIDTH = 74  # of 80 columns, what indentation and margin leave


def example(*commands: str) -> str:
    """Return the epilog of a verb's help: commands that run, long ones broken with a backslash.

    Args:
        commands: one a line, as a person would type them.
    """
    lines = [part for command in commands for part in broken(command)]
    return "\b\n" + "\n".join(["Example:", *(f"  {line}" for line in lines)])


def broken(command: str) -> list[str]:
    """Break a command before its options into lines that a shell reads as one."""
    lines, line = [], ""
    for part in re.split(r" (?=--)", command):
        if line and len(line) + len(part) + 3 > WIDTH:
            lines.append(line + " \\")
            line = "    " + part
        else:
            line = f"{line} {part}" if line else part
    return [*lines, line]


def _generators() -> str:
    from understudy.generators import GENERATORS

    return ", ".join(GENERATORS)


def _metrics() -> str:
    from understudy.evaluation import quantities

    return ", ".join(quantities())


def _forms() -> str:
    from understudy.release.formats import FORMS

    return ", ".join(FORMS)


MENUS: dict[str, Callable[[], str]] = {"{generators}": _generators, "{metrics}": _metrics, "{forms}": _forms}


class Verb(TyperCommand):
    """A command whose help reads the menus: ``{generators}`` in it stands for the names of all generators."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what was typed; an option of old is told its new name."""
        for word in args:
            option = f"{ctx.command_path.partition(' ')[2]} {word.partition('=')[0]}"
            refuse_renamed("options", option, f"`{option}`")
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help, with the names that the menus have now."""
        for param in self.params:
            param.help = filled(getattr(param, "help", None))  # type: ignore[attr-defined]
        self.help = filled(self.help)
        super().format_help(ctx, formatter)


class CommandGroup(TyperGroup):
    """A group of sub-commands in the order in which they were registered; a word of old is told its new name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the sub-command."""
        word = f"{ctx.command_path.partition(' ')[2]} {args[0]}".strip()
        refuse_renamed("verbs", word, f"`{word}`")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the sub-commands with the first sentence of each, whole."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(LONG)) for name, command in found if command])


def filled(text: str | None) -> str | None:
    """Put the names of menus where a text asks for them."""
    for place, names in MENUS.items():
        if text and place in text:
            text = text.replace(place, names())
    return text
