"""What it took, from the records; no path of the user's."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from understudy.studies.report.cost import command, cost_block, request


def test_cost_by_template(folds: Any) -> None:
    block = cost_block(folds.measures())
    cost, stages = block.tables
    assert cost.view.rows[1] == ["painted_run", "train diffusion", "4 of 4", "2.00", "30.0", "1.889", "2.00", "14.0"]
    assert (
        "25 stages took 12.50 hours on 1 machine, 1 thread each; failed stages, and runs that were killed together "
        "with the runner, are not counted." in block.sentences
    )
    assert len(stages.view.rows) == 25 and stages.view.folded


def test_what_another_request_took_is_not_told(builder: Any, tmp_path: Path) -> None:
    fake = builder.Fake(tmp_path)
    for i in range(2):
        stage = fake.stage("run", "train", "x", draw=str(i))
        (tmp_path / stage.folder).mkdir(parents=True)
        (tmp_path / stage.folder / "complete.json").touch()
    fake.record(fake.stages[1], digest="0" * 64)
    block = cost_block(fake.measures())
    assert block.tables[0].view.rows[0][2:4] == ["1 of 2", "0.500"] and block.sentences[-1].startswith("1 stages took")


def test_no_path_of_the_data(folds: Any) -> None:
    stage = replace(folds.stages[0], arguments=("train", "x", "--set", "weights=/secret/w", "--start", "a/b"))
    assert command(stage) == "understudy train x --set weights=DATA --start a/b"
    assert command(folds.stages[0]) == "understudy import folder DATA --fold 1/2 --out cohort/cohort-fold1"
    words = ("train", "x", "~/a", "../b", "file:///c", "--set", "w=/d e/f", "--set", "l=[1, /g/h]", "--n", "1/2")
    told = "understudy train x DATA DATA DATA --set w=DATA --set l=[1, DATA] --n 1/2"
    assert command(replace(folds.stages[0], arguments=words)) == told
    written = request(folds.model_dump(), folds.out)
    assert "secret" not in written and "import: phantom" in written


def test_the_yaml_is_that_which_was_kept(tmp_path: Path) -> None:
    text = (
        "# a comment\nstudy: x\ndata: ../hospital\nstages:\n  a: {import: [folder, /srv/ward], fold: $fold/5, b: ~/x}"
        "\n  b: {import: [folder, '/home/One Name/x'], c: \"/home/One Name/x\"}"
    )
    (tmp_path / "study.yaml").write_text(text + "\nabout: see https://example.org/a/b, 1/2 of them\n")
    found = request({"values": {"n": 5}}, tmp_path)
    assert "Name" not in found and "[folder, 'DATA'], c: \"DATA\"}" in found
    assert "# a comment" in found and "data: DATA" in found and "[folder, DATA], fold: $fold/5, b: DATA}" in found
    assert "https://example.org/a/b, 1/2 of" in found and found.endswith(
        "# Constants as they were run:\nvalues:\n  n: 5\n"
    )


def test_a_path_with_blanks_is_a_path(tmp_path: Path) -> None:
    text = "a: \"/home/ann/My Ward/x\"\nb: /home/ann/My Ward/x  # see\nc: [1/2, '~/My Ward/x']\n- /home/My Ward\n"
    (tmp_path / "study.yaml").write_text(text)
    assert request({}, tmp_path) == "a: \"DATA\"\nb: DATA  # see\nc: [1/2, 'DATA']\n- DATA\n"


def test_without_records(builder: Any, tmp_path: Path) -> None:
    fake = builder.Fake(tmp_path)
    fake.stage("late", "train", "x", done=False)
    block = cost_block(fake.measures())
    assert block.sentences[-1].startswith("No cost is on record") and block.tables[0].view.rows[0][3:] == ["–"] * 5
