"""What evaluations write: a sealed folder of tables, curves, histograms, grids.

**Checked** in tests/evaluation/test_folder.py.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.stage import output_folder
from understudy.data.seal import key_at_hand, key_of, seal_folder

AXES = ("x", "y", "low", "high")  # of a curve
Series = Mapping[str, tuple[Sequence[float], ...]]  # numbers along these axes, by name


@contextmanager
def results_folder(out: Path, real: Cohort | None = None) -> Iterator[Path]:
    """Yield an output folder, and seal it at the end with the key of the real cohort, or where there is none, the key.

    Without a key at hand, or with another than the cohort's, the folder stays unsealed.
    """
    key = results_key(out, real)
    with output_folder(out) as folder:
        yield folder
        seal_folder(folder, key)


def results_key(out: Path, real: Cohort | None = None) -> bytes | None:
    """Return the key that :func:`results_folder` seals with; None where the folder stays unsealed."""
    key = key_at_hand(None, out)
    return key if real is None else key_of(real, key)


def join_notes(*notes: str) -> str:
    """Return notes as one; empty ones are left out."""
    return "; ".join(filter(None, notes))


def three(measured: Any) -> tuple[float | None, float | None, float | None]:
    """Return the value of a result, interval or coefficient, and the ends of its interval; None for None."""
    return (measured.value, measured.low, measured.high) if measured else (None, None, None)


def write_table(folder: Path, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write ``tables/<name>.csv``; None becomes a blank, floats get nine digits."""
    file = folder / "tables" / f"{name}.csv"
    file.parent.mkdir(exist_ok=True)
    write_rows(file, header, rows)


def write_rows(file: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write one CSV file; None becomes a blank, floats get nine digits."""
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(header)
        writer.writerows([_plain(value) for value in row] for row in rows)


def write_curve(folder: Path, name: str, title: str, x_label: str, y_label: str, series: Series, **more: Any) -> None:
    """Write ``curves/<name>.json``: named series of x, y, and low and high where there are any; and `more` entries."""
    lines = [
        {"name": name, **{axis: [float(v) for v in values] for axis, values in zip(AXES, columns, strict=False)}}
        for name, columns in series.items()
    ]
    labels = {"title": title, "x_label": x_label, "y_label": y_label}
    _write_json(folder / "curves", name, {**labels, "series": lines, **more})


def write_histograms(folder: Path, name: str, histograms: Mapping[str, Any]) -> None:
    """Write ``histograms/<name>.json``: {"title", "panels": [{"name", "x_label", "scale", "edges", "series"}]}."""
    _write_json(folder / "histograms", name, histograms)


def _write_json(folder: Path, name: str, data: Mapping[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(data, allow_nan=False) + "\n")


def grid_arrays(cohort: Cohort, rows: np.ndarray, title: str = "") -> dict[str, np.ndarray]:
    """Return cases as ``images`` (n, C, H, W) float32 in [0, 1] and ``labels`` (n, H, W) uint8 where there are some.

    The title stands above the figure. Of volumes the middle slice along D is taken; a cohort of label maps alone gets
    one black channel for them to be drawn on.
    """
    names, labels = [c.name for c in cohort.encoding.channels], cohort.labels
    if cohort.images is None:
        names, images = ["label map"], np.full((len(rows), 1, *cohort.size), -1, np.float32)
    else:
        images = cohort.encoding.encode_images(cohort.images[rows])
    maps = None if labels is None else labels[rows]
    if images.ndim == 5:
        middle = images.shape[2] // 2
        images, maps = images[:, :, middle], None if maps is None else maps[:, middle]
    arrays = {"images": (images + 1) / 2, "title": np.array(title), "channel_names": np.array(names)}
    if maps is not None and cohort.scheme is not None:
        arrays |= {"labels": np.asarray(maps), "label_names": np.array(cohort.scheme.names)}
    return arrays


def write_grid(file: Path, cohort: Cohort, rows: np.ndarray, title: str = "") -> None:
    """Write cases to an .npz file, of real cases only below ``internal/``."""
    file.parent.mkdir(exist_ok=True)
    np.savez_compressed(file, allow_pickle=False, **grid_arrays(cohort, rows, title))


def _plain(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.9g}" if isinstance(value, float | np.floating) else str(value)
