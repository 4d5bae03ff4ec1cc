"""The cache: what was stored comes back, other keys do not; what was not stored is refused; where it may not lie."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation import cache as cache_module
from understudy.evaluation.cache import Cache, open_cache

KEY = {"what": "features", "cohort": "a", "settings": {"name": "random"}}
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_what_was_stored_comes_back_and_nothing_else(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache", [])
    assert cache.load(KEY) is None
    cache.store(KEY, ARRAY)
    again = open_cache(tmp_path / "cache", []).load(dict(reversed(KEY.items())))
    assert again is not None and again.dtype == np.float32 and (again == ARRAY).all()
    for other in ({"cohort": "b"}, {"what": "spectra"}, {"settings": {"name": "random", "more": 1}}):
        assert cache.load(KEY | other) is None
    assert sorted(f.suffix for f in (tmp_path / "cache").iterdir()) == [".npy", ".txt"]
    assert "never leaves" in (tmp_path / "cache" / "INTERNAL.txt").read_text()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "cache", *(tmp_path / "cache").glob("*.npy")))


@pytest.mark.parametrize("broken", [b"", b"\x93NUMPY", b"no array", None])
def test_a_damaged_entry_is_refused_and_made_again_once_it_is_gone(tmp_path: Path, broken: bytes | None) -> None:
    cache = open_cache(tmp_path / "cache", [])
    cache.store(KEY, ARRAY)
    (file,) = (tmp_path / "cache").glob("*.npy")
    file.write_bytes(file.read_bytes()[:-4] if broken is None else broken)
    with pytest.raises(UnderstudyError, match="the seal of .* does not hold: this entry .*; remove it"):
        cache.load(KEY)
    file.unlink()
    assert cache.load(KEY) is None
    cache.store(KEY, ARRAY)
    assert (cache.load(KEY) == ARRAY).all()


def test_who_has_no_key_changes_nothing(tmp_path: Path) -> None:
    cache, other = (open_cache(tmp_path / "cache", [], secret) for secret in (b"a" * 32, b"b" * 32))
    cache.store(KEY, ARRAY)
    (file,) = (tmp_path / "cache").glob("*.npy")
    assert other.load(KEY) is None and open_cache(tmp_path / "cache", []).load(KEY) is None
    other.store(KEY, ARRAY + 1)
    forged = next(one for one in (tmp_path / "cache").glob("*.npy") if one != file)
    kept = file.read_bytes()
    array = io.BytesIO()
    np.save(array, ARRAY + 1)
    cache.store(KEY | {"cohort": "b"}, ARRAY + 1)
    moved = next(one for one in (tmp_path / "cache").glob("*.npy") if one not in (file, forged))
    for content in (array.getvalue(), array.getvalue() + kept[-64:], forged.read_bytes(), moved.read_bytes()):
        file.write_bytes(content)
        with pytest.raises(UnderstudyError, match="does not hold"):
            cache.load(KEY)
    file.write_bytes(kept)
    assert (cache.load(KEY) == ARRAY).all() and "aaaa" not in repr(cache)


def test_what_is_no_file_or_would_run_code_is_not_read(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache", [])
    cache.store(KEY, ARRAY)
    (file,) = (tmp_path / "cache").glob("*.npy")
    np.save(file, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UnderstudyError, match="does not hold"):
        cache.load(KEY)
    file.unlink()
    file.mkdir()
    with pytest.raises(UsageError, match="an entry of the cache was expected at .*, found a folder"):
        cache.load(KEY)


def test_another_machine_misses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = open_cache(tmp_path / "cache", [])
    cache.store(KEY, ARRAY)
    for change in (
        lambda patch: patch.setattr(torch, "get_num_threads", lambda: 77),
        lambda patch: patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT"),
        lambda patch: patch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2"),
    ):
        with monkeypatch.context() as patch:
            change(patch)
            assert cache.load(KEY) is None
    assert cache.load(KEY) is not None


def test_an_interrupted_store_leaves_the_old_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = open_cache(tmp_path / "cache", [])
    cache.store(KEY, ARRAY)

    def fails(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "save", fails)
    with pytest.raises(OSError, match="No space"):
        cache.store(KEY, ARRAY + 1)
    assert (cache.load(KEY) == ARRAY).all()


def test_another_code_version_misses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, package = open_cache(tmp_path / "cache", []), tmp_path / "understudy"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(cache_module, "__file__", str(package / "evaluation" / "cache.py"))
    cache_module.code_hash.cache_clear()
    cache.store(KEY, ARRAY)
    assert cache.load(KEY) is not None
    (package / "encoder.py").write_text("WIDTHS = (1, 2)")
    cache_module.code_hash.cache_clear()
    assert cache.load(KEY) is None
    monkeypatch.undo()
    cache_module.code_hash.cache_clear()


def test_without_a_folder_nothing_is_kept() -> None:
    Cache().store(KEY, ARRAY)
    assert Cache().load(KEY) is None and open_cache(None, []) == Cache()


def test_where_it_may_not_lie(real: Path, tmp_path: Path) -> None:
    results, other, bundle = tmp_path / "results", tmp_path / "other", tmp_path / "bundle"
    for folder in (results, other, bundle):
        folder.mkdir()
    (results / "results.json").write_text("{}")
    (bundle / "manifest.json").write_text("{}")
    (other / "notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to(results)
    made = tmp_path / "new" / "out"
    for place in (
        real,
        real / "cache",
        results / "internal" / "x",
        bundle / "cache",
        tmp_path / "link" / "x",
        made,
        made / "x",
        made.parent,
    ):
        with pytest.raises(UsageError, match="may not share a folder"):
            open_cache(place, [made])
    for place in (other, other / "notes.txt"):
        with pytest.raises(UsageError, match="is not a cache"):
            open_cache(place, [])
    assert not (real / "cache").exists() and not made.parent.exists() and not (results / "internal").exists()
