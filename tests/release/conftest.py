"""A synthetic cohort whose lesions have known sizes, and results folders about it, written by hand."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.writer import CohortWriter

SIZES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)  # voxels of the tumour, case by case
SEEN = [{"cohort": "real0", "splits": ["train", "validation"], "subjects": ["t1", "t2", "v1"]}]
TRAINED_ON = [{"cohort": "real0", "splits": ["train"], "subjects": ["t1", "t2"]}]
Write = Callable[..., Path]


def write_cohort(out: Path, sizes: Sequence[int] = SIZES, **changes: Any) -> Path:
    """Write cases of 4 x 4 with a tumour of so many voxels, and a cyst in the even ones."""
    settings: dict[str, Any] = {
        "kind": "synthetic",
        "modality": "MR",
        "size": (4, 4),
        "channels": [Channel("a", 0, 255)],
        "dtype": "uint8",
        "scheme": LabelScheme(("background", "tumour", "small cyst"), (0, 1, 2)),
        "label_source": "sampled",
        "trained_on": TRAINED_ON,
        "classes": ["ill"],
        "columns": ["generator"],
        "provenance": Provenance("sample", {"generator": "diffusion"}, 3),
    } | changes
    with CohortWriter(out, **settings) as writer:
        writer.sampling = {"asked": len(sizes)}
        for i, size in enumerate(sizes):
            label = np.zeros(16, np.uint8)
            label[:size] = 1
            label[15] = 2 * (i % 2 == 0)
            image = np.full((1, 4, 4), i, np.uint8)
            row = {"case_id": f"case{i}", "subject_id": f"case{i}", "ill": str(int(i >= 5)), "generator": f"run{i % 2}"}
            given = [image if settings["channels"] else None, label.reshape(4, 4) if settings["scheme"] else None]
            writer.append(*given, row)
    return out


def write_agreement(
    out: Path,
    cohort: Path,
    mean: Sequence[float],
    tumour: Sequence[float] | None = None,
    quantile: float | None = 0.5,
    real: str = "real0",
    about: str | None = None,
) -> Path:
    """Write what ``evaluate agreement`` writes and screening reads."""
    out.mkdir()
    opened = Cohort.open(cohort)
    note = "" if quantile is not None else "withheld: 3 subjects stand behind it"
    results = [
        Result(f"agreement.real.segresnet.quantile{e}", quantile, note=note) for e in ("", ".tumour", ".small-cyst")
    ]
    config = {"network": "segresnet", "quantile": 0.05, "reference": "control"}
    inputs = {"real": real, "synthetic": about or f"another,{opened.id}"}
    write_results(out, results, Provenance("evaluate agreement", config, 0, inputs))
    rows = [["synthetic_cohort", "synthetic_case", "mean", "accuracy", "dice.tumour", "dice.small cyst"]]
    rows += [["another", "case0", "0", "0", "0", "0"]]
    for case, m, t in zip(opened.column("case_id"), mean, tumour or mean, strict=True):
        rows.append([opened.id, case, str(m), "1", str(t), "1"])
    with (out / "cases.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    (out / "internal").mkdir()
    (out / "internal" / "seen.json").write_text(json.dumps({"seen": SEEN, "calibrated_on": []}))
    return out


def write_privacy(out: Path, cohort: Path, flagged: Sequence[int], verdict: bool = True, real: str = "real0") -> Path:
    """Write what ``evaluate privacy`` writes and screening reads."""
    out.mkdir()
    opened = Cohort.open(cohort)
    results = [
        Result("privacy.other.copies.flagged", 0),
        Result(
            "privacy.diffusion.copies.flagged",
            len(flagged) if verdict else None,
            note="" if verdict else "withheld: few",
        ),
        Result("privacy.diffusion.copies.threshold", 0.9),
    ]
    inputs = {"real": real, "synthetic": f"another,{opened.id}"}
    write_results(out, results, Provenance("evaluate privacy", {}, 0, inputs))
    rows = [["synthetic_cohort", "synthetic_case", "real_case", "subject", "r", "flagged"]]
    for i, case in enumerate(opened.column("case_id")):
        rows.append([opened.id, case, "patient-scan-7", "patient-7", "0.95", str(int(i in flagged))])
    (out / "internal").mkdir()
    with (out / "internal" / "pairs.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return out


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    return write_cohort(tmp_path / "synthetic")


@pytest.fixture
def another(tmp_path: Path) -> Write:
    return lambda name, *rest, **changes: write_cohort(tmp_path / name, *rest, **changes)


@pytest.fixture
def agreement(tmp_path: Path) -> Write:
    return lambda cohort, *rest, name="agreement", **more: write_agreement(tmp_path / name, cohort, *rest, **more)


@pytest.fixture
def privacy(tmp_path: Path) -> Write:
    return lambda cohort, *rest, name="privacy", **more: write_privacy(tmp_path / name, cohort, *rest, **more)
