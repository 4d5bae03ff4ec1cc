from pathlib import Path

import pytest

from understudy.core.atomic import lock, whole_file, whole_folder
from understudy.core.errors import UsageError


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    (tmp_path / ".a.json.partial").write_text("what a killed process left")
    with whole_file(file) as handle:
        handle.write(b"one")
        assert not file.exists()
    assert file.read_bytes() == b"one"
    with pytest.raises(ZeroDivisionError), whole_file(file) as handle:
        handle.write(b"tw" * (1 // 0))
    assert file.read_bytes() == b"one"
    assert names(tmp_path) == ["a.json"]


def test_permissions_and_a_link_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("mine")
    (tmp_path / ".key.partial").symlink_to(tmp_path / "victim")
    with whole_file(tmp_path / "key", mode=0o600) as handle:
        handle.write(b"secret")
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "victim").read_text() == "mine"


def test_of_several_writers_the_last_or_the_first_stays(tmp_path: Path) -> None:
    for replace, stays in ((True, b"one"), (False, b"other")):
        file = tmp_path / "a"
        with whole_file(file, alone=False, replace=replace) as one:
            one.write(b"one")
            with whole_file(file, alone=False, replace=replace) as other:
                other.write(b"other")
        assert file.read_bytes() == stays
        assert names(tmp_path) == ["a"]
        file.unlink()


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    with whole_folder(out) as folder:
        (folder / "a").write_text("1")
        assert not out.exists()
    with pytest.raises(OSError, match="not empty"), whole_folder(out) as folder:
        (folder / "b").write_text("2")
    assert names(out) == ["a"]
    with whole_folder(out, replace=True) as folder:
        (folder / "b").write_text("2")
    assert names(out) == ["b"]
    with pytest.raises(KeyboardInterrupt), whole_folder(out, replace=True):
        raise KeyboardInterrupt
    assert names(out) == ["b"]
    assert names(out.parent) == ["out"]


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    file.write_text("")  # a killed process left it: the kernel freed its lock
    with lock(file, "writing out"):
        with (
            pytest.raises(UsageError, match="another process is writing out: wait for it to end"),
            lock(file, "writing out"),
        ):
            pass
        assert file.exists()
    assert not file.exists()
    with lock(file, "writing out"):
        pass
