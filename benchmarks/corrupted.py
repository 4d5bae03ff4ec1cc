"""Spoil a synthetic cohort in a known way, to see which metric notices and what it costs in usefulness.

    python benchmarks/corrupted.py COHORT HOW STRENGTH --out COHORT [--seed 0]

HOW is blur (standard deviation in pixels), noise (standard deviation as a share of the range), shift (label maps moved
by so many pixels down and right, the images stay), collapse (only this share of the cases, drawn at random and repeated
until there are as many as before). The generator's name and whom it saw stay as they were.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.seed import rng
from understudy.core.writer import CohortWriter

Case = tuple[np.ndarray, np.ndarray]


def blur(image: np.ndarray, label: np.ndarray, strength: float, _: np.random.Generator) -> Case:
    """Blur each channel."""
    return gaussian_filter(image, (0, *[strength] * (image.ndim - 1)), mode="nearest"), label


def noise(image: np.ndarray, label: np.ndarray, strength: float, draw: np.random.Generator) -> Case:
    """Add white noise; the image is in [-1, 1], a range of two."""
    return image + draw.normal(0, 2 * strength, image.shape), label


def shift(image: np.ndarray, label: np.ndarray, strength: float, _: np.random.Generator) -> Case:
    """Move the label map along every axis; what comes in is background."""
    k, moved = int(strength), np.zeros_like(label)
    moved[(slice(k, None),) * label.ndim] = label[(slice(None, -k or None),) * label.ndim]
    return image, moved


def keep(image: np.ndarray, label: np.ndarray, _: float, __: np.random.Generator) -> Case:
    """Change nothing."""
    return image, label


HOW: dict[str, Callable[[np.ndarray, np.ndarray, float, np.random.Generator], Case]] = {
    "blur": blur,
    "noise": noise,
    "shift": shift,
    "collapse": keep,
}


def spoil(source: Cohort, how: str, strength: float, seed: int, out: Path) -> None:
    """Write the spoilt cohort."""
    draw, n = rng(seed, "corrupted", how), len(source)
    kept = draw.permutation(n)[: max(1, round(strength * n))] if how == "collapse" else np.arange(n)
    config = {"generator": source.generator, "how": how, "strength": strength}
    with CohortWriter(
        out,
        kind=source.kind,
        modality=source.modality,
        size=source.size,
        channels=source.encoding.channels,
        dtype=source.encoding.dtype,
        scheme=source.scheme,
        label_source=source.label_source,
        provenance=Provenance("corrupted", config, seed, {"cohort": source.id}),
        classes=source.classes,
        trained_on=source.trained_on,
    ) as writer:
        for i in range(n):
            row = int(kept[i % len(kept)])
            image = source.encoding.encode_images(source.images[[row]])[0]
            image, label = HOW[how](image, np.asarray(source.labels[row]), strength, draw)
            entries = {name: source.entry(name, row) for name in source.columns}
            writer.append(
                source.encoding.decode_images(image[None])[0],
                label,
                entries | {"case_id": f"c{i:06d}", "subject_id": f"c{i:06d}"},
            )


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cohort", type=Path)
    parser.add_argument("how", choices=HOW)
    parser.add_argument("strength", type=float)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    source = Cohort.open(given.cohort)
    if source.kind == "real" or source.images is None or source.labels is None:
        parser.error("a synthetic or semi-synthetic cohort with images and label maps was expected")
    spoil(source, given.how, given.strength, given.seed, given.out)
    print(given.out)


if __name__ == "__main__":
    main()
