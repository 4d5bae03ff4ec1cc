"""Provenance: who made this folder. It holds no time and no path, so that the same request gives the same bytes,
and nothing that names a patient leaves the import stage. Times stand in logs.
"""

from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel

from understudy.core.documents import STRICT, PlainData, Whole


def code_version() -> str:
    """Return the version of understudy that runs, or "uninstalled" from a bare source tree."""
    try:
        return version("understudy")
    except PackageNotFoundError:
        return "uninstalled"


@dataclass(frozen=True)
class Provenance:
    """What was asked: the command's name, its resolved settings, the seed, the ids (keyed where real) of its inputs."""

    command: str
    config: dict[str, Any] = field(default_factory=dict)
    seed: int = 0
    inputs: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data, with the version of understudy."""
        return {**vars(self), "understudy": code_version()}


class ProvenanceRecord(BaseModel):
    """The entry ``provenance`` of a JSON file on disk."""

    model_config = STRICT

    command: str
    config: PlainData = {}
    seed: Whole = 0
    inputs: dict[str, str] = {}
    understudy: str = "not recorded"
