"""Which stages are done, and which evaluation judged which cohort."""

from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError
from understudy.studies.report.config import Claim, ReportConfig, Selection
from understudy.studies.report.finished import Finished, refuse_unknown_names


def test_states(tmp_path: Path, builder: Any) -> None:
    fake = builder.Fake(tmp_path)
    made = {
        name: fake.stage(name, "train", "x", done=False)
        for name in ("done", "failed", "begun", "other", "absent", "gone")
    }
    for name in ("done", "failed", "begun", "other", "foreign", "copied"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "complete.json").touch()
    foreign = fake.stage("foreign", "train", "x", done=False)
    copied = fake.stage("copied", "train", "x", done=False)  # no record tells of which settings its output is
    fake.record(foreign, "exported")  # run by another engine
    fake.record(made["done"])
    fake.record(made["gone"])
    fake.record(made["failed"], "failed", code=1)
    fake.record(made["begun"], "started")
    fake.record(made["other"], digest="0" * 64)
    finished = Finished(fake.stages, tmp_path)
    states = {stage.name: finished.state(stage) for stage in fake.stages}
    assert states == {"done": "done", "foreign": "done", "failed": "failed"} | dict.fromkeys(
        ("begun", "other", "absent", "gone", "copied"), "not run"
    )
    assert (
        copied not in finished.done() and finished.done() == [made["done"], foreign] and finished.done("failed") == []
    )


def test_cohorts_of_one_evaluation_are_told_apart(folds: Any) -> None:
    finished = Finished(folds.stages, folds.out)
    judged = finished.select(Selection(template="utility", where={"fold": "2"}))
    assert [(one.cohort, one.loops["cohort"], one.loops["seed"]) for one in judged] == [
        ("diffusion-1", "painted", "0"),
        ("diffusion-2", "painted", "1"),
        ("diffusion-3", "joint", "0"),
        ("diffusion-4", "joint", "1"),
    ]
    assert all(one.loops["fold"] == "2" and one.kind == "utility" and one.of for one in judged)
    assert len(finished.select(Selection(template="fidelity", where={"cohort": "joint", "seed": "1"}))) == 2
    real = finished.real(judged[0])
    assert real is not None and real.kind == "real"


def test_a_cohort_of_elsewhere_keeps_its_place_among_the_names(builder: Any, tmp_path: Path) -> None:
    builder.write_cohort(tmp_path / "elsewhere", "synthetic", "progan")
    fake = builder.Fake(tmp_path / "study")
    one = fake.stage("spade", "sample", "x")
    builder.write_cohort(fake.out / one.folder, "synthetic", "spade")
    outside = str(tmp_path / "elsewhere")
    for name, given in (("both", [one.folder, outside]), ("alone", [one.folder]), ("none", [outside])):
        stage = fake.stage(name, "evaluate", "utility", *(w for path in given for w in ("--synthetic", path)))
        (fake.out / stage.folder).mkdir()
        (fake.out / stage.folder / "results.json").touch()
    found = {j.stage.template: (j.cohort, j.of, j.others) for j in Finished(fake.stages, fake.out).judged}
    assert found == {"both": ("spade", one, ("progan",)), "alone": ("", one, ()), "none": ("", None, ())}


def test_results_lose_the_name_of_their_cohort(folds: Any) -> None:
    finished = Finished(folds.stages, folds.out)
    second = finished.select(Selection(template="fidelity", where={"cohort": "painted", "seed": "1"}))[0]
    assert finished.results(second)["fidelity.frechet"].value == 11
    assert finished.evaluations() == {name: name for name in ("utility", "fidelity", "privacy", "correlation")}


def test_unknown_names_are_told(folds: Any) -> None:
    finished = Finished(folds.stages, folds.out)
    with pytest.raises(UnderstudyError, match="the stage 'utilty', and the study has cohort, correlation"):
        finished.select(Selection(template="utilty"))
    with pytest.raises(UnderstudyError, match="the loop 'generator', and the study has cohort, fold, seed"):
        finished.select(Selection(template="utility", where={"generator": "x"}))
    with pytest.raises(UnderstudyError, match="the value of the loop fold '3', and the study has 1, 2: correct"):
        finished.select(Selection(template="utility", where={"fold": "3"}))
    claim = Claim(template="utility", claim="x", at_least=0, measure="difference", against={"cohort": "jiont"})
    with pytest.raises(UnderstudyError, match="the value of the loop cohort 'jiont'"):
        refuse_unknown_names(folds.stages, ReportConfig(claims=(claim,)))


def test_a_pattern_selects_several_stages(folds: Any) -> None:
    finished = Finished(folds.stages, folds.out)
    both = finished.select(Selection(template="*lity"))
    assert {one.stage.template for one in both} == {"fidelity", "utility"}
    assert {stage.template for stage in finished.done("*oint")} == {"joint"}
    with pytest.raises(UnderstudyError, match="asks for the stage 'x\\*', and the study has cohort, "):
        finished.select(Selection(template="x*"))
    with pytest.raises(UnderstudyError, match="asks for the stage 'x\\*'"):
        refuse_unknown_names(
            folds.stages,
            ReportConfig.model_validate({"scatters": [{"x": {"from": "utility"}, "y": {"from": "x*"}}]}),
        )
