"""The tumour of the phantom: where its parts lie."""

import numpy as np
from scipy import ndimage

from understudy.data.phantom.anatomy import healthy_head
from understudy.data.phantom.lesion import draw_lesion
from understudy.data.phantom.phantom import phantom_subject

SHAPE = (24, 64, 64)
NECROSIS, OEDEMA, ENHANCING = 1, 2, 3


def test_enhancing_tumour_lies_around_necrosis_and_oedema_in_the_brain() -> None:
    around = []
    for subject in range(8):
        _, labels = phantom_subject(5, subject, SHAPE)
        dead = labels == NECROSIS
        shell = ndimage.binary_dilation(dead, np.ones((1, 3, 3))) & ~dead
        around.extend(labels[shell] == ENHANCING)
        head = healthy_head(5, subject, SHAPE, draw_lesion(5, subject).push)
        assert (head.brain[labels > 0] < 0).all()
        assert (head.depth[labels == OEDEMA] > head.cortex_mm).all()
        assert ndimage.label(labels > 0)[1] == 1
    assert np.mean(around) > 0.8
