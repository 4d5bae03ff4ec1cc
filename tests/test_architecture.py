"""The house rules that a machine can hold: floors, walls, names and sizes, read with ``ast`` alone.

Every rule is a function from a package folder to a list of complaints; the tests ask that the list of the real tree is
empty, and that a made-up tree that breaks every rule is caught by every rule.
"""

import ast
import re
import statistics
from collections.abc import Callable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "understudy"
FLOORS = {
    "core": 0,
    "data": 1,
    "nets": 1,
    "training": 2,
    "generators": 3,
    "tasks": 3,
    "synthesis": 4,
    "evaluation": 4,
    "report": 5,
    "reader": 5,
    "release": 6,
    "studies": 7,
    "api": 8,
    "cli": 9,
}
JUDGES = {"evaluation", "report", "reader", "release"}
FILE_FORMATS = {"nibabel", "PIL", "pydicom", "highdicom", "skimage", "tifffile", "imageio", "safetensors", "yaml"}
PICKLE_READER = (
    "generators/pretrained/pickle_file.py"  # an allow-list unpickler: official weights exist as pickles only
)
FORBIDDEN = {"torchvision", "pickle", "_pickle", "cPickle", "dill", "cloudpickle", "joblib", "timm", "lpips"}
BAD_NAMES = {"utils", "util", "helpers", "helper", "manager", "misc", "common"}
FILE_LINES, FUNCTION_LINES, MEDIAN_LINES = 400, 60, 10
MOST_FILES = {"evaluation": 98, "evaluation/privacy": 37, "training": 14}
METHODS = ("diffusion", "denois", "stylegan", "progan", "pix2pix", "spade", "cyclegan", "discriminator")
TESTS = PACKAGE.parents[1] / "tests"
WHOLE = {  # tests of several files at once: of a menu, of a command, of the house
    "test_architecture.py",
    "test_docs.py",
    "test_exactness.py",
    "test_gpu.py",
    "test_howto_dicom.py",
    "test_kill.py",
    "test_offline.py",
    "test_package.py",
    "test_site.py",
    "test_tutorial.py",
    "cli/test_class_verbs.py",
    "cli/test_menus.py",
    "cli/test_refusals.py",
    "cli/test_verbs.py",
    "data/test_canaries.py",
    "data/formats/test_hostile_pictures.py",
    "data/formats/test_hostile_volumes.py",
    "data/dicom/test_hostile_annotations.py",
    "data/dicom/test_canaries.py",
    "data/dicom/test_hostile.py",
    "data/sources/test_contract.py",
    "evaluation/test_corruptions.py",
    "evaluation/test_doors.py",
    "evaluation/test_menu.py",
    "evaluation/utility/test_corruptions.py",
    "generators/pretrained/test_hostile.py",
    "generators/test_contract.py",
    "generators/test_official.py",
    "generators/test_processes.py",
    "release/test_canaries.py",
    "reader/test_browser.py",
    "reader/test_howto.py",
    "release/test_forgeries.py",
    "release/test_formats.py",
    "release/test_hostile.py",
    "release/test_interruptions.py",
    "release/test_tampering.py",
    "release/test_round_trips.py",
    "studies/report/test_browser.py",
    "studies/test_shipped.py",
    "synthesis/test_official_code.py",
    "training/dp/test_audit.py",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def parsed(text: str) -> ast.Module:
    return ast.parse(text)


def trees(root: Path) -> Iterator[tuple[str, str, ast.Module]]:
    for file in sorted(root.rglob("*.py")):
        parts = file.relative_to(root).with_suffix("").parts
        module = ".".join(["understudy", *(parts[:-1] if parts[-1] == "__init__" else parts)])
        yield str(file.relative_to(root)), module, parsed(file.read_text())


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [f"{node.module or ''}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"import_module", "__import__"}:
        return [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
    return []


def all_imports(root: Path) -> Iterator[tuple[str, str, int, str]]:
    for file, module, tree in trees(root):
        for node in ast.walk(tree):  # hidden ones too: in functions, under TYPE_CHECKING, by import_module
            for name in imported(node):
                yield file, module, getattr(node, "lineno", 0), name


def package_of(name: str) -> str:
    parts = name.split(".")
    return parts[1] if parts[0] == "understudy" and len(parts) > 1 else ""


def floors(root: Path) -> list[str]:
    found = [
        f"{file}: the package {package_of(module)} has no floor"
        for file, module, _ in trees(root)
        if package_of(module) and package_of(module) not in FLOORS
    ]
    for file, module, line, name in all_imports(root):
        here, there = package_of(module), package_of(name)
        if here in FLOORS and there in FLOORS and here != there and FLOORS[there] >= FLOORS[here]:
            found.append(f"{file}:{line}: {here} (floor {FLOORS[here]}) imports {name} (floor {FLOORS[there]})")
    return found


def walls(root: Path) -> list[str]:
    found = []
    for file, module, line, name in all_imports(root):
        here, there = package_of(module), package_of(name)
        if here in JUDGES and there in {"generators", "synthesis"}:
            found.append(f"{file}:{line}: {here} judges what generators make and may not import {name}")
    return found


def families(root: Path) -> list[str]:
    """A generator's file imports its own family and base.py; pretrained/ reads the weights of others."""
    found = []
    for file, module, line, name in all_imports(root):
        mine, theirs = module.split(".")[2:], name.split(".")[2:]
        if not (package_of(module) == package_of(name) == "generators") or file == "generators/__init__.py":
            continue
        if mine[:1] != ["pretrained"] and theirs[:1] not in (["base"], mine[:1]):
            found.append(f"{file}:{line}: families of generators never import each other, and this imports {name}")
    return found


def method_free(root: Path) -> list[str]:
    """training/ has nothing of any one method in it: it names none."""
    return [
        f"{file}:{node.lineno}: training/ knows no method, and this names {word}"
        for file, module, tree in trees(root)
        if package_of(module) == "training"
        for node in ast.walk(tree)
        if isinstance(node, ast.Name | ast.FunctionDef | ast.ClassDef)
        for word in METHODS
        if word in (node.id if isinstance(node, ast.Name) else node.name).lower()
    ]


def class_names(root: Path) -> list[str]:
    """No two public classes have one name."""
    where: dict[str, list[str]] = {}
    for file, _, tree in trees(root):
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where.setdefault(node.name, []).append(file)
    return [f"the class {name} stands in {', '.join(files)}" for name, files in where.items() if len(files) > 1]


def file_counts(root: Path) -> list[str]:
    """Few enough files that a folder can be read as a map."""
    found = []
    for folder, most in MOST_FILES.items():
        files = [p for p in (root / folder).rglob("*.py") if "dp" not in p.relative_to(root / folder).parts]
        found += [f"{folder}/ has {len(files)} files, at most {most}"] * (len(files) > most)
    return found


def core_is_plain(root: Path) -> list[str]:
    return [
        f"{file}:{line}: core knows no torch and no file format, and imports {name}"
        for file, module, line, name in all_imports(root)
        if package_of(module) == "core" and name.split(".")[0] in FILE_FORMATS | {"torch", "monai"}
    ]


def forbidden_imports(root: Path) -> list[str]:
    return [
        f"{file}:{line}: {name} is never imported"
        for file, _, line, name in all_imports(root)
        if name.split(".")[0] in FORBIDDEN and (file, name) != (PICKLE_READER, "pickle")
    ]


def relative_imports(root: Path) -> list[str]:
    return [
        f"{file}:{node.lineno}: import by the absolute name"
        for file, _, tree in trees(root)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]


def late_imports(root: Path) -> list[str]:
    return [
        f"{file}:{node.lineno}: understudy is imported at the top of a file (only api/ and cli/ may import late)"
        for file, module, tree in trees(root)
        if package_of(module) not in ("api", "cli")
        for function in ast.walk(tree)
        if isinstance(function, Function)
        for node in ast.walk(function)
        if any(name.startswith("understudy") for name in imported(node))
    ]


def cycles(root: Path) -> list[str]:
    modules = {module for _, module, _ in trees(root)}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for _, module, _, name in all_imports(root):
        target = next((n for n in (name, name.rpartition(".")[0]) if n in modules), module)
        graph[module] |= {target} - {module}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return ["an import cycle: " + " -> ".join(error.args[1])]
    return []


def names(root: Path) -> list[str]:
    return [
        f"{file}: a name that says nothing: call it by its one idea"
        for file, module, _ in trees(root)
        if BAD_NAMES & set(re.split(r"[._]", module))
    ]


def length(function: Function) -> int:
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def functions(root: Path) -> Iterator[tuple[str, Function]]:
    for file, _, tree in trees(root):
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield f"{file}:{node.lineno} {node.name}", node


def sizes(root: Path) -> list[str]:
    counts = [(file, len((root / file).read_text().splitlines())) for file, _, _ in trees(root)]
    lengths = [(where, length(node)) for where, node in functions(root)]
    found = [f"{file}: {n} lines, at most {FILE_LINES}" for file, n in counts if n > FILE_LINES]
    found += [f"{where}: {n} lines, at most {FUNCTION_LINES}" for where, n in lengths if n > FUNCTION_LINES]
    median = statistics.median([n for _, n in lengths] or [0])
    return found + [f"the median function has {median} lines, at most {MEDIAN_LINES}"] * (median > MEDIAN_LINES)


def documented(root: Path) -> list[str]:
    found = [f"{file}: no module docstring" for file, _, tree in trees(root) if not ast.get_docstring(tree)]
    for file, _, tree in trees(root):
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        for node in [child for parent in [tree, *classes] for child in parent.body]:
            if isinstance(node, Function) and not node.name.startswith("_"):
                where = f"{file}:{node.lineno} {node.name}"
                found += [f"{where}: no docstring"] * (ast.get_docstring(node) is None)
                found += [f"{where}: no return annotation"] * (node.returns is None)
    return found


def runs(node: ast.stmt) -> bool:
    """Tell whether a statement is a public function, or a public class that is no protocol."""
    protocol = isinstance(node, ast.ClassDef) and any(ast.unparse(base).startswith("Protocol") for base in node.bases)
    return isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_") and not protocol


def mirrored(root: Path) -> list[str]:
    """Tests mirror sources, one file a file: ``tests/a/test_b.py`` for ``a/b.py``.

    A file of cli/ with one verb and nothing else is run by tests/cli/test_help.py, which runs every example.
    """
    tests = TESTS if root == PACKAGE else root.parent / "tests"
    files, needed = set(), set()
    for file, _, tree in trees(root):
        public = [node.name for node in tree.body if isinstance(node, Function | ast.ClassDef) and runs(node)]
        if not Path(file).name.startswith("__"):
            mirror = Path(file).with_name(f"test_{Path(file).stem.rstrip('_')}.py")
            files.add(str(mirror))
            needed |= (
                {str(mirror)} if public and not (file.startswith("cli/") and public == [Path(file).stem]) else set()
            )
    files |= {f"benchmarks/test_{file.name}" for file in (tests.parent / "benchmarks").glob("*.py")}
    there = {str(file.relative_to(tests)) for file in tests.rglob("test_*.py")}
    return [
        *(f"tests/{file} is missing, and a source would have it" for file in sorted(needed - there)),
        *(f"tests/{file} has no source of its name" for file in sorted(there - files - WHOLE)),
    ]


def named_tests(root: Path) -> list[str]:
    """Every test that a docstring names is there."""
    tests = TESTS if root == PACKAGE else root.parent / "tests"
    there = {file.name for file in tests.rglob("test_*.py")}
    return [
        f"{file}: names {name}, which is not there"
        for file, _, tree in trees(root)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | Function)
        for name in re.findall(r"(?:tests/[\w/]*)?\btest_\w+\.py", ast.get_docstring(node) or "")
        if not (tests.parent / name).is_file() and not ("/" not in name and name in there)
    ]


RULES = [
    floors,
    walls,
    families,
    method_free,
    class_names,
    file_counts,
    core_is_plain,
    forbidden_imports,
    relative_imports,
    late_imports,
    cycles,
    names,
    sizes,
    documented,
    mirrored,
    named_tests,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_holds(rule: Callable[[Path], list[str]]) -> None:
    assert list(trees(PACKAGE)), f"no source under {PACKAGE}"
    complaints = rule(PACKAGE)
    assert not complaints, "\n" + "\n".join(complaints)


LONG = '"""Doc."""\n' + 'def f(x: int) -> int:\n    """Doc."""\n' + "    x = 1\n" * 300 + "    return x\n"
VIOLATIONS = [
    ("core/a.py", "import understudy.data.a\n", floors),
    ("data/a.py", "from understudy.nets import b\n", floors),
    ("attic/a.py", "X = 1\n", floors),
    ("core/a.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from understudy.cli import m\n", floors),
    ("core/a.py", "import importlib\nM = importlib.import_module('understudy.cli.m')\n", floors),
    ("report/a.py", "def _f():\n    from understudy.generators import base\n", walls),
    ("release/a.py", "from understudy.synthesis import b\n", walls),
    ("generators/gan/a.py", "from understudy.generators.diffusion.b import B\n", families),
    ("generators/gan/a.py", "from understudy.generators import GENERATORS\n", families),
    ("training/a.py", "def diffusion_step() -> None:\n    pass\n", method_free),
    ("nets/a.py", "class X:\n    pass\n\n\nclass X:\n    pass\n", class_names),
    ("core/a.py", "import torch.nn\n", core_is_plain),
    ("core/a.py", "from PIL import Image\n", core_is_plain),
    ("nets/a.py", "from torchvision import models\n", forbidden_imports),
    ("data/a.py", "import pickle\n", forbidden_imports),
    ("data/a.py", "from pickle import loads\n", forbidden_imports),
    ("generators/pretrained/pickle_file.py", "import dill\n", forbidden_imports),
    ("data/a.py", "from . import b\n", relative_imports),
    ("data/a.py", "def _f():\n    import understudy.core.seed\n", late_imports),
    ("data/a.py", "from understudy.data import b\n", cycles),
    ("data/utils.py", "X = 1\n", names),
    ("core/file_helpers.py", "X = 1\n", names),
    ("nets/a.py", LONG, sizes),
    ("nets/a.py", "X = 1\n" * 401, sizes),
    ("nets/a.py", "def _f():\n" + "    x = 1\n" * 11, sizes),
    ("nets/c.py", '"""Doc."""\ndef f() -> None:\n    """Doc."""\n', mirrored),
    ("nets/c.py", '"""Doc."""\nclass C:\n    """Doc."""\n', mirrored),
    ("../tests/nets/test_c.py", "", mirrored),
    ("nets/a.py", '"""Doc. Checked in tests/nets/test_c.py."""\n', named_tests),
    ("nets/a.py", '"""Doc."""\ndef f() -> None:\n    """Doc, see test_c.py."""\n', named_tests),
    ("nets/a.py", "X = 1\n", documented),
    ("nets/a.py", '"""Doc."""\ndef f() -> None:\n    pass\n', documented),
    ("nets/a.py", '"""Doc."""\nclass A:\n    """Doc."""\n    def f(self):\n        """Doc."""\n', documented),
]


@pytest.mark.parametrize(("file", "source", "rule"), VIOLATIONS)
def test_a_broken_rule_is_caught(tmp_path: Path, file: str, source: str, rule: Callable[[Path], list[str]]) -> None:
    root = tmp_path / "package"
    for name in ("data/b.py", "generators/b.py", "nets/b.py", "generators/__init__.py"):
        (root / name).parent.mkdir(exist_ok=True, parents=True)
        (root / name).write_text('"""Doc."""\n' + "from understudy.data.a import X\n" * (name == "data/b.py"))
    assert rule(root) == []
    (root / file).parent.mkdir(exist_ok=True, parents=True)
    (root / file).write_text(source)
    assert rule(root), f"{rule.__name__} does not notice"


def test_a_quiet_tree_passes_every_rule(tmp_path: Path) -> None:
    root = tmp_path / "package"
    (root / "nets").mkdir(parents=True)
    (root / "nets" / "a.py").write_text('"""Doc."""\nfrom understudy.core.seed import derive\nX = derive\n')
    assert [complaint for rule in RULES for complaint in rule(root)] == []
