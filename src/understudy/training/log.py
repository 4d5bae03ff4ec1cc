"""What training writes for people: a JSON line a log step, a progress bar, PNG grids of samples."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from understudy.core.atomic import whole_file
from understudy.core.progress import progress


@contextmanager
def training_log(
    file: Path, total: int, images_seen: int, quiet: bool
) -> Iterator[Callable[[int, dict[str, Any]], None]]:
    """Append JSON lines to ``log.jsonl`` and drive a progress bar; lines beyond the resumed point are dropped.

    Yields:
        ``line(images_seen, values)`` writes one: images seen, images per second since the start of this process, and
        the values. No bar is shown where ``quiet``.
    """
    kept = [line for line in file.read_text().splitlines() if _seen(line) <= images_seen] if file.is_file() else []
    start = time.monotonic()
    with file.open("w") as handle, progress("train", total, "images", quiet) as update:
        handle.writelines(line + "\n" for line in kept)
        update(completed=images_seen)

        def line(seen: int, values: dict[str, Any]) -> None:
            rate = (seen - images_seen) / max(time.monotonic() - start, 1e-9)
            rounded = {name: round(float(value), 6) for name, value in values.items()}
            handle.write(json.dumps({"images_seen": seen, "images_per_s": round(rate, 2), **rounded}) + "\n")
            handle.flush()
            text = "  ".join(f"{name} {float(value):.3f}" for name, value in list(values.items())[:3])
            update(completed=seen, description=f"train  {rate:.1f}/s  {text}")

        yield line


def _seen(line: str) -> int:
    try:
        return int(json.loads(line)["images_seen"])
    except (ValueError, LookupError, TypeError):  # the process was killed while it wrote
        return sys.maxsize


def save_grid(x: np.ndarray, file: Path) -> None:
    """Write samples (n, channels, *S) in [-1, 1] as a PNG: a row a channel, a column a case; of volumes the middle."""
    if x.ndim == 5:
        x = x[:, :, x.shape[2] // 2]
    n, c, h, w = x.shape
    grid = x.transpose(1, 2, 0, 3).reshape(c * h, n * w)
    pixels = np.clip((np.nan_to_num(grid, nan=-1) + 1) * 127.5, 0, 255).round().astype(np.uint8)
    with whole_file(file) as handle:
        Image.fromarray(pixels).save(handle, format="PNG")
