"""Figures as PNG or SVG: grids of cases with label contours, curves, intervals. The same input gives the same bytes.

Drawn without pyplot: no window, no global state, no metadata that names a version or a time. In SVG colours are
variables of CSS, so that a page may set others on a dark ground, and text stays text.
**Checked** in tests/report/test_figures.py.
"""

import base64
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Self

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, NullLocator

from understudy.core.errors import UnderstudyError
from understudy.core.labels import PALETTE

DPI = 150
WIDTH_INCHES = 8.0  # of grids
CHART_INCHES = 5.0
PANELS = 4  # histograms side by side
FEW_SERIES = 4  # of more the legend stands below the curves
MARGIN_INCHES = 0.3  # left of a grid, where its rows have names
INK, QUIET, RULE = "#1c2733", "#5b6875", "#d5dbe1"
SERIES = ("#1f5f8b", "#c2571a", "#5a7d2a", "#7a4b94", "#9c2f45", "#0f7f7a")
MARKERS = "os^Dv<>pPX*"
LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 8, "labelcolor": INK}
ROLES = {"real": "#3d4650", "synthetic": "#1f5f8b", "control subjects": "#c2571a"}
COLUMNS = 8  # cases side by side
GAP = 2  # pixels between cases
FONTS = ["DejaVu Sans", "sans-serif"]
COLOUR = re.compile(r"\b(fill|stroke): #([0-9a-f]{6})\b")
NUMBERED = re.compile(r' id="[\w.]+_\d+"')  # of groups, the same in every figure of a page
FAMILY = re.compile(r"font-family: [^;\"]+")
Form = Callable[[Figure], bytes]
RGB_NAMES = ({"red", "green", "blue"}, {"r", "g", "b"})


@dataclass(frozen=True)
class DrawnCases:
    """Cases to draw: images (n, C, *S) in [0, 1], label maps (n, *S) or None, names of channels and classes."""

    images: np.ndarray
    labels: np.ndarray | None
    channel_names: tuple[str, ...]
    label_names: tuple[str, ...]

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], images: str = "images", labels: str = "labels") -> Self:
        """Read cases from the arrays of an .npz file; volumes are shown by their middle slice.

        Raises:
            UnderstudyError: no images (n, C, H, W) or (n, C, D, H, W), or label maps of another size.
        """
        pixels, maps = arrays.get(images, np.empty(0)), arrays.get(labels)
        fits = maps is None or (maps.dtype == np.uint8 and maps.shape == (len(pixels), *pixels.shape[2:]))
        if pixels.dtype.kind != "f" or pixels.ndim not in (4, 5) or not pixels.size or not fits:
            raise UnderstudyError(
                f"{images} (n, C, H, W) as numbers and {labels} (n, H, W) as uint8 were expected in an image file, "
                f"found {pixels.shape} and {None if maps is None else maps.shape}: evaluate again"
            )
        names = tuple(str(name) for name in arrays.get("channel_names", np.arange(pixels.shape[1]) + 1))
        if len(names) != pixels.shape[1]:
            raise UnderstudyError(
                f"{pixels.shape[1]} names of channels were expected in an image file, found {len(names)}"
            )
        pixels = np.clip(np.nan_to_num(middle_slice(pixels, 4)), 0, 1)
        maps = None if maps is None else middle_slice(maps, 3)
        return cls(pixels, maps, names, tuple(str(name) for name in arrays.get("label_names", ())))

    def __len__(self) -> int:
        """Return n."""
        return len(self.images)

    @property
    def is_rgb(self) -> bool:
        """Whether the channels are the colours of one picture."""
        return {name.lower() for name in self.channel_names} in RGB_NAMES

    def layers(self) -> list[tuple[str, np.ndarray]]:
        """Return what is drawn as rows: (name, (n, H, W, 3)), one for a colour picture, else one a channel."""
        if self.is_rgb:
            return [("", np.moveaxis(self.images, 1, -1))]
        return [
            (name if len(self.channel_names) > 1 else "", np.repeat(self.images[:, c, :, :, None], 3, -1))
            for c, name in enumerate(self.channel_names)
        ]


