"""``reader analyze``: a study folder with its answers -> results.json, tables and curves, as every evaluation writes.

PUBLIC: results.json, tables/*.csv, curves/*.json: numbers over at least five real subjects, readers as numbers.
internal/: a row an answer, and what readers wrote. **Checked** in tests/reader/analysis/test_stage.py.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from understudy.core.disclosure import internal, public
from understudy.core.provenance import Provenance
from understudy.core.result import write_results
from understudy.core.stage import finished
from understudy.evaluation.folder import results_folder
from understudy.reader.analysis.findings import Findings
from understudy.reader.analysis.readings import read_readings
from understudy.reader.analysis.tables import write_internal, write_tables

ASKED = ("n", "margin", "repeats", "pairs", "labels", "wrong_annotations", "splits")  # of a study, told beside its hash


def analyze_study(folder: Path, out: Path, truth: Path | None = None, seed: int = 0) -> Path:
    """Analyze the answers of all readers who are through, and return the results folder ``out``.

    Args:
        folder: the study.
        out: the folder to make.
        truth: truth.json, where it was kept elsewhere.
        seed: of resampling.

    Raises:
        UsageError: no study, or an output of another request.
        UnderstudyError: nobody is through, or files were changed after the study was made.
    """
    readings = read_readings(Path(folder), truth)
    made = readings.truth.provenance
    config = {"study": _digest(made.config), **{f"study.{name}": made.config.get(name) for name in ASKED}}
    config |= {"seed": made.seed, "answers": readings.digest, "readers": readings.readers}
    request = Provenance("reader analyze", config, seed, made.inputs)
    if finished(out, "results.json", request):
        return Path(out)
    findings = Findings(readings, seed)
    with results_folder(out) as results:
        subjects = readings.truth.subjects
        write_results(results, [public(one, subjects) for one in findings.results()], request)
        write_tables(results, findings)
        write_internal(internal(results), readings)
    return Path(out)


def _digest(config: dict[str, Any]) -> str:
    """Return a hash of what a study asked, since a release carries no texts as long, and no settings as deep."""
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()
