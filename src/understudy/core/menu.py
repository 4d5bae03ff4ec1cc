"""Menu: entries by name, each imported when it is asked for, so that help can list names without importing torch.

**Checked** in tests/core/test_menu.py.
"""

from collections import UserDict
from importlib import import_module
from typing import Any, TypeVar

Entry = TypeVar("Entry")


class Menu(UserDict[str, Entry]):
    """A dictionary of what lies at ``module:attribute`` below a package: ``Menu("understudy.nets", a="unet:UNet")``."""

    def __init__(self, package: str, **places: str) -> None:
        """Note the places; nothing is imported."""
        super().__init__()
        self._package, self._places = package, places
        self.data = dict.fromkeys(places)  # type: ignore[assignment]

    def __getitem__(self, name: str) -> Entry:
        """Return an entry, imported where it has not been yet; KeyError where there is none."""
        entry: Any = self.data[name]
        if entry is None:
            module, _, attribute = self._places[name].partition(":")
            self.data[name] = entry = getattr(import_module(f"{self._package}.{module}"), attribute)
        return entry
