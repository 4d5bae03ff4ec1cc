"""A magnitude-preserving U-Net for diffusion, in 2D or 3D, made for processors: its only normalisation is a pixel norm.

**Source**: Karras et al., Analyzing and Improving the Training Dynamics of Diffusion Models (EDM2, arXiv 2312.02696):
weights of unit norm (Eq. 47, 66), magnitude-preserving sum, concatenation, SiLU and Fourier features (Eq. 75, 81, 88,
103); Ho, Salimans, Classifier-Free Diffusion Guidance (arXiv 2207.12598), section 3.2 (the null condition).
**Differs**: images may be read as patches (space-to-depth, as in Hoogeboom et al., simple diffusion, arXiv 2301.11093),
which quarters the cost of the finest level; the constants of SiLU and of the sums are folded into the convolutions;
attention only where asked for; a condition comes with a column that says that it was given, so that "no condition" is
not "none of the classes".
**Checked**: tests/nets/test_unet.py: unit magnitude at initialisation, patches are inverse to each other, the null
condition, gradients of volumes in bf16 against fp32.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

SILU_RMS = 0.596  # root mean square of silu(x), x ~ N(0, 1): Eq. 81
BALANCE = 0.3  # share of the residual branch in a sum: Eq. 88


def unit_rows(weight: Tensor) -> Tensor:
    """Scale each output row of a weight (O, I, ...) to unit Euclidean norm, in fp32: Eq. 47 and 66 together."""
    return weight / (weight.flatten(1).norm(dim=1).clamp_min(1e-6).reshape(-1, *[1] * (weight.ndim - 1)))


class MPConv(nn.Module):
    """Convolution (or linear layer, kernel 0) whose weight rows have unit norm: unit variance in, unit variance out.

    Within :func:`fixed_weights` it keeps the scaled weight of its first call, so its gain must stay the same, too.
    """

    fixed: bool = False
    kept: Tensor | None = None

    def __init__(self, inputs: int, outputs: int, kernel: int, dims: int = 2) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, *[kernel] * (dims if kernel else 0)))
        self.kernel = kernel

    def forward(self, x: Tensor, gain: Tensor | float = 1.0) -> Tensor:
        """Map (N, inputs, *S) to (N, outputs, *S); ``gain`` scales the result."""
        weight = unit_rows(self.weight) * gain if self.kept is None else self.kept
        if self.fixed:
            self.kept = weight
        if not self.kernel:
            return F.linear(x, weight)
        if weight.ndim == 4:
            return F.conv2d(x, weight, padding=self.kernel // 2)
        # in bf16 at depth 2, oneDNN leaves parts of the gradient of a 3x3x3 weight unwritten (torch 2.13, CPU)
        exact = x.device.type == "cpu" and x.shape[2] == 2
        with torch.autocast("cpu", enabled=False) if exact else nullcontext():
            return F.conv3d(x.float() if exact else x, weight, padding=self.kernel // 2)

    @torch.no_grad()
    def normalize(self) -> None:
        """Force the stored rows to norm sqrt(fan-in), so that the effective learning rate is known (EDM2)."""
        self.weight.copy_(unit_rows(self.weight) * math.sqrt(self.weight[0].numel()))


@contextmanager
def fixed_weights(net: nn.Module) -> Iterator[None]:
    """Scale the weights of a network once for many passes, in which nothing may change them: same bits, less work."""
    layers = [layer for layer in net.modules() if isinstance(layer, MPConv)]
    for layer in layers:
        layer.fixed = True
    try:
        yield
    finally:
        for layer in layers:
            layer.fixed, layer.kept = False, None


class Fourier(nn.Module):
    """Magnitude-preserving Fourier features of a scalar (N,) -> (N, channels): Eq. 75."""

    frequencies: Tensor
    phases: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("frequencies", 2 * math.pi * torch.randn(channels))
        self.register_buffer("phases", 2 * math.pi * torch.rand(channels))

    def forward(self, c: Tensor) -> Tensor:
        """Return sqrt(2) cos(f c + p)."""
        return (c.float()[:, None] * self.frequencies + self.phases).cos() * math.sqrt(2)


def pixel_norm(x: Tensor) -> Tensor:
    """Scale each pixel's vector (over channels) of (N, C, *S) to unit root mean square."""
    norm = torch.linalg.vector_norm(x, dim=1, keepdim=True, dtype=torch.float32).clamp_min(1e-4)
    return x * (math.sqrt(x.shape[1]) / norm).to(x.dtype)


