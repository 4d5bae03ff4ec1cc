"""Words, options and settings of a stage -> the command as it would be typed, checked by the command line's own parser.

**Checked** in tests/studies/test_command_line.py (every verb that a stage may have; what is wrong is told before
anything runs).
"""

import difflib
from typing import Any

import typer
import yaml

from understudy.core.errors import UsageError
from understudy.studies.study import CONTROL

MAX_LENGTH = 100_000  # of a command; Linux takes 131,071 bytes of a word


class CommandLine:
    """The verbs of understudy, as the group of commands that the command line is made of."""

    def __init__(self, root: Any) -> None:
        """Keep the group."""
        self.root = root

    def arguments(
        self, words: list[str], options: dict[str, Any], settings: dict[str, Any], more: dict[str, str]
    ) -> tuple[str, ...]:
        """Return all words of a command after ``understudy``.

        Args:
            words: verb, sub-command, arguments.
            options: values by name; a list stands for names with commas, or for an option given several times; false
                and null for one that is left out.
            settings: of ``--set``.
            more: options that are added where the command has them.

        Raises:
            UsageError: no such verb or option, or what the parser of the verb says.
        """
        _refuse_odd(words)
        if wrong := [word for word in words if word.startswith("-")]:
            raise UsageError(f"{wrong[0]!r} is no argument of `{words[0]}`: an option is a key of its own")
        command, depth = self._command(words)
        said = list(words)
        for name, value in {**options, **{k: v for k, v in more.items() if _find(command, k)}}.items():
            said += self._option(command, words, name, value)
        if settings and _find(command, "set") is None:
            raise UsageError(f"`{words[0]}` takes no settings: leave set out")
        for key, value in settings.items():
            said += ["--set", f"{key}={_yaml(value)}"]
        _refuse_odd(said)
        try:
            command.make_context(" ".join(words[:depth]), said[depth:])  # its own parser reads all words
        except typer.TyperException as error:
            told = error.format_message() if hasattr(error, "format_message") else error
            raise UsageError(f"`{' '.join(words[:depth])}`: {told}") from error
        return tuple(said)

    def added(self, words: list[str], options: dict[str, Any]) -> tuple[str, ...]:
        """Return the words of those options that a command has, to stand after :meth:`arguments`."""
        command, _ = self._command(words)
        known = {name: value for name, value in options.items() if _find(command, name)}
        return tuple(part for name, value in known.items() for part in self._option(command, words, name, value))

    def _command(self, words: list[str]) -> tuple[Any, int]:
        """Return the command that the first words name, and how many they are."""
        command: Any = self.root
        for depth, word in enumerate(words):
            if not hasattr(command, "list_commands"):
                return command, depth
            found = command.get_command(None, word)
            if found is None:
                raise UsageError(f"there is no {word!r} here: choose from {', '.join(command.list_commands(None))}")
            command = found
        return command, len(words)

    def _option(self, command: Any, words: list[str], name: str, value: Any) -> list[str]:
        found = _find(command, name)
        if found is None:
            known = sorted(_name(p) for p in command.params if _is_option(p) and not p.hidden)
            near = difflib.get_close_matches(name, known, 1)
            hint = f": did you mean {near[0]}?" if near else f", only {', '.join(known)}"
            raise UsageError(f"`{words[0]}` has no option {name!r}{hint}")
        if value is None:
            return []
        flag = f"--{_name(found).replace('_', '-')}"
        if found.is_flag:
            if not isinstance(value, bool):
                raise UsageError(f"the option {name!r} is true or false, found {value!r}")
            negative = [option for option in found.secondary_opts if option.startswith("--")]
            return [flag] if value else negative[:1]
        if found.multiple:
            return [part for one in _listed(value) for part in (flag, _text(one))]
        return [flag, ",".join(map(_text, value)) if isinstance(value, list | tuple) else _text(value)]


def _refuse_odd(words: list[str]) -> None:
    """Refuse what a system, a log or a Snakefile does not take as it is."""
    if odd := [word for word in words if CONTROL.search(word)]:
        raise UsageError(f"a word of a command is one line without control characters, found {odd[0][:80]!r}")
    if sum(map(len, words)) > MAX_LENGTH:
        raise UsageError(f"the command is over {MAX_LENGTH:,} characters long: join fewer stages")


def _is_option(param: Any) -> bool:
    return bool(param.param_type_name == "option")


def _find(command: Any, name: str) -> Any:
    """Return the option of a command that has a name, or None."""
    flag = f"--{name.replace('_', '-')}"
    return next((p for p in command.params if _is_option(p) and flag in p.opts and not p.hidden), None)


def _name(option: Any) -> str:
    return str(max(option.opts, key=len)).removeprefix("--").replace("-", "_")


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list | tuple):
        raise UsageError(f"an option has one value, or a list of plain ones; found {value!r}")
    return str(value)


def _yaml(value: Any) -> str:
    """Write a setting's value as YAML on one line, as ``--set`` reads it."""
    return yaml.safe_dump(value, default_flow_style=True, width=10**6).strip().removesuffix("...").strip()
