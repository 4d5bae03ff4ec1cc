"""What a source hands over: sizes."""

import numpy as np

from understudy.data.listing import Reading, size_text


def test_the_size_of_a_reading_is_that_of_its_image_else_of_its_label_map() -> None:
    image, labels = np.zeros((3, 4, 5), np.uint8), np.zeros((6, 7), np.uint8)
    assert [Reading(*pair).size for pair in ((image, None), (None, labels), (None, None))] == [(4, 5), (6, 7), ()]
    assert size_text((4, 5)) == "4 x 5"
