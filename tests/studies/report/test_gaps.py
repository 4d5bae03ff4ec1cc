"""What is missing is told."""

from pathlib import Path
from typing import Any

import numpy as np

from understudy.studies.report.gaps import missing_block, not_measured_block

REAL = np.linspace(0.7, 0.9, 16).reshape(2, 8)


def test_stages_that_failed_or_did_not_run(builder: Any, tmp_path: Path) -> None:
    fake = builder.crossval(tmp_path, folds=1, seeds=1)
    assert missing_block(fake.measures()).empty
    for i in range(6):
        fake.stage("late", "evaluate", "utility", str(i), done=False, fold=str(i))
    fake.record(fake.stages[-1], "failed", code=1)
    names = [f"late-fold{i}" for i in range(4)]
    rows = missing_block(fake.measures()).tables[0].view.rows
    assert rows == [["late", "failed", "1 of 6", "late-fold5"],
                    ["late", "not run", "5 of 6", f"{', '.join(names)} and 1 more"]]  # fmt: skip


def test_what_nobody_measured(builder: Any, folds: Any, tmp_path: Path) -> None:
    told = not_measured_block(folds.measures(not_measured=("No radiologist looked.",))).sentences
    assert told[0] == "No radiologist looked." and any(text.startswith("Reader study: ") for text in told)
    assert any(text.startswith("Image-label consistency") for text in told) and not any(
        "Privacy" in text for text in told
    )
    assert any("HD95: withheld: 3 subjects stand behind it." in text for text in told)
    assert not any("one seed" in text or "one split" in text for text in told)
    single = not_measured_block(builder.crossval(tmp_path, folds=1, seeds=1).measures()).sentences
    assert any("one seed" in text for text in single) and any("one split" in text for text in single)


def test_seeds_are_those_of_trainings_whatever_their_loop_is_called(builder: Any, tmp_path: Path) -> None:
    """The loop ``draw`` seeds the generators; cohorts that no generator made have no seed."""

    def study(name: str, seeds: tuple[str, ...], test: tuple[str, ...], verb: str = "train") -> str:
        fake = builder.Fake(tmp_path / name)
        for i, (seed, who) in enumerate(zip(seeds, test, strict=True)):
            run = fake.stage("run", verb, "pix2pix", "--seed", seed, draw=str(i))
            whom = [f"{who}-{k}" for k in range(8)]
            builder.judged(fake, {"real": REAL, "diffusion": REAL}, whom, made_by=[run], draw=str(i))
        return " ".join(not_measured_block(fake.measures(pool=("draw",))).sentences)

    one, several = "Each generator was trained with one seed", "All networks were tested on one split"
    told = study("draws", ("0", "1"), ("s", "s"))
    assert one not in told and several in told
    told = study("splits", ("0", "0"), ("s", "t"))
    assert one in told and several not in told
    assert "one seed" not in study("edited", ("0", "0"), ("s", "s"), "edit")
