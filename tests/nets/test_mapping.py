"""The mapping network: truncation, the running average of w, normalisation and condition."""

import torch

from understudy.generators.gan.stylegan2 import StyleGAN2Network
from understudy.nets.layers import normalise_second_moment
from understudy.nets.mapping import Mapping


def generator(classes: int = 0, **changes: float) -> StyleGAN2Network:
    torch.manual_seed(0)
    return StyleGAN2Network(8, classes, 8, 16, 3, channel_base=128, channel_max=16, mapping_layers=2, **changes)  # type: ignore[arg-type]


def perturb(net: torch.nn.Module) -> None:
    """Make every parameter count: at the start biases and noise strengths are 0."""
    for p in net.parameters():
        p.data.add_(torch.randn_like(p) * 0.1)


def test_truncation() -> None:
    g = generator()
    perturb(g)
    g.mapping.w_avg.normal_()
    z = torch.randn(4, 8)
    average = g.synthesis(g.mapping.w_avg.expand(1, g.synthesis.num_ws, -1))
    torch.testing.assert_close(g(z, truncation_psi=0.0), average.expand(4, -1, -1, -1), atol=1e-5, rtol=1e-5)
    w = g.mapping(z)
    torch.testing.assert_close(g.mapping.truncate(w, 0.25), 0.25 * w + 0.75 * g.mapping.w_avg)
    torch.testing.assert_close(g.mapping.truncate(w, 1.0), w)


def test_running_average_of_w() -> None:
    mapping = Mapping(8, 0, 8, 2)
    mapping.track(torch.arange(8.0))
    mapping.track(torch.zeros(8))
    torch.testing.assert_close(mapping.w_avg, 0.998 * 0.002 * torch.arange(8.0))


def test_mapping_normalises_its_input_and_uses_the_condition() -> None:
    mapping = Mapping(8, 2, 8, 2)
    z, condition = torch.randn(2, 8), torch.eye(2)
    torch.testing.assert_close(mapping(z, condition), mapping(z * 5, condition), atol=1e-5, rtol=1e-4)
    assert not torch.allclose(mapping(z, condition), mapping(z, condition.flip(0)))
    assert normalise_second_moment(z).shape == z.shape
