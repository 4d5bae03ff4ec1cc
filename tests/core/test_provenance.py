"""Who made a folder: the same request gives the same text, without time, path or name."""

import json
from importlib.metadata import PackageNotFoundError

import pytest

from understudy.core import provenance
from understudy.core.provenance import Provenance, code_version


def test_the_same_request_gives_the_same_text() -> None:
    made = [Provenance("train", {"size": 64}, 3, {"cohort": "c1"}).to_json() for _ in range(2)]
    assert json.dumps(made[0]) == json.dumps(made[1])
    assert made[0] == {
        "command": "train",
        "config": {"size": 64},
        "seed": 3,
        "inputs": {"cohort": "c1"},
        "understudy": code_version(),
    }


def test_a_bare_source_tree_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(provenance, "version", missing)
    assert code_version() == "uninstalled"
