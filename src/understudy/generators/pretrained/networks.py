"""Official generator networks, described: the stand-in of a file -> the configuration of the same network here.

Attributes and shapes of the saved network decide, and constructor arguments where no attribute keeps them. Each
constructor argument of the official code is either translated, or checked to have the one value that is done here, or
known not to matter for the result; any other is refused by name. Then every tensor must have the name and shape that
the network here expects, which is built without memory (torch's meta device) to compare.

**Source**: constructors in training/networks_stylegan2.py and networks_stylegan3.py of NVlabs stylegan3, and
training/networks.py of stylegan2-ada-pytorch, where the arguments of the synthesis lie in ``synthesis_kwargs``.
**Checked** in tests/generators/pretrained/test_weights.py (refusals; images against the official code's, if at hand).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from understudy.core.errors import UnderstudyError, UsageError
from understudy.generators.gan import stylegan2, stylegan3
from understudy.generators.pretrained.official_file import StandIn
from understudy.nets.discriminator import Discriminator
from understudy.nets.filters import fir_kernel
from understudy.nets.signals import Design, schedule

Settings = dict[str, Any]
DIMENSIONS = {"z_dim", "c_dim", "w_dim", "img_resolution", "img_channels", "mapping_kwargs", "synthesis_kwargs"}
MAPPING = {"num_layers", "embed_features", "layer_features", "activation", "lr_multiplier", "w_avg_beta"}
STYLEGAN2 = {
    "channel_base", "channel_max", "num_fp16_res", "architecture", "resample_filter", "conv_clamp",
    "fp16_channels_last", "fused_modconv_default", "kernel_size", "use_noise", "activation",
}  # fmt: skip
STYLEGAN3 = {
    "channel_base", "channel_max", "num_layers", "num_critical", "first_cutoff", "first_stopband", "last_stopband_rel",
    "margin_size", "output_scale", "num_fp16_res", "conv_kernel", "filter_size", "lrelu_upsampling",
    "use_radial_filters", "conv_clamp", "magnitude_ema_beta",
}  # fmt: skip


@dataclass(frozen=True)
class Description:
    """An official generator in this package's words."""

    config: Settings  # of the generator of the same name
    resolution: int
    channels: int  # C + L
    classes: int  # width of the condition, 0 for none
    tensors: dict[str, Tensor]  # the network's weights by their names here, float32


def describe(kind: str, network: StandIn, file: str) -> Description:
    """Describe the generator G_ema of an official file, which is of a kind, stylegan2 or stylegan3.

    Raises:
        UsageError: the file holds the other kind of network, or there is no such kind.
        UnderstudyError: an argument or a shape that is not known here.
    """
    if kind not in KINDS:
        raise UsageError(f"there is no kind of official weights {kind!r}: choose from {', '.join(KINDS)}")
    parts = dict(network.parts())
    if network.class_name != "Generator" or "mapping" not in parts or "synthesis" not in parts:
        raise UnderstudyError(f"G_ema in {file} is a {network.class_name[:80]}, and a StyleGAN Generator was expected")
    found = "stylegan3" if "synthesis.input" in parts else "stylegan2"
    if found != kind:
        raise UsageError(f"{file} holds a {found} network, and {kind} was asked for: import-weights {found} {file}")
    reader = _Reader(file, network, parts)
    common = {
        "z_dim": reader.whole("", "z_dim", 1, 8192),
        "w_dim": reader.whole("", "w_dim", 1, 8192),
        "mapping_layers": reader.whole("mapping", "num_layers", 1, 64),
    }
    resolution = reader.whole("", "img_resolution", 8, 4096)
    channels, classes = reader.whole("", "img_channels", 1, 1024), reader.whole("", "c_dim", 0, 65536)
    if resolution & (resolution - 1) or (kind == "stylegan3" and resolution < 16):
        raise reader.refuse(f"img_resolution is {resolution}, and powers of two from 8 (stylegan3: 16) are done here")
    reader.known("mapping_kwargs", reader.mapping, MAPPING)
    for i in range(common["mapping_layers"]):
        reader.only(f"mapping.fc{i}", activation="lrelu", bias_gain=0.01)
    config, build = KINDS[kind](reader)
    with torch.device("meta"):
        expected = build(common, resolution, channels, classes).state_dict()
    return Description(common | config, resolution, channels, classes, reader.fitting(expected))


