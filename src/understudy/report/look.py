"""``check --look``: an INTERNAL page of a cohort: notices, tables, histograms, every subject's middle case.

The pictures lie beside the page, a file a subject, and load when they come into view, so that 500 subjects open at
once. Nothing is loaded from elsewhere; the same cohort gives the same bytes.
**Checked** in tests/report/test_look.py.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from understudy.core import disclosure
from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance, code_version
from understudy.core.stage import finished, output_folder
from understudy.data.checks.notice import Notice
from understudy.report.contact import contact_picture, panel_names
from understudy.report.figures import colour, histogram_figure
from understudy.report.inventory import Inventory, splits_of
from understudy.report.sections import ReportFigure

PAGE = "look.html"


@dataclass(frozen=True)
class _Shown:
    """A subject's picture on the page: its file, its caption, its sides in pixels."""

    file: str
    subject: str
    caption: str
    width: int
    height: int


def write_look(path: Path, notices: Sequence[Notice], out: Path, planned: int | None = None) -> Path:
    """Write the page of a cohort folder and what ``check`` found in it, and return ``out/look.html``.

    Raises:
        UsageError: there is no cohort, or ``out`` holds something else.
        UnderstudyError: the cohort cannot be opened.
    """
    cohort, out = Cohort.open(path), Path(out)
    request = Provenance("check --look", {"planned": planned}, 0, {"cohort": cohort.id})
    if finished(out, "provenance.json", request):
        return out / PAGE
    with output_folder(out) as folder:
        folder.chmod(0o700)
        disclosure.stamp(folder)
        (folder / "pictures").mkdir()
        shown = {split or "not split": _pictures(cohort, split, folder) for split in splits_of(cohort)}
        inventory = Inventory.of(cohort)
        page = _render(cohort, notices, shown, inventory)
        (folder / PAGE).write_text(page, encoding="utf-8")
        (folder / "provenance.json").write_text(json.dumps({"provenance": request.to_json()}, indent=1) + "\n")
    return out / PAGE


def _pictures(cohort: Cohort, split: str, folder: Path) -> list[_Shown]:
    """Draw the middle case of each subject of a split."""
    by_subject: dict[str, list[int]] = {}
    subjects = cohort.column("subject_id")
    for row in cohort.rows(split).tolist():
        by_subject.setdefault(str(subjects[row]), []).append(row)
    shown = []
    for subject, rows in sorted(by_subject.items()):
        row = rows[len(rows) // 2]
        image = None if cohort.images is None else cohort.images[row]
        labels = None if cohort.labels is None else np.asarray(cohort.labels)[row]
        at = ""
        if len(cohort.size) == 3:
            depth = _depth(labels, cohort.size[0])
            image, labels = (None if a is None else a[..., depth, :, :] for a in (image, labels))
            at = f", plane {depth + 1} of {cohort.size[0]}"
        elif (index := cohort.slice_index(row)) is not None:
            at = f", slice {index}"
        file = f"pictures/{row + 1:06d}.png"
        picture = contact_picture(image, labels, cohort.encoding.channels)
        picture.save(folder / file, "PNG")
        shown.append(_Shown(file, subject, f"case {len(rows) // 2 + 1} of {len(rows)}{at}", *picture.size))
    return shown


def _depth(labels: np.ndarray | None, depth: int) -> int:
    """The plane of a volume with the most labels, or its middle."""
    marked = np.zeros(1) if labels is None else (labels > 0).sum((1, 2))
    return int(marked.argmax()) if marked.any() else depth // 2


def _render(cohort: Cohort, notices: Sequence[Notice], shown: dict[str, list[_Shown]], inventory: Inventory) -> str:
    options: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(loader=PackageLoader("understudy.report", ""), autoescape=True, **options)
    histograms = inventory.panels()
    return environment.get_template("look.html.j2").render(
        cohort=cohort,
        size=" x ".join(map(str, cohort.size)),
        notices=notices,
        shown=shown,
        classes=[(name, colour(k)) for k, name in enumerate(cohort.scheme.names) if k] if cohort.scheme else [],
        panels=panel_names(cohort.encoding.channels) if cohort.images is not None else [],
        histogram=ReportFigure("Intensities", histogram_figure(histograms)) if histograms else None,
        tables=inventory.tables(),
        version=code_version(),
    )
