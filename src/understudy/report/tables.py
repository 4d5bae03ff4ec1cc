"""Tables for people: numbers rounded, a value and its interval in one cell, names in words.

**Checked** in tests/report/test_tables.py.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from understudy.core.result import SCORES, Result
from understudy.evaluation import quantities
from understudy.evaluation.privacy import attacks
from understudy.report.reading import Table

TITLES = {quantity.name: quantity.title for quantity in quantities().values()}
OF_IMAGES = ("fidelity", "correlation")  # evaluations whose names have parts that are metrics of the menu
WORDS = {  # what is more than the name with blanks for underscores
    **SCORES,
    **attacks.TITLES,
    "unet": "U-Net",
    "segresnet": "SegResNet",
    "densenet": "DenseNet-121",
    "densenet-small": "DenseNet, small",
    "within": "distance within the class, synthetic / real",
    "found": "share found",
    "left_out": "family left out of the learning",
    "correct_subject": "correct subject named",
    "ms_ssim": "MS-SSIM of random pairs",
    "labels": "label maps",
    "wasserstein": "Wasserstein distance / real SD",
    "ks": "Kolmogorov-Smirnov",
    "without": "share without it",
    "empty": "share of empty maps",
    "iou": "IoU",
    "hd": "HD",
    "hd95": "HD95",
    "assd": "ASSD",
    "nsd": "NSD",
    "difference": "difference to real",
    "p_holm": "p (Holm)",
    "q99": "99th percentile",
    "max": "highest",
    "ratio": "synthetic / real",
    "both": "real + synthetic",
    "gain": "gain of real + synthetic",
    "finetuned": "synthetic, then real",
    "gain-finetuned": "gain of synthetic, then real",
    "size_matched": "equal numbers",
    "unseen_extrapolated": "as many unseen subjects",
    "redrawn": "training cases redrawn",
    "correlation": "nearest r",
    "neighbour": "neighbouring slices",
    "training": "training subjects",
    "control": "control subjects",
    "flagged_share": "flagged, share",
    "above_reference_max": "nearer than any unseen subject",
    "above_reference_max_expected": "nearer than any unseen subject, expected by chance",
    "above_reference_max_p": "nearer than any unseen subject, p",
    "flagged_p": "flagged, p",
    "swap": "swap test",
    "unseen": "unseen subjects",
    "trained": "trained subjects",
    "expected": "expected by chance",
    "false_positive_rate": "false-positive rate",
    "false_positive_p": "false-positive rate, p",
    "false_positive_rate_transformed": "false-positive rate, transformed cases",
    "recall_low_prevalence": "recall at low prevalence",
    "rule": "empty maps",
    "quantile": "low quantile",
    "below": "below the low quantile of real pairs",
    "accuracy": "voxels that agree",
    "spearman": "Spearman",
    "kendall": "Kendall tau-b",
    "risk": "residual risk",
    "tpr": "TPR at 1 % FPR",
    "success_members": "success on members",
    "success_non_members": "success on non-members",
    "control_auc": "AUC had others' cases been released",
    "authentic": "authentic cases (AuthPct)",
    "c_t": "C_T",
    "kendall_within": "Kendall tau-b within generators",
    "fooled": "synthetic called real, share",
    "called_synthetic": "called synthetic, share",
    "called_real_if_ticked": "synthetic ones with it called real",
    "equivalence_p": "equivalence to guessing, p",
    "generators_p": "generators differ, p",
    "right": "right calls, share",
    "p_chance": "p against guessing",
    "pairs": "pairs told, share",
    "d_prime": "d'",
    "fleiss": "Fleiss' kappa",
    "cohen": "Cohen's kappa, mean of pairs",
    "kappa_weighted": "weighted kappa of ratings",
    "ac1": "Gwet's AC1",
    "alpha": "Krippendorff's alpha",
    "icc": "ICC(2,1)",
    "same_reader": "same reader twice, kappa",
    "drift": "drift over 100 cases",
    "rejected": "called wrong, share",
}
MIXED = re.compile(r"(both|gain)-(\d+)")
NUMBER = re.compile(r"^-?\d+(\.\d+)?([eE][-+]?\d+)?$")
MANY_COLUMNS = 6
NAMING = {"metric", "score", "network", "statistic", "transformation"}  # columns whose cells are names of the menus
COUNTED = ("cases", "subject maps", "subjects", "count")  # units of whole numbers


@dataclass(frozen=True)
class View:
    """A table ready to print.

    Attributes:
        numeric: whether each column is set as numbers.
        caption: what is the same in every row, "" if nothing.
        notes: footnotes, (mark, text).
        folded: whether it is opened by a click, since it is long.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    numeric: list[bool]
    caption: str = ""
    notes: tuple[tuple[str, str], ...] = ()
    folded: bool = False


def words(name: str, section: str = "") -> str:
    """Write a dotted or underscored name in words: ``ratio.unet.dice`` -> ``synthetic / real · U-Net · Dice``.

    The section is the evaluation that it is from: recall is another number for images than for copies or voxels.
    """
    titles = TITLES if section in OF_IMAGES else {}
    return " · ".join(titles.get(part) or _part(part) for part in name.split("."))


