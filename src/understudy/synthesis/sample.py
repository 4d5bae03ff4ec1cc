"""Sample: a trained generator -> a synthetic cohort; one seed a case, label maps decoded, provenance written.

Case i is drawn with derive(seed, "case", i): it is the same for every n and every machine word of the run. Cases are
streamed to disk block by block. **Checked** in tests/synthesis/test_sample.py.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from understudy.core.cohort import file_hash
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance
from understudy.core.seed import derive
from understudy.core.stage import finished
from understudy.core.writer import CohortWriter
from understudy.generators import find_snapshot, load
from understudy.generators.base import Generator
from understudy.training.engine import Engine


def sample_cohort(
    run: Path,
    n: int,
    seed: int,
    out: Path,
    *,
    snapshot: int | None = None,
    classes: dict[str, float] | None = None,
    engine: Engine | None = None,
) -> Path:
    """Draw n cases from a run into a new synthetic cohort; a finished one is not made twice.

    Args:
        run: a finished training run.
        n: number of cases.
        seed: seed of the cases.
        out: the cohort to make.
        snapshot: images seen of an earlier snapshot; default: the last.
        classes: value of each class column, for a run trained with ``conditional``.
        engine: device; default: the best one here.

    Returns:
        The cohort folder.

    Raises:
        UsageError: no such run or snapshot, n below 1, classes that the run does not know, or ``out`` holds something
        else.
    """
    if n < 1:
        raise UsageError(f"at least one case must be sampled, found --n {n}")
    weights = find_snapshot(Path(run), snapshot) / "tensors.safetensors"
    record = json.loads((Path(run) / "run.json").read_text())
    condition = _condition(record, classes or {}, n)
    inputs = {"run": file_hash(weights)[:16], **record["provenance"]["inputs"]}
    settings = {
        "generator": record["generator"],
        "n": n,
        "images_seen": int(weights.parent.name),
        "classes": classes or {},
        "training_seed": record["seed"],
    }
    provenance = Provenance("sample", settings, seed, inputs)
    if finished(out, "cohort.json", provenance):
        return Path(out)
    generator = load(run, snapshot, engine)
    scheme = generator.encoding.scheme
    with CohortWriter(
        out,
        kind="synthetic",
        modality=record["modality"],
        size=generator.size,
        channels=generator.encoding.channels,
        dtype=generator.encoding.dtype,
        scheme=scheme,
        label_source="sampled" if scheme else None,
        trained_on=record["trained_on"],
        classes=list(classes or {}),
        provenance=provenance,
    ) as writer:
        row = {name: f"{value:g}" for name, value in (classes or {}).items()}
        _write(generator, n, seed, condition, row, writer)
    return Path(out)


def _write(
    generator: Generator, n: int, seed: int, condition: np.ndarray | None, row: dict[str, str], writer: CohortWriter
) -> None:
    seeds = [derive(seed, "case", i) for i in range(n)]
    blocks = -(-n // generator.config.sample_block)
    i = 0
    for block in track(
        generator.sample_blocks(seeds, condition),
        "sample",
        total=blocks,
        transient=True,
        disable=not sys.stderr.isatty(),
    ):
        for k in range(len(block.images if block.images is not None else block.labels)):  # type: ignore[arg-type]
            case = f"synthetic-{i:06d}"
            writer.append(
                None if block.images is None else block.images[k],
                None if block.labels is None else block.labels[k],
                {"case_id": case, "subject_id": case, **row},
            )
            i += 1


def _condition(record: dict[str, Any], classes: dict[str, float], n: int) -> np.ndarray | None:
    names = record["classes"]
    if not record["config"]["conditional"]:
        if classes:
            raise UsageError(
                "classes were asked for, and the run was not trained with --set conditional=true: leave --classes out"
            )
        return None
    if set(classes) != set(names):
        raise UsageError(
            f"this run is conditional: give a value for each of its classes ({', '.join(names)}) "
            "with --classes name=value"
        )
    return np.tile(np.array([classes[name] for name in names], np.float32), (n, 1))
