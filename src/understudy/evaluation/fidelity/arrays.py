"""What is known of the images of one set after reading them once, block by block: matrices with a row for each case.

``features`` and ``logits`` by the extractor, ``intensities`` as histograms, ``spectra`` as radial power. Metrics
compare them (``Metric.needs`` says which). What a cache knows already is not computed again; where it knows all,
nothing is read.
**Checked** in tests/evaluation/fidelity/test_arrays.py (one reading, cache, standardising).
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel, Encoding
from understudy.evaluation.cache import Cache
from understudy.evaluation.features.extractor import Extractor, image_blocks
from understudy.evaluation.fidelity.intensity import cumulative, shares
from understudy.evaluation.fidelity.spectrum import spectra
from understudy.evaluation.guard import slug

MIN_SD = 1e-6  # a feature that does not differ among real cases is not divided


def channel_names(channels: tuple[Channel, ...]) -> list[str]:
    """Return a name for each channel as a part of dotted names; numbered where two would share one."""
    names = [slug(channel.name) for channel in channels]
    return [f"{n}-{k + 1}" if names.count(n) > 1 else n for k, n in enumerate(names)]


@dataclass(frozen=True)
class ImageMeasures:
    """One set: features (n, F), intensities (n, C, bins) as shares of voxels, spectra (n, C, R) in dB, logits (n, K).

    Logits of classes are None where the extractor knows none.
    """

    features: np.ndarray
    intensities: np.ndarray
    spectra: np.ndarray
    logits: np.ndarray | None = None

    @property
    def none(self) -> "ImageMeasures":
        """The same without a row."""
        logits = None if self.logits is None else self.logits[:0]
        return ImageMeasures(self.features[:0], self.intensities[:0], self.spectra[:0], logits)

    def compared(self, needs: str, channels: tuple[Channel, ...]) -> dict[str, np.ndarray]:
        """Return the matrices (n, F) that a metric compares, by what is added to its name; or none."""
        if needs == "intensities":
            named = zip(channel_names(channels), channels, strict=True)
            return {f".{name}": cumulative(self.intensities[:, k], c) for k, (name, c) in enumerate(named)}
        if needs == "logits":
            return {} if self.logits is None else {"": self.logits}
        n, *shape = self.spectra.shape
        return {"": self.spectra.reshape(n, math.prod(shape)) if needs == "spectra" else self.features}


def measure(
    cohort: Cohort, rows: np.ndarray, encoding: Encoding, extract: Extractor, bins: int, cache: Cache
) -> ImageMeasures:
    """Measure the images of some cases, block by block, with the real cohort's encoding; `bins`: of intensities."""
    described: dict[str, tuple[Any, Callable[[np.ndarray], np.ndarray]]] = {
        "features": (extract.identity, extract),
        "intensities": (bins, lambda images: shares(images, bins)),
        "spectra": (None, spectra),
    }
    if extract.logits is not None:
        described["logits"] = (extract.identity, extract.logits)
    chosen = hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()
    read = {"cohort": cohort.id, "rows": chosen, "channels": [asdict(channel) for channel in encoding.channels]}
    keys = {name: {"what": name, "settings": settings, **read} for name, (settings, _) in described.items()}
    known = {name: cache.load(key) for name, key in keys.items()}
    missing = [name for name, array in known.items() if array is None or len(array) != len(rows)]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in missing}
    for images in image_blocks(cohort, rows, encoding) if missing else ():
        for name in missing:
            parts[name].append(described[name][1](images))
    for name in missing:
        whole = known[name] = np.concatenate(parts[name])
        cache.store(keys[name], whole)
    return ImageMeasures(**known)  # type: ignore[arg-type]


def standardised(case_sets: list[ImageMeasures]) -> list[ImageMeasures]:
    """Take the mean of the first set's cases, the real ones, off the features of all, and divide by their SD."""
    real = case_sets[0].features
    mean, sd = real.mean(0, dtype=np.float64), real.std(0, dtype=np.float64)
    scale = np.where(sd > MIN_SD, sd, 1)
    return [replace(s, features=((s.features - mean) / scale).astype(np.float32)) for s in case_sets]
