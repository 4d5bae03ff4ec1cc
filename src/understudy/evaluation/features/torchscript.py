"""``torchscript``: features of a scripted network that the user names by file and hash; nothing is ever downloaded.

A TorchScript file is code. It is read once, its SHA-256 is compared with the one that was given, and only then are
those same bytes loaded: a file that differs is refused before anything in it can run.
**Source** of the use: Heusel et al. (2017, arXiv 1706.08500): FID is the Frechet distance in features of an Inception
network. The file that Karras et al. score with takes 8-bit colours at any size, resizes them itself and returns 2048
features when called with ``return_features=True``; a network with that argument is called so, and the settings'
defaults (3 channels, 0..255, no resizing) are those that it needs. Where the settings say that it gives logits or
probabilities of classes, they are what it returns when called without that argument: for the inception score.
**Differs** from published FID: intensities are not rounded to 8 bits; the range of a channel (not of an image) becomes
0..255. One channel is repeated; where the cohort has another number of channels than the network takes, each channel is
passed by itself, repeated, and the features are averaged, as are probabilities of classes: which channel is which is
then for the intensity distance to measure. Images are resized linearly, in 2D with a low-pass where they shrink.
Features that keep spatial axes are averaged over them. On the processor, in float32.
**Checked** in tests/evaluation/features/test_torchscript.py (hash refused before loading, ranges, channels, resizing,
logits and probabilities).
"""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.features.config import FeatureConfig
from understudy.evaluation.features.extractor import ExtractorInputs

BLOCK = 32  # images at a time: networks of this kind need 10 MiB an image
MIN_PROBABILITY = 1e-30  # has a logarithm in float32
RANGES = {"0..255": (127.5, 127.5), "0..1": (0.5, 0.5), "-1..1": (1.0, 0.0)}  # factor and offset


class ScriptedFeatures:
    """Map images (n, C, *S) float32 in [-1, 1] to features (n, F) float32.

    Raises UsageError where there is no such file, or it does not have the hash of the settings; UnderstudyError where
    it is not a TorchScript file.
    """

    standardised = False

    def __init__(self, file: Path, config: FeatureConfig) -> None:
        self.name, self.config = file.name, config
        if not file.is_file():
            raise UsageError(f"--network names the file of a scripted network, and there is none at {file}")
        data = file.read_bytes()
        found = hashlib.sha256(data).hexdigest()
        if found != config.network_sha256:
            raise UsageError(
                f"{file} was not loaded: its SHA-256 is {found}, and --network-sha256 says {config.network_sha256}"
            )
        try:
            self.network = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()
        except (RuntimeError, ValueError) as error:
            raise UnderstudyError(f"{file} has the hash that was given and is not a TorchScript file") from error
        named = [argument.name for argument in self.network.forward.schema.arguments]
        self.arguments = {"return_features": True} if "return_features" in named else {}
        settings = {k: v for k, v in config.model_dump().items() if k.startswith("network")}
        self.identity = {"name": "torchscript", **settings}
        self.logits = None if config.network_classes == "none" else self._logits

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the features of a block."""
        parts = torch.from_numpy(images).split(BLOCK)
        return torch.cat([self._averaged(self._output(part, self.arguments), part) for part in parts]).numpy()

    @torch.inference_mode()
    def _logits(self, images: np.ndarray) -> np.ndarray:
        """Return the logarithms of the probabilities of classes, (n, K), which are logits too."""
        found = []
        for part in torch.from_numpy(images).split(BLOCK):
            classes = self._output(part, {}).float()
            if self.config.network_classes == "logits":
                classes = classes.softmax(1)
            elif (classes < 0).any() or (classes.sum(1) - 1).abs().max() > 0.01:
                raise UnderstudyError(
                    f"the network {self.name} should return probabilities of classes, which sum to 1, found numbers "
                    f"from {classes.min():.3g} to {classes.max():.3g}: is it network_classes=logits?"
                )
            found.append(self._averaged(classes, part).clamp(min=MIN_PROBABILITY).log())
        return torch.cat(found).numpy()

    def _averaged(self, found: Tensor, images: Tensor) -> Tensor:
        """Average what was found for each channel of images by itself."""
        return found.reshape(len(images), -1, found.shape[1]).mean(1).float()

    def _output(self, images: Tensor, arguments: dict[str, bool]) -> Tensor:
        """Return the network's output for images, (n, F), or for each of their channels, (n C, F)."""
        x, wanted = self._resized(images), self.config.network_channels
        channels = x.shape[1]
        factor, offset = RANGES[self.config.network_range]
        x = x * factor + offset
        if channels != wanted:
            x = x.flatten(0, 1)[:, None].repeat(1, wanted, *[1] * (x.ndim - 2))
        try:
            found = self.network(x, **arguments)
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise UnderstudyError(f"the network {self.name} does not take images {tuple(x.shape)}: {last}") from error
        if not isinstance(found, Tensor) or found.ndim < 2 or len(found) != len(x):
            shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise UnderstudyError(
                f"the network {self.name} should return features (n, F) of {len(x)} images, found {shape}"
            )
        return found.flatten(2).mean(2) if found.ndim > 2 else found

    def _resized(self, images: Tensor) -> Tensor:
        side = self.config.network_size
        if side == 0 or all(s == side for s in images.shape[2:]):
            return images
        size, flat = [side] * (images.ndim - 2), images.ndim == 4
        return F.interpolate(
            images, size, mode="bilinear" if flat else "trilinear", align_corners=False, antialias=flat
        )


def build(source: ExtractorInputs) -> ScriptedFeatures:
    """Load the named network; raises UsageError where no file or no hash was given, or they do not fit."""
    if source.network is None or not source.config.network_sha256:
        raise UsageError(
            "features=torchscript needs --network FILE and --network-sha256 HEX: the file is code, and the hash says "
            "which code you mean"
        )
    return ScriptedFeatures(source.network, source.config)
