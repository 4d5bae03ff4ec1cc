"""Scores of subjects and of cases as `evaluate utility` writes them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.evaluation.folder import write_rows
from understudy.evaluation.utility.classification import PER_CASE
from understudy.studies.report.scores import MEAN, read_scores


def test_scores_of_subjects(folds: Any) -> None:
    found = read_scores(folds.out / "utility" / "utility-fold1")
    assert found.score == "dice" and found.network == "unet" and len(found.subjects) == 6
    assert found.arms[:3] == [("real", ""), ("synthetic", "diffusion-1"), ("both", "diffusion-1")]
    mean, core, oedema = (found.measured[("real", ""), name] for name in (MEAN, "core", "oedema"))
    assert mean.scores.shape == (2, 6)  # type: ignore[attr-defined]
    assert np.allclose(mean.scores, (core.scores + oedema.scores) / 2)  # type: ignore[attr-defined]  # not the whole lesion
    assert found.behind == {MEAN: 6, "core": 6, "oedema": 6, "whole lesion": 6}
    assert read_scores(folds.out / "utility" / "utility-fold1", "hd95").measured[("real", ""), MEAN].values().mean() > 5


def test_scores_of_cases(tmp_path: Path) -> None:
    rows = [
        [
            f"c{i}",
            f"s{i:02d}",
            arm,
            "densenet",
            repeat,
            name,
            i % 2 if name == "a" or i else None,
            0.9 if i % 2 else 0.2,
        ]
        for arm in ("real", "gan")
        for repeat in range(2)
        for i in range(14)
        for name in ("a", "b")
    ]
    (tmp_path / "internal").mkdir()
    write_rows(tmp_path / "internal" / "per_case.csv", PER_CASE, rows)
    found = read_scores(tmp_path)
    assert found.score == "auc" and found.arms == [("real", ""), ("synthetic", "gan")]
    assert found.measured[("synthetic", "gan"), MEAN].values().tolist() == [1, 1]
    assert found.behind == {MEAN: 6, "a": 7, "b": 6}


def test_what_is_not_there_is_told(folds: Any, tmp_path: Path) -> None:
    with pytest.raises(UnderstudyError, match="holds no scores of test subjects"):
        read_scores(tmp_path)
    with pytest.raises(UnderstudyError, match="no table of scores with sharpness"):
        read_scores(folds.out / "utility" / "utility-fold1", "sharpness")


def test_a_field_without_end(tmp_path: Path) -> None:
    (tmp_path / "internal").mkdir()
    (tmp_path / "internal" / "per_subject.csv").write_text("subject_id\n" + "s" * 200_000)
    with pytest.raises(UnderstudyError, match="is no table of scores"):
        read_scores(tmp_path)
