"""The official code itself, where UNDERSTUDY_OFFICIAL names a checkout of NVlabs stylegan3: its files, its images.

A process of its own builds small official networks with random weights, all of them non-zero, writes what the official
training loop writes, and draws images with constant noise; this package reads the files and draws the same images.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from understudy.core.errors import UnderstudyError
from understudy.generators import load
from understudy.generators.pretrained.official_file import read_bytes, read_official
from understudy.generators.pretrained.weights import import_weights

TOLERANCE = 1e-4

SCRIPT = r"""
import copy, json, pickle, sys, types
from packaging.version import parse

for name in ("pkg_resources", "requests"):  # imported by the official code, and not needed here
    sys.modules.setdefault(name, types.ModuleType(name))
sys.modules["pkg_resources"].parse_version = parse
sys.path.insert(0, sys.argv[1])
import dnnlib, numpy, torch

torch.set_num_threads(1)
build, E = dnnlib.util.construct_class_by_name, dnnlib.EasyDict
for name, (cfg, classes, size, settings, mapping) in json.loads(sys.argv[2]).items():
    G = E(z_dim=24, w_dim=32, channel_base=1024, channel_max=24)
    G.mapping_kwargs = E({"num_layers": 4 if cfg == "stylegan2" else 2, **mapping})
    if cfg == "stylegan2":
        G.update(class_name="training.networks_stylegan2.Generator", fused_modconv_default="inference_only")
    else:
        G.update(class_name="training.networks_stylegan3.Generator", magnitude_ema_beta=0.5 ** (32 / 20e3))
    if cfg == "stylegan3-r":
        G.update(conv_kernel=1, channel_base=2048, channel_max=48, use_radial_filters=True)
    G.update(settings)
    D = E(class_name="training.networks_stylegan2.Discriminator", channel_base=1024, channel_max=24)
    D.update(block_kwargs=E(freeze_layers=0), mapping_kwargs=E(), epilogue_kwargs=E(mbstd_group_size=4))
    common = dict(c_dim=classes, img_resolution=size, img_channels=5)
    torch.manual_seed(len(name))
    g, d = (build(**kwargs, **common).train().requires_grad_(False) for kwargs in (G, D))
    for p in [*g.parameters(), *d.parameters()]:
        p.add_(torch.randn_like(p) * 0.2)
    for key, b in g.named_buffers():
        if key.endswith("magnitude_ema"):
            b.copy_(torch.rand([]) + 0.5)
        if key.endswith("w_avg"):
            b.copy_(torch.randn_like(b))
    assert all((p != 0).all() for p in g.parameters())
    kinds = "xflip rotate90 xint scale rotate aniso xfrac brightness contrast lumaflip hue saturation".split()
    pipe = build(class_name="training.augment.AugmentPipe", **{kind: 1 for kind in kinds})
    data = E(class_name="training.dataset.ImageFolderDataset", path="x.zip", use_labels=bool(classes), xflip=False)
    ema = copy.deepcopy(g).eval()
    snapshot = dict(G=g, D=d, G_ema=ema, augment_pipe=pipe, training_set_kwargs=dict(data))
    for key, value in snapshot.items():
        if isinstance(value, torch.nn.Module):
            snapshot[key] = copy.deepcopy(value).eval().requires_grad_(False).cpu()
    with open(f"{name}.pkl", "wb") as file:
        pickle.dump(snapshot, file)
    z, c = torch.randn(4, 24), torch.rand(4, classes)
    degrees = (1, 0.5) if hasattr(ema.mapping, "w_avg") else (1,)
    images = {f"psi{psi}": ema(z, c, truncation_psi=psi, noise_mode="const").numpy() for psi in degrees}
    numpy.savez(f"{name}.npz", z=z.numpy(), c=c.numpy(), **images)
