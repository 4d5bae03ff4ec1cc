"""Names, paths and unkeyed hashes are found in any byte of any file; keyed ids and other text are not."""

import hashlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.release import identifiers as identifiers_module
from understudy.release.identifiers import ForbiddenIdentifiers, forbidden_identifiers, refuse_names


@pytest.fixture
def real(bench: Any) -> Cohort:
    return Cohort.open(bench.real)


@pytest.fixture
def forbidden(real: Cohort) -> ForbiddenIdentifiers:
    return forbidden_identifiers(real)


def test_each_kind_is_found(bench: Any, real: Cohort, forbidden: ForbiddenIdentifiers) -> None:
    assert real.images is not None and real.labels is not None and forbidden.short == 0
    image, label = (np.ascontiguousarray(array[5]).tobytes() for array in (real.images, real.labels))
    for kind, text in (
        ("the pseudonym of a real subject", f'"{bench.names[17]}"'),
        ("the path of the real cohort", f"read {real.path}/images.npy"),
        ("an unkeyed hash of real data", hashlib.sha256(image).hexdigest()),
        ("an unkeyed hash of real data", hashlib.md5(label).hexdigest().upper()),
        ("an unkeyed hash of real data", hashlib.sha1(image).hexdigest()[:16]),
        ("an unkeyed hash of real data", hashlib.sha256(bench.names[2].encode()).hexdigest()),
        ("an unkeyed hash of real data", hashlib.sha256(real.images.tobytes()).hexdigest()),
        ("an unkeyed hash of real data", hashlib.sha256((real.path / "images.npy").read_bytes()).hexdigest()),
    ):
        assert forbidden.search(f"x{text}y".encode()) == kind
    assert forbidden.search(real.id.encode()) is None  # keyed
    assert forbidden.search(b"s-0123456789abcdef-0001 " * 50) is None and forbidden.search(b"") is None


def test_nothing_is_lost_between_two_chunks(
    monkeypatch: pytest.MonkeyPatch, bench: Any, forbidden: ForbiddenIdentifiers
) -> None:
    monkeypatch.setattr(identifiers_module, "CHUNK", 64)
    for at in range(100, 180):
        assert forbidden.search(b"a" * at + bench.names[0].encode()) == "the pseudonym of a real subject"


def test_packed_things_are_opened(bench: Any, forbidden: ForbiddenIdentifiers, tmp_path: Path) -> None:
    name = bench.names[30]
    folder = tmp_path / "folder"
    folder.mkdir()

    def refused(where: str) -> None:
        with pytest.raises(UnderstudyError, match=where) as refusal:
            refuse_names(folder, forbidden)
        assert name not in str(refusal.value)
        next(folder.iterdir()).unlink()

    np.savez_compressed(folder / "a.npz", title=np.array(["fine", f"of {name}"]))
    refused("a.npz .the array title")
    np.savez_compressed(folder / "b.npz", data=np.frombuffer(name.encode(), np.uint8))
    refused("b.npz .the array data")
    (folder / "c.html").write_bytes(b'<img src="data:image/png;base64,' + b64encode(b"xx" + name.encode()) + b'">')
    refused("c.html .an embedded picture")
    (folder / "d.npy").write_bytes(bytes(100) + name.encode())
    refused("d.npy .its bytes")
    (folder / "empty.csv").touch()
    assert refuse_names(folder, forbidden) == 1
    (folder / f"{name}.csv").touch()
    with pytest.raises(UnderstudyError, match="its name"):
        refuse_names(folder, forbidden)


def test_who_and_where_releases_it(bench: Any, real: Cohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "link").symlink_to(real.path)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/anne.example"))
    monkeypatch.setattr("getpass.getuser", lambda: "aexample")
    monkeypatch.setattr("platform.node", lambda: "ward-seven.hospital.example")
    found = forbidden_identifiers(Cohort.open(tmp_path / "link"))
    for text, kind in (
        ("read /home/anne.example/run", "the home folder of who releases it"),
        ("by aexample", "the name of the user who releases it"),
        ("on ward-seven", "the name of the machine that releases it"),
        (str(real.path.resolve()), "the path of the real cohort"),
        (str(tmp_path / "link"), "the path of the real cohort"),
    ):
        assert found.search(text.encode()) == kind
    monkeypatch.setattr("getpass.getuser", lambda: "runner")
    monkeypatch.setattr("platform.node", lambda: "localhost")
    common = forbidden_identifiers(real)
    assert common.search(b"runner localhost") is None and common.short == 0


@pytest.mark.parametrize(("text", "absolute"), [
    ("made by /home/x/run", True), ('{"generator": "/home/x"}', True), ("# /mnt/pacs/study", True),
    ("file:///etc/x", True), (r"C:\Users\x", True), (r'"D:\\pacs\\mr"', True),
    ("and/or, a/home/x, https://x.org/home/y, ./data/x, BUNDLE/cohort/images.npy", False),
    (r'{"note": "one:\nA:\ntwo", "p": "<0.05 /case"}', False), ("https://spdx.org/licenses/MIT", False),
])  # fmt: skip
def test_absolute_paths_in_texts(forbidden: ForbiddenIdentifiers, tmp_path: Path, text: str, absolute: bool) -> None:
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.json").write_text(text)
    if absolute:
        with pytest.raises(UnderstudyError, match="an absolute path stands in a.json") as refusal:
            refuse_names(tmp_path / "f", forbidden)
        assert text not in str(refusal.value)
    else:
        assert refuse_names(tmp_path / "f", forbidden) == 1


def test_short_names_are_counted_and_not_looked_for(bench: Any) -> None:
    few = forbidden_identifiers(Cohort.open(bench.write("few", ["p1", "p2", "patient-3"])))
    assert few.short == 4 and few.search(b"p1 p2") is None  # as cases and as subjects
    assert few.search(b"patient-3") == "the pseudonym of a real subject"
