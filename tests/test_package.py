"""The installed package: few dependencies, every one pinned, one version number."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

import understudy

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
BUDGET = 55
CUDA = ("nvidia-", "cuda-", "triton")  # what the CUDA build of torch brings along


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(roots: list[str]) -> set[str]:
    found: set[str] = set()
    todo = [Requirement(root) for root in roots]
    while todo:
        wanted = todo.pop()
        if plain(wanted.name) in found or (wanted.marker and not wanted.marker.evaluate({"extra": ""})):
            continue
        found.add(plain(wanted.name))
        try:
            todo += [Requirement(line) for line in requires(wanted.name) or []]
        except PackageNotFoundError as error:
            raise AssertionError(f"{wanted.name} is required and not installed: make setup") from error
    return found


def pins() -> dict[str, str]:
    lines = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_the_plain_install_stays_small() -> None:
    packages = {name for name in closure(PROJECT["dependencies"]) if not name.startswith(CUDA)}
    assert len(packages) < BUDGET, f"{len(packages)} packages: {sorted(packages)}"
    assert "torchvision" not in packages


def test_everything_installed_is_pinned_to_what_is_installed() -> None:
    wanted = closure(PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"])
    wanted = {name for name in wanted if not name.startswith(CUDA)}
    pinned = pins()
    assert wanted == set(pinned), f"constraints.txt differs: {sorted(wanted ^ set(pinned))}"
    installed = {name: version(name).split("+")[0] for name in wanted}
    assert installed == pinned


def test_one_version() -> None:
    assert understudy.__version__ == PROJECT["version"] == version("understudy")
    assert f"version: {PROJECT['version']}\n" in (REPOSITORY / "CITATION.cff").read_text()