def middle_slice(array: np.ndarray, ndim: int) -> np.ndarray:
    """Cut volumes (..., D, H, W) to their middle slice (..., H, W), unless they have ``ndim`` axes already."""
    return array if array.ndim == ndim else array[..., array.shape[-3] // 2, :, :]


def colour(k: int) -> str:
    """Return the colour of class k as core/labels.py gives it."""
    return PALETTE[0] if k == 0 else PALETTE[1 + (k - 1) % (len(PALETTE) - 1)]


def grid_figure(rows: Sequence[tuple[str, np.ndarray, np.ndarray | None]], captions: Sequence[str] = ()) -> bytes:
    """Draw cases side by side as PNG bytes: each row is a layer, each column a case; label maps as contours.

    Args:
        rows: (name, pictures (n, H, W, 3) in [0, 1], label maps (n, H, W) or None), the same n for all.
        captions: n texts under the columns, or none.
    """
    n, height, width = rows[0][1].shape[:3]
    blocks = [slice(first, min(first + COLUMNS, n)) for first in range(0, n, COLUMNS)]
    lanes = [
        (name, picture[block], None if label is None else label[block], block, i == len(rows) - 1)
        for block in blocks
        for i, (name, picture, label) in enumerate(rows)
    ]
    margin = MARGIN_INCHES if any(name for name, _, _ in rows) else 0.0
    scale = (WIDTH_INCHES - margin) / (COLUMNS * (width + GAP))
    text = 0.2 if captions else 0.0
    total = len(lanes) * (height + GAP) * scale + len(blocks) * (text + 0.06)
    figure = Figure((WIDTH_INCHES, total), dpi=DPI, facecolor="white")
    top = total
    for name, picture, label, block, last in lanes:
        lane = (height + GAP) * scale
        axes = figure.add_axes((margin / WIDTH_INCHES, (top - lane) / total, 1 - margin / WIDTH_INCHES, lane / total))
        _draw_lane(axes, picture, label)
        style: dict[str, Any] = {"rotation": 90, "ha": "center", "va": "center", "fontsize": 6.5, "color": QUIET}
        figure.text(0.13 / WIDTH_INCHES, (top - lane / 2) / total, name, **style)
        top -= lane
        if last:
            for i, caption in enumerate(captions[block]):
                x = (margin + (i * (width + GAP) + width / 2) * scale) / WIDTH_INCHES
                figure.text(x, (top - 0.03) / total, caption, ha="center", va="top", fontsize=7, color=INK)
            top -= text + 0.06
    return png(figure)


def _draw_lane(axes: Axes, pictures: np.ndarray, labels: np.ndarray | None) -> None:
    """Draw up to 8 pictures (n, H, W, 3) in one row, with the contours of their label maps."""
    n, height, width = pictures.shape[:3]
    mosaic = np.ones((height + GAP, COLUMNS * (width + GAP), 3))
    classes = np.zeros(mosaic.shape[:2], np.uint8)
    for i in range(n):
        mosaic[:height, i * (width + GAP) : i * (width + GAP) + width] = pictures[i]
        if labels is not None:
            classes[:height, i * (width + GAP) : i * (width + GAP) + width] = labels[i]
    axes.imshow(mosaic, interpolation="nearest", aspect="auto")
    for k in np.unique(classes)[1:].tolist():
        axes.contour(classes == k, levels=[0.5], colors=[colour(k)], linewidths=0.9)
    axes.set_axis_off()


def png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes without metadata."""
    stream = BytesIO()
    _without_formulas(figure)
    FigureCanvasAgg(figure).print_png(stream, metadata={"Software": None})
    return stream.getvalue()


def data_uri(picture: bytes) -> str:
    """Return PNG bytes as a data URI, to stand in a page."""
    return "data:image/png;base64," + base64.b64encode(picture).decode()


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG on no ground, its colours as variables: ``var(--c-1c2733, #1c2733)``."""
    stream = BytesIO()
    _without_formulas(figure)
    for patch in (figure.patch, *(axes.patch for axes in figure.axes)):
        patch.set_visible(False)
    with rc_context({"svg.hashsalt": "understudy", "svg.fonttype": "none", "font.family": FONTS}):
        FigureCanvasSVG(figure).print_svg(
            stream, metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
        )
    drawn = stream.getvalue().decode()
    drawn = FAMILY.sub("font-family: 'DejaVu Sans', sans-serif", NUMBERED.sub("", drawn[drawn.index("<svg") :]))
    return COLOUR.sub(r"\1: var(--c-\2, #\2)", drawn).encode()


def _without_formulas(figure: Figure) -> None:
    """Draw the dollars of names as they are: text between two would be read as TeX. The powers on axes stay."""
    for text in figure.findobj(Text):
        text.set_parse_math("\\mathdefault" in text.get_text())


def curve_figure(curve: Mapping[str, Any], form: Form = png) -> bytes:
    """Draw a curve file: its series as lines, ``low``/``high`` as bands, ``vertical`` as named positions.

    Points that were measured one by one are dots where it says ``marked``.

    Args:
        curve: {"x_label", "y_label", "series": [{"name", "x", "y", "low"?, "high"?}], "vertical"?: [{"x", "name"}],
            "y_scale"?: "log"}.
        form: png or svg.
    """
    figure = _chart(2.9 + _below(curve["series"]))
    axes = figure.add_subplot()
    for series, paint in zip(curve["series"], series_colours([s["name"] for s in curve["series"]]), strict=True):
        width, style = (1.3, "--") if series.get("reference") else (1.9, "-")
        marker = "o" if curve.get("marked") or len(series["x"]) == 1 else None
        axes.plot(
            series["x"], series["y"], color=paint, linewidth=width, linestyle=style, label=series["name"], marker=marker
        )
        if "low" in series and "high" in series:
            axes.fill_between(series["x"], series["low"], series["high"], color=paint, alpha=0.15, linewidth=0)
    for line in curve.get("vertical", ()):
        axes.axvline(line["x"], color=INK, linewidth=0.9, linestyle=":")
        corner: dict[str, Any] = {"xytext": (-4, -3), "textcoords": "offset points", "ha": "right", "va": "top"}
        axes.annotate(line["name"], (line["x"], 1), xycoords=("data", "axes fraction"), fontsize=8, color=INK, **corner)
    if curve.get("y_scale") == "log":
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    _plain(axes, curve["x_label"], curve["y_label"])
    _legend(figure, axes, [series["name"] for series in curve["series"]])
    return form(figure)


def scatter_figure(curve: Mapping[str, Any], form: Form = png) -> bytes:
    """Draw a curve file as points: each series has a colour and a marker of its own, each interval is a line.

    Args:
        curve: {"x_label", "y_label", "series": [{"name", "x", "y", "low"?, "high"?, "x_low"?, "x_high"?}]}.
        form: png or svg.
    """
    figure = _chart(2.9 + _below(curve["series"]))
    axes, names = figure.add_subplot(), [series["name"] for series in curve["series"]]
    for i, (series, paint) in enumerate(zip(curve["series"], series_colours(names), strict=True)):
        marker = MARKERS[i % len(MARKERS)]
        thin: dict[str, Any] = {"color": paint, "linewidth": 0.9, "alpha": 0.6}
        if "x_low" in series and "x_high" in series:
            axes.hlines(series["y"], series["x_low"], series["x_high"], **thin)
        if "low" in series and "high" in series:
            axes.vlines(series["x"], series["low"], series["high"], **thin)
        axes.plot(series["x"], series["y"], marker, color=paint, markersize=5, alpha=0.85, label=series["name"])
    _plain(axes, curve["x_label"], curve["y_label"])
    _legend(figure, axes, names)
    return form(figure)


def histogram_figure(panels: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw histograms side by side, as shares of the cases per unit (per doubling on a logarithmic axis).

    Args:
        panels: [{"name", "x_label", "scale": "log" | "linear", "edges", "series": [{"name", "counts"}], "height"?:
            "log"}]; the first series is filled.
    """
    lanes = -(-len(panels) // PANELS)
    figure = _chart(0.35 + 1.65 * lanes, WIDTH_INCHES)
    names = [series["name"] for series in panels[0]["series"]]
    for place, panel in enumerate(panels):
        axes, edges = figure.add_subplot(lanes, PANELS, place + 1), np.asarray(panel["edges"], float)
        width = np.diff(np.log2(edges) if panel["scale"] == "log" else edges)
        for i, (series, paint) in enumerate(zip(panel["series"], series_colours(names), strict=True)):
            shares = np.asarray(series["counts"], float) / max(sum(series["counts"]), 1) / width
            axes.stairs(shares, edges, color=paint, fill=i == 0, alpha=0.35 if i == 0 else 1, linewidth=1.6)
        axes.set_xscale(panel["scale"])
        axes.set_yscale(panel.get("height", "linear"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(panel["name"], fontsize=8.5, color=INK, loc="left")
        _plain(axes, panel["x_label"], "")
        axes.set_yticks([])
        axes.yaxis.set_minor_locator(NullLocator())
    marks = [Patch(color=paint, label=name) for name, paint in zip(names, series_colours(names), strict=True)]
    figure.legend(handles=marks, loc="outside upper right", ncols=len(marks), **LEGEND)
    return png(figure)


def interval_figure(
    rows: Sequence[tuple[str, str, float, float | None, float | None]], x_label: str, form: Form = png
) -> bytes:
    """Draw values with their intervals, one line each: (label, group, value, low, high); a group has one colour."""
    groups = list(dict.fromkeys(row[1] for row in rows))
    paints = dict(zip(groups, series_colours(groups), strict=True))
    figure = _chart(0.75 + 0.27 * len(rows))
    axes = figure.add_subplot()
    for y, (_, group, value, low, high) in enumerate(rows):
        if low is not None and high is not None:
            axes.plot([low, high], [y, y], color=paints[group], linewidth=2, solid_capstyle="butt")
        axes.plot([value], [y], "o", color=paints[group], markersize=5)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlim(0, max(1.0, *(row[4] or row[2] for row in rows)) * 1.01)
    _plain(axes, x_label, "")
    return form(figure)


def series_colours(names: Sequence[str]) -> list[str]:
    """Give each series a colour: the same for the same role in every figure."""
    taken = {ROLES[name] for name in names if name in ROLES}
    free = iter(paint for paint in SERIES * (1 + len(names)) if paint not in taken)
    return [ROLES[name] if name in ROLES else next(free) for name in names]


def _chart(height: float, width: float = CHART_INCHES) -> Figure:
    return Figure((width, height), dpi=DPI, facecolor="white", layout="constrained")


def _below(series: Sequence[Any]) -> float:
    """Return the height in inches of a legend below the axes, where there are many series."""
    return 0.17 * -(-len(series) // 2) if len(series) > FEW_SERIES else 0.0


def _legend(figure: Figure, axes: Axes, names: Sequence[str]) -> None:
    if len(names) > FEW_SERIES:
        figure.legend(loc="outside lower center", ncols=2, **LEGEND)
    elif any(names):
        axes.legend(loc="best", **LEGEND)


def _plain(axes: Axes, x_label: str, y_label: str) -> None:
    axes.set_xlabel(x_label, fontsize=8.5, color=INK)
    axes.set_ylabel(y_label, fontsize=8.5, color=INK)
    axes.tick_params(labelsize=8, colors=QUIET, length=0)
    axes.grid(axis="both", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    for side in axes.spines.values():
        side.set_visible(False)
