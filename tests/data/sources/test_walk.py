"""All files below a folder: links, loops, pipes, what systems leave behind, and what is counted by reason."""

import os
import re
import socket
import time
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.sources import walk as walking
from understudy.data.sources.walk import HIDDEN, NOWHERE, ODD, OTHER, SYSTEM, merged, walk


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_files_of_any_ending_and_what_is_left_out(tmp_path: Path) -> None:
    root = touch(
        tmp_path, "a.png", "b.PNG", "c/d.Nii.GZ", "c/x y.tif", "Thumbs.db", "desktop.ini", ".DS_Store", "c/._a.png"
    )
    touch(
        root,
        "README.txt",
        "a.json",
        "c/a.JSON",
        "Smith.john",
        "noending",
        "__MACOSX/a.png",
        "@eaDir/b.png/T.jpg",
        ".git/x",
    )
    found = walk(root, root)
    assert list(found.files) == ["a.png", "b.PNG", "c/d.Nii.GZ", "c/x y.tif"]
    assert found.passed_over == {
        "files of other kinds": 2, "files that end in .db": 1, "files that end in .ini": 1,
        "files that end in .json": 2, "files that end in .txt": 1, HIDDEN: 3, SYSTEM: 2,
    }  # fmt: skip
    assert not any("smith" in reason.lower() or "john" in reason for reason in found.passed_over)


def test_files_are_found_by_their_name_in_one_form(tmp_path: Path) -> None:
    touch(tmp_path, unicodedata.normalize("NFD", "Müller.png"))
    found = walk(tmp_path, tmp_path)
    assert list(found.files) == [unicodedata.normalize("NFC", "Müller.png")]
    assert found.files[unicodedata.normalize("NFC", "Müller.png")].exists()
    touch(tmp_path, unicodedata.normalize("NFC", "Müller.png"))
    with pytest.raises(UnderstudyError, match="have one name, written in two Unicode forms"):
        walk(tmp_path, tmp_path)


def test_names_that_are_no_utf8(tmp_path: Path) -> None:
    Path(os.fsdecode(bytes(tmp_path) + b"/M\xfcller.png")).write_bytes(b"")
    assert len(walk(tmp_path, tmp_path).files) == 1


