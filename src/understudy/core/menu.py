"""Menu: entries by name, each imported when it is asked for, so that help can list names without importing torch.

**Checked** in tests/core/test_menu.py.
"""

from collections import UserDict
from importlib import import_module
from typing import Any, TypeVar

Entry = TypeVar("Entry")


class Menu(UserDict[str, Entry]):
    """A dictionary whose entries may be given by place: ``Menu("understudy.nets", unet="unet:UNet")``.

    Args:
        package: the package that places lie in.
        places: ``module:attribute`` below the package, by the name of the entry.
    """

    def __init__(self, package: str, **places: str) -> None:
        """Note the places; nothing is imported."""
        super().__init__()
        self._package = package
        self._places = places
        self.data = dict.fromkeys(places)  # type: ignore[assignment]

    def __getitem__(self, name: str) -> Entry:
        """Return an entry, imported where it has not been yet.

        Raises:
            KeyError: there is no such entry.
        """
        entry: Any = self.data[name]
        if entry is None:
            module, _, attribute = self._places[name].partition(":")
            self.data[name] = entry = getattr(import_module(f"{self._package}.{module}"), attribute)
        return entry
