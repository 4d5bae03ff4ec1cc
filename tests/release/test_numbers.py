"""Real pixels among numbers are found in every order that is named; honest numbers are not taken for pixels."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.release.numbers import RealNumbers

Fields = Callable[..., np.ndarray]


@pytest.fixture
def numbers(bench: Any) -> RealNumbers:
    return RealNumbers(Cohort.open(bench.real))


@pytest.fixture
def image(bench: Any) -> np.ndarray:
    pixels = Cohort.open(bench.real).images
    assert pixels is not None
    return np.asarray(pixels[17, 0])


def test_pixels_are_found_in_every_type_and_shape(numbers: RealNumbers, image: np.ndarray, smooth: Fields) -> None:
    other = smooth(1, 77)[0, 0]
    for array in (
        image,
        image.astype(np.uint16) * 257,
        image / 255,
        255 - image,
        image[::-1, ::-1],
        image.reshape(-1),
        np.stack([other, image, other], -1),
        np.stack([image, other], -1)[None],
        image.T,
        image.ravel()[:200],
        np.array([str(v) for v in image.ravel().tolist()]),
    ):
        assert numbers.in_array(array), array.shape
    for array in (other, smooth(20, 3), np.arange(4096.0), np.random.default_rng(0).normal(size=5000), np.zeros(300)):
        assert not numbers.in_array(array)
    assert not numbers.in_array(image.ravel()[:40]) and not numbers.in_array(np.empty((0, 3)))


def test_pixels_are_found_in_texts(numbers: RealNumbers, image: np.ndarray, tmp_path: Path) -> None:
    texts = {
        "curve.json": json.dumps(
            {"series": [{"name": "a", "x": list(range(32)), "y": (image / 255).ravel().tolist()}]}
        ),
        "rows.csv": "\n".join(",".join(map(str, row)) for row in image.tolist()),
        "columns.csv": "\n".join(f"{i},{v / 255:.6g},x" for i, v in enumerate(image.ravel().tolist())),
        "note.md": " and ".join(map(str, image.ravel().tolist()[:200])),
        "results.json": json.dumps([{"value": v, "low": 0.5, "n": 60} for v in image.ravel().tolist()]),
        "cells.csv": "\n".join(f'"{v} (n = {60 + i % 7} of 90)"' for i, v in enumerate(image.ravel().tolist())),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        assert numbers.in_file(tmp_path / name), name
    rng = np.random.default_rng(1)
    (tmp_path / "honest.csv").write_text(
        "\n".join(",".join(map(str, row)) for row in rng.normal(size=(200, 12)).tolist())
    )
    x = np.linspace(0, 1, 100)
    series = [{"x": x.tolist(), "y": (x**k).tolist()} for k in range(1, 9)]
    (tmp_path / "honest.json").write_text(json.dumps(series))
    assert not numbers.in_file(tmp_path / "honest.csv") and not numbers.in_file(tmp_path / "honest.json")


def test_without_images_there_is_nothing_to_find(bench: Any, image: np.ndarray) -> None:
    assert not RealNumbers(Cohort.open(bench.cohort("maps", channels=[]))).in_array(image)
