"""Which frequencies each layer of StyleGAN3 holds, at which sampling rate, in how many feature maps.

**Source**: Karras et al., "Alias-Free Generative Adversarial Networks", 2021, arXiv 2106.12423, section 3.2 and figure
4 (flexible layer specifications).
**Differs**: nothing known.
**Checked**: tests/nets/test_signals.py, and against the official code in tests/generators/test_official.py.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from understudy.core.errors import UsageError


@dataclass(frozen=True)
class Design:
    """Settings of the synthesis network under the names of the published networks; the defaults are variant t."""

    channel_base: int = 32768  # feature maps times twice the cutoff frequency
    channel_max: int = 512  # most feature maps in any layer
    num_layers: int = 14  # layers besides Fourier features and output
    num_critical: int = 2  # layers at the end that use the image's whole bandwidth
    first_cutoff: float = 2.0  # of the first layer's signal
    first_stopband: float = 2**2.1  # of the first layer's signal
    last_stopband_rel: float = 2**0.3  # stopband of the last layer's signal over its cutoff
    margin_size: int = 10  # rows and columns kept around the image
    output_scale: float = 0.25  # factor on the result
    num_fp16_res: int = 4  # octaves of sampling rates, from the top, that may run in the low precision
    conv_kernel: int = 3  # 3, or 1 for variant r
    filter_size: int = 6  # taps of a low-pass filter for each sample at the lower rate
    lrelu_upsampling: int = 2  # temporary sampling rate of a leaky ReLU over that of its layer
    use_radial_filters: bool = False  # radially symmetric filters after the leaky ReLUs (variant r)
    conv_clamp: float | None = 256.0  # limit of activations, None for none
    magnitude_ema_beta: float = 0.999  # share that the running mean of the input's power keeps in one step


class Signal(NamedTuple):
    """What a layer yields: feature maps with a sampling rate, a cutoff and half a transition band around it."""

    channels: int
    size: int
    rate: int
    cutoff: float
    half_width: float


def schedule(resolution: int, channels: int, design: Design) -> list[Signal]:
    """Lay out the signals of all layers (section 3.2, figure 4): cutoffs and stopbands rise geometrically.

    Returns num_layers + 1 signals; the Fourier features are like the first, the last has the image's ``channels``.

    Raises:
        UsageError: too few layers, or a layer without feature maps.
    """
    layers, last_cutoff = design.num_layers, resolution / 2
    if not 0 < design.num_critical < layers:
        raise UsageError(f"num_layers must be greater than num_critical = {design.num_critical} >= 1, found {layers}")
    t = np.minimum(np.arange(layers + 1) / (layers - design.num_critical), 1)
    cutoffs = design.first_cutoff * (last_cutoff / design.first_cutoff) ** t
    last_stopband = last_cutoff * design.last_stopband_rel
    stopbands = design.first_stopband * (last_stopband / design.first_stopband) ** t
    rates = np.exp2(np.ceil(np.log2(np.minimum(2 * stopbands, resolution))))
    half_widths = np.maximum(stopbands, rates / 2) - cutoffs
    sizes = rates + 2 * design.margin_size
    sizes[-2:] = resolution
    widths = np.rint(np.minimum(design.channel_base / 2 / cutoffs, design.channel_max))
    if widths.min() < 1:
        raise UsageError(
            f"channel_base {design.channel_base} leaves no feature map at {resolution} pixels: set {resolution} or more"
        )
    widths[-1] = channels
    columns = (widths.astype(int), sizes.astype(int), rates.astype(int), cutoffs, half_widths)
    return [Signal(*row) for row in zip(*(c.tolist() for c in columns), strict=True)]
