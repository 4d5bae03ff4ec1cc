"""Arrays that need not be computed twice, found by a hash of all that decides them; outside of every result.

A cache holds rows of real cases (features are traces of patients), so it is INTERNAL: it lies in a folder of its own
that is named explicitly, is stamped, is closed to other users, and is refused inside a cohort, a run or results, which
are handed on. Each entry is one .npy file, complete or absent: written beside its place and renamed, so that several
processes may share a cache. A change of understudy's source, of the libraries that compute, of the processor or of the
number of threads misses. Nothing is ever removed; the folder may be deleted at any time.
**Seals**: an entry bears a seal under the key that the results are sealed with (data/seal.py), which is of its name and
its bytes; its name is a hash under that key. Whoever cannot seal results can change none through a cache: a damaged or
forged entry is refused, and one that was kept under another key is not found.
**Checked** in tests/evaluation/test_cache.py (hits, keys, damaged and forged files, refusals).
"""

import hashlib
import hmac
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from understudy.core.atomic import whole_file
from understudy.core.disclosure import STAMP, stamp
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.regular_file import open_regular
from understudy.data.pseudonym import PUBLIC_KEY, keyed_hash

OUTPUTS = ("cohort.json", "results.json", "run.json", "complete.json", "classifier.json", "report.html",
           "manifest.json")  # fmt: skip  # in what is handed on
LIBRARIES = ("numpy", "torch", "monai", "scipy", "scikit-learn")  # that compute what is kept
TUNING = ("ATEN_", "DNNL_", "MKL_", "ONEDNN_")  # environment variables that choose other kernels
PROCESSOR = ("vendor_id", "cpu family", "model", "model name", "stepping", "flags", "Features", "CPU part")
SEAL_BYTES = 64


@dataclass(frozen=True)
class Cache:
    """A folder of arrays with the key of their seals, or None: nothing is kept."""

    folder: Path | None = None
    secret: bytes = field(default=PUBLIC_KEY, repr=False)

    def load(self, key: Mapping[str, Any]) -> np.ndarray | None:
        """Return what was stored under a key, or None where there is nothing.

        Raises:
            UnderstudyError: the entry is not what was stored.
        """
        if self.folder is None or not os.path.lexists(file := self._file(key)):
            return None
        with open_regular(file, "an entry of the cache") as handle:
            content = handle.read()
        array, found = content[:-SEAL_BYTES], content[-SEAL_BYTES:]
        if not hmac.compare_digest(found, self._seal(file, array)):
            raise UnderstudyError(
                f"the seal of {file} does not hold: this entry of the cache was damaged or changed after it was kept; "
                "remove it, and it is computed again"
            )
        loaded: np.ndarray = np.load(io.BytesIO(array), allow_pickle=False)
        return loaded

    def store(self, key: Mapping[str, Any], array: np.ndarray) -> None:
        """Keep an array under a key."""
        if self.folder is None:
            return
        file, buffer = self._file(key), io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        with whole_file(file, mode=0o600, alone=False) as handle:
            handle.write(buffer.getbuffer())
            handle.write(self._seal(file, buffer.getbuffer()))

    def _file(self, key: Mapping[str, Any]) -> Path:
        assert self.folder is not None
        text = json.dumps({"code": code_hash(), "machine": machine(), **key}, sort_keys=True)
        return self.folder / f"{keyed_hash(self.secret, 'name in a cache', text)}.npy"

    def _seal(self, file: Path, array: bytes | memoryview) -> bytes:
        content = f"{file.stem} {hashlib.sha256(array).hexdigest()}"
        return keyed_hash(self.secret, "entry of a cache", content).encode()


NOTHING_KEPT = Cache()


@lru_cache(maxsize=1)
def code_hash() -> str:
    """Return a hash of what computes: the source of understudy, and the versions of the libraries."""
    digest = hashlib.sha256(" ".join(f"{name} {version(name)}" for name in LIBRARIES).encode())
    for file in sorted(Path(__file__).resolve().parents[1].rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def machine() -> list[str]:
    """Return what of the machine the last bits of results depend on: processors, threads, and how they are tuned."""
    tuned = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(TUNING))
    capability = torch.backends.cpu.get_cpu_capability()
    cuda = [torch.cuda.get_device_name()] if torch.cuda.is_available() else []
    return [platform.machine(), *_processor(), capability, f"{torch.get_num_threads()} threads", *cuda, *tuned]


@lru_cache(maxsize=1)
def _processor() -> list[str]:
    """Return what Linux says of the first processor, but for its clock, or the name that another system gives it."""
    file = Path("/proc/cpuinfo")
    if not file.is_file():
        return [platform.processor()]
    first = file.read_text(errors="replace").split("\n\n")[0].splitlines()
    return [line for line in first if line.partition(":")[0].strip() in PROCESSOR]


def open_cache(folder: Path | None, outputs: Sequence[Path], secret: bytes | None = None) -> Cache:
    """Open a folder as a cache, made and stamped where it does not exist; None: no cache.

    `secret` is the key that results are sealed with; None where they stay unsealed: what is kept then is not found with
    a key, and is as good as they are.

    Raises UsageError where it lies in a folder that is handed on, where one of `outputs`, the folders that are read or
    made now, lies in it, or where it holds something else.
    """
    if folder is None:
        return NOTHING_KEPT
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
    return Cache(place, secret or PUBLIC_KEY)
