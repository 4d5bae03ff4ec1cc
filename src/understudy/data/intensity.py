"""Intensities: how they are stored, and the range per channel that a network maps to [-1, 1].

Ranges are measured on the train split only, on what is stored; nothing of the other splits enters a cohort's encoding.
``volume-max`` scales every source image (a volume before it is cut) by its own maximum to 0..255, as Akbar et al., Sci
Data 11:259 (2024) do; ``volume-percentile`` maps its own 0.5 and 99.5 percentiles to 0 and 255. Both store 8 bits.
**Checked** in tests/data/test_intensity.py (percentiles against numpy.percentile; train only; negative and constant
images).
"""

import numpy as np

from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError

LOW, HIGH = 0.5, 99.5  # percentiles
NEGATIVE = 0.05  # values below 0 that interpolation leaves, as a share of the maximum, are cut off
SCALED = ("volume-max", "volume-percentile")


def stored_dtype(dtype: str, intensity: str) -> str:
    """Return the type in which images are stored."""
    return "uint8" if intensity in SCALED else dtype


def scaled(image: np.ndarray, intensity: str, where: str) -> np.ndarray:
    """Scale one source image by itself, channel by channel, where the intensity option asks for it.

    Args:
        image: (C, *S).
        intensity: the option.
        where: the item's name, for messages.

    Returns:
        uint8 (C, *S), or the image as it came.

    Raises:
        UnderstudyError: ``volume-max`` of a channel with negative values, or without positive ones.
    """
    if intensity not in SCALED:
        return image
    out = np.empty(image.shape, np.uint8)
    for c, channel in enumerate(image):
        if intensity == "volume-max":
            low, high = 0.0, float(channel.max())
            if float(channel.min()) < -NEGATIVE * high or high <= 0:
                raise UnderstudyError(
                    f"channel {c} of {where} runs from {channel.min():g} to {high:g}, and scaling by the maximum needs "
                    "values from 0 up: choose another --intensity (with brats: and --rule tumour or all, or --dims 3)"
                )
        else:
            low, high = (float(v) for v in np.percentile(channel, (LOW, HIGH)))
        span = high - low or 1.0
        out[c] = np.rint(np.clip((channel.astype(np.float32) - low) / span, 0, 1) * 255)
    return out


class RangeMeter:
    """Measure the intensity range of each channel over many images in memory that does not grow with their number.

    Values are counted by their leading 16 bits: 8- and 16-bit integers exactly, float32 to 1 % of the value.
    """

    def __init__(self, channels: tuple[str, ...], dtype: str) -> None:
        """Start with no image seen."""
        self.channels, self.dtype = channels, np.dtype(dtype)
        self.seen = 0
        self._counts = np.zeros((len(channels), 65536), np.int64)
        self._low = np.full(len(channels), np.inf)
        self._high = np.full(len(channels), -np.inf)

    def add(self, image: np.ndarray) -> None:
        """Count one image (C, *S)."""
        self.seen += 1
        for c, channel in enumerate(image):
            self._low[c] = min(self._low[c], float(channel.min()))
            self._high[c] = max(self._high[c], float(channel.max()))
            self._counts[c] += np.bincount(_bins(channel), minlength=65536)

    def ranges(self, intensity: str) -> list[Channel]:
        """Return the channels with their ranges.

        Args:
            intensity: the option; ``percentile`` takes the 0.5 and 99.5 percentiles, 8 bits under ``dtype`` and the
                scaled ones take 0..255, all else takes minimum and maximum.

        Raises:
            UnderstudyError: a channel has one value only.
        """
        meaning = {
            "volume-max": "share of the source image's maximum, 0..255",
            "volume-percentile": "between the source image's 0.5 and 99.5 percentiles, 0..255",
        }
        out = []
        for c, name in enumerate(self.channels):
            if intensity in SCALED or (intensity == "dtype" and self.dtype == np.uint8):
                low, high = 0.0, 255.0
            elif intensity == "percentile":
                low, high = self._percentile(c, LOW), self._percentile(c, HIGH)
            else:
                low, high = self._low[c], self._high[c]
            if not high > low:
                raise UnderstudyError(
                    f"channel {name!r} holds one value only ({low:g}) in the training images"
                    f"{' between its percentiles' if intensity == 'percentile' else ''}: leave it out, or "
                    "choose another --intensity"
                )
            out.append(Channel(name, float(low), float(high), meaning.get(intensity, "as in the source")))
        return out

    def _percentile(self, c: int, q: float) -> float:
        cumulated = np.cumsum(self._counts[c])
        rank = int(np.searchsorted(cumulated, q / 100 * (cumulated[-1] - 1), side="right"))
        return float(np.clip(_values(self.dtype)[rank], self._low[c], self._high[c]))


def _bins(array: np.ndarray) -> np.ndarray:
    """Bin number 0..65535 of every value, in the order of the values."""
    flat = array.reshape(-1)
    if flat.dtype.kind in "iu":
        return flat.astype(np.int64) - np.iinfo(flat.dtype).min
    bits = flat.astype(np.float32).view(np.uint32)
    ordered = np.where(
        bits >> 31, ~bits, bits | np.uint32(1 << 31)
    )  # IEEE 754: so ordered, bit patterns sort as values
    return (ordered >> 16).astype(np.int64)


def _values(dtype: np.dtype) -> np.ndarray:
    """The middle value of every bin."""
    if dtype.kind in "iu":
        return np.arange(65536.0) + np.iinfo(dtype).min
    ordered = (np.arange(65536, dtype=np.uint32) << 16) + np.uint32(1 << 15)
    bits = np.where(ordered >> 31, ordered & np.uint32(0x7FFFFFFF), ~ordered)
    with np.errstate(invalid="ignore"):
        return bits.astype(np.uint32).view(np.float32).astype(np.float64)
