"""Help without markup: examples that can be copied at 80 columns, and names that are read from the menus when shown.

Whoever types a word of old is told what it is called now, and nothing is guessed; settings of old stand in
api/settings.py, where Python is told of them too. **Checked** in tests/cli/test_help.py.
"""

import re
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from understudy.core.errors import UsageError
from understudy.core.menu import Menu

LONG = 1000
WIDTH = 74  # of 80 columns, what indentation and margin leave
NAMED = Menu[Any](
    "understudy", generators="generators:GENERATORS", metrics="evaluation:quantities", forms="release.formats:FORMS"
)
RENAMED = {  # verbs and options of old
    "evaluate agreement": "evaluate consistency",
    "evaluate readers": "evaluate interrater",
    "evaluate consistency --over": "evaluate correlation RESULTS...",
    "edit --bend": "edit --augment",
    "sample --specks": "sample --set small_components=",
}


def example(*commands: str) -> str:
    """Return the epilog of a verb's help: commands that run, long ones broken with a backslash."""
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


class Verb(TyperCommand):
    """A command whose help reads the menus: ``{generators}`` in it stands for the names of all generators."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what was typed; an option of old is told its new name."""
        for word in args:
            _refuse_renamed(ctx, word.partition("=")[0])
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
        _refuse_renamed(ctx, args[0])
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the sub-commands with the first sentence of each, whole."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(LONG)) for name, command in found if command])


def group(kind: type[CommandGroup], command: str, **more: Any) -> typer.Typer:
    """Return the app of a group of commands, without markup and with an example below its help."""
    return typer.Typer(cls=kind, rich_markup_mode=None, no_args_is_help=True, epilog=example(command), **more)


def _refuse_renamed(ctx: Any, typed: str) -> None:
    word = f"{ctx.command_path.partition(' ')[2]} {typed}".strip()
    if word in RENAMED:
        raise UsageError(f"`{word}` is called `{RENAMED[word]}` now: write that")


def filled(text: str | None) -> str | None:
    """Put the names of menus where a text asks for them."""
    for name in NAMED:
        if text and (place := f"{{{name}}}") in text:
            menu = NAMED[name]() if callable(NAMED[name]) else NAMED[name]
            text = text.replace(place, ", ".join(menu))
    return text
