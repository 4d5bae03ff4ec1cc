"""What the GANs of images share: settings, the augmentation in front of D and its state."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from understudy.generators.gan.ada import Controller
from understudy.generators.gan.adversarial import AdversarialConfig, AdversarialGenerator
from understudy.training.engine import Engine


class Toy(AdversarialGenerator):
    """A GAN without networks."""

    build = update = discriminate = generate = None  # type: ignore[assignment]

    def __init__(self, config: AdversarialConfig) -> None:
        self.config, self.image_channels, self.engine = config, 1, Engine("fp32", "cpu")
        self.ada = Controller(config.ada_target, config.ada_images, limit=config.augment_limit, p=config.augment_p)


def gan(**settings: Any) -> Toy:
    """Return a generator with what the methods under test look at."""
    return Toy(AdversarialConfig(**settings))


@pytest.mark.parametrize("bad", [{"augment": "some"}, {"augment_p": 1.1}, {"z_dim": 0}, {"ada_target": -1}])
def test_what_cannot_be_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(bad))):
        AdversarialConfig(**bad)


def test_without_augmentation_cases_are_as_they_are() -> None:
    x = torch.rand(4, 2, 16, 16)
    assert torch.equal(gan(augment="none", augment_p=1).augmented(x), x)
    torch.manual_seed(0)
    assert not torch.equal(gan(augment="fixed", augment_p=1).augmented(x), x)


def test_ada_alone_hears_how_certain_d_is_and_its_state_comes_back() -> None:
    for kind, heard in (("fixed", False), ("ada", True)):
        method = gan(augment=kind, ada_images=1000)
        for _ in range(4):
            method.observe(torch.ones(8, 1), 8)
        assert (method.ada.p > 0) == heard
        again = gan(augment=kind, ada_images=1000)
        again.load_scalars(method.scalars())
        assert vars(again.ada) == vars(method.ada)
