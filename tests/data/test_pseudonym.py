"""Pseudonyms: one key, one name; another key, another name; and a key file that only its owner reads."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.pseudonym import KEY_BYTES, key_path, keyed_hash, load_key, pseudonym


def test_a_key_is_made_once_for_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "key"
    key = load_key(file)
    assert len(key) == KEY_BYTES
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_key(file) == key
    assert os.listdir(file.parent) == ["key"]
    assert load_key(tmp_path / "other") != key


def test_whoever_makes_it_first_all_get_the_same(tmp_path: Path) -> None:
    for attempt in range(20):
        with ThreadPoolExecutor(8) as pool:
            keys = set(pool.map(load_key, [tmp_path / f"key{attempt}"] * 8))
        assert len(keys) == 1
    assert len(os.listdir(tmp_path)) == 20


def test_names() -> None:
    assert pseudonym(b"k" * 32, "Jones") == pseudonym(b"k" * 32, "Jones")
    assert len({pseudonym(key, name) for key in (b"k" * 32, b"l" * 32) for name in ("Jones", "Smith", "Jönes")}) == 6
    assert pseudonym(b"k" * 32, "Jones").startswith("s-")
    assert len(pseudonym(b"k" * 32, "Jones")) == 18
    assert keyed_hash(b"k" * 32, "subject", "a") != keyed_hash(b"k" * 32, "inputs", "a")


def test_where_the_key_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    monkeypatch.setenv("UNDERSTUDY_KEY_FILE", str(tmp_path / "named"))
    assert key_path(None, out) == tmp_path / "named"
    assert key_path(tmp_path / "given", out) == tmp_path / "given"
    monkeypatch.delenv("UNDERSTUDY_KEY_FILE")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert key_path(None, out) == tmp_path / ".config" / "understudy" / "pseudonym.key"


def test_a_key_inside_the_cohort_is_refused(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "out")
    for place in ("out/key", "out/deep/key", "other/../out/key", "link/key"):
        with pytest.raises(UsageError, match="would lie inside the output"):
            key_path(tmp_path / place, tmp_path / "out")
    key_path(tmp_path / "outside", tmp_path / "out")


def test_a_damaged_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(UnderstudyError, match="holds 5 bytes"):
        load_key(tmp_path / "key")
    with pytest.raises(UnderstudyError, match="can neither be read nor made|found a folder"):
        load_key(tmp_path)


def test_a_key_is_read_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "long"
    file.write_bytes(b"k" * (2**20 + 1))  # cut, it would be the key of another file that begins so
    with pytest.raises(UsageError, match="a pseudonym key was expected at .*long, found more than 1,048,576 bytes"):
        load_key(file)
