"""The answers of a study, in SQLite: written to the disk before the reader is told so, and never changed afterwards.

An answer that is taken back or given again is a new row; the last row of a position counts. Each row has a number that
the browser made up, so that an answer that is sent twice, since the first reply was lost, is stored once. Links hold a
secret of 256 bits; the database has their SHA-256 only.
**Checked** in tests/reader/test_store.py and, with kill -9 of the server, in tests/reader/test_browser.py.
"""

import hashlib
import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from understudy.core.errors import UnderstudyError
from understudy.reader.documents import ANSWERS, STUDY, digest

ADMIN = 0  # number of the one who sees the progress; readers are 1..R
SCHEMA = """
CREATE TABLE study (digest TEXT NOT NULL);
CREATE TABLE readers (reader INTEGER PRIMARY KEY, link TEXT NOT NULL UNIQUE);
CREATE TABLE answers (
    number INTEGER PRIMARY KEY AUTOINCREMENT, reader INTEGER NOT NULL REFERENCES readers, position INTEGER NOT NULL,
    nonce TEXT NOT NULL, answers TEXT NOT NULL, seconds REAL NOT NULL, time REAL NOT NULL, UNIQUE (reader, nonce));
CREATE INDEX by_position ON answers (reader, position);
"""


@dataclass(frozen=True)
class Answer:
    """What a reader said of the case at a position of his order: answers by the names of questions, active seconds."""

    reader: int
    position: int
    answers: dict[str, Any]
    seconds: float
    time: float


@dataclass(frozen=True)
class Progress:
    """How far a reader is: positions answered, median seconds each, when the last one was answered; no answer."""

    reader: int
    answered: int
    seconds: float | None
    last: float | None


def hashed(token: str) -> str:
    """Return what the database keeps of a link."""
    return hashlib.sha256(token.encode()).hexdigest()


class Store:
    """The answers of one study folder."""

    def __init__(self, folder: Path) -> None:
        """Open them.

        Raises:
            UnderstudyError: there are none, or they belong to another study.json.
        """
        file = folder / ANSWERS
        if not file.is_file():
            raise UnderstudyError(
                f"the answers of the study were expected at {file}, and there is no file: bring it back"
            )
        self._base, self._writer = (
            sqlite3.connect(file, isolation_level=None, check_same_thread=False, timeout=10) for _ in range(2)
        )
        self._one_writer = threading.Lock()
        try:
            self._writer.execute("PRAGMA journal_mode=WAL")
            self._writer.execute("PRAGMA synchronous=FULL")  # an answer is on the disk before it is confirmed
            (made,) = self._base.execute("SELECT digest FROM study").fetchone()
        except (sqlite3.DatabaseError, TypeError) as error:
            raise UnderstudyError(f"{file} is no file of answers ({error}): bring the right one back") from error
        if made != digest(folder / STUDY):
            raise UnderstudyError(
                f"{folder / STUDY} is not what the answers were made for: margin and questions are fixed before "
                "reading; bring the file of old back"
            )

    def close(self) -> None:
        """Close the database."""
        self._writer.close()
        self._base.close()

    def whose(self, token: str) -> int | None:
        """Return the reader whose link holds this secret, ADMIN for that of the progress page, None for no one's."""
        found = self._base.execute("SELECT reader FROM readers WHERE link = ?", (hashed(token),)).fetchone()
        return None if found is None else int(found[0])

    def new_links(self) -> dict[int, str]:
        """Make new secrets for all, shown once; those of before no longer work."""
        made = {reader: secrets.token_urlsafe(32) for (reader,) in self._base.execute("SELECT reader FROM readers")}
        with self._transaction():
            for reader, token in made.items():
                self._writer.execute("UPDATE readers SET link = ? WHERE reader = ?", (hashed(token), reader))
        return made

    def add(self, answer: Answer, nonce: str) -> bool:
        """Store an answer; False where the one with this nonce is there already."""
        return self.add_all([(answer, nonce)]) > 0

    def add_all(self, answers: Iterable[tuple[Answer, str]]) -> int:
        """Store answers with their nonces, all or none, and return how many were new."""
        rows = [
            (one.reader, one.position, nonce, json.dumps(one.answers, sort_keys=True), one.seconds, one.time)
            for one, nonce in answers
        ]
        with self._transaction():
            done = self._writer.executemany(
                "INSERT INTO answers (reader, position, nonce, answers, seconds, time) VALUES (?,?,?,?,?,?) "
                "ON CONFLICT (reader, nonce) DO NOTHING",
                rows,
            )
        return max(0, done.rowcount)

    def has(self, reader: int, nonce: str) -> bool:
        """Tell whether an answer with this nonce is stored."""
        row = self._base.execute("SELECT 1 FROM answers WHERE reader = ? AND nonce = ?", (reader, nonce)).fetchone()
        return row is not None

    def answers(self, reader: int) -> dict[int, Answer]:
        """Return the answers that count, by position."""
        rows = self._base.execute(
            "SELECT position, answers, seconds, time FROM answers WHERE reader = ? ORDER BY number", (reader,)
        )
        return {p: Answer(reader, p, json.loads(text), seconds, when) for p, text, seconds, when in rows}

    def answer(self, reader: int, position: int) -> Answer | None:
        """Return the answer that counts at a position."""
        row = self._base.execute(
            "SELECT answers, seconds, time FROM answers WHERE reader = ? AND position = ? ORDER BY number DESC LIMIT 1",
            (reader, position),
        ).fetchone()
        return None if row is None else Answer(reader, position, json.loads(row[0]), row[1], row[2])

    def next_position(self, reader: int) -> int:
        """Return the first position without an answer; answers have no gap."""
        found = self._base.execute("SELECT MAX(position) FROM answers WHERE reader = ?", (reader,)).fetchone()
        return 0 if found[0] is None else int(found[0]) + 1

    def count(self, reader: int) -> int:
        """Return how many answers were ever stored, those that were changed too."""
        found = self._base.execute("SELECT COUNT(*) FROM answers WHERE reader = ?", (reader,)).fetchone()
        return int(found[0])

    def progress(self) -> list[Progress]:
        """Return how far each reader is."""
        found = []
        for (reader,) in self._base.execute("SELECT reader FROM readers WHERE reader > 0 ORDER BY reader").fetchall():
            given = list(self.answers(reader).values())
            seconds = sorted(one.seconds for one in given)
            middle = seconds[len(seconds) // 2] if seconds else None
            found.append(Progress(reader, len(given), middle, max((one.time for one in given), default=None)))
        return found

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._one_writer:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")


def make_store(folder: Path, readers: int) -> dict[int, str]:
    """Make the database of a study folder, and return the secrets of the links by reader, ADMIN among them."""
    tokens = {reader: secrets.token_urlsafe(32) for reader in range(readers + 1)}
    base = sqlite3.connect(folder / ANSWERS)
    with base:
        base.executescript(SCHEMA)
        base.execute("INSERT INTO study VALUES (?)", (digest(folder / STUDY),))
        base.executemany("INSERT INTO readers VALUES (?, ?)", [(r, hashed(token)) for r, token in tokens.items()])
    base.close()
    return tokens


def now() -> float:
    """Return the time, in seconds since 1970, of an answer."""
    return time.time()
