"""The control of all attacks: independent draws of the phantom, one image a subject; nobody is told from anybody."""

from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.provenance import Provenance
from understudy.core.seed import rng
from understudy.core.statistics import Interval
from understudy.core.writer import CohortWriter
from understudy.data.phantom.phantom import phantom_subject
from understudy.evaluation.privacy.attacks.report import attack_all
from understudy.evaluation.privacy.attacks.setup import AttackSetup

ATTACKED = ("nearest_pixels", "nearest_features", "density_ratio", "singling_out", "link_contrasts")
MEMBERS, OTHERS, RELEASED = 20, 14, 22


@pytest.fixture(scope="module")
def phantoms() -> np.ndarray:
    """One slice of each phantom, near the middle: uint8 (n, 4, 16, 16)."""
    slices = rng(0, "test", "slices").integers(4, 8, MEMBERS + OTHERS + RELEASED)
    images = [phantom_subject(0, i, (12, 16, 16))[0][:, z] for i, z in enumerate(slices)]
    return np.rint(np.array(images) * 255).astype(np.uint8)


def write(out: Path, images: np.ndarray, kind: str, splits: list[str]) -> Cohort:
    """Write images, one a subject."""
    manifest = {"modality": "MR", "size": images.shape[2:], "dtype": "uint8", "scheme": None, "label_source": None}
    channels = [Channel(name, 0, 255) for name in ("T1", "T1c", "T2", "FLAIR")]
    with CohortWriter(out, kind=kind, channels=channels, provenance=Provenance("phantom"), **manifest) as writer:  # type: ignore[arg-type]
        for i, (image, split) in enumerate(zip(images, splits, strict=True)):
            writer.append(image, None, {"case_id": f"{kind}{i}", "subject_id": f"{kind}{i}", "split": split})
    return Cohort.open(out)


def attacked(out: Path, images: np.ndarray, seed: int, copied: int = 0) -> dict[str, Interval]:
    """Deal phantoms into members, non-members and released cases, of which some may be copies; return the AUCs."""
    dealt = images[np.random.default_rng(seed).permutation(len(images))]
    made = dealt[MEMBERS + OTHERS :].copy()
    made[:copied] = dealt[:copied]
    real = write(out / f"real{seed}", dealt[: MEMBERS + OTHERS], "real", ["train"] * MEMBERS + ["control"] * OTHERS)
    synthetic = write(out / f"synthetic{seed}", made, "synthetic", [""] * RELEASED)
    setup = AttackSetup(real, synthetic, real.rows("train"), real.rows("control"), seed)
    return {one.name: one.performance.auc for one in attack_all(setup, ATTACKED, 100) if one.performance}


def test_independent_draws_are_told_from_nobody(tmp_path: Path, phantoms: np.ndarray) -> None:
    found = [attacked(tmp_path, phantoms, seed) for seed in range(10)]
    for name in ATTACKED:
        inside = [float(each[name].low or 0) <= 0.5 <= float(each[name].high or 1) for each in found]
        assert sum(inside) >= 9, (name, [each[name] for each in found])  # of 95 % intervals
        assert np.mean([each[name].value for each in found]) == pytest.approx(0.5, abs=0.1)


def test_copies_among_them_are_noticed(tmp_path: Path, phantoms: np.ndarray) -> None:
    found = attacked(tmp_path, phantoms, 0, copied=18)
    assert all(float(auc.low or 0) > 0.5 for auc in found.values()), found
