"""Contact sheet: one picture a subject, each channel of a case with the outlines of its label map.

Drawn pixel by pixel, so that hundreds take seconds: a pixel of a class is painted where a neighbour is of another.
**Checked** in tests/report/test_contact.py.
"""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from understudy.core.encoding import Channel
from understudy.report.figures import RGB_NAMES, colour

PANEL, PANEL_OF_SEVERAL = 240, 180  # pixels, about the longest side of a panel
GAP = 4  # pixels


def panel_names(channels: Sequence[Channel]) -> list[str]:
    """Return what the panels of a picture show: each channel, and before those of a colour picture, that."""
    names = [channel.name for channel in channels]
    return ["colour", *names] if {name.lower() for name in names} in RGB_NAMES else names


def contact_picture(image: np.ndarray | None, labels: np.ndarray | None, channels: Sequence[Channel]) -> Image.Image:
    """Draw a case, a panel a channel side by side, or its label map alone, filled.

    Args:
        image: (C, H, W) in the units of the channels, or None.
        labels: (H, W) of classes 0..K-1, or None.
        channels: C channels, whose ranges run from black to white.
    """
    drawn = _panels(image, channels) if image is not None else [np.zeros((*np.array(labels).shape, 3))]
    longest, side = max(drawn[0].shape[:2]), PANEL if len(drawn) == 1 else PANEL_OF_SEVERAL
    up, step = max(1, side // longest), -(-longest // (2 * side))
    panels = [np.asarray(enlarged(255 * panel, up, step), np.uint8) for panel in drawn]
    if labels is not None:
        large = enlarged(labels, up, step)
        painted = outline(large) if image is not None else large > 0
        paints = np.array([_rgb(colour(k)) for k in range(int(labels.max()) + 1)], np.uint8)
        for panel in panels:
            panel[painted] = paints[large[painted]]
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    return Image.fromarray(np.concatenate([part for panel in panels for part in (gap, panel)][1:], 1))


def enlarged(picture: np.ndarray, up: int, step: int) -> np.ndarray:
    """Return a picture (H, W, ...) with every pixel ``up`` times as large, or every ``step``-th pixel."""
    return picture[::step, ::step].repeat(up, 0).repeat(up, 1)


def outline(labels: np.ndarray) -> np.ndarray:
    """Tell which pixels (H, W) of a class other than 0 have a neighbour of another class."""
    edge = np.zeros(labels.shape, bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge & (labels > 0)


def _panels(image: np.ndarray, channels: Sequence[Channel]) -> list[np.ndarray]:
    """The panels (H, W, 3) of an image (C, H, W), in [0, 1] over the ranges of its channels; NaN is black."""
    low, high = (np.array([getattr(c, end) for c in channels])[:, None, None] for end in ("low", "high"))
    grey = np.clip(np.nan_to_num((image.astype(np.float64) - low) / (high - low)), 0, 1)
    panels = [np.repeat(one[..., None], 3, -1) for one in grey]
    if len(panel_names(channels)) == len(panels):
        return panels
    order = [[c.name.lower()[0] for c in channels].index(name) for name in "rgb"]
    return [np.moveaxis(grey[order], 0, -1), *panels]


def _rgb(text: str) -> tuple[int, ...]:
    return tuple(int(text[i : i + 2], 16) for i in (1, 3, 5))
