"""Encoding: images with their label maps <-> what a network sees, float32 channels in [-1, 1].

Image channel c maps its recorded range [low, high] to [-1, 1]; label channels follow (core/labels.py). Both ways in
float32 or better, so that 16-bit images keep their precision; decoding clips to the range and rounds to the data type.
Integers of 8 and 16 bits are looked up in a table of all their values. **Checked** in tests/core/test_encoding.py
(exact round trip of every value of uint8, int16, uint16; the table against the formula, bit for bit).
"""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from understudy.core.documents import STRICT
from understudy.core.errors import UsageError
from understudy.core.labels import ClassRecord, LabelScheme


@dataclass(frozen=True)
class Channel:
    """One image channel: its name, the intensities that map to -1 and +1, and what intensities mean."""

    name: str
    low: float
    high: float
    meaning: str = "arbitrary units"
    __pydantic_config__ = STRICT  # where one is read from a file

    def __post_init__(self) -> None:
        """Refuse an empty range."""
        if not self.high > self.low:
            raise UsageError(f"channel {self.name!r} needs high > low, found {self.low} .. {self.high}")


@dataclass(frozen=True)
class Encoding:
    """How a cohort's images (of a NumPy ``dtype``) and label maps become C image channels, then L label channels."""

    channels: tuple[Channel, ...]
    dtype: str
    scheme: LabelScheme | None

    @property
    def image_channels(self) -> int:
        """C, the number of image channels."""
        return len(self.channels)

    @property
    def label_channels(self) -> int:
        """L, the number of channels that carry the label map; 0 without one."""
        return self.scheme.encoded_channels if self.scheme else 0

    @property
    def n(self) -> int:
        """C + L, the number of channels a network sees."""
        return self.image_channels + self.label_channels

    def encode_images(self, images: np.ndarray) -> np.ndarray:
        """Map images (N, C, *S) to float32 in [-1, 1]; values outside a channel's range are clipped."""
        dtype = images.dtype
        if dtype.kind not in "iu" or dtype.itemsize > 2 or not dtype.isnative:
            return _in_range(images, *self._ranges(images.ndim))
        table, numbers = _table(self.channels, dtype), images.view(f"u{dtype.itemsize}")
        out = np.empty(images.shape, np.float32)
        for case, made in zip(numbers, out, strict=True):
            for values, channel, into in zip(table, case, made, strict=True):
                values.take(channel, out=into, mode="wrap")  # without a copy; a number of so many bits has its entry
        return out

    def decode_images(self, x: np.ndarray) -> np.ndarray:
        """Map network values (N, C, *S) back to intensities in the cohort's data type."""
        low, scale = self._ranges(x.ndim)
        values = (np.clip(x.astype(np.float64), -1, 1) + 1) / 2 * scale + low
        return (np.rint(values) if np.issubdtype(np.dtype(self.dtype), np.integer) else values).astype(self.dtype)

    def encode(self, images: np.ndarray | None, labels: np.ndarray | None) -> np.ndarray:
        """Join images (N, C, *S) and label maps (N, *S) to network channels float32 (N, C + L, *S) in [-1, 1]."""
        parts = []
        if self.channels and images is not None:
            parts.append(self.encode_images(images))
        if self.scheme and labels is not None:
            parts.append(self.scheme.encode(labels))
        joined = np.concatenate(parts, 1)
        if joined.shape[1] != self.n:
            raise UsageError(f"{self.n} channels (images and label maps) were expected, found {joined.shape[1]}")
        return joined

    def decode(self, x: np.ndarray) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Split network channels float (N, C + L, *S) into images (N, C, *S) and label maps uint8 (N, *S)."""
        if x.shape[1] != self.n:
            raise UsageError(f"{self.n} channels were expected, found {x.shape[1]}")
        images = self.decode_images(x[:, : self.image_channels]) if self.channels else None
        return images, self.scheme.decode(x[:, self.image_channels :]) if self.scheme else None

    def _ranges(self, ndim: int) -> tuple[np.ndarray, np.ndarray]:
        low = np.array([c.low for c in self.channels])
        high = np.array([c.high for c in self.channels])
        shape = (1, -1) + (1,) * (ndim - 2)
        return low.reshape(shape), (high - low).reshape(shape)

    def to_json(self) -> dict[str, Any]:
        """Return the encoding as plain data."""
        return {
            "channels": [asdict(c) for c in self.channels],
            "dtype": self.dtype,
            "label_scheme": self.scheme.to_json() if self.scheme else None,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Encoding":
        """Read what :meth:`to_json` wrote."""
        return EncodingRecord.model_validate(data, strict=False).made()


def _in_range(images: np.ndarray, low: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Map low to -1 and low + scale to 1, with clipping, in float64: float32."""
    return np.clip((images.astype(np.float64) - low) / scale * 2 - 1, -1, 1).astype(np.float32)


@lru_cache(maxsize=16)
def _table(channels: tuple[Channel, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """Return what becomes of every value of an integer type, by its bits read as a number without sign: (C, 2^bits)."""
    values = np.arange(2 ** (8 * dtype.itemsize)).astype(f"u{dtype.itemsize}").view(dtype)
    return np.stack([_in_range(values, np.array(c.low), np.array(c.high - c.low)) for c in channels])


class EncodingRecord(BaseModel):
    """The entry ``encoding`` of a JSON file on disk."""

    model_config = STRICT

    channels: tuple[Channel, ...]
    dtype: str = Field(pattern="^(u?int(8|16|32)|float(16|32|64))$")
    label_scheme: list[ClassRecord] | None

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        self.made()
        return self

    def made(self) -> Encoding:
        """Return the encoding that it describes; UsageError where there can be none."""
        scheme = None if self.label_scheme is None else LabelScheme.from_records(self.label_scheme)
        return Encoding(self.channels, self.dtype, scheme)