"""
Case = tuple[str, int, int, dict[str, Any], dict[str, Any]]
AGREE: dict[str, Case] = {
    "stylegan2": ("stylegan2", 0, 32, {}, {}),
    "stylegan2-classes": ("stylegan2", 3, 32, {}, {}),
    "stylegan2-fp32": ("stylegan2", 3, 64, {"num_fp16_res": 0, "conv_clamp": None}, {"num_layers": 8}),
    "stylegan2-clamped": ("stylegan2", 0, 32, {"conv_clamp": 0.5, "fp16_channels_last": True}, {"w_avg_beta": 0.995}),
}
AGREE |= {
    f"stylegan3-{variant}{'-classes' if classes else ''}": (f"stylegan3-{variant}", classes, 32, {}, {})
    for variant in "tr"
    for classes in (0, 3)
}
AGREE |= {
    "stylegan3-t-layers": ("stylegan3-t", 0, 64, {"num_layers": 10, "margin_size": 6, "conv_clamp": None}, {}),
    "stylegan3-r-fp32": ("stylegan3-r", 3, 64, {"num_fp16_res": 0, "conv_clamp": 2.0}, {"num_layers": 4}),
}
OTHERS: dict[str, Case] = {
    "stylegan2-resnet": ("stylegan2", 0, 16, {"architecture": "resnet"}, {}),
    "stylegan2-orig": ("stylegan2", 0, 16, {"architecture": "orig"}, {}),
    "stylegan2-noiseless": ("stylegan2", 0, 16, {"use_noise": False}, {}),
    "stylegan2-relu": ("stylegan2", 0, 16, {"activation": "relu"}, {}),
    "stylegan2-filter": ("stylegan2", 0, 16, {"resample_filter": [1, 1]}, {}),
    "stylegan2-kernel": ("stylegan2", 0, 16, {"kernel_size": 1}, {}),
    "stylegan2-rate": ("stylegan2", 0, 16, {}, {"lr_multiplier": 0.1}),
    "stylegan2-layers": ("stylegan2", 0, 16, {}, {"layer_features": 8}),
    "stylegan2-embedding": ("stylegan2", 2, 16, {}, {"embed_features": 8}),
    "stylegan2-average": ("stylegan2", 0, 16, {}, {"w_avg_beta": None}),
    "stylegan3-critical": ("stylegan3-t", 0, 32, {"num_critical": 3}, {}),
    "stylegan3-cutoff": ("stylegan3-t", 0, 32, {"first_cutoff": 3}, {}),
    "stylegan3-scale": ("stylegan3-t", 0, 32, {"output_scale": 1}, {}),
    "stylegan3-filters": ("stylegan3-t", 0, 32, {"filter_size": 8}, {}),
    "stylegan3-mixed": ("stylegan3-t", 0, 32, {"use_radial_filters": True}, {}),
    "stylegan3-kernel": ("stylegan3-t", 0, 32, {"conv_kernel": 5}, {}),
    "stylegan3-odd": ("stylegan3-r", 0, 32, {"channel_max": 33}, {}),
}


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    checkout = os.environ.get("UNDERSTUDY_OFFICIAL")
    if not checkout:
        pytest.skip("UNDERSTUDY_OFFICIAL names no checkout of NVlabs stylegan3")
    folder = tmp_path_factory.mktemp("official")
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(Path(checkout).resolve()), json.dumps(AGREE | OTHERS)]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    return folder


@pytest.mark.parametrize("name", AGREE)
def test_the_images_agree_with_the_official_code(official: Path, tmp_path: Path, name: str) -> None:
    run = import_weights(name.split("-")[0], official / f"{name}.pkl", tmp_path / "run")
    generator: Any = load(run)
    arrays = {key: torch.from_numpy(array) for key, array in np.load(official / f"{name}.npz").items()}
    condition = arrays["c"] if arrays["c"].shape[1] else None
    truncated = generator.synthesise(generator.ema.mapping.truncate(generator.style(arrays["z"], condition), 0.5))
    for found, psi in ((generator.generate(arrays["z"], condition), "psi1"), (truncated, "psi0.5")):
        error = float((found - arrays[psi]).abs().max())
        print(f"{name} {psi}: max |difference| {error:.1e}, range {float(arrays[psi].abs().max()):.1f}")  # noqa: T201
        assert found.dtype == torch.float32 and error <= TOLERANCE
        assert float(arrays[psi].std()) > 0.05


@pytest.mark.parametrize("name", OTHERS)
def test_other_official_networks_are_refused_by_name(official: Path, tmp_path: Path, name: str) -> None:
    with pytest.raises(UnderstudyError, match="sample this network with the code that trained it") as caught:
        import_weights(name.split("-")[0], official / f"{name}.pkl", tmp_path / "run")
    print(caught.value)  # noqa: T201
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", AGREE)
def test_every_network_of_an_official_file_is_read(official: Path, name: str) -> None:
    networks = read_official(read_bytes(official / f"{name}.pkl"), f"{name}.pkl")
    assert set(networks) == {"G", "D", "G_ema", "augment_pipe"}
    assert {part.class_name for _, part in networks["D"].parts()} >= {"Discriminator", "DiscriminatorEpilogue"}
    assert set(networks["augment_pipe"].tensors()) == {"p", "Hz_geom", "Hz_fbank"}
    assert networks["G"].tensors().keys() == networks["G_ema"].tensors().keys()
