"""The networks menu: shapes, odd sizes, seeds, and names that are not on it."""

import pytest
import torch

from understudy.core.errors import UsageError
from understudy.tasks.networks import NETWORKS, ShallowConv3d, build_classifier, build_network
from understudy.tasks.segmentation import SegmentationConfig

SMALL = {"unet": (4, 8, 16), "nnunet": (4, 8, 16, 16), "segresnet": (4, 8, 16), "swin": (12,), "pix2pix": (4, 8, 16)}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("size", [(32, 32), (30, 37), (4, 4), (3, 16, 16)])
def test_any_size_goes_in_and_the_same_comes_out(name: str, size: tuple[int, ...]) -> None:
    network = build_network(name, len(size), 2, 3, SMALL[name], seed=0).eval()
    torch.manual_seed(0)  # of 4 x 4 pixels, instance normalisation of two like values is noise in one draw of forty
    x = torch.randn(2, 2, *size)
    y = network(x)
    heads = (2,) if name == "nnunet" else ()
    assert network.train()(x).shape == (2, *heads, 3, *size)
    network.eval()
    assert y.shape == (2, 3, *size) and torch.isfinite(y).all()
    assert torch.allclose(network(x[1:]), y[1:], atol=1e-4)  # a case does not depend on its neighbours


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_depend_on_the_seed_only(name: str) -> None:
    before = torch.get_rng_state()
    weights = [
        torch.cat([p.flatten() for p in build_network(name, 2, 1, 2, SMALL[name], s).parameters()]) for s in (0, 0, 1)
    ]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert torch.equal(before, torch.get_rng_state())


def test_what_is_not_on_the_menu() -> None:
    with pytest.raises(ValueError, match="one of unet.*found 'swan'"):
        SegmentationConfig(network="swan")
    with pytest.raises(UsageError, match="at least 3 levels"):
        build_network("unet", 2, 1, 2, (4, 8), 0)
    with pytest.raises(UsageError, match="at least 4 levels"):
        build_network("nnunet", 2, 1, 2, (4, 8, 8), 0)
    with pytest.raises(UsageError, match=r"one width, a multiple of 12.*found \[16\]"):
        build_network("swin", 2, 1, 2, (16,), 0)
    for wrong in ((4,), (4, 6, 12), (8, 4), ()):
        with pytest.raises(UsageError, match=r"each twice the one before up to the widest.*found \["):
            build_network("pix2pix", 2, 1, 2, wrong, 0)
    for wrong in ((4, 8), (4, 8, 8), ()):
        with pytest.raises(UsageError, match=r"each twice the one before.*found \["):
            build_network("segresnet", 2, 1, 2, wrong, 0)


def test_the_two_segmenters_share_no_block() -> None:
    """What screens cases may not be the twin of what judges them."""
    kinds = [
        {type(m).__name__ for m in build_network(name, 2, 1, 2, SMALL[name], 0).modules()}
        for name in ("unet", "segresnet")
    ]
    blocks = [{name for name in found if name.endswith("Block")} for found in kinds]
    assert "UnetBasicBlock" in blocks[0] and "ResBlock" in blocks[1] and not blocks[0] & blocks[1]


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_gradients_of_volumes_in_bf16(depth: int) -> None:
    """In bf16 the weights get the gradients of fp32 to within rounding, at every depth, in every network of volumes."""
    networks = [
        build_network(name, 3, 1, 2, SMALL[name], 0) for name in NETWORKS if name != "pix2pix"
    ]  # nets/spatial.py
    networks.append(build_classifier("densenet-small", 3, 1, 2, 0))
    for network in networks:
        found = [type(m) for m in network.modules() if isinstance(m, torch.nn.Conv3d)]
        assert found and set(found) == {ShallowConv3d}
    torch.manual_seed(0)
    conv, x = ShallowConv3d(16, 32, 3, padding=1), torch.randn(2, 16, depth, 8, 8)
    target = torch.randn(2, 32, depth, 8, 8)
    gradients = []
    for bf16 in (False, True, True):
        trash = [torch.full((size,), torch.nan) for size in (16 * 32 * 27, 16 * 32 * 27 // 2)]
        del trash  # memory that is not written shows as NaN
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            y = conv(x)
        (gradient,) = torch.autograd.grad((y.float() * target).mean(), conv.weight)
        gradients.append(gradient)
    assert all(torch.allclose(g, gradients[0], atol=0.05 * float(gradients[0].abs().max())) for g in gradients[1:])


@pytest.mark.parametrize(
    ("name", "size"), [("densenet", (32, 32)), ("densenet", (37, 45)), ("densenet-small", (16, 19))]
)
def test_classifiers_take_any_size_and_any_number_of_channels(name: str, size: tuple[int, ...]) -> None:
    network = build_classifier(name, len(size), 2, 3, seed=0).eval()
    x = torch.randn(2, 2, *size)
    with torch.no_grad():
        y, features = network(x), network.features(x)
        assert y.shape == (2, 3) and features.ndim == 2 and torch.isfinite(y).all()
        assert torch.allclose(network(x[1:]), y[1:], atol=1e-5)
        assert network(torch.randn(1, 2, *size).repeat(2, 1, 1, 1)).unique(dim=0).shape == (1, 3)
    with pytest.raises(UsageError, match="import with a larger --size"):
        network(torch.randn(1, 2, network.smallest - 1, 64))


def test_the_default_classifier_is_densenet_121() -> None:
    network = build_classifier("densenet", 2, 3, 1000, seed=0)
    assert sum(p.numel() for p in network.parameters()) == 7_978_856  # table 1 of the paper; torchvision's too
    assert sum(isinstance(m, torch.nn.Conv2d | torch.nn.Linear) for m in network.modules()) == 121


def test_volumes_can_be_classified() -> None:
    assert build_classifier("densenet-small", 3, 1, 2, 0).eval()(torch.randn(1, 1, 16, 16, 16)).shape == (1, 2)


def test_classifier_weights_depend_on_the_seed_only() -> None:
    before = torch.get_rng_state()
    one, same, other = (
        torch.cat([p.flatten() for p in build_classifier("densenet-small", 2, 1, 2, s).parameters()]) for s in (0, 0, 1)
    )
    assert torch.equal(one, same) and not torch.equal(one, other) and torch.equal(before, torch.get_rng_state())
