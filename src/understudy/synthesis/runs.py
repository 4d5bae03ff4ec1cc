"""Runs to sample from, not loaded yet: what they say of themselves, and whether several of them fit together.

**Source** of mixing several: Larsson, Akbar and Eklund, Does an ensemble of GANs lead to better performance when
training segmentation networks with synthetic images? (2022, arXiv 2211.04086): equal parts of several generators.
**Checked** in tests/synthesis/test_runs.py.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.core.cohort import file_hash
from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.generators import find_snapshot
from understudy.training.run_record import read_run


@dataclass(frozen=True)
class Run:
    """A run folder and one of its snapshots."""

    path: Path
    record: dict[str, Any]  # run.json
    images_seen: int  # of the snapshot
    digest: str  # of the snapshot's weights

    @property
    def generator(self) -> str:
        """The method's name."""
        return str(self.record["generator"])

    @property
    def encoding(self) -> Encoding:
        """What its network channels mean."""
        return Encoding.from_json(self.record["encoding"])

    @property
    def conditional(self) -> bool:
        """Whether it needs classes."""
        return bool(self.record["config"]["conditional"])

    @property
    def settings(self) -> str:
        """First digits of a hash of the method and its settings: the same for trainings that differ in seed or data."""
        asked = json.dumps([self.record["generator"], self.record["config"]], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    @property
    def inputs(self) -> dict[str, str]:
        """What it was made of, by role."""
        return dict(self.record["provenance"]["inputs"])


def open_run(path: Path, snapshot: int | None = None) -> Run:
    """Look at a run, at ``snapshot`` images seen or at the end of training; raises UsageError without that."""
    weights = find_snapshot(Path(path), snapshot) / "tensors.safetensors"
    return Run(Path(path), read_run(Path(path)), int(weights.parent.name), file_hash(weights)[:16])


def open_runs(paths: Sequence[Path], snapshot: int | None = None) -> list[Run]:
    """Look at runs to mix; raises UsageError for none, one missing or named twice, or cases that would not fit."""
    runs = [open_run(path, snapshot) for path in paths]
    if not runs:
        raise UsageError("at least one run was expected, found none: name a folder that `understudy train` made")
    for k, run in enumerate(runs[1:], start=1):
        for what, expected, found in zip(FITTING, _fitting(runs[0]), _fitting(run), strict=True):
            if expected != found:
                raise UsageError(
                    f"the run {run.path} does not fit {runs[0].path}: its {what} is {found}, and {expected} was "
                    "expected: mix runs that were trained on one cohort, with the same classes"
                )
        if run.digest in [other.digest for other in runs[:k]]:
            raise UsageError(f"the run {run.path} was named before, or is a copy: name each run once")
    return runs


FITTING = ("size", "channels", "data type", "label scheme", "classes", "modality")


def _fitting(run: Run) -> tuple[Any, ...]:
    """What must be the same in all runs of an ensemble, in the order of FITTING."""
    encoding = run.encoding
    channels = tuple((c.name, c.low, c.high) for c in encoding.channels)
    names = encoding.scheme.names if encoding.scheme else None
    return tuple(run.record["size"]), channels, encoding.dtype, names, run.record["classes"], run.record["modality"]


def called(runs: Sequence[Run]) -> str:
    """Return how provenance calls the generator of a cohort: ``stylegan2``, or ``ensemble of 3 stylegan2``."""
    names = [run.generator for run in runs]
    if len(runs) == 1:
        return names[0]
    return "ensemble of " + ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))


def member(runs: Sequence[Run], r: int) -> str:
    """Return how an ensemble calls its run number r: ``stylegan2#0``."""
    return f"{runs[r].generator}#{r}"


def joint_inputs(runs: Sequence[Run]) -> dict[str, str]:
    """Return the hashes of the runs' weights, and by role what they were made of."""
    roles = list(dict.fromkeys(role for run in runs for role in run.inputs))
    made_of = {role: ",".join(dict.fromkeys(run.inputs[role] for run in runs if role in run.inputs)) for role in roles}
    if len(runs) == 1:
        return {"run": runs[0].digest, **made_of}
    return {**{member(runs, r): run.digest for r, run in enumerate(runs)}, **made_of}


def joint_trained_on(*lists: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries of several ``trained_on``, each once, in order."""
    return list({json.dumps(entry, sort_keys=True): entry for entries in lists for entry in entries}.values())


def joint_privacy(runs: Sequence[Run]) -> dict[str, Any]:
    """Return what ``sampling`` says of the guarantee of cohorts drawn from these runs: nothing unless all have one.

    Several runs on the same patients add up: epsilon and delta are sums (Dwork and Roth, The Algorithmic Foundations of
    Differential Privacy, 2014, theorem 3.16).
    """
    found = [run.record.get("differential_privacy") for run in runs]
    if not all(found):
        return {}
    total = {key: sum(one[key] for one in found if one) for key in ("epsilon", "delta")}  # not that at another delta
    if any(one.get("public_start") for one in found if one):
        total["public_start"] = True
    return {"differential_privacy": {**found[0], **total} if len(found) == 1 else {**total, "unit": found[0]["unit"]}}  # type: ignore


def synthetic_writer(out: Path, run: Run, provenance: Provenance, **more: Any) -> CohortWriter:
    """Return the writer of a cohort of cases as a run draws them; ``more`` says what it has beside, or instead."""
    encoding = run.encoding
    described: dict[str, Any] = {
        "kind": "synthetic",
        "modality": run.record["modality"],
        "size": tuple(run.record["size"]),
        "channels": encoding.channels,
        "dtype": encoding.dtype,
        "scheme": encoding.scheme,
        "label_source": "sampled" if encoding.scheme else None,
    }
    return CohortWriter(out, provenance=provenance, **described | more)
