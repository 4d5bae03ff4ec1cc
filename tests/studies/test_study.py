"""The YAML of a study: unknown and repeated keys, names, loops, and what is no YAML."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.studies.study import StudyFile, read_study

Parsed = Callable[[Any], StudyFile]


def test_a_stage_is_a_verb_with_its_words_options_and_settings(parsed: Parsed, small: dict[str, Any]) -> None:
    run = parsed(small).stages["run"]
    assert (run.verb, run.words, run.options, run.settings) == (
        "train", ("diffusion", "$cohort"), {"seed": "$seed"}, {"images_seen": 100})  # fmt: skip


def test_loops_are_lists_or_mappings(parsed: Parsed, small: dict[str, Any]) -> None:
    small["loops"] = {"fold": [1], "seed": {"a": {"n": 3}, "b": None}}
    assert parsed(small).loops == {"fold": {"1": {}}, "seed": {"a": {"n": 3}, "b": {}}}


def test_data_lie_relative_to_the_file(parsed: Parsed, small: dict[str, Any], tmp_path: Path) -> None:
    assert parsed({**small, "data": "../scans"}).data == str(tmp_path.parent / "scans")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"study": "Two words"}, "study: String should match"),
        ({"stages": {}}, "stages: .* at least 1"),
        ({"stages": {"a": {"fly": 1}}}, "exactly one verb out of import, .*found none"),
        ({"stages": {"a": {"train": 1, "sample": 2}}}, "found train and sample"),
        ({"stages": {"a": ["train"]}}, "a stage is a verb with its arguments"),
        ({"stages": {"a": {"train": "x", "out": "y"}}}, "a study gives every stage its out"),
        ({"stages": {"../a": {"train": "x"}}}, "match pattern"),
        ({"stages": {"seed": {"train": "x"}}}, "'seed' stands twice"),
        ({"stages": {"a": {"train": "x", "joins": ["tuesday"]}}}, "names the loop 'tuesday'"),
        ({"stages": {"a": {"train": "x", "only": {"seed": [7]}}}}, "names the value '7', which seed has not"),
        ({"stages": {"a": {"train": "x", "needs": {"beer": 1}}}}, "beer: Extra inputs"),
        (
            {"stages": {"logs": {"train": "x"}}},
            "the folder `logs` is that of the logs of the stages: give the stage another name",
        ),
        ({"needs": {"threads": 0}}, "needs.threads"),
        ({"needs": {"memory_gb": float("inf")}}, "needs.memory_gb"),
        ({"data": "a\0b"}, "a path without control characters"),
        ({"stages": {"logs": {"train": "x"}}}, "the folder `logs` is that of the logs"),
        ({"stages": {"profile": {"train": "x"}}}, "the folder `profile` is that of Snakemake"),
        ({"stages": {"a": {"train": "x", "batch-size": 1, "batch_size": 2}}}, "has an option twice"),
        ({"stages": {f"s{i}": {"train": "x"} for i in range(1001)}}, "at most 1000 items"),
        ({"loops": {"seed": []}}, "the loop seed is a list of values"),
        ({"loops": {"seed": [1, 1]}}, "each once"),
        ({"loops": {"seed": ["a/b"]}}, "becomes part of a folder's name"),
        ({"loops": {"seed": [".."]}}, "becomes part of a folder's name"),
        ({"loops": {"seed": {"a": 1}}}, "a mapping of names was expected"),
    ],
)
def test_what_is_no_study(parsed: Parsed, small: dict[str, Any], change: dict[str, Any], says: str) -> None:
    with pytest.raises(UnderstudyError, match=says) as caught:
        parsed({**small, **change})
    assert caught.value.exit_code == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is no study"),
        ("a: [1", "is no YAML"),
        ("study: x\nstudy: y\n", "'study' stands twice"),
        ("study: x\nstages: {a: {train: x, set: {n: 1, n: 2}}}\n", "'n' stands twice"),
        ("a: &b [1]\nc: *b\n", "aliases"),
        ("study: !!python/object:os.system x\n", "is no YAML"),
        ("[" * 5000, "is no YAML"),
        ("x: 1\n" * 300_000, "found more than 1,048,576 bytes"),
        ("x: 2024-13-45", "is no study"),
        ("x: !!int y", "is no YAML"),
        ("x: !!float ''", "is no YAML"),
        ("x: !!bool y", "is no YAML"),
        ("x: !!timestamp y", "is no YAML"),
        ("x: 1" + ":59" * 300 + ":1.5", "is no study"),
        ("x: 1" + "0" * 30, "too large"),
        ("x: " + "1" * 5000, "is no YAML"),
        ("2024-01-01: x", "is no study"),
        ("{[1]: 2}", "is no YAML"),
    ],
    ids=range(18),
)
def test_what_is_no_yaml(parsed: Parsed, text: str, says: str) -> None:
    with pytest.raises(UnderstudyError, match=says):
        parsed(text)


def test_plain_words_mean_what_they_do_in_yaml_1_2(parsed: Parsed) -> None:
    plain = ("0:8", "-15:15", "on", "2020-01-01", "1e-3", "007", ".5", "~", "0x1f", "1_0", "True")
    words = "\n".join(f"  w{i}: {word}" for i, word in enumerate(plain))
    read = parsed(f"study: x\nvalues:\n{words}\nstages: {{a: {{import: phantom}}}}\n").values
    assert list(read.values()) == ["0:8", "-15:15", "on", "2020-01-01", 0.001, 7, 0.5, None, "0x1f", "1_0", True]


def test_many_keys_are_read_at_once(parsed: Parsed) -> None:
    began = time.process_time()
    with pytest.raises(UnderstudyError, match="is no study"):
        parsed("x: {" + ",".join(f"k{i}: 1" for i in range(20_000)) + "}")
    assert time.process_time() - began < 10  # each key against all before took minutes


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UnderstudyError, match="is no YAML"):
        read_study(tmp_path / "s.yaml")
    with pytest.raises(UsageError, match="there is none: correct the path"):
        read_study(tmp_path / "absent.yaml")