class Attention(nn.Module):
    """Cosine self-attention over pixels with a magnitude-preserving residual sum; queries, keys, values of unit RMS.

    A head has `head_channels`, or as few more as give heads of one size.
    """

    def __init__(self, channels: int, head_channels: int, dims: int) -> None:
        super().__init__()
        self.heads = next(heads for heads in range(max(channels // head_channels, 1), 0, -1) if channels % heads == 0)
        self.qkv = MPConv(channels, 3 * channels, 1, dims)
        self.out = MPConv(channels, channels, 1, dims)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, *S) to the same shape."""
        n, c = x.shape[:2]
        qkv = self.qkv(x).reshape(n, self.heads, 3, c // self.heads, -1).permute(2, 0, 1, 4, 3)  # 3 N heads P c
        q, k, v = (qkv / qkv.float().square().mean(-1, keepdim=True).sqrt().clamp_min(1e-4).to(qkv.dtype)).unbind(0)
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(x.shape)
        return mp_sum(x, self.out(y, BALANCE / math.hypot(BALANCE, 1 - BALANCE)))


def mp_sum(x: Tensor, scaled_branch: Tensor) -> Tensor:
    """Magnitude-preserving sum, Eq. 88: ((1 - t) x + t y) / sqrt((1 - t)^2 + t^2); the branch comes scaled already."""
    return torch.add(scaled_branch, x, alpha=(1 - BALANCE) / math.hypot(BALANCE, 1 - BALANCE))


class UNetBlock(nn.Module):
    """Residual block, EDM2 figure 21: resample, normalise (encoder), two convolutions modulated by the noise level.

    ``embedding`` counts channels of the noise embedding; ``resample`` is ``keep``, ``down`` or ``up``; an ``encoder``
    block normalises the input's pixels, a decoder block does not; ``attention`` is the channels a head of
    self-attention, or 0 for none; ``dropout`` the share of dropped activations.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        embedding: int,
        dims: int,
        *,
        resample: str = "keep",
        encoder: bool,
        attention: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.resample, self.encoder, self.dropout, self.dims = resample, encoder, dropout, dims
        inner = outputs if encoder else inputs
        self.skip = MPConv(inputs, outputs, 1, dims) if inputs != outputs else None
        self.conv_a, self.conv_b = MPConv(inner, outputs, 3, dims), MPConv(outputs, outputs, 3, dims)
        self.modulation = MPConv(embedding, outputs, 0)
        self.modulation_gain = nn.Parameter(torch.zeros(()))
        self.attention = Attention(outputs, attention, dims) if attention else None

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """Map (N, inputs, *S) and (N, embedding) to (N, outputs, *S')."""
        if self.resample == "down":
            x = F.avg_pool2d(x, 2) if self.dims == 2 else F.avg_pool3d(x, 2)
        elif self.resample == "up":
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        if self.encoder:
            x = pixel_norm(self.skip(x) if self.skip else x)
        scale = self.modulation(embedding, self.modulation_gain) + 1
        y = self.conv_a(F.silu(x), 1 / SILU_RMS)
        y = F.silu(y * scale.to(y.dtype).reshape(*scale.shape, *[1] * self.dims))
        y = F.dropout(y, self.dropout, self.training) if self.dropout else y
        y = self.conv_b(y, BALANCE / math.hypot(BALANCE, 1 - BALANCE) / SILU_RMS)
        x = mp_sum(self.skip(x) if self.skip and not self.encoder else x, y)
        return self.attention(x) if self.attention else x


class UNet(nn.Module):
    """U-Net F(x, c_noise, condition) of EDM2's shape.

    Args:
        inputs: channels of the noisy image (and of anything joined to it).
        outputs: channels predicted.
        channels: channels of each level, finest first.
        blocks: blocks a level.
        dims: 2 or 3.
        patch: side of the patches that become channels at full size; 1 for none.
        attention_levels: levels (0 = finest) with self-attention.
        head_channels: channels a head; see :class:`Attention`.
        classes: length of the class condition, 0 for none.
        dropout: share of dropped activations.
    """

    CLASS_PART = "embed_class"  # what depends on the classes alone; see training/checkpoint.py

    def __init__(
        self,
        inputs: int,
        outputs: int,
        channels: Sequence[int],
        blocks: int,
        *,
        dims: int = 2,
        patch: int = 1,
        attention_levels: Sequence[int] = (),
        head_channels: int = 64,
        classes: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.patch, self.dims = patch, dims
        embedding = 4 * channels[0]
        self.fourier = Fourier(channels[0])
        self.embed_noise = MPConv(channels[0], embedding, 0)
        self.embed_class = MPConv(classes + 1, embedding, 0) if classes else None

        def block(a: int, b: int, level: int, encoder: bool, resample: str = "keep") -> UNetBlock:
            attention = head_channels if level in attention_levels and resample == "keep" else 0
            return UNetBlock(
                a, b, embedding, dims, resample=resample, encoder=encoder, attention=attention, dropout=dropout
            )

        self.conv_in = MPConv(inputs * patch**dims + 1, channels[0], 3, dims)
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        width, skips = channels[0], [channels[0]]
        for level, c in enumerate(channels):
            if level:
                self.encoder.append(block(width, width, level, True, "down"))
                skips.append(width)
            for _ in range(blocks):
                self.encoder.append(block(width, c, level, True))
                width = c
                skips.append(c)
        last = len(channels) - 1
        self.middle = nn.ModuleList([block(width, width, last, False), block(width, width, -1, False)])
        for level, c in reversed(list(enumerate(channels))):
            if level != last:
                self.decoder.append(block(width, width, level, False, "up"))
            for _ in range(blocks + 1):
                self.decoder.append(block(width + skips.pop(), c, level, False))
                width = c
        self.conv_out = MPConv(width, outputs * patch**dims, 3, dims)
        self.conv_out_gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor, c_noise: Tensor, condition: Tensor | None = None) -> Tensor:
        """Predict F, float32 (N, outputs, *S); the last convolution runs in fp32.

        Args:
            x: (N, inputs, *S), about unit variance; S divides by patch * 2^(levels - 1).
            c_noise: (N,) the noise level as the network sees it.
            condition: (N, classes) numbers, mostly 0 and 1; NaN where a value is not known, counted as 0; a row of NaN,
                or None for all rows, is no condition, which differs from a row of zeros.
        """
        e = F.silu(self._embed(c_noise, condition)) / SILU_RMS
        x = to_patches(x, self.patch)
        x = self.conv_in(torch.cat([x, torch.ones_like(x[:, :1])], 1))
        skips = [x]
        for block in self.encoder:
            x = block(x, e)
            skips.append(x)
        for block in self.middle:
            x = block(x, e)
        for block in self.decoder:
            if block.resample == "keep":
                x = mp_cat(x, skips.pop())
            x = block(x, e)
        with torch.autocast(x.device.type, enabled=False):
            y = self.conv_out(x.float(), self.conv_out_gain)
        return from_patches(y, self.patch)

    def _embed(self, c_noise: Tensor, condition: Tensor | None) -> Tensor:
        e = self.embed_noise(self.fourier(c_noise))
        if self.embed_class is None:
            return e
        if condition is not None:
            given = (~condition.isnan()).any(1, keepdim=True).to(condition.dtype)
            known = torch.cat([condition.nan_to_num(), given], 1)
            e = e + self.embed_class(known * math.sqrt(known.shape[1] / 2))  # a one-hot row has unit variance
        return e / math.sqrt(2)

    def normalize_weights(self) -> None:
        """Force every weight row to its norm; called after each optimiser step."""
        for module in self.modules():
            if isinstance(module, MPConv):
                module.normalize()


def mp_cat(a: Tensor, b: Tensor) -> Tensor:
    """Magnitude-preserving concatenation over channels, Eq. 103 with equal weights."""
    na, nb = a.shape[1], b.shape[1]
    scale = math.sqrt((na + nb) / 2)
    return torch.cat([a * (scale / math.sqrt(na)), b.to(a.dtype) * (scale / math.sqrt(nb))], 1)


def to_patches(x: Tensor, p: int) -> Tensor:
    """Move patches to channels: (N, C, *S) -> (N, C p^d, *S/p)."""
    if p == 1:
        return x
    if x.ndim == 4:
        return F.pixel_unshuffle(x, p)
    return rearrange(x, "n c (d i) (h j) (w k) -> n (c i j k) d h w", i=p, j=p, k=p)


def from_patches(x: Tensor, p: int) -> Tensor:
    """Move channels back to patches, the reverse of :func:`to_patches`."""
    if p == 1:
        return x
    if x.ndim == 4:
        return F.pixel_shuffle(x, p)
    return rearrange(x, "n (c i j k) d h w -> n c (d i) (h j) (w k)", i=p, j=p, k=p)
