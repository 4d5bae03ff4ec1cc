"""The Python source that an official weights file carries: never compiled, but searched for signs of tampering.

The official code executes that source when it opens a file; this package builds its own networks and needs none of it.
A file whose source asks for anything that a network does not need (a module of the system, a built-in that reads or
runs, a loader of PyTorch) is still refused: it is not what it claims to be, and its owner should know.

**Source** of the lists: all versions of training/networks*.py and training/augment.py that NVlabs published for
StyleGAN2-ADA (PyTorch) and StyleGAN3; they import NumPy, SciPy, PyTorch and ``torch_utils`` only.
**Checked** in tests/generators/pretrained/test_stored_source.py (``os.system`` in a dozen disguises).
"""

import ast
import sys
import warnings
from collections.abc import Iterator
from itertools import islice

MAX_CHARACTERS = 1_000_000


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


PACKAGES = _words("numpy scipy torch torch_utils dnnlib math typing")  # all that the official networks import
REACHING = _words("eval exec compile open input breakpoint globals locals vars dir getattr setattr delattr help")
LOADERS = _words(
    "load loads save load_library load_inline load_file hub jit package ctypeslib cpp_extension custom_ops classes "
    "fromfile tofile memmap loadtxt genfromtxt savetxt system popen spawn f2py open_url call_func_by_name "
    "get_obj_by_name construct_class_by_name get_module_from_obj_name"
)
LIKE_NAMED = _words("array signal random copy math select trace")  # of tensors and torch
DUNDERS = _words("__init__ __name__ __version__")


def foreign(source: str) -> str | None:
    """Return the first things in a source that an official network does not need, or None.

    The source is parsed, never compiled or run; an answer is ``os (line 1), os.system (line 3)``.
    """
    if len(source) > MAX_CHARACTERS:
        return f"a source of more than {MAX_CHARACTERS} characters"
    try:
        with warnings.catch_warnings(action="ignore"):
            found = list(islice(_foreign(ast.parse(source.removeprefix("\ufeff"))), 2))
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        return f"a source that is not Python ({type(error).__name__})"
    shown = [f"{''.join(c if c.isprintable() else '?' for c in name)[:50]} (line {line})" for name, line in found]
    return ", ".join(shown) or None


def _foreign(tree: ast.Module) -> Iterator[tuple[str, int]]:
    of_self = set()  # getattr(self, ...): elsewhere it reaches what no dot shows
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="getattr" | "setattr") as reached, args=[ast.Name(id="self"), *_]):
                of_self.add(reached)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                below = "." * node.level + (node.module or "") + "." if isinstance(node, ast.ImportFrom) else ""
                for path in (below + alias.name for alias in names):
                    if path.split(".")[0] not in PACKAGES or any(map(_is_foreign, path.split("."))):
                        yield path, node.lineno
            case ast.Attribute(attr=name) if _is_foreign(name):
                yield ast.unparse(node), node.lineno
            case ast.Name(id=name) if (name.startswith("__") or name in REACHING) and node not in of_self:
                yield name, node.lineno


def _is_foreign(attribute: str) -> bool:
    """Tell whether a name behind a dot leads out of tensors: a module of the system, a loader, the interpreter."""
    dunder = attribute.startswith("__") and attribute not in DUNDERS
    return dunder or attribute in LOADERS or attribute in sys.stdlib_module_names - LIKE_NAMED
