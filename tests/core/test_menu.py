"""A menu names its entries without importing them, and is a dictionary otherwise."""

import subprocess
import sys

import pytest

from understudy.core.menu import Menu

NAMES = """
import sys
from understudy.generators import GENERATORS
assert "progan" in GENERATORS and len(list(GENERATORS)) == len(GENERATORS)
assert "torch" not in sys.modules
"""


def test_an_entry_is_imported_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    menu: Menu[object] = Menu("understudy.core", derive="seed:derive", none="seed:nothing_of_the_kind")
    assert list(menu) == ["derive", "none"] and "rng" not in menu
    from understudy.core.seed import derive

    assert menu["derive"] is derive and menu.get("rng") is None
    with pytest.raises(KeyError):
        menu["rng"]
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        dict(menu)
    monkeypatch.setitem(menu, "toy", 3)
    assert menu["toy"] == 3 and list(menu)[-1] == "toy"
    monkeypatch.undo()
    assert "toy" not in menu


def test_names_of_generators_cost_no_torch() -> None:
    assert subprocess.run([sys.executable, "-c", NAMES]).returncode == 0
