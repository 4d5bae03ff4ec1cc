"""The stages of the shipped studies that full_scale.py measures, and their commands with other settings."""

from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

STUDIES = ("akbar2024", "shin2018", "platscher2021", "segal2020")
SKIPPED = {"dataset": "brats2021", "augment": "plain"}  # values of loops that change no shape


def all_stages(name: str, data: Path) -> list[Any]:
    """Return all stages of a shipped study."""
    import typer

    from understudy.cli.main import app
    from understudy.studies.command_line import CommandLine
    from understudy.studies.expand import expand
    from understudy.studies.study import read_study

    study = read_study(Path(str(files("understudy.studies") / "shipped" / f"{name}.yaml")))
    study = study.model_copy(update={"data": str(data / name)})
    return list(expand(study, CommandLine(typer.main.get_command(app))))


def stages_of(name: str, data: Path) -> list[Any]:
    """Return the stages of a shipped study that are measured, one of those that differ by no shape."""
    stages = all_stages(name, data)
    kept = [s for s in stages if all(s.loops.get(loop) != value for loop, value in SKIPPED.items())]
    measured = [s for s in kept if s.verb != "evaluate" or s.arguments[1] == "utility"]
    first_generator = next((s.loops["generator"] for s in kept if "generator" in s.loops), None)
    first_translator = next((s.loops["translator"] for s in kept if "translator" in s.loops), None)
    return [
        s
        for s in measured
        if s.template != "utility"
        or (s.loops.get("generator") == first_generator and s.loops.get("translator") == first_translator)
    ]


def settings_in(arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return what --set says."""
    said = (value.partition("=") for name, value in pairwise(arguments) if name == "--set")
    return {key: yaml.safe_load(value) for key, _, value in said}


def changed(arguments: tuple[str, ...], settings: dict[str, Any], options: dict[str, str | None]) -> list[str]:
    """Return a command with other settings and options; without those that are None."""
    words, skip = [], False
    for word, following in pairwise((*arguments, "")):
        if skip:
            skip = False
        elif word in options or (word == "--set" and following.partition("=")[0] in settings):
            skip = True
        else:
            words.append(word)
    for name, value in options.items():
        words += [] if value is None else [name, value]
    for key, value in settings.items():
        words += [
            "--set",
            f"{key}={yaml.safe_dump(value, default_flow_style=True).strip().removesuffix('...').strip()}",
        ]
    return words


def understudy(words: list[str]) -> None:
    """Run a command in this process."""
    from understudy.cli.main import main

    if code := main(words):
        raise SystemExit(f"`understudy {' '.join(words)}` ended with {code}")


def config_of(stage: Any) -> Any:
    """Return the settings of a training as its study has them."""
    from understudy.api.settings import configure
    from understudy.generators import GENERATORS

    kind = GENERATORS[stage.arguments[1]]
    return configure(kind.Config, {**kind.PRESETS["paper"], **settings_in(stage.arguments)}, kind.name)
