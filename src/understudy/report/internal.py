"""Sections that only the INTERNAL edition shows: the nearest pairs, and real cases beside synthetic ones.

**Checked** in tests/report/test_internal.py.
"""

from understudy.report.figures import DrawnCases, grid_figure
from understudy.report.reading import Folder, read_arrays, read_table
from understudy.report.sections import ReportFigure, Section, cases_picture, legend
from understudy.report.tables import View, heading

WORST_ROWS = 20


def internal_sections(folders: list[Folder]) -> list[Section]:
    """Return the internal sections that the folders hold files for."""
    pairs = [picture for folder in folders for picture in _worst_pairs(folder)]
    worst = [view for folder in folders for view in _nearest_table(folder)]
    real = [picture for folder in folders for picture in _real(folder)]
    return [*([Section("pairs", pairs, worst)] if pairs or worst else []), *([Section("real", real)] if real else [])]


def _real(folder: Folder) -> list[ReportFigure]:
    file = folder.path / "internal" / "real.npz"
    return [cases_picture("", DrawnCases.from_arrays(read_arrays(file)))] if file.is_file() else []


def _worst_pairs(folder: Folder) -> list[ReportFigure]:
    file = folder.path / "internal" / "worst_pairs.npz"
    arrays = read_arrays(file) if file.is_file() else {}
    if not arrays or not len(arrays["r"]):
        return []
    synthetic, real = (DrawnCases.from_arrays(arrays, role, f"{role}_labels") for role in ("synthetic", "real"))
    rows = []
    for (name, ours), (_, theirs) in zip(synthetic.layers(), real.layers(), strict=True):
        rows += [(f"synthetic\n{name}".strip(), ours, synthetic.labels), (f"real\n{name}".strip(), theirs, real.labels)]
    png = grid_figure(rows, [f"r = {r:.3f}" for r in arrays["r"]])
    return [ReportFigure("", png, f"{len(arrays['r'])} pairs, the nearest first.", legend(synthetic, real))]


def _nearest_table(folder: Folder) -> list[View]:
    file = folder.path / "internal" / "pairs.csv"
    if not file.is_file():
        return []
    table = read_table(file)
    if "r" not in table.header:
        return []
    r = table.header.index("r")
    rows = [list(row) for row in sorted(table.rows, key=lambda row: -float(row[r]))[:WORST_ROWS]]
    title, numeric = f"The {len(rows)} nearest of {len(table.rows):,} pairs", [name == "r" for name in table.header]
    header = [heading(name) for name in table.header]
    return [View(title, header, rows, numeric, "All pairs are in internal/pairs.csv of the results folder.")]
