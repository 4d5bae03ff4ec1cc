"""What the tests of single generators share."""

import pytest

from understudy.core.encoding import Channel, Encoding
from understudy.core.labels import LabelScheme


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    return Encoding(
        (Channel("T1", 0, 1), Channel("T2", 0, 1)), "float32", LabelScheme.from_text("0=background,1=lesion")
    )