def test_stems(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.nii.gz", "v1.2.final.png")
    assert [*walk(tmp_path, tmp_path).stems()] == ["a/b", "v1.2.final"]
    touch(tmp_path, "a/b.png")
    with pytest.raises(UnderstudyError, match="have one name but for the ending"):
        walk(tmp_path, tmp_path).stems()


def test_links_inside_are_followed(tmp_path: Path) -> None:
    root = touch(tmp_path / "in", "images/a.png", "store/b.png", "annex/KEY")
    (root / "images" / "site").symlink_to(root / "store")
    (root / "images" / "c.png").symlink_to(Path("..") / "annex" / "KEY")
    assert list(walk(root, root / "images").files) == ["a.png", "c.png", "site/b.png"]
    (tmp_path / "alias").symlink_to(root)
    assert len(walk(tmp_path / "alias", tmp_path / "alias" / "images").files) == 3


@pytest.mark.parametrize("name", ["a.png", "folder"])
def test_links_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    root = touch(tmp_path / "in", "b.png")
    touch(tmp_path / "out", "a.png")
    (root / name).symlink_to(tmp_path / "out" / ("a.png" if name == "a.png" else ""))
    with pytest.raises(UnderstudyError, match=rf"{name} leads out of .* through a symbolic link"):
        walk(root, root)


def test_a_link_to_nothing_is_named_when_it_is_read(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "gone")
    (tmp_path / "c.txt").symlink_to(tmp_path / "gone")
    (tmp_path / "site").symlink_to(tmp_path / "gone too")
    found = walk(tmp_path, tmp_path)
    assert found.passed_over == {NOWHERE: 2}
    found.refuse_broken([found.files["a.png"]])
    with pytest.raises(
        UnderstudyError, match=r"1 file\(s\) are symbolic links that lead nowhere, the first is .*b.png"
    ):
        found.refuse_broken(found.files.values())


def test_loops_of_links(tmp_path: Path) -> None:
    root = touch(tmp_path / "in", "a/b/x.png")
    (root / "a" / "b" / "up").symlink_to(root / "a")
    with pytest.raises(UnderstudyError, match="are one folder, through a symbolic link"):
        walk(root, root)
    (root / "a" / "b" / "up").unlink()
    (root / "one").symlink_to(root / "two")
    (root / "two").symlink_to(root / "one")
    with pytest.raises(UnderstudyError, match="symbolic link that leads in a circle"):
        walk(root, root)


def test_a_folder_by_two_ways_would_be_read_twice(tmp_path: Path) -> None:
    touch(tmp_path, "real/x.png")
    (tmp_path / "again").symlink_to(tmp_path / "real")
    with pytest.raises(UnderstudyError, match="its files would be taken twice"):
        walk(tmp_path, tmp_path)


def test_a_bomb_of_links_ends_at_once(tmp_path: Path) -> None:
    for level in range(30):  # 2 ** 30 ways down
        (tmp_path / f"level{level}").mkdir()
        for name in ("left", "right"):
            (tmp_path / f"level{level}" / name).symlink_to(tmp_path / f"level{level + 1}")
    touch(tmp_path, "level30/x.png")
    start = time.process_time()
    with pytest.raises(UnderstudyError, match="are one folder"):
        walk(tmp_path, tmp_path / "level0")
    assert time.process_time() - start < 2


def test_pipes_and_sockets_are_never_waited_on(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    os.mkfifo(tmp_path / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    here = Path.cwd()
    try:
        os.chdir(tmp_path)
        listening.bind("socket")
    finally:
        os.chdir(here)
    assert walk(tmp_path, tmp_path).passed_over == {ODD: 2}
    listening.close()
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(UnderstudyError, match="b.png is no regular file"):
        walk(tmp_path, tmp_path)


def test_a_device_behind_a_link_leads_out(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to("/dev/zero")
    with pytest.raises(UnderstudyError, match="leads out of"):
        walk(tmp_path, tmp_path)


def test_five_thousand_folders_and_a_deep_one(tmp_path: Path) -> None:
    for number in range(5000):
        os.mkdir(tmp_path / f"{number:04d}")
    touch(tmp_path, *(f"{number:04d}/x.png" for number in range(0, 5000, 50)))
    deep = tmp_path / "/".join(["d"] * 600)
    deep.mkdir(parents=True)
    touch(deep, "x.png")
    assert len(walk(tmp_path, tmp_path).files) == 101


def test_an_unreadable_folder_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(walking.os, "scandir", refuse)
    with pytest.raises(UnderstudyError, match="cannot be read .Permission denied."):
        walk(tmp_path, tmp_path)


def test_what_is_read_elsewhere_is_not_met(tmp_path: Path) -> None:
    root = touch(tmp_path, "a.png", "masks/a.png", "table.csv", "other.csv")
    found = walk(root, root, leave=[root / "masks", root / "table.csv", None])
    assert (list(found.files), found.passed_over) == (["a.png"], {"files that end in .csv": 1})


def test_a_file_that_holds_the_voxels_of_another_was_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = touch(tmp_path, "a.head", "a.raw", "b.raw", "c.head")

    class Headers:
        @staticmethod
        def data_file(file: Path) -> Path | None:
            return file.with_suffix(".raw") if file.name == "a.head" else None

    monkeypatch.setitem(formats.FORMATS, ".head", Headers)
    found = walk(root, root)
    assert (list(found.files), found.passed_over) == (["a.head", "c.head"], {"files that end in .raw": 1})


def test_counts_add_up() -> None:
    assert merged({"b": 1}, {"a": 2, "b": 3}) == {"a": 2, "b": 4}
    assert re.match("files of other", OTHER)


def test_a_picture_is_found_in_a_folder_called_like_one(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "a.png" / "b.png")
    assert list(walk(tmp_path, tmp_path).files) == ["a.png/b.png"]
