"""Encoding: exact round trip of every value of the integer types, clipping, channel order."""

import numpy as np
import pytest

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
def test_every_integer_survives(dtype: str) -> None:
    info = np.iinfo(dtype)
    values = np.arange(info.min, info.max + 1).astype(dtype).reshape(1, 1, -1, 64)
    encoding = Encoding((Channel("a", info.min, info.max),), dtype, None)
    x = encoding.encode(values, None)
    assert x.dtype == np.float32 and x.min() == -1 and x.max() == 1
    assert (encoding.decode(x)[0] == values).all()


def test_channels_and_labels_are_joined_and_split() -> None:
    scheme = LabelScheme(("background", "tumour"), (0, 1))
    encoding = Encoding((Channel("a", 0, 100), Channel("b", -5, 5)), "float32", scheme)
    images = np.stack([np.full((4, 4), 25.0), np.full((4, 4), 7.0)])[None].astype(np.float32)
    labels = np.eye(4, dtype=np.uint8)[None]
    x = encoding.encode(images, labels)
    assert x.shape == (1, 3, 4, 4) and encoding.n == 3
    assert np.allclose(x[0, :, 0, 0], [-0.5, 1.0, 1.0])
    back, read = encoding.decode(x)
    assert np.allclose(back[0, 0], 25) and np.allclose(back[0, 1], 5) and (read == labels).all()
    assert Encoding.from_json(encoding.to_json()) == encoding


def test_refusals() -> None:
    with pytest.raises(UsageError):
        Channel("a", 1, 1)
    encoding = Encoding((Channel("a", 0, 1),), "uint8", LabelScheme(("b", "t"), (0, 1)))
    with pytest.raises(UsageError):
        encoding.encode(np.zeros((1, 1, 2, 2)), None)
    with pytest.raises(UsageError):
        encoding.decode(np.zeros((1, 3, 2, 2)))
