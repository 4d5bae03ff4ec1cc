"""The control of all attacks: independent draws of the phantom, one image a subject; nobody is told from anybody."""

from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.provenance import Provenance
from understudy.core.seed import rng
from understudy.core.writer import CohortWriter
from understudy.data.sources.phantom import phantom_subject
from understudy.evaluation.privacy.attacks.attacked import attack_all
from understudy.evaluation.privacy.attacks.scene import Scene

ATTACKED = ("nearest_pixels", "nearest_features", "density_ratio", "singling_out", "link_contrasts")
SHAPE = (12, 16, 16)


def draws(seed: int, n: int) -> np.ndarray:
    """Draw one slice of each of n phantoms, near the middle: uint8 (n, 4, 16, 16)."""
    slices = rng(seed, "test", "slices").integers(4, 8, n)
    images = [phantom_subject(seed, i, SHAPE)[0][:, z] for i, z in enumerate(slices)]
    return np.rint(np.array(images) * 255).astype(np.uint8)


def write(out: Path, images: np.ndarray, kind: str, splits: list[str]) -> Cohort:
    """Write images, one a subject."""
    manifest = {"modality": "MR", "size": images.shape[2:], "dtype": "uint8", "scheme": None, "label_source": None}
    channels = [Channel(name, 0, 255) for name in ("T1", "T1c", "T2", "FLAIR")]
    with CohortWriter(out, kind=kind, channels=channels, provenance=Provenance("phantom"), **manifest) as writer:  # type: ignore[arg-type]
        for i, (image, split) in enumerate(zip(images, splits, strict=True)):
            writer.append(image, None, {"case_id": f"{kind}{i}", "subject_id": f"{kind}{i}", "split": split})
    return Cohort.open(out)


def phantoms(out: Path, seed: int, members: int, others: int, released: int, copied: int = 0) -> Scene:
    """Set a scene of independent phantoms; of the released cases the first are copies of members, if so asked."""
    images = draws(seed, members + others + released)
    splits = ["train"] * members + ["control"] * others
    made = images[len(splits) :].copy()
    made[:copied] = images[:copied]
    real = write(out / f"real{seed}", images[: len(splits)], "real", splits)
    synthetic = write(out / f"synthetic{seed}", made, "synthetic", [""] * released)
    return Scene(real, synthetic, real.rows("train"), real.rows("control"), seed)


def intervals(scene: Scene, draws: int = 200) -> dict[str, tuple[float, float, float]]:
    """Return AUC with its interval, by attack."""
    found = {one.name: one.verdict for one in attack_all(scene, ATTACKED, draws)}
    return {name: (v.auc.value, float(v.auc.low or 0), float(v.auc.high or 0)) for name, v in found.items() if v}


@pytest.mark.parametrize("seed", [0, 1])
def test_independent_draws_are_told_from_nobody(tmp_path: Path, seed: int) -> None:
    found = intervals(phantoms(tmp_path, seed, members=24, others=16, released=30))
    assert len(found) == len(ATTACKED)
    assert all(low <= 0.5 <= high for _, low, high in found.values()), found


def test_copies_among_them_are_noticed(tmp_path: Path) -> None:
    found = intervals(phantoms(tmp_path, 0, members=24, others=16, released=30, copied=20))
    assert all(low > 0.5 for _, low, _ in found.values()), found
