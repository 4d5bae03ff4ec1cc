"""Answers: nothing is changed or stored twice, the last counts, links are hashes, another study is refused."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError
from understudy.reader.create import Created
from understudy.reader.store import ADMIN, Answer, Store, hashed, make_store, now


@pytest.fixture
def made(make: Callable[..., Created]) -> Created:
    return make()


@pytest.fixture
def store(made: Created) -> Iterator[Store]:
    one = Store(made.folder)
    yield one
    one.close()


def test_the_last_answer_counts_and_none_is_lost(store: Store, made: Created) -> None:
    assert store.next_position(1) == 0
    assert store.add(Answer(1, 0, {"a": 1}, 2.0, now()), "n0") and store.add(Answer(1, 1, {"a": 2}, 1.0, now()), "n1")
    assert not store.add(Answer(1, 1, {"a": 2}, 1.0, now()), "n1") and store.has(1, "n1") and not store.has(2, "n1")
    assert store.add(Answer(1, 1, {"a": 3}, 4.0, now()), "n2") and store.add(Answer(2, 0, {"a": 9}, 1.0, now()), "n1")
    assert {p: one.answers for p, one in store.answers(1).items()} == {0: {"a": 1}, 1: {"a": 3}}
    last = store.answer(1, 1)
    assert last is not None and last.seconds == 4.0 and store.answer(1, 7) is None
    assert store.next_position(1) == 2
    rows = sqlite3.connect(made.folder / "answers.sqlite").execute("SELECT COUNT(*) FROM answers").fetchone()
    assert rows == (4,)
    progress = store.progress()
    assert [(one.reader, one.answered) for one in progress] == [(1, 2), (2, 1)] and progress[0].seconds == 4.0


def test_links_are_hashes(store: Store, made: Created) -> None:
    assert [store.whose(made.links[reader]) for reader in (0, 1, 2)] == [ADMIN, 1, 2]
    assert store.whose("") is store.whose("x") is store.whose(hashed(made.links[1])) is None
    content = b"".join(file.read_bytes() for file in made.folder.rglob("*") if file.is_file())
    assert not any(token.encode() in content for token in made.links.values())
    assert all(len(token) >= 43 for token in made.links.values())  # 256 bits
    new = store.new_links()
    assert store.whose(made.links[1]) is None and store.whose(new[1]) == 1


def test_a_failed_writing_leaves_nothing(store: Store) -> None:
    with pytest.raises(TypeError):
        store.add(Answer(1, 0, {"a": object()}, 1.0, now()), "n")
    with pytest.raises(sqlite3.IntegrityError):
        store.add(Answer(1, None, {}, 1.0, now()), "n")  # type: ignore[arg-type]
    assert store.add(Answer(1, 0, {}, 1.0, now()), "n")


def test_another_study_or_no_database_is_refused(made: Created, tmp_path: Path) -> None:
    text = (made.folder / "study.json").read_text()
    (made.folder / "study.json").write_text(text.replace('"margin": 0.1', '"margin": 0.3'))
    with pytest.raises(UnderstudyError, match="margin and questions are fixed before reading"):
        Store(made.folder)
    (made.folder / "study.json").write_text(text)
    (made.folder / "answers.sqlite").write_bytes(b"no database, but long enough to be read as one" * 9)
    with pytest.raises(UnderstudyError, match="is no file of answers"):
        Store(made.folder)
    (made.folder / "answers.sqlite").unlink()
    with pytest.raises(UnderstudyError, match="there is no file"):
        Store(made.folder)
    assert set(make_store(made.folder, 3)) == {0, 1, 2, 3}
