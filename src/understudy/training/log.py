"""What training writes for people: a JSON line a log step, a progress bar, PNG grids of samples."""

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL import Image

from understudy.core.atomic import whole_file
from understudy.core.progress import progress


class TrainingLog:
    """Append JSON lines to ``log.jsonl`` and drive a progress bar; lines beyond the resumed point are dropped.

    Args:
        file: the log file.
        total: images to be seen in all.
        images_seen: images seen already.
        quiet: no progress bar, e.g. on other ranks.
    """

    def __init__(self, file: Path, total: int, images_seen: int, quiet: bool) -> None:
        """Open the file and start the bar."""
        kept = [line for line in file.read_text().splitlines() if _seen(line) <= images_seen] if file.is_file() else []
        self._file = file.open("w")
        self._file.writelines(line + "\n" for line in kept)
        self._start, self._from = time.monotonic(), images_seen
        self._open, self._shown = ExitStack(), progress("train", total, "images", quiet)

    def __enter__(self) -> "TrainingLog":
        """Show the bar."""
        self._update = self._open.enter_context(self._shown)
        self._update(completed=self._from)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close bar and file."""
        self._open.close()
        self._file.close()

    def line(self, images_seen: int, values: dict[str, Any]) -> None:
        """Write one line: images seen, images per second since the start of this process, and the values."""
        rate = (images_seen - self._from) / max(time.monotonic() - self._start, 1e-9)
        record = {
            "images_seen": images_seen,
            "images_per_s": round(rate, 2),
            **{k: round(float(v), 6) for k, v in values.items()},
        }
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        text = "  ".join(f"{name} {float(value):.3f}" for name, value in list(values.items())[:3])
        self._update(completed=images_seen, description=f"train  {rate:.1f}/s  {text}")


def _seen(line: str) -> int:
    try:
        return int(json.loads(line)["images_seen"])
    except (ValueError, LookupError, TypeError):  # the process was killed while it wrote
        return sys.maxsize


def save_grid(x: np.ndarray, file: Path) -> None:
    """Write samples (n, channels, *S) in [-1, 1] as a PNG: a row a channel, a column a case; of volumes the middle
    slice.
    """
    if x.ndim == 5:
        x = x[:, :, x.shape[2] // 2]
    n, c, h, w = x.shape
    grid = x.transpose(1, 2, 0, 3).reshape(c * h, n * w)
    pixels = np.clip((np.nan_to_num(grid, nan=-1) + 1) * 127.5, 0, 255).round().astype(np.uint8)
    with whole_file(file) as handle:
        Image.fromarray(pixels).save(handle, format="PNG")
