"""A study -> its stages, in the order in which they can run.

``$name`` in a stage is a value of a loop, a constant, ``$data``, or the output of another stage; ``$name.key`` is what
belongs to a loop's value; ``${name}`` stands inside of a word, ``$$`` is a dollar. A stage is made once for every
combination of the loops that it mentions, itself or through its inputs, less those that it ``joins``: of these it takes
all outputs at once. Where an input does not exist (``only``), it is not made.

**Checked** in tests/studies/test_expand.py.
"""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import islice, product
from pathlib import Path
from typing import Any

import yaml

from understudy.core.errors import UsageError
from understudy.core.provenance import code_version
from understudy.studies.command_line import CommandLine
from understudy.studies.stage import Stage
from understudy.studies.study import StudyFile, Template, as_text

REFERENCE = re.compile(r"\$(?:(\$)|\{([a-z][\w.]*)\}|([a-z]\w*(?:\.[a-z]\w*)*))")
MOST_STAGES = 20_000
CACHE = ".study/cache"  # of what evaluations share, where their verb takes one; it changes no result
Values = dict[str, str]  # of loops


def expand(study: StudyFile, line: CommandLine, key: Path | None = None) -> list[Stage]:
    """Return all stages; ``key`` is the file of the pseudonym key that they get where their verb takes one.

    Raises:
        UsageError: a name that is none, a circle, two stages of one name, a stage for no values at all, or a command
            that its verb refuses.
    """
    made: dict[str, list[Stage]] = {}
    for name in _ordered(study):
        room = MOST_STAGES - sum(map(len, made.values()))
        made[name] = list(islice(_Expansion(study, line, key, name, made).stages(), room + 1))
        if len(made[name]) > room:
            raise UsageError(f"the study has over {MOST_STAGES} stages: make its loops shorter")
        if not made[name]:
            raise UsageError(f"the stage {name} is never made: no values of its loops have all inputs, see `only`")
    stages = [stage for stages in made.values() for stage in stages]
    names = [stage.name for stage in stages]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"two stages would be called {twice}: give loops values that differ")
    return stages


def _ordered(study: StudyFile) -> list[str]:
    """Return the templates, inputs first, else as they stand."""
    inputs = {name: [n for n in _mentioned(template) if n in study.stages] for name, template in study.stages.items()}
    try:
        return list(TopologicalSorter(inputs).static_order())
    except CycleError as error:
        raise UsageError(f"stages need each other in a circle: {' -> '.join(error.args[1])}") from error


def _mentioned(template: Template) -> list[str]:
    """Return the names that a template refers to, each once."""
    text = json.dumps([template.words, template.options, template.settings], default=str)
    found = [(inside or plain).partition(".")[0] for _, inside, plain in REFERENCE.findall(text) if inside or plain]
    return list(dict.fromkeys(found))


