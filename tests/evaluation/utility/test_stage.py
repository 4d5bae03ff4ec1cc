"""The utility protocol end to end on a toy cohort."""

import csv
import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.result import read_results
from understudy.core.writer import CohortWriter
from understudy.evaluation.utility import arms, segmentation
from understudy.evaluation.utility.config import UtilityConfig
from understudy.evaluation.utility.stage import evaluate_utility
from understudy.evaluation.utility.task import Task
from understudy.tasks.segmentation import CohortCases, Segmenter

CONFIG = UtilityConfig(updates=20, checks=2, repeats=2, channels=(8, 8, 16), batch_size=8, draws=200, precision="fp32")
CHECKS = [2, 5, 10, 20]
FILES = [
    "results.json",
    "tables/utility.csv",
    "curves/utility-unet.json",
    "internal/per_subject.csv",
    "internal/INTERNAL.txt",
    "tables/utility-scores.csv",
    "tables/utility-comparisons.csv",
    "tables/utility-selection.csv",
    "curves/utility-unet-synthetic.json",
    "seal.json",
]


def test_end_to_end_is_reproducible_whatever_the_threads_and_made_once(
    real: Path, synthetic: Path, tmp_path: Path
) -> None:
    first, threads = tmp_path / "first", torch.get_num_threads()
    try:
        for out, n in ((first, 1), (tmp_path / "second", 2)):
            torch.set_num_threads(n)
            evaluate_utility(real, [synthetic], out, 0, CONFIG)
    finally:
        torch.set_num_threads(threads)
    assert sorted(str(p.relative_to(first)) for p in first.rglob("*") if p.is_file()) == sorted(FILES)
    for file in FILES:
        assert (first / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    results, provenance = read_results(first)
    found = {r.name: r for r in results}
    assert provenance["inputs"] == {"real": Cohort.open(real).id, "synthetic": Cohort.open(synthetic).id}
    assert found["utility.real.unet.dice"].n == 5 and 0.05 < (found["utility.real.unet.dice"].value or 0) <= 1
    curve = json.loads((first / "curves" / "utility-unet.json").read_text())
    assert [(s["name"], s["x"]) for s in curve["series"]] == [("real", CHECKS), ("stylegan-2", CHECKS)]
    with (first / "tables" / "utility-selection.csv").open(newline="") as file:
        chosen = [r["weights_chosen_by"] for r in csv.DictReader(file) if r["class"] == "mean"]
    assert chosen == ["synthetic", "real", "last"]
    others = [
        f"utility.select-{choice}.{what}.unet.dice" for choice in ("real", "last") for what in ("synthetic", "ratio")
    ]
    assert [name for name in found if name.startswith("utility.select-") and name.endswith(".dice")] == others
    own, judged = (
        json.loads((first / "curves" / f"utility-unet{one}.json").read_text())["series"][-1]
        for one in ("-synthetic", "")
    )
    validated = found["utility.validation.unet.dice"]
    assert validated.n == 5 and min(judged["y"]) - 0.1 <= (validated.value or 0) <= max(judged["y"]) + 0.1
    before = (first / "results.json").stat().st_mtime_ns
    evaluate_utility(real, [synthetic], first, 0, CONFIG)
    assert (first / "results.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="made by another request"):
        evaluate_utility(real, [synthetic], first, 1, CONFIG)


def test_test_subjects_are_read_once_and_never_to_choose(
    real: Path, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    predict = Segmenter.predict_cases

    def watched(segmenter: Segmenter, cases: CohortCases) -> np.ndarray:
        read.append(min(cases.cohort.column("subject_id")[cases.rows].tolist()))
        return predict(segmenter, cases)

    monkeypatch.setattr(Segmenter, "predict_cases", watched)
    config = CONFIG.model_copy(update={"repeats": 1, "updates": 2})
    results, _ = read_results(evaluate_utility(real, [synthetic], tmp_path / "out", 0, config))
    test, validation = (Cohort.open(real).subjects(split)[0] for split in ("test", "validation"))
    made = Cohort.open(synthetic).subjects()
    told = [{validation: "validation", test: "test"}.get(s, "synthetic" if s in made else s) for s in read]
    assert told == ["validation", "validation", "test"] + ["synthetic", "validation"] * 2 + ["test"] * 3
    counted = results[-1]
    assert counted.name == "utility.test_readings.unet" and counted.value == read.count(test) == 4


def test_a_copy_of_the_training_split_is_worth_exactly_as_much(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Same cases, same seeds: if anything but the cases differed between the arms, the ratio would not be 1."""
    monkeypatch.setattr(arms, "held_out", lambda _, rows, __: (rows, rows[:3]))
    cohort = Cohort.open(real)
    assert cohort.images is not None and cohort.labels is not None and cohort.scheme is not None
    settings = {"modality": "MR", "size": cohort.size, "channels": cohort.encoding.channels, "dtype": "uint8"}
    made = {"kind": "synthetic", "scheme": cohort.scheme, "label_source": "sampled", "provenance": Provenance("copy")}
    with CohortWriter(tmp_path / "copy", **settings, **made) as writer:
        for i in cohort.rows("train"):
            writer.append(cohort.images[i], cohort.labels[i], {"case_id": f"c{i}", "subject_id": f"c{i}"})
    config = CONFIG.model_copy(update={"select": "real"})
    out = evaluate_utility(real, [tmp_path / "copy"], tmp_path / "out", 0, config)
    found = {r.name: r for r in read_results(out)[0]}
    ratio = found["utility.ratio.unet.dice"]
    assert ratio.value == 1 and ratio.low is not None and ratio.high is not None and ratio.low <= 1 <= ratio.high
    rows = (out / "internal" / "per_subject.csv").read_text().splitlines()[1:]
    assert [r.replace(",synthetic,", ",real,") for r in rows[len(rows) // 2 :]] == rows[: len(rows) // 2]


def test_real_and_synthetic_together(real: Path, synthetic: Path, tmp_path: Path) -> None:
    config = CONFIG.model_copy(update={"repeats": 1, "updates": 4, "arms": ("synthetic", "both")})
    results, _ = read_results(evaluate_utility(real, [synthetic], tmp_path / "out", 0, config))
    names = [r.name for r in results if r.name.count(".") == 3]
    assert names[:5] == [f"utility.{what}.unet.dice" for what in ("real", "synthetic", "ratio", "both", "gain")]
    n = len(Cohort.open(real).rows("train")), len(Cohort.open(synthetic))
    table = (tmp_path / "out" / "tables" / "utility.csv").read_text().splitlines()
    columns = table[0].split(",")
    both = dict(zip(columns, next(line for line in table if line.startswith("real+")).split(","), strict=True))
    assert int(both["training_cases"]) == 2 * max(n) and float(both["gain"]) < 1
    only = config.model_copy(update={"arms": ("both",)})
    without, _ = read_results(evaluate_utility(real, [synthetic], tmp_path / "only", 0, only))
    alone = ("synthetic", "ratio", "difference", "test_readings", "select", "validation")
    assert [r for r in results if r.name.split(".")[1].partition("-")[0] not in alone] == without[:-1]
    assert (results[-1].value, without[-1].value) == (5, 2)


def test_every_side_has_the_same_updates_settings_and_seeds(
    real: Path, synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[UtilityConfig, int]] = []
    made: list[list[int]] = []
    train = segmentation.train_segmenter

    def watched(*args: Any) -> Segmenter:
        *given, advance = args
        asked.append(tuple(given[2:4]))
        own = [0]
        made.append(own)

        def count() -> None:
            own[0] += 1
            advance()

        return train(*given, count)

    monkeypatch.setattr(segmentation, "train_segmenter", watched)
    changes = {"shares": (0.25,), "real_subjects": (4,), "arms": ("synthetic", "finetuned"), "updates": 6}
    config = CONFIG.model_copy(update=changes)
    results, _ = read_results(evaluate_utility(real, [synthetic], tmp_path / "all", 0, config))
    assert made == [[6]] * 2 * 7 and results[-1].value == 2 * 9
    assert len(set(asked)) == 2  # repeats
    values = {r.name: r.value for r in results}
    kinds = ("real", "synthetic", "both-25", "finetuned", "real@4", "both-25@4", "finetuned@4")
    scores = [values[f"utility.{kind}.unet.dice"] for kind in kinds]
    assert None not in scores and len(set(scores)) == 7  # each learned something else
    with pytest.raises(UnderstudyError, match="real_subjects = 15 draws"):
        evaluate_utility(real, [synthetic], tmp_path / "out", 0, config.model_copy(update={"real_subjects": (15,)}))
    assert not (tmp_path / "out").exists()


def test_classes_that_do_not_count_change_nothing(real: Path, toy: Callable[..., Path], tmp_path: Path) -> None:
    scheme = LabelScheme(("background", "Bright disc", "tissue"), (0, 1, 2))
    seen = [{"cohort": "x", "splits": ["train"], "subjects": ["real-0"]}]
    tables = []
    for name, changes in (("plain", {}), ("more", {"scheme": scheme})):
        other = toy(tmp_path / name, "synthetic", 6, 1, trained_on=seen, **changes)
        config = CONFIG.model_copy(update={"repeats": 1, "updates": 4, "classes": ("Bright disc",)})
        tables.append((evaluate_utility(real, [other], tmp_path / f"{name}-out", 0, config) / FILES[3]).read_text())
    assert tables[0] == tables[1]


FEW = CONFIG.model_copy(update={"updates": 3, "checks": 1, "channels": (4, 4, 8), "batch_size": 4, "draws": 100})


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many networks were trained, as a list that grows."""
    made: list[int] = []
    run = Task.run

    def counted(task: Task, *given: object) -> None:
        made.append(1)
        run(task, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Task, "run", counted)
    return made


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_another_cohort_against_the_same_real_one_gives_the_same_bytes(
    real: Path, synthetic: Path, toy: Callable[..., Path], tmp_path: Path, trained: list[int]
) -> None:
    seen = [{"cohort": "x", "splits": ["train"], "subjects": ["real-0"]}]
    other, cache = toy(tmp_path / "other", "synthetic", 7, 9, trained_on=seen), tmp_path / "cache"
    config = FEW.model_copy(update={"real_subjects": (4,)})
    evaluate_utility(real, [synthetic], tmp_path / "first", 0, config, cache=cache)
    assert len(trained) == 6
    alone = evaluate_utility(real, [other], tmp_path / "alone", 0, config)
    assert len(trained) == 12
    kept = evaluate_utility(real, [other], tmp_path / "kept", 0, config, cache=cache)
    assert len(trained) == 14  # the synthetic arm
    assert files(kept) == files(alone)
    again = evaluate_utility(real, [other], tmp_path / "again", 0, config, cache=cache)
    assert len(trained) == 14 and files(again) == files(alone)
    entries = [np.load(file).size for file in cache.glob("*.npy")]
    assert max(entries) < 200 and len(entries) == 2 * 4 + 5 * 4  # two parts of real arms, five of synthetic ones


def test_what_real_networks_do_not_depend_on_hits_and_all_else_misses(
    real: Path, synthetic: Path, tmp_path: Path, trained: list[int]
) -> None:
    def again(seed: int = 0, **changes: object) -> int:
        before, out = len(trained), tmp_path / secrets.token_hex(4)
        config = FEW.model_copy(update={"repeats": 1, **changes})
        evaluate_utility(real, [synthetic], out, seed, config, cache=tmp_path / "cache")
        return len(trained) - before

    assert (again(), again(), again(repeats=2)) == (2, 0, 2)
    assert again(draws=200) == again(select="last") == 0
    assert again(arms=("both",)) == again(shares=(0.25,), arms=()) == again(arms=("finetuned",)) == 1
    assert again(arms=("finetuned",), finetune_share=0.5) == 1
    for changes in ({"updates": 4}, {"batch_size": 5}, {"augment": False}, {"tolerance": 1.0}, {"checks": 2}):
        assert again(**changes) == 2, changes
    assert again(seed=1) == 2


def test_a_killed_evaluation_goes_on_with_the_networks_that_it_lacks(
    real: Path, synthetic: Path, tmp_path: Path, trained: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, cache, run = FEW.model_copy(update={"arms": ("synthetic", "both")}), tmp_path / "cache", Task.run
    whole = evaluate_utility(real, [synthetic], tmp_path / "whole", 0, config)
    everything = len(trained)

    def killed(*given: object) -> None:
        if len(trained) == everything + 3:
            raise KeyboardInterrupt
        run(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(Task, "run", killed)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)  # one network after another
    with pytest.raises(KeyboardInterrupt):
        evaluate_utility(real, [synthetic], tmp_path / "resumed", 0, config, cache=cache)
    monkeypatch.setattr(Task, "run", run)
    resumed = evaluate_utility(real, [synthetic], tmp_path / "resumed", 0, config, cache=cache)
    assert len(trained) == 2 * everything  # none of the three again
    assert files(resumed) == files(whole)


def test_a_forged_entry_changes_no_results(real: Path, synthetic: Path, tmp_path: Path) -> None:
    cache, config = tmp_path / "cache", FEW.model_copy(update={"repeats": 1})
    evaluate_utility(real, [synthetic], tmp_path / "first", 0, config, cache=cache)
    file = max(cache.glob("*.npy"), key=lambda one: np.load(one).size)
    better = np.ones_like(np.load(file))
    content = file.read_bytes()
    np.save(file, better)
    file.write_bytes(file.read_bytes() + content[-64:])
    with pytest.raises(UnderstudyError, match=f"the seal of .*{file.name} does not hold"):
        evaluate_utility(real, [synthetic], tmp_path / "second", 0, config, cache=cache)
    assert not (tmp_path / "second").exists()
