"""understudy: synthetic annotated medical images, with evidence: how useful, how realistic, what named attacks find.

Data flows one way: real data -> cohort -> generator -> synthetic cohort -> evaluation -> report -> release. Every arrow
is a folder on disk that a person can open; the packages below are the stages.

In Python as on the command line (docs/tutorial.md)::

    import understudy as us
    cohort = us.import_phantom("phantom", subjects=24, size=32)
    run = us.train("diffusion", "phantom", "run", preset="demo")
    us.sample(run, 100, "synthetic")
    results = us.evaluate("utility", real="phantom", synthetic="synthetic", out="results")

Names are imported when they are used: ``import understudy`` costs nothing. **Checked** in tests/test_package.py.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from understudy.api.data import import_cohort as import_cohort
    from understudy.api.data import import_folder as import_folder
    from understudy.api.data import import_phantom as import_phantom
    from understudy.api.data import preview_import as preview_import
    from understudy.api.evidence import evaluate as evaluate
    from understudy.api.evidence import load_bundle as load_bundle
    from understudy.api.evidence import release as release
    from understudy.api.evidence import report as report
    from understudy.api.evidence import verify as verify
    from understudy.api.generators import classify as classify
    from understudy.api.generators import condition as condition
    from understudy.api.generators import load as load
    from understudy.api.generators import load_generator as load_generator
    from understudy.api.generators import sample as sample
    from understudy.api.generators import segment as segment
    from understudy.api.generators import train as train
    from understudy.core.cohort import Cohort as Cohort

__version__ = "0.1.0"
_WHERE = {
    "api.data": ("import_cohort", "import_folder", "import_phantom", "preview_import"),
    "api.generators": ("classify", "condition", "load", "load_generator", "sample", "segment", "train"),
    "api.evidence": ("evaluate", "load_bundle", "release", "report", "verify"),
    "core.cohort": ("Cohort",),
}
_PLACES = {name: place for place, names in _WHERE.items() for name in names}
__all__ = ["__version__", *sorted(_PLACES)]


if not TYPE_CHECKING:  # which would let a type checker take any name

    def __getattr__(name: str) -> Any:
        """Import a name of the surface when it is used."""
        if name not in _PLACES:
            raise AttributeError(f"module 'understudy' has no attribute {name!r}: it has {', '.join(sorted(_PLACES))}")
        return getattr(import_module(f"understudy.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    """Return the names of the surface beside those of the module."""
    return sorted({*globals(), *_PLACES})


class _Surface(ModuleType):
    """The module ``understudy``, in which the packages report and release do not hide the functions of their names."""

    def __setattr__(self, name: str, value: Any) -> None:
        """Keep an imported package off a name of the surface."""
        if not (name in _PLACES and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Surface