def _part(part: str) -> str:
    """Write ``both-25@10``, an arm of ``evaluate utility``, as ``real + 25 % synthetic, 10 real subjects``."""
    kind, _, subjects = part.partition("@")
    mixed = MIXED.fullmatch(kind)
    text = WORDS.get(mixed[1] if mixed else kind, kind.replace("_", " "))
    text = text.replace("+", f"+ {mixed[2]} %") if mixed else text
    return f"{text}, {subjects} real subjects" if subjects else text


def number(value: float | None, unit: str = "", like: float | None = None) -> str:
    """Write a number for people: counts whole, others with about three digits, tiny ones with two, None as a dash.

    The unit of a counted thing makes whole numbers; ``like`` is another number, beside it, whose decimals it takes.
    """
    if value is None:
        return "–"
    if float(value).is_integer() and (unit in COUNTED or abs(value) >= 100):
        return f"{int(value):,}"
    size = abs(value) if like is None else max(abs(value), abs(like))
    if 0 < size < 0.0005:
        return f"{value:.2g}"
    decimals = 1 if size >= 10 or unit in COUNTED else 2 if size >= 2 else 3
    return f"{value:,.{decimals}f}"


def interval(low: float | None, high: float | None, unit: str = "") -> str:
    """Write an interval as ``0.71 to 0.80``, or a dash."""
    return "–" if low is None or high is None else f"{number(low, unit, high)} to {number(high, unit, low)}"


@dataclass
class Footnotes:
    """Notes of a table: each text once, with a letter."""

    marks: dict[str, str] = field(default_factory=dict)

    def mark(self, text: str) -> str:
        """Return `` (a)`` for a note, "" for none."""
        if not text:
            return ""
        i = len(self.marks)
        return f" ({self.marks.setdefault(text, chr(97 + i % 26) * (1 + i // 26))})"

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """(mark, text) of each."""
        return tuple((mark, text) for text, mark in self.marks.items())


def results_table(title: str, results: Sequence[Result]) -> View:
    """Return the view of a list of results: measure, value, 95 % interval, n, which way is better; notes below."""
    notes, rows = Footnotes(), []
    for result in results:
        section, _, name = result.name.partition(".")
        label = words(name, section) + notes.mark(result.note)
        unit = f" {result.unit}" if result.unit not in ("", "r") and result.value is not None else ""
        value, ends = number(result.value, result.unit) + unit, interval(result.low, result.high, result.unit)
        better = result.better if result.better in ("higher", "lower") else ""
        rows.append([label, value, ends, f"{result.n:,}" if result.n else "–", better])
    header, numeric = ["Measure", "Value", "95 % interval", "n", "Better"], [False, True, True, True, False]
    return View(title, header, rows, numeric, notes=notes.notes, folded=True)


def table_view(table: Table, section: str = "") -> View:
    """Return the view of a CSV table of an evaluation.

    Columns x, x_low and x_high become one, a column of notes becomes footnotes, empty columns are left out, and in wide
    tables what is the same in every row becomes the caption.
    """
    columns = {name: [row[i] for row in table.rows] for i, name in enumerate(table.header)}
    for low_name in [name for name in columns if name == "low" or name.endswith("_low")]:
        stem = low_name.removesuffix("low").removesuffix("_")
        before = table.header[table.header.index(low_name) - 1]  # what low and high are of, where they do not say so
        value, high = stem or before, f"{stem}_high" if stem else "high"
        if value in columns and high in columns:
            lows, highs = columns.pop(low_name), columns.pop(high)
            columns[value] = [_with_interval(*cells) for cells in zip(columns[value], lows, highs, strict=True)]
    notes = columns.pop("note", [""] * len(table.rows))
    columns = {
        name: [words(cell, section) if name in NAMING else _cell(cell) for cell in cells]
        for name, cells in columns.items()
        if any(cells)
    }
    caption = ""
    if len(columns) > MANY_COLUMNS and len(table.rows) > 1:
        same = {name: cells[0] for name, cells in columns.items() if len(set(cells)) == 1}
        columns = {name: cells for name, cells in columns.items() if name not in same}
        told = "; ".join(f"{words(name, section)} {value}" for name, value in same.items())
        caption = f"In every row: {told}." if same else ""
    numeric = [all(not cell or cell[0] in "-–0123456789" for cell in cells) for cells in columns.values()]
    rows = [list(row) for row in zip(*columns.values(), strict=True)]
    footnotes = Footnotes()
    for row, note in zip(rows, notes, strict=False):
        row[0] += footnotes.mark(note)
    title = words(table.name.replace("_", " ").replace("-", " ")).capitalize()
    return View(title, [heading(name, section) for name in columns], rows, numeric, caption, footnotes.notes)


def heading(name: str, section: str = "") -> str:
    """Write a column's name in words, with a capital unless it is a symbol."""
    text = words(name, section)
    return text if text.split()[0] in ("r", "n", "p") else text[:1].upper() + text[1:]


def _with_interval(value: str, low: str, high: str) -> str:
    if not all(NUMBER.match(cell) for cell in (value, low, high)):
        return value
    first, second = float(low), float(high)
    return f"{_cell(value)} [{number(first, like=second)}, {number(second, like=first)}]"


def _cell(text: str) -> str:
    return (number(float(text), "count" if re.fullmatch(r"-?\d+", text) else "")) if NUMBER.match(text) else text
