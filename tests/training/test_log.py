"""The log of a training and its grids of cases."""

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from understudy.training.log import save_grid, training_log


def test_log_drops_what_lies_beyond_the_resumed_point(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text('{"images_seen": 10}\n{"images_seen": 20}\n{"images_se')
    with training_log(file, 30, 10, quiet=True) as log:
        log(30, {"loss": torch.tensor(0.5)})
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["images_seen"] for line in lines] == [10, 30] and lines[1]["loss"] == 0.5


def test_grid(tmp_path: Path) -> None:
    x = np.full((3, 2, 4, 4), -1.0)
    x[1, 1] = 1.0
    save_grid(x, tmp_path / "g.png")
    pixels = np.asarray(Image.open(tmp_path / "g.png"))
    assert pixels.shape == (8, 12) and pixels.sum() == 255 * 16 and (pixels[4:, 4:8] == 255).all()
    save_grid(np.zeros((2, 1, 5, 4, 4)), tmp_path / "v.png")
    assert np.asarray(Image.open(tmp_path / "v.png")).shape == (4, 8)
