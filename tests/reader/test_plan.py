"""The YAML of a reader study: the usual one, a whole one, and each mistake told in a sentence."""

import os
from pathlib import Path

import pytest

from understudy.core.errors import UsageError
from understudy.reader.plan import read_plan


def test_the_usual_plan() -> None:
    plan = read_plan(None)
    assert [one.kind for one in plan.asked] == ["source", "text"] and plan.call.name == "source"
    assert (plan.margin, plan.undo, plan.shows_labels) == (0.10, "last", False)


def test_pairs_ask_which_is_real(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text("pairs: true\nmargin: 0.2\n")
    plan = read_plan(tmp_path / "q.yaml")
    assert plan.call.kind == "pair" and plan.margin == 0.2


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").write_text(
        "title: T\nquestions:\n- {name: source, kind: source, text: 'A?'}\n- {name: r, kind: scale, text: 'B?', "
        "options: [no, yes]}\n- {name: outline, kind: annotation, text: 'C?'}\n"
    )
    plan = read_plan(tmp_path / "q.yaml")
    assert plan.shows_labels and plan.asked[1].options == ("no", "yes")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("margin: 0.6", "margin"),
        ("marjin: 0.1", "marjin"),
        ("training: 3", "training"),
        ("questions: [{name: a, kind: text, text: T}]", "one question of kind source"),
        ("pairs: true\nquestions: [{name: a, kind: source, text: T}]", "one question of kind pair"),
        ("questions: [{name: A b, kind: source, text: T}]", "name"),
        ("questions: [{name: a, kind: scale, text: T, options: [x]}]", "2 to 9 options, found 1"),
        ("questions: [{name: a, kind: source, text: T}, {name: a, kind: text, text: T}]", "a name of its own"),
        ("wrong_annotations: 0.2", "needs a question of kind annotation"),
        ("- 1", "the whole"),
        ("a: [", "not YAML"),
        ("a: 2024-13-45", "not YAML"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "q.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_plan(file)


def test_a_file_without_an_end(tmp_path: Path) -> None:
    (tmp_path / "q.yaml").touch()
    os.truncate(tmp_path / "q.yaml", 2**43)
    with pytest.raises(UsageError, match="found more than 1,048,576 bytes"):
        read_plan(tmp_path / "q.yaml")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="found nothing"):
        read_plan(tmp_path / "q.yaml")
