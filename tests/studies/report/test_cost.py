"""What it took, from the records; no path of the user's."""

from pathlib import Path
from typing import Any

from understudy.studies.report.cost import command, cost_block, request


def test_cost_by_template(folds: Any) -> None:
    block = cost_block(folds.measures())
    cost, stages = block.tables
    assert cost.view.rows[1] == ["painted_run", "train diffusion", "4 of 4", "2.00", "30.0", "1.889", "2.00", "14.0"]
    assert (
        "25 stages took 12.50 hours on node1, 1 thread each; killed and failed runs are not counted." in block.sentences
    )
    assert len(stages.view.rows) == 25 and stages.view.folded


def test_no_path_of_the_data(folds: Any) -> None:
    assert command(folds.stages[0]) == "understudy import folder DATA --fold 1/2 --out cohort/cohort-fold1"
    assert "secret" not in request(folds.model_dump()) and "import: phantom" in request(folds.model_dump())


def test_without_records(builder: Any, tmp_path: Path) -> None:
    fake = builder.Fake(tmp_path)
    fake.stage("late", "train", "x", done=False)
    block = cost_block(fake.measures())
    assert block.sentences[-1].startswith("No cost is on record") and block.tables[0].view.rows[0][3:] == ["–"] * 5