class _Expansion:
    """The stages of one template."""

    def __init__(
        self, study: StudyFile, line: CommandLine, key: Path | None, name: str, made: dict[str, list[Stage]]
    ) -> None:
        self.study, self.line, self.key, self.name, self.made = study, line, key, name, made
        self.template, self.version = study.stages[name], code_version()
        mentioned = _mentioned(self.template)
        known = {"data", *study.values, *study.loops, *study.stages}
        if unknown := [other for other in mentioned if other not in known]:
            raise UsageError(
                f"the stage {name} refers to ${unknown[0]}, and there is none: it has {', '.join(sorted(known))}"
            )
        self.inputs = [other for other in mentioned if other in made]
        through = {loop for other in self.inputs for stage in made[other] for loop in stage.loops}
        loops = [loop for loop in study.loops if loop in mentioned or loop in through]
        if both := [loop for loop in self.template.joins if loop in mentioned]:
            raise UsageError(f"the stage {name} joins the loop {both[0]} and asks for ${both[0]}: leave one out")
        if idle := [loop for loop in self.template.joins if loop not in loops]:
            raise UsageError(f"the stage {name} joins the loop {idle[0]}, on which none of its inputs depends")
        if idle := [loop for loop in self.template.only if loop not in loops]:
            raise UsageError(f"the stage {name} takes some values of the loop {idle[0]}, on which it does not depend")
        self.loops = [loop for loop in loops if loop not in self.template.joins]
        self.by_values = {other: self._grouped(made[other]) for other in self.inputs}

    def stages(self) -> Iterator[Stage]:
        """Yield a stage for each combination for which all inputs exist."""
        wanted = [self._values(loop) for loop in self.loops]
        if math.prod(map(len, wanted)) > MOST_STAGES:
            raise UsageError(f"the study has over {MOST_STAGES} stages {self.name}: make its loops shorter")
        for combination in product(*wanted):
            at = dict(zip(self.loops, combination, strict=True))
            inputs = {
                other: groups.get(tuple(at[loop] for loop in shared), [])
                for other, (shared, groups) in self.by_values.items()
            }
            if all(inputs.values()):
                yield self._stage(at, inputs)

    def _values(self, loop: str) -> list[str]:
        every, asked = list(self.study.loops[loop]), self.template.only.get(loop)
        if asked is None:
            return every
        wanted = [as_text(value) for value in self._resolved(list(asked), self.study.values)]
        if wrong := [value for value in wanted if value not in every]:
            raise UsageError(f"the stage {self.name} takes the value {wrong[0]!r} of {loop}, which it has not")
        return [value for value in every if value in wanted]

    def _grouped(self, stages: list[Stage]) -> tuple[list[str], dict[tuple[str, ...], list[Stage]]]:
        """Group the outputs of an input by the values of the loops that it shares with these stages, and name these."""
        shared = [loop for loop in self.loops if loop in stages[0].loops]
        wanted = {loop: set(self._values(loop)) for loop in stages[0].loops}
        groups: dict[tuple[str, ...], list[Stage]] = {}
        for stage in stages:
            if all(value in wanted[loop] for loop, value in stage.loops.items()):
                groups.setdefault(tuple(stage.loops[loop] for loop in shared), []).append(stage)
        return shared, groups

    def _stage(self, at: Values, inputs: dict[str, list[Stage]]) -> Stage:
        self.at = at
        name = "-".join([self.name, *(v if v[0].isalpha() else f"{loop}{v}" for loop, v in at.items())])
        folder = f"{self.name}/{name}" if at else name
        values = {loop: _typed(value) for loop, value in at.items()}
        scope: dict[str, Any] = {"data": self.study.data, **self.study.values, **values, **inputs}
        try:
            words, options = (
                self._resolved(list(self.template.words), scope),
                self._resolved(self.template.options, scope),
            )
            settings = self._resolved(self.template.settings, scope) or {}
            if not isinstance(settings, dict):
                raise UsageError(f"set is a mapping of settings, found {settings!r}")
            said = [self.template.verb, *(str(word) for word in words if word is not None)]
            more = {"key": str(self.key)} if self.key else {}
            arguments = self.line.arguments(said, {**options, "out": folder}, settings, more)
        except UsageError as error:
            raise UsageError(f"stage {name}: {error}") from error
        needed = [stage for stages in inputs.values() for stage in stages]
        own = self.template.needs.model_dump(exclude_unset=True) if self.template.needs else {}
        needs = self.study.needs.model_copy(update=own)
        digest = _digest(self.version, arguments, needed)
        arguments += () if "cache" in options else self.line.added(said, {"cache": CACHE})
        names = tuple(stage.name for stage in needed)
        return Stage(name, self.name, at, folder, self.template.verb, arguments, names, needs, digest)

    def _resolved(self, value: Any, scope: dict[str, Any]) -> Any:
        """Put what names stand for in their places; a list of outputs becomes part of the list it stands in."""
        if isinstance(value, dict):
            return {key: self._resolved(inner, scope) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            resolved = [(one, self._resolved(one, scope)) for one in value]
            parts = [found if isinstance(found, list) and isinstance(one, str) else [found] for one, found in resolved]
            return [one for part in parts for one in part]
        if not isinstance(value, str):
            return value
        whole = REFERENCE.fullmatch(value)
        if whole and not whole[1]:
            return self._named(whole[2] or whole[3], scope)
        return REFERENCE.sub(lambda m: "$" if m[1] else self._plain(m[2] or m[3], scope), value)

    def _named(self, reference: str, scope: dict[str, Any]) -> Any:
        """Return what a name stands for; a constant, and what belongs to a value, may name others in turn."""
        name, *keys = reference.split(".")
        if name not in scope:
            raise UsageError(
                f"${name} is asked for by a constant or a loop's value, and not by the stage: name it there"
            )
        found = scope[name]
        if name in self.made:
            if keys:
                raise UsageError(f"${reference} is asked for, and {name} is a folder: write ${{{name}}} before a dot")
            folders = [stage.folder for stage in found]
            return folders[0] if len(folders) == 1 else folders
        if name == "data" and found is None:
            raise UsageError("it reads $data, and the study names none: write data: FOLDER, or --data")
        if keys and name in self.study.loops:
            found = self.study.loops[name][self.at[name]]
        for key in keys:
            if not isinstance(found, dict) or key not in found:
                raise UsageError(f"${reference} is asked for, and {name} has no {key!r}")
            found = found[key]
        if name == "data":
            return found
        return self._resolved(found, {other: value for other, value in scope.items() if other != name})

    def _plain(self, reference: str, scope: dict[str, Any]) -> str:
        found = self._named(reference, scope)
        if isinstance(found, list | dict) or found is None:
            raise UsageError(f"${reference} stands inside of a word and is not one plain value")
        return str(found)


def _typed(value: str) -> Any:
    """Return a loop's value as YAML has it where that is a number, true or false."""
    read = yaml.safe_load(value)
    return read if isinstance(read, bool | int | float) and as_text(read) == value else value


def _digest(version: str, arguments: tuple[str, ...], inputs: list[Stage]) -> str:
    """Hash a request; an input counts as its own request, wherever it lies."""
    folders = {stage.folder: f"@{stage.digest}" for stage in inputs}
    inside = [digest for folder, digest in folders.items() if folder not in arguments]  # stand inside of words
    request = [version, [folders.get(word, word) for word in arguments], *inside]
    return hashlib.sha256(json.dumps(request).encode()).hexdigest()
