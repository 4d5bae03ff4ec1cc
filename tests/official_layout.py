"""Writes small files in the layout of the official StyleGAN snapshots, without any official code.

The official classes pickle themselves as ``torch_utils.persistence._reconstruct_persistent_obj(meta)``; modules of that
name are put into sys.modules only while a file is written. The networks are this package's own, named and furnished
like the official ones.
"""

import pickle  # noqa: TID251  the attacks below are real pickles
import sys
import types
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from understudy.generators.gan import stylegan2, stylegan3
from understudy.nets.layers import EqualisedLinear
from understudy.nets.mapping import Mapping
from understudy.nets.signals import Design, schedule

SOURCE = """# Network architectures.
import numpy as np
import torch
from torch_utils import misc
from torch_utils import persistence
from torch_utils.ops import upfirdn2d

@misc.profiled_function
def normalize(x, dim=1):
    return x * (x.square().mean(dim=dim, keepdim=True) + 1e-8).rsqrt()

@persistence.persistent_class
class Generator(torch.nn.Module):
    def __init__(self, z_dim, **kwargs):
        super().__init__()
        self.z_dim = int(np.rint(z_dim))
        setattr(self, f'b{z_dim}', torch.nn.Parameter(torch.randn([z_dim])))

    def forward(self, z):
        return normalize(z) * getattr(self, f'b{self.z_dim}')
"""


class EasyDict(dict):
    """As in the official code, pickled by its official name."""


class Persistent:
    """An object as the official code pickles it."""

    def __init__(self, class_name: str, state: dict[str, Any], source: str = SOURCE, version: int = 6) -> None:
        self.meta = {"type": "class", "version": version, "module_src": source, "class_name": class_name}
        self.meta["state"] = state

    def __reduce__(self) -> tuple[Any, ...]:
        return _reconstruct_persistent_obj, (self.meta,), None


def _reconstruct_persistent_obj(meta: Any) -> Any:
    raise AssertionError("the official reader of stored sources was called")


@contextmanager
def official_modules() -> Iterator[None]:
    """Let pickles name what the official code names."""
    fakes = {
        name: types.ModuleType(name) for name in ("torch_utils", "torch_utils.persistence", "dnnlib", "dnnlib.util")
    }
    for fake, thing in (("dnnlib.util", EasyDict), ("torch_utils.persistence", _reconstruct_persistent_obj)):
        setattr(fakes[fake], thing.__name__, thing)
        thing.__module__ = fake
    before = {name: sys.modules.get(name) for name in fakes}
    sys.modules.update(fakes)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def dumps(content: Any, protocol: int = 4) -> bytes:
    """Pickle as the official training loop does."""
    with official_modules():
        return pickle.dumps(content, protocol=protocol)


OFFICIAL_NAMES = {
    stylegan2.StyleGAN2Network: "Generator", stylegan3.StyleGAN3Network: "Generator", Mapping: "MappingNetwork",
    stylegan2.StyleGAN2Synthesis: "SynthesisNetwork", stylegan3.StyleGAN3Synthesis: "SynthesisNetwork",
    stylegan2.StyleGAN2Layer: "SynthesisLayer", stylegan3.StyleGAN3Layer: "SynthesisLayer",
    stylegan2.StyleGAN2Block: "SynthesisBlock", EqualisedLinear: "FullyConnectedLayer",
    stylegan2.StyleGAN2Output: "ToRGBLayer", stylegan3.StyleGAN3Output: "SynthesisLayer",
    stylegan3.FourierFeatures: "SynthesisInput",
}  # fmt: skip


def persistent(module: nn.Module, attributes: dict[str, dict[str, Any]], name: str = "", source: str = SOURCE) -> Any:
    """Convert one of this package's networks into persistent objects.

    Args:
        module: with parts named as the official ones.
        attributes: further state by official class name, or by dotted name, which wins.
        name: dotted name of the module.
        source: what the official code would store.
    """
    class_name = OFFICIAL_NAMES.get(type(module), type(module).__name__)
    below = {k: persistent(m, attributes, f"{name}.{k}".lstrip("."), source) for k, m in module.named_children()}
    buffers = OrderedDict((k, b) for k, b in module.named_buffers(recurse=False))
    state = {
        "training": False, "_parameters": OrderedDict(module.named_parameters(recurse=False)), "_buffers": buffers,
        "_non_persistent_buffers_set": set(), "_backward_hooks": OrderedDict(), "_modules": OrderedDict(below),
        "_init_args": (), "_init_kwargs": EasyDict(), "weight_gain": np.float64(0.25), "size": np.array([36, 36]),
        **attributes.get(class_name, {}), **attributes.get(name or "G", {}),
    }  # fmt: skip
    return Persistent(class_name, state, source)


def furnish(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter and buffer a value of its own that is not zero; averages and variances stay positive."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
            if name.endswith("magnitude_ema"):
                tensor.copy_(torch.rand([], generator=generator) + 0.5)
            elif "filter" not in name and not name.endswith(("freqs", "transform")):
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.2)
    return network.eval().requires_grad_(False)