def describe_discriminator(network: StandIn | None, g: Description) -> dict[str, Tensor]:
    """Return the weights of D of an official file by their names here, float32; {} where it is another network.

    Training may go on from it, sampling needs none; g is the generator of the same file.
    """
    if network is None:
        return {}
    widths = {name: g.config[name] for name in ("channel_base", "channel_max", "clamp")}
    with torch.device("meta"):
        expected = Discriminator(g.classes, g.resolution, g.channels, **widths).state_dict()
    found = network.tensors()
    same = {k: t.shape for k, t in expected.items()} == {k: t.shape for k, t in found.items()}
    return {k: found[k].float() for k in expected} if same else {}


class _Reader:
    """Looks things up in an official generator and refuses by name."""

    def __init__(self, file: str, network: StandIn, parts: dict[str, StandIn]) -> None:
        self.file, self.parts, self.tensors = file, parts, network.tensors()
        settings = network.settings
        self.mapping = _settings(settings.get("mapping_kwargs"))
        inner = settings.get("synthesis_kwargs")  # stylegan2-ada-pytorch
        self.synthesis = {k: v for k, v in settings.items() if k not in DIMENSIONS} | _settings(inner)

    def refuse(self, what: str) -> UnderstudyError:
        return UnderstudyError(f"{self.file}: {what}: sample this network with the code that trained it")

    def get(self, part: str, name: str) -> Any:
        if part not in self.parts or name not in self.parts[part].state:
            raise self.refuse(f"G_ema has no {_dotted(part, name)}, which official generators have")
        return self.parts[part].state[name]

    def whole(self, part: str, name: str, low: int, high: int) -> int:
        return self.within(_dotted(part, name), self.get(part, name), low, high)

    def within(self, name: str, value: Any, low: int, high: int) -> int:
        if type(value) is not int or not low <= value <= high:
            raise self.refuse(f"{name} should be a whole number from {low} to {high}, and is {_shown(value)}")
        return value

    def only(self, part: str, **values: Any) -> None:
        for name, value in values.items():
            self.agree(_dotted(part, name), self.get(part, name), value)

    def agree(self, name: str, found: Any, value: Any) -> None:
        if type(found) not in (bool, int, float, str, type(None)) or found != value:
            raise self.refuse(f"{name} is {_shown(found)}, and only {value!r} is done here")

    def known(self, where: str, settings: Settings, names: set[str]) -> None:
        for name in settings:
            if name not in names:
                raise self.refuse(f"{where} has {_shown(name)}, which official generators do not have")

    def of_class(self, class_name: str) -> Iterator[str]:
        return (name for name, part in self.parts.items() if part.class_name == class_name)

    def clamp(self, layers: list[str]) -> float | None:
        """Return the limit of activations, which must be one for all layers."""
        values = {name: self.get(name, "conv_clamp") for name in layers}
        value = values[layers[0]]
        if value is not None and (type(value) not in (int, float) or not 0 < value < float("inf")):
            raise self.refuse(f"{layers[0]}.conv_clamp is {_shown(value)}, and a positive number was expected")
        for name, other in values.items():
            self.agree(f"{name}.conv_clamp", other, value)
        return value if value is None else float(value)

    def fitting(self, expected: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the tensors, float32, once each has the name and the shape that was expected."""
        for name in sorted({*expected, *self.tensors}):
            shapes = [tuple(t[name].shape) if name in t else "none" for t in (expected, self.tensors)]
            if shapes[0] != shapes[1]:
                raise self.refuse(f"{name} was expected with shape {shapes[0]}, found {shapes[1]}")
            if not self.tensors[name].isfinite().all():
                raise self.refuse(f"{name} holds values that are not finite: its training diverged")
        return {name: self.tensors[name].float() for name in expected}


Build = Callable[[Settings, int, int, int], nn.Module]


def _stylegan2(reader: _Reader) -> tuple[Settings, Build]:
    reader.known("synthesis", reader.synthesis, STYLEGAN2)
    layers, outputs = list(reader.of_class("SynthesisLayer")), list(reader.of_class("ToRGBLayer"))
    for name in reader.of_class("SynthesisBlock"):
        reader.only(name, architecture="skip")
    for name in layers:
        reader.only(name, use_noise=True, activation="lrelu")
    for name, tensor in reader.tensors.items():
        if name.endswith("resample_filter") and (tensor.shape != (4, 4) or (tensor - fir_kernel()).abs().max() > 1e-6):
            raise reader.refuse(f"{name} is not [1, 3, 3, 1], the only filter that is done here")
    widths: Settings = {
        "channel_base": reader.within("channel_base", reader.synthesis.get("channel_base", 32768), 1, 2**24),
        "channel_max": reader.within("channel_max", reader.synthesis.get("channel_max", 512), 1, 2**16),
        "clamp": reader.clamp(layers + outputs) if layers else None,
    }

    def build(common: Settings, resolution: int, channels: int, classes: int) -> nn.Module:
        return stylegan2.StyleGAN2Network(classes=classes, resolution=resolution, channels=channels, **common, **widths)

    return widths, build


def _stylegan3(reader: _Reader) -> tuple[Settings, Build]:
    reader.known("synthesis", reader.synthesis, STYLEGAN3)
    given, usual = reader.synthesis, Design()
    for name in ("first_cutoff", "first_stopband", "last_stopband_rel", "filter_size", "lrelu_upsampling"):
        reader.agree(name, given.get(name, getattr(usual, name)), getattr(usual, name))
    reader.only("synthesis", num_critical=usual.num_critical, output_scale=usual.output_scale)
    kernel = given.get("conv_kernel", 3)
    rotation = type(kernel) is int and kernel == 1
    reader.agree("use_radial_filters", given.get("use_radial_filters", False), rotation)
    reader.agree("conv_kernel", kernel, 1 if rotation else 3)
    design = Design(
        channel_base=reader.within("channel_base", given.get("channel_base", usual.channel_base), 1, 2**24),
        channel_max=reader.within("channel_max", given.get("channel_max", usual.channel_max), 1, 2**16),
        num_layers=reader.whole("synthesis", "num_layers", 3, 64),
        margin_size=reader.whole("synthesis", "margin_size", 0, 256),
        conv_kernel=1 if rotation else 3,
        use_radial_filters=rotation,
        conv_clamp=reader.clamp(list(reader.of_class("SynthesisLayer"))),
    )
    factor = 2 if rotation else 1  # variant r has twice the feature maps of its settings
    for name in ("channel_base", "channel_max"):
        if getattr(design, name) % factor:
            raise reader.refuse(f"{name} is {getattr(design, name)}, and variant r needs an even number here")
    config = {
        "variant": "r" if rotation else "t", "channel_base": design.channel_base // factor,
        "channel_max": design.channel_max // factor, "num_layers": design.num_layers, "margin": design.margin_size,
        "clamp": design.conv_clamp,
    }  # fmt: skip

    def build(common: Settings, resolution: int, channels: int, classes: int) -> nn.Module:
        first = schedule(resolution, channels, design)[0]
        for name, value in (("sampling_rate", first.rate), ("bandwidth", first.cutoff)):
            reader.agree(f"synthesis.input.{name}", reader.get("synthesis.input", name), value)
        return stylegan3.StyleGAN3Network(
            classes=classes, resolution=resolution, channels=channels, **common, design=design
        )

    return config, build


KINDS: dict[str, Callable[[_Reader], tuple[Settings, Build]]] = {"stylegan2": _stylegan2, "stylegan3": _stylegan3}


def _settings(value: Any) -> Settings:
    return value if type(value) is dict else {}


def _dotted(part: str, name: str) -> str:
    return f"{part}.{name}".lstrip(".")


def _shown(value: Any) -> str:
    plain = type(value) in (bool, int, float, str, type(None))
    return repr(value if type(value) is not str else value[:80]) if plain else f"a {type(value).__name__}"
