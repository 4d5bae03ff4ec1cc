"""Contact sheet: panels, enlargement, outlines in the colours of the classes."""

import numpy as np

from understudy.core.encoding import Channel
from understudy.core.labels import PALETTE
from understudy.report.contact import GAP, contact_picture, enlarged, outline, panel_names

CHANNELS = [Channel("T1", 0, 2), Channel("T2", 0, 1)]


def rgb(text: str) -> list[int]:
    return [int(text[i : i + 2], 16) for i in (1, 3, 5)]


def test_panels_are_grey_over_the_range_of_their_channel() -> None:
    image = np.ones((2, 30, 20))
    image[1, 0, 0] = np.nan
    drawn = np.asarray(contact_picture(image, None, CHANNELS))
    up = 6
    assert drawn.shape == (30 * up, 2 * 20 * up + GAP, 3)
    assert (drawn[:, : 20 * up] == 127).all()
    assert (drawn[:up, -20 * up : -19 * up] == 0).all()
    assert (drawn[up:, -20 * up :] == 255).all()


def test_outlines_have_the_colours_of_the_classes() -> None:
    labels = np.zeros((60, 60), np.uint8)
    labels[10:30, 10:30], labels[40:50, 40:50] = 1, 2
    drawn = np.asarray(contact_picture(np.zeros((1, 60, 60)), labels, CHANNELS[:1]))
    assert drawn[4 * 10, 4 * 20].tolist() == rgb(PALETTE[1])
    assert drawn[4 * 50 - 1, 4 * 45].tolist() == rgb(PALETTE[2])
    assert not drawn[4 * 20, 4 * 20].any()
    assert not drawn[:39].any()


def test_a_label_map_alone_is_filled() -> None:
    labels = np.zeros((60, 60), np.uint8)
    labels[10:30, 10:30] = 1
    drawn = np.asarray(contact_picture(None, labels, []))
    assert drawn[80, 80].tolist() == rgb(PALETTE[1])
    assert not drawn[0, 0].any()


def test_colours_stand_before_their_channels() -> None:
    channels = [Channel(name, 0, 1) for name in ("blue", "green", "red")]
    assert panel_names(channels) == ["colour", "blue", "green", "red"]
    assert panel_names(CHANNELS) == ["T1", "T2"]
    image = np.stack([np.full((9, 9), value) for value in (1.0, 0.0, 0.2)])
    drawn = np.asarray(contact_picture(image, None, channels))
    assert drawn[0, 0].tolist() == [51, 0, 255]
    assert drawn[0, -1].tolist() == [51, 51, 51]


def test_large_pictures_shrink() -> None:
    assert enlarged(np.zeros((7, 5)), 2, 1).shape == (14, 10)
    assert contact_picture(np.zeros((1, 2000, 1000)), None, CHANNELS[:1]).size == (200, 400)


def test_an_outline_lies_inside() -> None:
    labels = np.zeros((5, 5), int)
    labels[1:4, 1:4] = 3
    assert outline(labels).sum() == 8
    assert not outline(np.ones((4, 4), int)).any()
