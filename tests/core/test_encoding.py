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


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", ">u2", "int32", "float32", "float64"])
def test_a_table_of_integers_gives_the_bits_of_the_formula(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kind = np.dtype(dtype)
    bits, low = min(8 * kind.itemsize, 16), -(2**15) if kind.kind in "if" and kind.itemsize > 1 else 0
    values = np.arange(low, low + 2**bits).astype(kind).reshape(2, 1, -1)
    images = np.concatenate([values, values[:, :, ::-1]], 1)[:, :, ::-1]  # two channels, not in the order of memory
    channels = (Channel("a", -40.3, 130.7), Channel("b", 0, 255))
    ranges = np.array([[-40.3], [0.0]]), np.array([[130.7 + 40.3], [255.0]])
    expected = np.clip((images.astype(np.float64) - ranges[0]) / ranges[1] * 2 - 1, -1, 1).astype(np.float32)
    found = Encoding(channels, "uint8", None).encode_images(images)
    assert found.dtype == np.float32 and found.tobytes() == expected.tobytes()
    if kind.kind in "iu" and kind.itemsize < 4 and kind.isnative:
        monkeypatch.setattr("understudy.core.encoding._in_range", None)  # all of it comes from the table
        assert Encoding(channels, "uint8", None).encode_images(images[:0]).shape == (0, 2, values.shape[2])
        assert Encoding(channels, "uint8", None).encode_images(images).tobytes() == expected.tobytes()


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
