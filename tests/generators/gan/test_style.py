"""What StyleGAN2 and StyleGAN3 share: styles mixed at one layer, and which parameters learn."""

import torch
from torch import nn

from understudy.generators.gan.style import learning_parameters, mixed_styles
from understudy.nets.mapping import Mapping


def test_a_batch_is_mixed_at_one_layer_with_its_probability() -> None:
    torch.manual_seed(0)
    mapping, z = Mapping(4, 0, 4, 2), torch.randn(2, 3, 4)
    one, other = mapping(z[0]), mapping(z[1])
    ws, w = mixed_styles(mapping, z, None, 6, 0)
    assert torch.equal(w, one)
    assert torch.equal(ws, one.unsqueeze(1).expand(-1, 6, -1))
    cuts = set()
    for _ in range(100):
        ws, w = mixed_styles(mapping, z, None, 6, 1)
        assert torch.equal(w, one)
        cut = int((ws[0] == one[0]).all(1).sum())
        assert torch.equal(ws[:, :cut], one.unsqueeze(1).expand(-1, cut, -1))
        assert torch.equal(ws[:, cut:], other.unsqueeze(1).expand(-1, 6 - cut, -1))
        cuts.add(cut)
    assert cuts == {1, 2, 3, 4, 5}


def test_without_noise_its_strengths_do_not_learn() -> None:
    net = nn.Module()
    net.weight, net.noise_strength = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))
    assert len(learning_parameters(net, noise=True)) == 2
    (only,) = learning_parameters(net, noise=False)
    assert only is net.weight