def stylegan2_network(classes: int = 0, clamp: float | None = 256.0, channels: int = 4) -> nn.Module:
    """Return a small StyleGAN2 generator with weights that are all non-zero."""
    torch.manual_seed(1)
    return furnish(
        stylegan2.StyleGAN2Network(8, classes, 12, 16, channels, 3, channel_base=128, channel_max=10, clamp=clamp)
    )


def stylegan2_attributes(classes: int = 0, clamp: float | None = 256.0, channels: int = 4) -> dict[str, dict[str, Any]]:
    """Return the attributes of that network's official twin, by class or by name."""
    sizes = {"z_dim": 8, "c_dim": classes, "w_dim": 12, "img_resolution": 16, "img_channels": channels}
    mapping = {"num_layers": 3, "z_dim": 8, "c_dim": classes, "w_dim": 12, "w_avg_beta": 0.998}
    settings = EasyDict(
        **sizes, mapping_kwargs=EasyDict(num_layers=3), channel_base=128, channel_max=10, conv_clamp=clamp,
        fused_modconv_default="inference_only", num_fp16_res=4 if clamp else 0,
    )  # fmt: skip
    layer = {"activation": "lrelu", "use_noise": True, "conv_clamp": clamp, "act_gain": np.float64(np.sqrt(2))}
    dense = {f"mapping.fc{i}": {"activation": "lrelu", "bias_gain": 0.01} for i in range(3)}
    return {
        "G": {**sizes, "_init_kwargs": settings}, "MappingNetwork": mapping, "SynthesisLayer": layer,
        "ToRGBLayer": {"conv_clamp": clamp}, "SynthesisBlock": {"architecture": "skip"},
        "FullyConnectedLayer": {"activation": "linear", "bias_gain": 1}, **dense,
    }  # fmt: skip


def stylegan3_design(variant: str) -> Design:
    """Return the design of the small StyleGAN3 networks here."""
    rotation = variant == "r"
    return Design(256, 12, 5, margin_size=4, conv_kernel=1 if rotation else 3, use_radial_filters=rotation)


def stylegan3_network(variant: str = "t", classes: int = 0) -> nn.Module:
    """Return a small StyleGAN3 generator with weights that are all non-zero."""
    torch.manual_seed(2)
    return furnish(stylegan3.StyleGAN3Network(8, classes, 12, 16, 4, 2, stylegan3_design(variant)))


def stylegan3_attributes(variant: str = "t", classes: int = 0) -> dict[str, dict[str, Any]]:
    """Return the attributes of that network's official twin, by class or by name."""
    sizes = {"z_dim": 8, "c_dim": classes, "w_dim": 12, "img_resolution": 16, "img_channels": 4}
    design, first = stylegan3_design(variant), schedule(16, 4, stylegan3_design(variant))[0]
    settings = EasyDict(
        **sizes, mapping_kwargs=EasyDict(num_layers=2), channel_base=256, channel_max=12, num_layers=5, margin_size=4,
        magnitude_ema_beta=0.9989,
    )  # fmt: skip
    if variant == "r":
        settings.update(conv_kernel=1, use_radial_filters=True)
    rate, band = np.float64(first.rate), np.float64(first.cutoff)
    return {
        "G": {**sizes, "_init_kwargs": settings}, "MappingNetwork": {"num_layers": 2, **sizes},
        "SynthesisNetwork": {"num_layers": 5, "num_critical": 2, "margin_size": 4, "output_scale": 0.25},
        "SynthesisInput": {"sampling_rate": rate, "bandwidth": band},
        "SynthesisLayer": {"conv_clamp": design.conv_clamp},
        "FullyConnectedLayer": {"activation": "linear", "bias_gain": 1},
        **{f"mapping.fc{i}": {"activation": "lrelu", "bias_gain": 0.01} for i in range(2)},
    }  # fmt: skip


def snapshot(g: Any, **more: Any) -> dict[str, Any]:
    """Return what network-snapshot-*.pkl holds around a generator."""
    pipe = Persistent("AugmentPipe", {"_buffers": {"p": torch.tensor(0.25)}, "_parameters": {}, "xflip": 1.0})
    kwargs = dict(EasyDict(class_name="training.dataset.ImageFolderDataset", path="/data/x.zip", use_labels=False))
    return {"G": g, "D": g, "G_ema": g, "augment_pipe": pipe, "training_set_kwargs": kwargs, **more}


def stylegan2_file(
    classes: int = 0, clamp: float | None = 256.0, protocol: int = 4, source: str = SOURCE, **changes: dict[str, Any]
) -> bytes:
    """Return an official-layout StyleGAN2 file; ``changes`` update attributes by class or by dotted name."""
    attributes = changed(stylegan2_attributes(classes, clamp), changes)
    return dumps(snapshot(persistent(stylegan2_network(classes, clamp), attributes, source=source)), protocol)


def stylegan3_file(variant: str = "t", classes: int = 0, **changes: dict[str, Any]) -> bytes:
    """Return an official-layout StyleGAN3 file, variant t or r; ``changes`` as above."""
    attributes = changed(stylegan3_attributes(variant, classes), changes)
    return dumps(snapshot(persistent(stylegan3_network(variant, classes), attributes)))


def changed(attributes: dict[str, dict[str, Any]], changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return attributes with some changed."""
    return attributes | {name: {**attributes.get(name, {}), **values} for name, values in changes.items()}
