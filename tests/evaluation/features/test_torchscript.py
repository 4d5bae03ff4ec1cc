"""Scripted networks: the hash is checked before anything is loaded; ranges, channels and sizes as the settings say."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.features import EXTRACTORS
from understudy.evaluation.features.config import FeatureConfig
from understudy.evaluation.features.extractor import ExtractorInputs
from understudy.evaluation.features.torchscript import ScriptedFeatures

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.jit, in favour of export


class Means(nn.Module):
    """Mean of each channel, and the number of voxels of a side."""

    def forward(self, x: Tensor) -> Tensor:
        side = torch.full((x.shape[0], 1), float(x.shape[-1]))
        return torch.cat([x.flatten(2).mean(2), side], 1)


class Published(nn.Module):
    """Called as the network of the published FID is called."""

    def forward(self, x: Tensor, return_features: bool = False) -> Tensor:
        return x[:, :, :2, :2] if return_features else torch.zeros(x.shape[0], 9)


class Picky(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).flatten()


def scripted(folder: Path, module: nn.Module) -> tuple[Path, str]:
    file = folder / "network.pt"
    torch.jit.save(torch.jit.script(module), str(file))
    return file, hashlib.sha256(file.read_bytes()).hexdigest()


def extract(folder: Path, module: nn.Module, images: np.ndarray, **settings: Any) -> np.ndarray:
    file, digest = scripted(folder, module)
    return ScriptedFeatures(file, FeatureConfig(features="torchscript", network_sha256=digest, **settings))(images)


def images(channels: int, size: tuple[int, ...] = (8, 8), n: int = 70) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (n, channels, *size)).astype(np.float32)


def test_another_file_is_refused_before_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, digest = scripted(tmp_path, Means())
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("loaded"))
    config = FeatureConfig(features="torchscript", network_sha256="0" * 64)
    with pytest.raises(UsageError, match=f"was not loaded: its SHA-256 is {digest}, and --network-sha256 says 0000"):
        ScriptedFeatures(file, config)
    with pytest.raises(UsageError, match="there is none at"):
        ScriptedFeatures(tmp_path / "missing.pt", config)


def test_other_files_and_other_networks_are_refused_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "text.pt"
    file.write_text("no network")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(UnderstudyError, match="is not a TorchScript file"):
        ScriptedFeatures(file, FeatureConfig(features="torchscript", network_sha256=digest))
    with pytest.raises(UnderstudyError, match=r"should return features \(n, F\) of 32 images, found"):
        extract(tmp_path, Picky(), images(3))
    with pytest.raises(UnderstudyError, match="does not take images .32, 4, 8, 8.: [^\n]*$"):
        extract(tmp_path, Picky(), images(4), network_channels=4)


@pytest.mark.parametrize(("name", "low", "high"), [("0..255", 0, 255), ("0..1", 0, 1), ("-1..1", -1, 1)])
def test_ranges(tmp_path: Path, name: str, low: float, high: float) -> None:
    ends = np.stack([np.full((3, 8, 8), v, np.float32) for v in (-1, 1)])
    found = extract(tmp_path, Means(), ends, network_range=name)
    assert found.dtype == np.float32 and found[:, :3] == pytest.approx(np.array([[low] * 3, [high] * 3]))


def test_channels_are_repeated_or_shown_one_by_one(tmp_path: Path) -> None:
    given = images(4)
    own = given.mean((2, 3))
    unit = {"network_range": "-1..1"}
    assert extract(tmp_path, Means(), given[:, :1], **unit)[:, :3] == pytest.approx(own[:, :1].repeat(3, 1), abs=1e-6)
    assert extract(tmp_path, Means(), given[:, :3], **unit)[:, :3] == pytest.approx(own[:, :3], abs=1e-6)
    each = extract(tmp_path, Means(), given, **unit)
    assert each.shape == (70, 4) and each[:, 1] == pytest.approx(own.mean(1), abs=1e-6)
    assert extract(tmp_path, Means(), given, network_channels=4, **unit)[:, :4] == pytest.approx(own, abs=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (6, 8, 8)])
def test_sizes_and_volumes(tmp_path: Path, size: tuple[int, ...]) -> None:
    flat = np.full((3, 1, *size), 0.25, np.float32)
    found = extract(tmp_path, Means(), flat, network_size=12, network_range="-1..1")
    assert found[:, 3] == pytest.approx([12] * 3) and found[:, :3] == pytest.approx(np.full((3, 3), 0.25))
    assert extract(tmp_path, Means(), flat)[:, 3] == pytest.approx([8] * 3)


def test_the_published_call_and_features_with_axes(tmp_path: Path) -> None:
    given = images(3)
    found = extract(tmp_path, Published(), given, network_range="-1..1")
    assert found == pytest.approx(given[:, :, :2, :2].mean((2, 3)), abs=1e-6)


class Classifier(nn.Module):
    """Class scores that a test can tell in advance: the channels' means, times 3."""

    def __init__(self, softmax: bool) -> None:
        super().__init__()
        self.softmax = softmax

    def forward(self, x: Tensor, return_features: bool = False) -> Tensor:
        if return_features:
            return x.flatten(1)
        scores = 3 * x.flatten(2).mean(2)
        return scores.softmax(1) if self.softmax else scores


@pytest.mark.parametrize("classes", ["logits", "probabilities"])
def test_probabilities_of_classes(tmp_path: Path, classes: str) -> None:
    file, digest = scripted(tmp_path, Classifier(classes == "probabilities"))
    settings: dict[str, Any] = {"features": "torchscript", "network_sha256": digest, "network_range": "-1..1"}
    extract = ScriptedFeatures(file, FeatureConfig(network_classes=classes, **settings))  # type: ignore[arg-type]
    given = images(3)
    expected = torch.from_numpy(3 * given.mean((2, 3))).softmax(1).numpy()
    assert extract.logits is not None and np.exp(extract.logits(given)) == pytest.approx(expected, abs=1e-6)
    assert extract(given).shape == (70, 3 * 64)  # features are still the features
    assert np.exp(extract.logits(images(2))) == pytest.approx(np.full((70, 3), 1 / 3), abs=1e-6)  # channel by channel
    assert ScriptedFeatures(file, FeatureConfig(**settings)).logits is None


def test_logits_are_not_taken_for_probabilities(tmp_path: Path) -> None:
    file, digest = scripted(tmp_path, Classifier(softmax=False))
    config = FeatureConfig(features="torchscript", network_sha256=digest, network_classes="probabilities")
    extract = ScriptedFeatures(file, config)
    with pytest.raises(UnderstudyError, match="probabilities of classes, which sum to 1, found numbers from"):
        extract.logits(images(3))  # type: ignore[misc]


def test_from_the_menu(real: Path, tmp_path: Path) -> None:
    file, digest = scripted(tmp_path, Means())
    cohort = Cohort.open(real)
    config = FeatureConfig(features="torchscript", network_sha256=digest)
    built = EXTRACTORS["torchscript"](ExtractorInputs(cohort, cohort.rows("train"), config, file))
    assert built.identity["network_sha256"] == digest and not built.standardised
    for source in (
        ExtractorInputs(cohort, cohort.rows("train"), config),
        ExtractorInputs(cohort, cohort.rows(), FeatureConfig(), file),
    ):
        with pytest.raises(UsageError, match="needs --network FILE and --network-sha256 HEX"):
            EXTRACTORS["torchscript"](source)
