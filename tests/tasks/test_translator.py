"""The U-Net of pix2pix as a segmenter: shapes, widths, and dropout in training alone."""

import pytest
import torch

from understudy.core.errors import UsageError
from understudy.tasks.networks import build_network
from understudy.tasks.translator import Translator


def test_dropout_is_on_in_training_alone() -> None:
    network, x = build_network("pix2pix", 2, 1, 2, (4, 8, 16), 0), torch.randn(1, 1, 16, 16)
    assert not torch.equal(network.train()(x), network(x))
    assert torch.equal(network.eval()(x), network(x))


@pytest.mark.parametrize("dims", [2, 3])
def test_every_class_gets_a_logit_at_every_place(dims: int) -> None:
    torch.manual_seed(0)
    network = Translator(dims, 2, 3, (4, 8, 8)).eval()
    assert network(torch.randn(2, 2, *(8,) * dims)).shape == (2, 3, *(8,) * dims)


@pytest.mark.parametrize("channels", [(), (4,), (0, 0), (4, 9), (4, 12, 8)])
def test_widths_that_are_not_doubled_are_refused(channels: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="each twice the one before"):
        Translator(2, 1, 2, channels)
