"""Networks of official files: which are read, and which say why they are not."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from understudy.core.errors import UnderstudyError
from understudy.generators.pretrained.weights import import_weights

NAME = "network-snapshot-000123.pkl"


def written(folder: Path, data: bytes, name: str = NAME) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def hidden(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.name != NAME]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "architecture": ({"SynthesisBlock": {"architecture": "resnet"}}, "synthesis.b.*architecture is 'resnet', and only"),
    "noise": ({"SynthesisLayer": {"use_noise": False}}, "use_noise is False, and only True is done here"),
    "activation": ({"SynthesisLayer": {"activation": "relu"}}, "activation is 'relu'"),
    "mapping": ({"mapping.fc1": {"activation": "linear", "bias_gain": 0.01}}, "mapping.fc1.activation is 'linear'"),
    "rate": ({"mapping.fc1": {"bias_gain": 0.1}}, "mapping.fc1.bias_gain is 0.1, and only 0.01"),
    "clamps": ({"synthesis.b8.conv0": {"conv_clamp": None}}, "conv_clamp is"),
    "clamp": ({"SynthesisLayer": {"conv_clamp": -1.0}, "ToRGBLayer": {"conv_clamp": -1.0}}, "a positive number"),
    "size": ({"G": {"img_resolution": 32}}, "synthesis.b32.* was expected with shape"),
    "resolution": ({"G": {"img_resolution": 2**40}}, "whole number from 8 to 4096"),
    "latents": ({"G": {"z_dim": "8"}}, "z_dim should be a whole number from 1 to 8192, and is '8'"),
    "depth": ({"MappingNetwork": {"num_layers": 10**9}}, "mapping.num_layers should be"),
    "class": ({"G": {"c_dim": 2}}, r"mapping.embed.bias was expected with shape \(12,\), found none"),
    "no style": ({"MappingNetwork": {"num_layers": None}}, "mapping.num_layers should be"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_networks_that_are_not_done_here(official_layout: ModuleType, tmp_path: Path, name: str) -> None:
    changes, says = REFUSED[name]
    file = written(tmp_path, official_layout.stylegan2_file(**changes))
    with pytest.raises(UnderstudyError, match=says) as caught:
        import_weights("stylegan2", file, tmp_path / "run")
    assert NAME in str(caught.value) and "\n" not in str(caught.value) and hidden(tmp_path) == []


REFUSED3: dict[str, tuple[dict[str, Any], str]] = {
    "critical": ({"SynthesisNetwork": {"num_critical": 1}}, "synthesis.num_critical is 1, and only 2 is done here"),
    "scale": ({"SynthesisNetwork": {"output_scale": 1}}, "synthesis.output_scale is 1"),
    "layers": ({"SynthesisNetwork": {"num_layers": 6}}, "synthesis.L.* was expected"),
    "margin": ({"SynthesisNetwork": {"margin_size": 5}}, "synthesis.L.* was expected"),
    "rate": ({"SynthesisInput": {"sampling_rate": 32.0}}, "synthesis.input.sampling_rate is 32.0, and only 16"),
    "band": ({"SynthesisInput": {"bandwidth": 3.0}}, "synthesis.input.bandwidth is 3.0, and only 2.0"),
    "size": ({"G": {"img_resolution": 8}}, "img_resolution is 8, and powers of two from 8 .stylegan3: 16. are done"),
    "odd size": ({"G": {"img_resolution": 24}}, "img_resolution is 24, and powers of two"),
    "clamp": ({"SynthesisLayer": {"conv_clamp": "x"}}, "conv_clamp is 'x', and a positive number"),
}


@pytest.mark.parametrize("name", REFUSED3)
def test_stylegan3_networks_that_are_not_done_here(official_layout: ModuleType, tmp_path: Path, name: str) -> None:
    changes, says = REFUSED3[name]
    file = written(tmp_path, official_layout.stylegan3_file(**changes))
    with pytest.raises(UnderstudyError, match=says):
        import_weights("stylegan3", file, tmp_path / "run")
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"topk": 1}, "synthesis has 'topk', which official generators do not have"),
        ({"mapping_kwargs": {"num_layers": 3, "norm": 1}}, "mapping_kwargs has 'norm'"),
        ({"channel_max": 7}, r"was expected with shape \(7"),
        ({"channel_max": 2**60}, "channel_max should be a whole number"),
        ({"channel_base": 0.5}, "channel_base should be a whole number from 1"),
    ],
)
def test_arguments_that_official_generators_do_not_have(
    official_layout: ModuleType, tmp_path: Path, settings: dict[str, Any], says: str
) -> None:
    own = official_layout.stylegan2_attributes()["G"]["_init_kwargs"]
    file = written(tmp_path, official_layout.stylegan2_file(G={"_init_kwargs": {**own, **settings}}))
    with pytest.raises(UnderstudyError, match=says):
        import_weights("stylegan2", file, tmp_path / "run")
    assert hidden(tmp_path) == []


@pytest.mark.parametrize("value", [torch.zeros(3), [1], {"a": 1}, 2**255, float("nan"), "1", 2])
def test_a_kernel_of_another_type(official_layout: ModuleType, tmp_path: Path, value: Any) -> None:
    own = official_layout.stylegan3_attributes()["G"]["_init_kwargs"]
    file = written(tmp_path, official_layout.stylegan3_file(G={"_init_kwargs": {**own, "conv_kernel": value}}))
    with pytest.raises(UnderstudyError, match="conv_kernel is .*, and only 3 is done here"):
        import_weights("stylegan3", file, tmp_path / "run")


def test_weights_that_are_not_numbers_and_other_filters(official_layout: ModuleType, tmp_path: Path) -> None:
    layout = official_layout
    for name, value, says in (
        ("synthesis.b8.conv1.weight", float("nan"), "synthesis.b8.conv1.weight holds values that are not finite"),
        ("mapping.w_avg", float("inf"), "mapping.w_avg holds values"),
        ("synthesis.b8.resample_filter", 0.25, r"synthesis.b8.resample_filter is not \[1, 3, 3, 1\]"),
    ):
        network = layout.stylegan2_network()
        network.state_dict()[name].fill_(value)
        data = layout.dumps(layout.snapshot(layout.persistent(network, layout.stylegan2_attributes())))
        with pytest.raises(UnderstudyError, match=says):
            import_weights("stylegan2", written(tmp_path, data), tmp_path / "run")
    pipe = layout.snapshot(None)["augment_pipe"]
    with pytest.raises(UnderstudyError, match="G_ema in .* is a AugmentPipe, and a StyleGAN Generator was expected"):
        import_weights("stylegan2", written(tmp_path, layout.dumps({"G_ema": pipe})), tmp_path / "run")
    assert hidden(tmp_path) == []
