"""Result: one measured number with its interval; what every metric returns and every report reads.

On disk: results.json = {"provenance": {...}, "results": [{"name", "value", "low", "high", "unit", "better", "n",
"seed", "note"}, ...]}; names are dotted from general to special (``utility.ratio.unet.dice``). A value that cannot be
computed is null, with the reason in ``note``.
"""

import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from understudy.core.documents import STRICT, Whole, read_document
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance, ProvenanceRecord

SCORES = {"dice": "Dice", "auc": "AUC"}  # of utility: their names in results and tables, and for people


@dataclass(frozen=True)
class Result:
    """One number: dotted name, value, 95 % interval (None where there is none), unit, direction, n, seed, note."""

    name: str
    value: float | None
    low: float | None = None
    high: float | None = None
    unit: str = ""
    better: str = ""
    n: Whole = 0
    seed: Whole = 0
    note: str = ""
    __pydantic_config__ = STRICT  # where one is read from a file

    def __str__(self) -> str:
        """Write ``value [low, high] unit (n = ...)``."""
        if self.value is None:
            return f"not available ({self.note})"
        interval = f" [{self.low:.3f}, {self.high:.3f}]" if self.low is not None and self.high is not None else ""
        return f"{self.value:.3f}{interval}{' ' + self.unit if self.unit else ''} (n = {self.n})"


class ResultsFile(BaseModel):
    """What results.json holds."""

    model_config = STRICT

    provenance: ProvenanceRecord
    results: list[Result]


def write_results(folder: Path, results: list[Result], provenance: Provenance) -> None:
    """Write results.json into a folder (an output_folder of core/stage.py); NaN and infinity are refused."""
    for result in results:
        for number in (result.value, result.low, result.high):
            if number is not None and not math.isfinite(number):
                raise UnderstudyError(f"the result {result.name} is {number}: a metric must say None and why")
    data = {"provenance": provenance.to_json(), "results": [asdict(_of_several(r)) for r in results]}
    (folder / "results.json").write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")


def _of_several(result: Result) -> Result:
    """The result without an interval of no width from a single subject or case: resampling one thing says nothing."""
    if result.n != 1 or result.low is None or result.low != result.high:
        return result
    why = "no interval: it rests on one subject"
    return replace(result, low=None, high=None, note=f"{result.note}; {why}" if result.note else why)


def read_results(folder: Path) -> tuple[list[Result], dict[str, Any]]:
    """Read results and provenance from a folder of ``evaluate``; UnderstudyError without a readable results.json."""
    file = Path(folder) / "results.json"
    if not file.is_file():
        raise UnderstudyError(f"{folder} holds no results.json: name a folder that `understudy evaluate` wrote")
    found = read_document(file, ResultsFile, "a results file", "evaluate again")
    return found.results, found.provenance.model_dump()
