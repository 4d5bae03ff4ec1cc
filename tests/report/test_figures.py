"""Figures: contours in the scheme's colours, channels as rows, volumes by their middle slice, same bytes."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.report.figures import (
    DrawnCases,
    colour,
    curve_figure,
    grid_figure,
    histogram_figure,
    interval_figure,
    scatter_figure,
    series_colours,
    svg,
)


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(BytesIO(png)).convert("RGB"))


def squares(channels: int, k: int) -> dict[str, np.ndarray]:
    labels = np.zeros((3, 16, 16), np.uint8)
    labels[:, 4:12, 4:12] = k
    return {"images": np.full((3, channels, 16, 16), 0.5, np.float32), "labels": labels}


def near(picture: np.ndarray, paint: str) -> int:
    rgb = [int(paint[i : i + 2], 16) for i in (1, 3, 5)]
    return int((np.abs(picture.astype(int) - rgb).max(-1) < 30).sum())


def test_colours_are_those_of_the_scheme() -> None:
    scheme = LabelScheme(tuple(f"c{k}" for k in range(14)), tuple(range(14)))
    assert tuple(colour(k) for k in range(14)) == scheme.colours


def test_contours_have_the_colour_of_their_class() -> None:
    for k in (1, 2):
        cases = DrawnCases.from_arrays(squares(1, k))
        drawn = pixels(grid_figure([(name, picture, cases.labels) for name, picture in cases.layers()]))
        bare = pixels(grid_figure([(name, picture, None) for name, picture in cases.layers()]))
        assert near(drawn, colour(k)) > 200
        assert near(drawn, colour(3 - k)) == near(bare, colour(k)) == 0


def test_channels_are_rows_unless_they_are_a_colour_picture() -> None:
    arrays = squares(3, 1)
    assert [name for name, _ in DrawnCases.from_arrays(arrays).layers()] == ["1", "2", "3"]
    colours = DrawnCases.from_arrays({**arrays, "channel_names": np.array(["Red", "Green", "Blue"])})
    assert [(name, picture.shape) for name, picture in colours.layers()] == [("", (3, 16, 16, 3))]
    assert [name for name, _ in DrawnCases.from_arrays(squares(1, 1)).layers()] == [""]


def test_volumes_are_shown_by_their_middle_slice() -> None:
    volume = np.zeros((2, 1, 5, 16, 16), np.float32)
    volume[:, :, 2] = 1
    labels = np.zeros((2, 5, 16, 16), np.uint8)
    labels[:, 2] = 1
    cases = DrawnCases.from_arrays({"images": volume, "labels": labels})
    assert (cases.images == 1).all()
    assert cases.labels is not None
    assert (cases.labels == 1).all()


def test_many_cases_are_broken_into_rows_with_captions() -> None:
    cases = DrawnCases.from_arrays({"images": np.full((20, 1, 16, 16), 0.5, np.float32)})
    rows = [(name, picture, None) for name, picture in cases.layers()]
    one = pixels(grid_figure([(name, picture[:8], None) for name, picture, _ in rows]))
    assert 2.9 < pixels(grid_figure(rows)).shape[0] / one.shape[0] < 3.1
    assert pixels(grid_figure(rows, [f"r = {i}" for i in range(20)])).shape[0] > pixels(grid_figure(rows)).shape[0]


def test_curves_and_intervals_are_drawn_and_stay_the_same() -> None:
    line: dict[str, Any] = {
        "name": "synthetic",
        "x": [0, 1, 2],
        "y": [0.1, 0.2, 0.9],
        "low": [0, 0.1, 0.8],
        "high": [0.2, 0.3, 1],
    }
    curve = {"x_label": "x", "y_label": "y", "series": [line], "vertical": [{"x": 1, "name": "here"}], "y_scale": "log"}
    assert curve_figure(curve) == curve_figure(curve)
    assert near(pixels(curve_figure(curve)), series_colours(["synthetic"])[0]) > 500
    assert (
        pixels(interval_figure([("a", "real", 0.5, 0.4, 0.6), ("b", "synthetic", 0.4, None, None)], "Dice")).shape[2]
        == 3
    )
    assert b"Software" not in curve_figure(curve)


def test_points_of_a_series_share_a_colour_and_stay_the_same() -> None:
    series = [{"name": f"generator {i}", "x": [0.1 * i, 0.5, 0.9], "y": [0.2, 0.1 * i, 0.7]} for i in range(13)]
    curve = {"x_label": "metric", "y_label": "Dice", "series": series}
    drawn = pixels(scatter_figure(curve))
    assert scatter_figure(curve) == scatter_figure(curve)
    for paint in series_colours([one["name"] for one in series])[:6]:
        assert near(drawn, paint) > 50
    fewer = pixels(scatter_figure({**curve, "series": series[:1]}))
    assert near(fewer, series_colours(["generator 0"])[0]) > 50 and near(fewer, series_colours(["a", "b"])[1]) == 0


def test_points_have_intervals_in_both_directions() -> None:
    point = {"name": "a", "x": [0.5], "y": [0.5]}
    other = {"name": "b", "x": [0.9], "y": [0.9]}
    curve = {"x_label": "AUC", "y_label": "Dice", "series": [point, other]}
    wide = {**curve, "series": [{**point, "x_low": [0.3], "x_high": [0.8], "low": [0.4], "high": [0.7]}, other]}
    assert [scatter_figure(one, svg).count(b"stroke-width: 0.9") for one in (curve, wide)] == [0, 2]
    many = {**curve, "series": [{**point, "name": f"point {i}"} for i in range(9)]}
    assert pixels(scatter_figure(many)).shape[0] > pixels(scatter_figure(curve)).shape[0]


def test_histograms_are_drawn_and_stay_the_same() -> None:
    series = [{"name": "real", "counts": [9, 30]}, {"name": "synthetic", "counts": [0, 12]}]
    panel: dict[str, Any] = {
        "name": "volume",
        "x_label": "voxels",
        "scale": "log",
        "edges": [1, 2, 64],
        "series": series,
    }
    panels = [panel | {"name": f"{i}", "scale": "linear" if i else "log"} for i in range(5)]
    drawn = histogram_figure(panels)
    assert drawn == histogram_figure(panels) and b"Software" not in drawn
    assert near(pixels(drawn), series_colours(["synthetic"])[0]) > 500
    assert pixels(drawn).shape[0] > 1.5 * pixels(histogram_figure(panels[:1])).shape[0]
    taller = [
        panel | {"scale": "linear", "edges": [0, 1, 2], "series": [{"name": "real", "counts": [c, 5]}]} for c in (5, 50)
    ]
    assert histogram_figure(taller[:1]) != histogram_figure(taller[1:])


def test_a_role_has_one_colour_and_others_never_share_it() -> None:
    assert series_colours(["synthetic", "real"])[::-1] == series_colours(["real", "synthetic"])
    many = series_colours(["synthetic", "other", "third", "real"])
    assert len(set(many)) == 4


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"images": np.zeros((2, 16, 16), np.float32)},
        {"images": np.zeros((0, 1, 16, 16), np.float32)},
        {"images": np.array(["a"])},
        {"images": np.zeros((2, 1, 16, 16), np.float32), "labels": np.zeros((2, 8, 16), np.uint8)},
        {"images": np.zeros((2, 1, 16, 16), np.float32), "labels": np.zeros((2, 16, 16), np.float32)},
        {"images": np.zeros((2, 1, 16, 16), np.float32), "channel_names": np.array(["a", "b"])},
    ],
)
def test_arrays_that_are_no_cases_are_refused(arrays: dict[str, np.ndarray]) -> None:
    with pytest.raises(UnderstudyError, match=r"in an image file"):
        DrawnCases.from_arrays(arrays)


def test_svg_has_text_and_colours_of_the_page() -> None:
    curve = {"x_label": "patients", "y_label": "Dice", "series": [{"name": "real", "x": [1, 2], "y": [0.5, 0.6]}]}
    drawn = curve_figure(curve, svg).decode()
    assert drawn.startswith("<svg ") and drawn == curve_figure(curve, svg).decode()
    assert ">patients</text>" in drawn and "stroke: var(--c-3d4650, #3d4650)" in drawn
    assert 'id="figure_1"' not in drawn and "#ffffff" not in drawn and "Matplotlib" not in drawn
    rows = [("a", "real", 0.5, 0.4, 0.6), ("b", "synthetic", 0.7, None, None)]
    assert ">synthetic<" not in interval_figure(rows, "Dice", svg).decode() and b">b</text>" in interval_figure(
        rows, "Dice", svg
    )
    assert b">patients</text>" in scatter_figure(curve, svg)


def test_many_lines_have_their_legend_below() -> None:
    series = [{"name": f"line {i}", "x": [1, 2], "y": [i, i]} for i in range(6)]
    few, many = (
        pixels(curve_figure({"x_label": "x", "y_label": "y", "series": some})).shape for some in (series[:4], series)
    )
    assert many[0] > few[0] and many[1] == few[1]
