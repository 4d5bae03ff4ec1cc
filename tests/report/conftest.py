"""Results folders as `evaluate` writes them, with an internal part full of what must not come out."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results

Evidence = Callable[..., list[Path]]
INPUTS = {"real": "real0123456789", "synthetic": "synt0123456789"}
UTILITY = [
    Result("utility.real.unet.dice", 0.712, 0.66, 0.76, "", "higher", 22),
    Result("utility.synthetic.unet.dice", 0.571, 0.49, 0.63, "", "higher", 22),
    Result("utility.ratio.unet.dice", 0.802, 0.73, 0.86, "", "higher", 22, note="real-only Dice 0.712"),
]
FIDELITY = [
    Result("fidelity.frechet", 31.2, better="lower", n=1000),
    Result("fidelity.frechet.unseen", 12.8, 10.9, 14.6, "", "lower", 480),
]
PRIVACY = [
    Result("privacy.copies.flagged", 3, 2, 9, "cases", "lower", 1000),
    Result("privacy.copies.expected", 10, 4, 17, "cases", n=1000),
    Result("privacy.copies.above_reference_max", 0, unit="cases", n=1000),
    Result("privacy.correlation.control.max", None, note="withheld: 3 subjects stand behind it"),
]


def noise(n: int, seed: int) -> np.ndarray:
    """Return n cases (n, 2, 16, 16) in [0, 1]."""
    return np.random.default_rng(seed).random((n, 2, 16, 16)).astype(np.float32)


def rows(file: Path, header: list[str], *lines: list[Any]) -> None:
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *lines])


def arrays(file: Path, **data: np.ndarray) -> None:
    file.parent.mkdir(exist_ok=True)
    np.savez(file, allow_pickle=False, **data)


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """Return a function that writes the three results folders and returns their paths."""

    def write(inputs: dict[str, dict[str, str]] | None = None, **results: list[Result]) -> list[Path]:
        folders = []
        for section, default in (("utility", UTILITY), ("fidelity", FIDELITY), ("privacy", PRIVACY)):
            folder = tmp_path / section
            folder.mkdir()
            provenance = Provenance(f"evaluate {section}", {"repeats": 3}, 0, (inputs or {}).get(section, INPUTS))
            write_results(folder, results.get(section, default), provenance)
            folders.append(folder)
        _fill(*folders)
        return folders

    return write


def _fill(utility: Path, fidelity: Path, privacy: Path) -> None:
    rows(utility / "tables" / "utility.csv", ["trained_on", "value", "low", "high"], ["real", 0.712, 0.66, 0.76])
    rows(utility / "internal" / "per_subject.csv", ["subject_id", "dice"], ["patient-of-77", 0.7])
    names = {"channel_names": np.array(["T1", "FLAIR"]), "label_names": np.array(["background", "tumour"])}
    labels = (noise(12, 2)[:, 0] > 0.8).astype(np.uint8)
    arrays(fidelity / "images" / "synthetic.npz", images=noise(12, 0), labels=labels, **names)
    arrays(fidelity / "internal" / "real.npz", images=noise(12, 1), labels=labels, **names)
    curve = {
        "title": "Nearest",
        "x_label": "r",
        "y_label": "share",
        "series": [{"name": "synthetic", "x": [0, 1], "y": [1, 0]}],
    }
    (privacy / "curves").mkdir()
    (privacy / "curves" / "privacy.json").write_text(json.dumps(curve))
    header = ["synthetic_cohort", "synthetic_case", "real_case", "subject", "r", "flagged"]
    rows(privacy / "internal" / "pairs.csv", header, ["s", "syn-1", "real-case-5", "patient-of-77", 0.9, 1])
    arrays(
        privacy / "internal" / "worst_pairs.npz",
        synthetic=noise(3, 0),
        real=noise(3, 1),
        r=np.array([0.9, 0.8, 0.7]),
        **names,
    )
