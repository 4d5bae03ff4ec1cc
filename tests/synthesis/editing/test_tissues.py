"""Tissue classes: known ones are found in a made-up image, also where the body is dark; the same seed, the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.synthesis.editing.tissues import Mixture, Tissues, body, body_threshold, images_of

MEANS = {
    0: (4, 4),
    1: (170, 40),
    2: (60, 120),
    3: (110, 220),
}  # background, then tissues; not in the order of channel 1
ORDERED = {1: 3, 2: 1, 3: 2}  # class number by the mean of the first channel
Made = Callable[..., tuple[Cohort, np.ndarray]]


def truth(seed: int, size: int = 48) -> np.ndarray:
    """A disc of three tissues in sectors and rings."""
    random = np.random.default_rng(seed)
    y, x = np.indices((size, size)) - size / 2 + random.uniform(-2, 2, (2, 1, 1))
    radius = np.hypot(y, x)
    return np.where(radius > 20, 0, np.where(radius > 14, 1, np.where(y > 0, 2, 3))).astype(np.uint8)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def go(
        name: str = "c", noise: float = 8, labels: bool = True, gain: float = 0, **changes: Any
    ) -> tuple[Cohort, np.ndarray]:
        random, maps = np.random.default_rng(0), []
        settings: dict[str, Any] = {
            "kind": "real",
            "key": b"k",
            "label_source": "patient" if labels else None,
        } | changes
        scheme = LabelScheme(("background", "tumour"), (0, 255)) if labels else None
        with CohortWriter(
            tmp_path / name, modality="MR", size=(48, 48), channels=[Channel("a", 0, 255), Channel("b", 0, 255)],
            dtype="uint8", scheme=scheme, provenance=Provenance("test"), classes=["ill"], columns=["site"], **settings,
        ) as writer:  # fmt: skip
            for i in range(8):
                tissue = truth(i)
                image = np.stack([np.vectorize(lambda k, c=c: MEANS[k][c])(tissue) for c in (0, 1)])
                image = np.abs(image + random.normal(0, noise, image.shape)) * (1 - gain * (i // 2 % 2))
                tumour = (np.indices((48, 48)).sum(0) % 97 < 3) & (tissue == 2)
                if labels:
                    image[:, tumour] = 254
                split = {"split": "train" if i < 6 else "test"} if settings["kind"] == "real" else {}
                row = {
                    "case_id": f"c{i}",
                    "subject_id": f"s{i // 2}",
                    "ill": "1",
                    "site": "x",
                    "spacing": "1 2",
                    **split,
                }
                writer.append(np.clip(image, 0, 255).astype(np.uint8), tumour.astype(np.uint8) if labels else None, row)
                maps.append(np.vectorize({0: 0, **ORDERED}.get)(tissue))
        return Cohort.open(tmp_path / name), np.array(maps)

    return go


def fitted(cohort: Cohort, k: int = 3, seed: int = 0, **settings: Any) -> Tissues:
    return Tissues(cohort, cohort.rows("train"), Mixture(k, **{"smoothing": 0.0, **settings}), seed)


@pytest.mark.parametrize("adapt", [True, False])
def test_known_tissues_are_found_in_their_order(made: Made, adapt: bool) -> None:
    cohort, expected = made()
    assert cohort.labels is not None
    tissues = fitted(cohort, adapt=adapt)
    assert (np.diff(tissues.mixture.means_[tissues.order, 0]) > 0.2).all()
    for row in range(8):
        found, healthy = tissues.read(row), cohort.labels[row] == 0
        assert found.dtype == np.uint8 and (found == expected[row])[healthy].mean() > 0.985
        assert (found[~healthy] > 0).all()


def test_the_gain_of_a_scanner_is_evened_out(made: Made) -> None:
    cohort, expected = made(gain=0.45, labels=False)
    share = {}
    for adapt in (True, False):
        tissues = fitted(cohort, adapt=adapt)
        share[adapt] = np.mean([tissues.read(row) == expected[row] for row in range(8)])
    assert share[True] > 0.97 and share[False] < 0.9


def test_smoothing_mends_noise(made: Made) -> None:
    cohort, expected = made(noise=45, labels=False)
    share = []
    for smoothing in (0.0, 1.0):
        tissues = fitted(cohort, smoothing=smoothing)
        share.append(np.mean([tissues.read(row) == expected[row] for row in range(8)]))
    assert share[1] > share[0] + 0.03


def test_the_body_is_whole_and_without_small_components() -> None:
    x = np.full((2, 60, 60), -0.95)
    x[1, 10:50, 10:50] = 0.4
    x[:, 20:30, 20:30] = -1  # a dark hole
    x[0, 3, 3] = x[0, 55:57, 55:57] = 0.9
    expected = np.zeros((60, 60), bool)
    expected[10:50, 10:50] = True
    threshold = body_threshold(x.max(0).ravel())
    assert -0.95 < threshold < 0.4
    found = body(x, threshold)
    assert (found ^ expected).sum() <= 4  # corners
    assert body(x, None).all() and not body(x * 0 - 1, threshold).any()


@pytest.mark.parametrize(("air", "noise"), [(-0.97, 0.02), (-0.9, 0.05), (-1.0, 0.0)])
@pytest.mark.parametrize("humps", [((-0.5, 1000), (0.6, 3000)), ((0.0, 3000),), ((-0.4, 300), (0.1, 300), (0.9, 300))])
def test_the_threshold_lies_between_air_and_the_darkest_tissue(
    air: float, noise: float, humps: tuple[tuple[float, int], ...]
) -> None:
    random = np.random.default_rng(0)
    values = [random.normal(air, noise, 3000), *(random.normal(m, 0.03, n) for m, n in humps)]
    assert air + 2 * noise < body_threshold(np.concatenate(values)) < humps[0][0] - 0.1


def test_seeds(made: Made) -> None:
    cohort, _ = made()
    means = [fitted(cohort, seed=seed).mixture.means_ for seed in (1, 1, 2)]
    assert np.array_equal(means[0], means[1]) and np.abs(np.sort(means[0], 0) - np.sort(means[2], 0)).max() < 0.02


def test_whole_and_too_many(made: Made) -> None:
    cohort, _ = made()
    assert (fitted(cohort, 4, whole=True).read(0) > 0).all()
    flat, _ = made("flat", noise=0, labels=False)
    with pytest.raises(UnderstudyError, match="9 tissue classes were asked for"):
        fitted(flat, 9)
    with pytest.raises(UnderstudyError, match="has none"):
        images_of(cohort.without_images(), 0)
