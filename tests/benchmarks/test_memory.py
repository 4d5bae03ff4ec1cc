"""Peak memory: made cohorts are cohorts, holes included; what is asked for exists; rows and the line to more cases."""

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.main import get_command

from understudy.cli.main import app
from understudy.core.cohort import Cohort
from understudy.evaluation.guard import open_pair

Script = Callable[[str], ModuleType]
TOP: Any = get_command(app)


def parse(words: list[str]) -> None:
    """Read a command as the command line does, without running it; an option that does not exist is an error."""
    command, context = TOP, TOP.make_context("understudy", [], resilient_parsing=True)
    while hasattr(command, "list_commands"):
        name, command, words = command.resolve_command(context, words)
        assert command is not None, name
        context = type(context)(command, parent=context, info_name=name)
    command.make_parser(context).parse_args(list(words))


def test_a_sparse_cohort_is_one(script: Script, tmp_path: Path) -> None:
    memory = script("memory")
    real, synthetic = tmp_path / "real", tmp_path / "synthetic"
    memory.write_sparse(real, 5000, 32)
    memory.write_sparse(synthetic, 400, 16, real)
    cohort, drawn = Cohort.open(real), Cohort.open(synthetic)
    assert len(cohort) == 5000 and cohort.images is not None and cohort.images.shape == (5000, 4, 32, 32)
    assert cohort.images[255].any() and not cohort.images[256:].any()
    assert os.stat(real / "images.npy").st_blocks * 512 < cohort.images.nbytes / 8
    assert len(drawn) == 400 and drawn.kind == "synthetic" and len(set(drawn.column("case_id"))) == 400
    assert drawn.trained_on[0]["cohort"] == cohort.id


def test_every_stage_is_a_verb_and_reads_what_was_made_before(script: Script) -> None:
    memory = script("memory")
    for stages in ([*memory.chain(10, 16)], [*memory.large(10, 16)]):
        made = [stage.name for stage in stages]
        for i, stage in enumerate(stages):
            assert set(stage.reads) <= set(made[:i]), stage.name
            parse([*stage.command()])
    kinds = {stage.kind for stage in memory.chain(10, 16)}
    assert kinds >= {"check", "import", "edit", "train", "sample", "utility", "fidelity", "privacy", "consistency"}
    assert kinds >= {"report", "screen", "release", "verify"}


def test_rows_hold_memory_against_the_limit(script: Script) -> None:
    memory = script("memory")
    kept = {"peak_mib": 9000, "seconds": 1}
    results = {f"sample-{n}": {"own_mib": own, "cases": n, **kept} for n, own in ((4000, 1000), (16000, 2000))}
    rows = list(memory.rows_of(results | {"run": {"failed": "why"}}, 1.5))
    assert [row.get("held") for row in rows] == [True, False, None]
    (line,) = memory.extended(results, (4000, 16000), 6)
    assert line["own_mib"] == pytest.approx(2000 + 84_000 / 12) and not line["held"]


def test_a_made_synthetic_cohort_is_no_leak(script: Script, tmp_path: Path) -> None:
    write_cohort = script("made_cohorts").write_cohort
    write_cohort(tmp_path / "real", 96, 2, 16)
    seen = [Cohort.open(tmp_path / "real").seen("train")]
    write_cohort(tmp_path / "synthetic", 96, 2, 16, "synthetic", seed=1, trained_on=seen)
    assert open_pair(tmp_path / "real", [tmp_path / "synthetic"], splits={"control": 1, "test": 1}, labels=True)


def test_pngs_are_those_of_the_cohort(script: Script, tmp_path: Path) -> None:
    from PIL import Image

    script("made_cohorts").write_cohort(tmp_path / "real", 6, 2, 16)
    script("memory").write_pngs(tmp_path / "pngs", tmp_path / "real")
    cohort = Cohort.open(tmp_path / "real")
    assert cohort.images is not None
    assert (np.asarray(Image.open(tmp_path / "pngs" / "images" / "000003.png")) == cohort.images[3, 0]).all()
