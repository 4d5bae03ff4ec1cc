"""A study folder that was changed is refused in a sentence; names of items match a pattern."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.reader.create import Created
from understudy.reader.documents import read_orders, read_study_document, read_truth


def test_a_study_is_read_back(make: Callable[..., Created]) -> None:
    folder = make().folder
    study = read_study_document(folder)
    orders, truth = read_orders(folder, study), read_truth(folder / "truth.json", study)
    assert study.readers == len(orders.orders) == 2 and len(truth.items) == 24
    assert {file.stat().st_size for file in (folder / "items").iterdir()} == {study.item_bytes}
    assert study.plan.asked == study.plan.questions  # the usual ones would be written down too


def test_no_study(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a reader study was expected"):
        read_study_document(tmp_path)


@pytest.mark.parametrize("name", ["orders.json", "truth.json"])
def test_a_changed_file_is_refused(make: Callable[..., Created], name: str) -> None:
    folder = make().folder
    study = read_study_document(folder)
    (folder / name).write_text((folder / name).read_text() + " ")
    with pytest.raises(UnderstudyError, match="was changed after the study was made"):
        read_orders(folder, study) if name == "orders.json" else read_truth(folder / name, study)
    (folder / name).unlink()
    with pytest.raises(UnderstudyError, match="there is none"):
        read_orders(folder, study) if name == "orders.json" else read_truth(folder / name, study)


@pytest.mark.parametrize(("key", "value"), [("levels", 0), ("shape", [1, 2]), ("seed", 3), ("aspect", [1, 1, "x"])])
def test_a_damaged_study_is_told(make: Callable[..., Created], key: str, value: object) -> None:
    folder = make().folder
    data = json.loads((folder / "study.json").read_text())
    (folder / "study.json").write_text(json.dumps(data | {key: value}))
    with pytest.raises(UnderstudyError, match=rf"study\.json is not a reader study that understudy wrote \({key}"):
        read_study_document(folder)


def test_a_name_leads_nowhere(make: Callable[..., Created]) -> None:
    folder = make().folder
    study = read_study_document(folder)
    data = json.loads((folder / "orders.json").read_text())
    data["orders"][0][0] = "../../truth.json"
    (folder / "orders.json").write_text(json.dumps(data))
    files = {"orders.json": hashlib.sha256((folder / "orders.json").read_bytes()).hexdigest()}
    with pytest.raises(UnderstudyError, match="orders of a reader study"):
        read_orders(folder, study.model_copy(update={"files": files}))
