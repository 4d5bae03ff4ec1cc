"""The Python source that an official weights file carries: never compiled, but searched for what does not belong there.

The official files hold the source of their network classes, which the official code executes when it opens them; this
package builds its own networks and needs none of it. A file whose source asks for anything that a network does not
need (a module of the system, a built-in that reads or runs, a loader of PyTorch) is still refused, because it is not
what it claims to be, and its owner should know. The source is parsed into a syntax tree (``ast.parse``), which runs
nothing.

**Source** of the lists: all versions of training/networks*.py and training/augment.py that NVlabs published for
StyleGAN2-ADA (PyTorch) and StyleGAN3; they import NumPy, SciPy, PyTorch and ``torch_utils`` only.
**Differs**: this is a sign of tampering, not what keeps a file from running: nothing does run.
**Checked** in tests/generators/pretrained/test_stored_source.py (``os.system`` in a dozen disguises) and, with the
official code at hand, on its own files.
"""

import ast
import builtins
import sys
import warnings
from collections.abc import Iterator


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PACKAGES = frozenset({"numpy", "scipy", "torch", "torch_utils", "dnnlib", "math", "typing"})
MOST_CHARACTERS = 1_000_000
BUILTINS = _words(
    "abs all any bool bytes complex dict divmod enumerate filter float format frozenset hasattr hash id int "
    "isinstance issubclass iter len list map max min next object ord chr pow print property range repr reversed round "
    "set slice sorted staticmethod classmethod str sum super tuple type zip NotImplemented Ellipsis"
)
NOT_SYSTEM = _words("array signal random copy math select trace")  # of tensors and torch, like-named
LOADERS = _words(
    "load loads save load_library load_inline load_file hub jit package ctypeslib cpp_extension custom_ops classes "
    "fromfile tofile memmap loadtxt genfromtxt savetxt system popen spawn f2py open_url call_func_by_name "
    "get_obj_by_name construct_class_by_name get_module_from_obj_name"
)
DUNDERS = frozenset(("__init__", "__name__", "__version__"))


def foreign(source: str) -> str | None:
    """Return the first thing in a source that an official network does not need, or None.

    Args:
        source: Python source; it is parsed, never compiled or run.

    Returns:
        For example ``os.system (line 3)``.
    """
    if len(source) > MOST_CHARACTERS:
        return f"a source of more than {MOST_CHARACTERS} characters"
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        return f"a source that is not Python ({type(error).__name__})"
    imported = [(name, line) for node in ast.walk(tree) for name, line in _imported(node)]
    for name, line in imported:
        if name.split(".")[0] not in PACKAGES or any(_is_foreign(part) for part in name.split(".")):
            return _shown(_used(tree, name) or name, line)
    of_self = {id(call) for node in ast.walk(tree) for call in _attributes_of_self(node)}
    found = [(name, node.lineno) for node in ast.walk(tree) if id(node) not in of_self for name in _reached(node)]  # type: ignore[attr-defined]
    return _shown(*min(found, key=lambda item: item[1])) if found else None


def _imported(node: ast.AST) -> Iterator[tuple[str, int]]:
    if isinstance(node, ast.Import):
        yield from ((alias.name, node.lineno) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        yield from ((f"{'.' * node.level}{node.module or ''}.{alias.name}", node.lineno) for alias in node.names)


def _used(tree: ast.Module, module: str) -> str | None:
    """Return how a foreign module is used, e.g. ``os.system``, for the sentence."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == module:
            return f"{module}.{node.attr}"
    return None


def _is_foreign(attribute: str) -> bool:
    """Tell whether a name behind a dot leads out of tensors: a module of the system, a loader, the interpreter."""
    dunder = attribute.startswith("__") and attribute not in DUNDERS
    return dunder or attribute in LOADERS or attribute in sys.stdlib_module_names - NOT_SYSTEM


def _attributes_of_self(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the ``getattr`` of ``getattr(self, ...)``: elsewhere it reaches what no dot shows."""
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name) and node.args[0].id == "self":
        yield from (n for n in [node.func] if isinstance(n, ast.Name) and n.id in ("getattr", "setattr"))


def _reached(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Attribute) and _is_foreign(node.attr):
        yield _chain(node)
    if isinstance(node, ast.Name) and _is_foreign_name(node.id):
        yield node.id


def _chain(node: ast.expr) -> str:
    """Write attributes and calls as in the source, without arguments: ``__import__().system``."""
    parts = []
    while isinstance(node, (ast.Attribute, ast.Call)):
        parts.append(f".{node.attr}" if isinstance(node, ast.Attribute) else "()")
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return (node.id if isinstance(node, ast.Name) else "(...)") + "".join(reversed(parts))


def _is_foreign_name(name: str) -> bool:
    known = vars(builtins).get(name)
    error = isinstance(known, type) and issubclass(known, Exception)
    return name.startswith("__") or (name in vars(builtins) and name not in BUILTINS and not error)


def _shown(name: str, line: int) -> str:
    return f"{''.join(c if c.isprintable() else '?' for c in name)[:80]} (line {line})"
