"""Intensities: how they are stored, and the range per channel that a network maps to [-1, 1].

Ranges are measured on the train split only, on what is stored; nothing of the other splits enters a cohort's encoding.
``volume-max`` scales every source image (a volume before it is cut) by its own maximum to 0..255, as Akbar et al., Sci
Data 11:259 (2024) do; ``volume-percentile`` maps its own 0.5 and 99.5 percentiles to 0 and 255. Both store 8 bits.
**Checked** in tests/data/test_intensity.py (numpy.percentile; train only; negative and constant images).
"""

import numpy as np

from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng

LOW, HIGH = 0.5, 99.5  # percentiles
NEGATIVE = 0.05  # values below 0 that interpolation leaves, as a share of the maximum, are cut off
SAMPLE = 2**18
SCALED = ("volume-max", "volume-percentile")


def stored_dtype(dtype: str, intensity: str) -> str:
    """Return the type in which images are stored."""
    return "uint8" if intensity in SCALED else dtype


def scaled(image: np.ndarray, intensity: str, where: str) -> np.ndarray:
    """Scale one source image (C, *S) by itself to uint8, channel by channel; as it came, where no option asks for it.

    Raises:
        UnderstudyError: ``volume-max`` of a channel with negative values, or without positive ones;
            ``volume-percentile`` of one whose 0.5 and 99.5 percentiles are one value, while it holds others.
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
            if low == high and channel.min() < channel.max():
                raise UnderstudyError(_sparse(f"channel {c} of {where}", low))
        span = high - low or 1.0
        out[c] = np.rint(np.clip((channel.astype(np.float32) - low) / span, 0, 1) * 255)
    return out


def _sparse(what: str, value: float) -> str:
    return (
        f"{what} is {value:g} in at least {HIGH - LOW:g} % of its pixels, so that its {LOW} and {HIGH} percentiles "
        "are one value and say nothing: choose --intensity minmax or volume-max"
    )


class RangeMeter:
    """Measure the intensity range of each channel over many images in memory that does not grow with their number.

    Minimum and maximum are exact. Percentiles are those of a random sample of at most ``SAMPLE`` values a channel: each
    value is drawn a number, and the smallest ones stay; of fewer values all stay, and the percentiles are exact.
    """

    def __init__(self, channels: tuple[str, ...], dtype: str, intensity: str, seed: int = 0) -> None:
        """Start with no image seen."""
        self.channels, self.dtype, self.intensity, self.seed, self.seen = channels, np.dtype(dtype), intensity, seed, 0
        self._low, self._high = np.full(len(channels), np.inf), np.full(len(channels), -np.inf)
        self._kept = [np.zeros((2, 0)) for _ in channels]  # values; their numbers
        self._share = 1.0

    def add(self, image: np.ndarray) -> None:
        """Count one image (C, *S)."""
        self.seen += 1
        flat = image.reshape(len(image), -1)
        self._low, self._high = np.minimum(self._low, flat.min(1)), np.maximum(self._high, flat.max(1))
        if self.intensity != "percentile":
            return
        generator = rng(self.seed, "import", "range", self.seen)
        for c, values in enumerate(flat):
            numbers = generator.random(len(values))
            stay = numbers < self._share
            self._kept[c] = np.concatenate([self._kept[c], np.stack([values[stay], numbers[stay]])], 1)
        while max(kept.shape[1] for kept in self._kept) > SAMPLE:
            self._share /= 2
            self._kept = [kept[:, kept[1] < self._share] for kept in self._kept]

    def ranges(self) -> list[Channel]:
        """Return the channels with their ranges; UnderstudyError where one holds one value only.

        ``percentile`` takes the 0.5 and 99.5 percentiles; 8 bits under ``dtype``, and images scaled one by one, take
        0..255; all else takes minimum and maximum.
        """
        meaning = {
            "volume-max": "share of the source image's maximum, 0..255",
            "volume-percentile": "between the source image's 0.5 and 99.5 percentiles, 0..255",
        }.get(self.intensity, "as in the source")
        eight_bits = self.intensity in SCALED or (self.intensity == "dtype" and self.dtype == np.uint8)
        out = []
        for c, name in enumerate(self.channels):
            low, high = (0.0, 255.0) if eight_bits else self._measured(c)
            if not high > low and self._low[c] < self._high[c]:
                raise UnderstudyError(_sparse(f"channel {name!r}", low))
            if not high > low:
                raise UnderstudyError(
                    f"channel {name!r} holds one value only ({low:g}) in the images its range is measured on: leave it "
                    "out, or choose another --intensity"
                )
            out.append(Channel(name, float(low), float(high), meaning))
        return out

    def _measured(self, c: int) -> tuple[float, float]:
        if self.intensity == "percentile":
            low, high = self.percentiles(c, (LOW, HIGH))
            return low, high
        return self.extremes(c)

    def extremes(self, c: int) -> tuple[float, float]:
        """Return minimum and maximum of a channel."""
        return float(self._low[c]), float(self._high[c])

    def percentiles(self, c: int, wanted: tuple[float, ...]) -> list[float]:
        """Return percentiles of a channel; the meter must be one of intensity ``percentile``."""
        return [float(v) for v in np.percentile(self._kept[c][0], wanted)]
