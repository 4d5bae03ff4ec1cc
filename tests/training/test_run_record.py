"""A run.json with other types than expected is refused in one sentence that names the file."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.training.checkpoint import write_state
from understudy.training.record import start_record
from understudy.training.run_record import read_run

RECORD: dict[str, Any] = {
    "generator": "diffusion",
    "config": {"batch_size": 4, "rate": 1.0},
    "encoding": Encoding((Channel("t1", 0, 1.5),), "uint16", None).to_json(),
    "size": [8, 8],
    "classes": ["ill"],
    "combinations": [],
    "modality": "MR",
    "seed": 3,
    "trained_on": [{"cohort": "a", "splits": ["train"], "subjects": ["s"]}],
    "provenance": Provenance("train diffusion", {"preset": None}, 3, {"cohort": "a"}).to_json(),
}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    assert read_run(tmp_path) == RECORD
    assert json.dumps(read_run(tmp_path)) == json.dumps(RECORD)


@pytest.mark.parametrize("key", [key for key in RECORD if key != "combinations"])
@pytest.mark.parametrize("value", [None, 7.5, "text", [7], {"x": []}, [[]], ...])
def test_other_types_are_refused(tmp_path: Path, key: str, value: Any) -> None:
    if type(value) is type(RECORD[key]) and value != {"x": []}:
        return
    changed = {k: v for k, v in RECORD.items() if k != key} if value is ... else RECORD | {key: value}
    (tmp_path / "run.json").write_text(json.dumps(changed))
    if key == "config" and value == {"x": []}:  # what a generator says of settings, it says itself
        return
    with pytest.raises(UnderstudyError, match=r"run\.json is not the record of a training.*: train again") as caught:
        read_run(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 5000, "NaN", "\x00", '{"generator": 1}'])
def test_what_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UnderstudyError, match=r"run\.json is not the record of a training"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    "change", [{"channels": 3}, {"channels": [{"name": "a"}]}, {"dtype": None}, {"label_scheme": 7}]
)
def test_an_encoding_that_cannot_be_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RECORD | {"encoding": RECORD["encoding"] | change}))
    with pytest.raises(UnderstudyError, match=r"run\.json is not the record of a training.*encoding"):
        read_run(tmp_path)


def test_the_record_names_the_run_that_a_training_starts_from(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(RECORD))
    assert start_record(None) == {"inputs": {}, "trained_on": []}
    with pytest.raises(UsageError, match="no weights to start from"):
        start_record(tmp_path)
    write_state(tmp_path / "snapshots" / "000000008", {"ema.weight": torch.zeros(2)}, {})
    assert start_record(tmp_path)["trained_on"] == RECORD["trained_on"]
    assert len(start_record(tmp_path)["inputs"]["start"]) == 16
