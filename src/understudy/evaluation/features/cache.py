"""Arrays that need not be computed twice, found by a hash of all that decides them; outside of every result.

A cache holds rows of real cases (features are traces of patients), so it is INTERNAL: it lies in a folder of its own
that is named explicitly, is stamped, is closed to other users, and is refused inside a cohort, a run or results, which
are handed on. Each entry is one .npy file, complete or absent: written beside its place and renamed. A broken one is
made again. A change of understudy's source, of NumPy or of torch misses. Nothing is ever removed; the folder may be
deleted at any time.
**Checked** in tests/evaluation/features/test_cache.py (hits, keys, broken files, refusals).
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from understudy.core.atomic import whole_file
from understudy.core.disclosure import STAMP, stamp
from understudy.core.errors import UsageError

OUTPUTS = ("cohort.json", "results.json", "run.json", "classifier.json", "report.html")  # what is handed on


@dataclass(frozen=True)
class Cache:
    """A folder of arrays, or None: nothing is kept."""

    folder: Path | None = None

    def load(self, key: Mapping[str, Any]) -> np.ndarray | None:
        """Return what was stored under a key, or None where there is nothing, or nothing whole."""
        try:
            return np.load(self._file(key), allow_pickle=False) if self.folder else None
        except (OSError, ValueError, EOFError):
            return None

    def store(self, key: Mapping[str, Any], array: np.ndarray) -> None:
        """Keep an array under a key."""
        if self.folder is None:
            return
        with whole_file(self._file(key), mode=0o600, alone=False) as handle:
            np.save(handle, array, allow_pickle=False)

    def _file(self, key: Mapping[str, Any]) -> Path:
        assert self.folder is not None
        text = json.dumps({"code": code_hash(), **key}, sort_keys=True)
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()}.npy"


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Return a hash of what computes: the source of understudy, and the versions of NumPy and torch."""
    digest = hashlib.sha256(f"{np.__version__} {torch.__version__}".encode())
    for file in sorted(Path(__file__).resolve().parents[2].rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def open_cache(folder: Path | None, outputs: Sequence[Path]) -> Cache:
    """Open a folder as a cache, made and stamped where it does not exist; None: no cache.

    Raises UsageError where it lies in a folder that is handed on, where one of `outputs`, the folders that are read or
    made now, lies in it, or where it holds something else.
    """
    if folder is None:
        return Cache()
    place = folder.absolute().resolve()
    inside = [place, *place.parents]
    named = [path.absolute().resolve() for path in outputs]
    if any(output in inside or place in output.parents for output in named) or any(
        (parent / name).exists() for parent in inside for name in OUTPUTS
    ):
        raise UsageError(
            f"the cache {folder} holds rows of real cases, and may not share a folder with a cohort, a run or results: "
            "name a folder of its own"
        )
    if place.exists() and not (place / STAMP).is_file() and (not place.is_dir() or any(place.iterdir())):
        raise UsageError(f"{folder} exists and is not a cache: name an empty or a new folder")
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(0o700)
    stamp(place)
    return Cache(place)
