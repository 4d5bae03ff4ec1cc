"""The data's scale: mean and deviation a channel, the same however cases come."""

import torch

from understudy.generators.diffusion.scale import DataScale


def test_scale_makes_data_of_sigma_data() -> None:
    scale = DataScale(2, 2)
    x = torch.randn(64, 2, 8, 8) * torch.tensor([0.1, 3.0]).reshape(2, 1, 1) + torch.tensor([0.5, -2.0]).reshape(
        2, 1, 1
    )
    x[:, 1] = 7.0
    scale.measure([x])
    assert abs(float(((x - scale.mean) / scale.std)[:, 0].std()) - 1) < 1e-5
    assert float(scale.std[1]) == 1 and float(scale.mean[1]) == 7


def test_the_scale_does_not_depend_on_how_cases_come() -> None:
    torch.manual_seed(0)
    x = 1000 + torch.randn(50, 3, 9, 7)
    values = x.transpose(0, 1).flatten(1).double()
    for cases in ([x], x.split(7), x.split(1)):
        scale = DataScale(3, 2)
        scale.measure(iter(cases))
        assert torch.equal(scale.mean.flatten(), values.mean(1).float())
        assert torch.equal(scale.std.flatten(), values.std(1).float())
