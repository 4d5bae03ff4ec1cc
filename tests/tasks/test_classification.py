"""A classifier learns what is there to learn, the same way each time; missing entries take no part."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

from understudy.core.errors import UnderstudyError, UsageError
from understudy.tasks import fitting
from understudy.tasks.classification import (
    ClassificationConfig,
    Classifier,
    class_auc,
    known_loss,
    macro,
    train_classifier,
)

FLAT = {"validation": lambda _: 0.0}
NOTHING = {"validation": lambda _: float("nan")}
TINY = ClassificationConfig(
    network="densenet-small", updates=12, checks=3, batch_size=8, learning_rate=2e-3, precision="fp32"
)
NAMES = ("bright left", "stripes")


@dataclass
class Pictures:
    """Noise with a bright left side (class 0) or stripes (class 1), or both, or neither."""

    n: int
    seed: int

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        self.targets = random.integers(0, 2, (self.n, 2)).astype(np.float32)
        images = random.normal(0, 0.2, (self.n, 1, 16, 16))
        images[..., :8] += 0.6 * self.targets[:, 0, None, None, None]
        images[:, :, ::2] += 0.6 * self.targets[:, 1, None, None, None]
        self.images = images.astype(np.float32)

    def __len__(self) -> int:
        return self.n

    def read(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.images[chosen], self.targets[chosen]


def quality(cases: Pictures, classifier: Classifier) -> float:
    return macro(class_auc(cases.targets, classifier.predict_cases(cases)))


def weights(classifier: Classifier) -> torch.Tensor:
    return torch.cat([v.flatten().double() for v in classifier.network.state_dict().values()])


def test_learns_a_trivial_task() -> None:
    held, config = Pictures(40, 1), TINY.model_copy(update={"updates": 40, "augment": False})
    classifier = train_classifier(Pictures(60, 0), NAMES, config, 0, {"validation": lambda c: quality(held, c)})
    assert quality(held, classifier) > 0.95 and classifier.names == NAMES
    checks = [update for update, _ in classifier.curves["validation"]]
    assert checks == [3, 7, 13, 27, 40] and classifier.kept["validation"].updates in checks


def test_same_seed_same_bits_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    config, cases = TINY.model_copy(update={"updates": 3, "checks": 1}), Pictures(24, 0)
    first, second, other, plain = (
        train_classifier(
            cases,
            NAMES,
            TINY.model_copy(update=changes | {"updates": 3, "checks": 1}),
            seed,
            FLAT,
        )
        for seed, changes in ((3, {}), (3, {}), (4, {}), (3, {"augment": False}))
    )
    assert config.augment and torch.equal(weights(first), weights(second))
    assert not torch.equal(weights(first), weights(other)) and not torch.equal(weights(first), weights(plain))
    whole = first.predict_cases(cases)
    assert whole.shape == (24, 2) and whole.dtype == np.float32 and (whole > 0).all() and (whole < 1).all()
    monkeypatch.setattr(fitting, "VOXELS_PER_BLOCK", 16 * 16 * 5)
    assert np.abs(first.predict_cases(cases) - whole).max() < 1e-5


def test_logits_come_from_the_features_and_reach_back_to_the_image() -> None:
    config = TINY.model_copy(update={"updates": 1, "checks": 1})
    classifier = train_classifier(Pictures(8, 0), NAMES, config, 0, FLAT)
    images = Pictures(3, 1).images
    x = torch.from_numpy(images).requires_grad_(True)
    logits = classifier.logits(x)
    head = classifier.network.network.class_layers[-1]
    assert torch.allclose(head(torch.from_numpy(classifier.features(images))), logits, atol=1e-5)
    assert np.allclose(classifier.predict(images), logits.sigmoid().detach(), atol=1e-6)
    (gradient,) = torch.autograd.grad(logits[0, 0], x)
    assert gradient[0].abs().sum() > 0 and not gradient[1:].any()  # a case does not see its neighbours


def test_missing_entries_take_no_part() -> None:
    logits = torch.tensor([[0.3, -1.0], [2.0, 0.5]], requires_grad=True)
    targets = torch.tensor([[1.0, float("nan")], [float("nan"), 0.0]])
    loss = known_loss(logits, targets)
    known = F.binary_cross_entropy_with_logits(torch.tensor([0.3, 0.5]), torch.tensor([1.0, 0.0]))
    assert loss.item() == pytest.approx(known.item())
    loss.backward()
    assert logits.grad is not None and logits.grad[0, 1] == 0 == logits.grad[1, 0] and logits.grad[0, 0] != 0
    assert known_loss(logits, torch.full((2, 2), float("nan"))).item() == 0


def test_nothing_to_score_and_images_that_are_too_small() -> None:
    config: dict[str, Any] = {"updates": 1, "checks": 1}
    with pytest.raises(UnderstudyError, match="the validation cases that choose"):
        train_classifier(Pictures(8, 0), NAMES, TINY.model_copy(update=config), 0, NOTHING)
    with pytest.raises(UsageError, match="at least 32 pixels a side, found 16 x 16.*densenet-small"):
        train_classifier(
            Pictures(8, 0),
            NAMES,
            TINY.model_copy(update=config | {"network": "densenet"}),
            0,
            FLAT,
        )
    with pytest.raises(ValueError, match=r"densenet, densenet-small was expected, found 'resnet'"):
        ClassificationConfig(network="resnet")


def test_against_scikit_learn_with_missing_entries() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, (60, 3)).astype(np.float32)
    scores = (random.random((60, 3)) + 0.3 * targets).round(1)  # with ties
    plain = class_auc(targets, scores)
    assert plain == pytest.approx([roc_auc_score(targets[:, k], scores[:, k]) for k in range(3)])
    targets[:20, 1] = np.nan
    missing = class_auc(targets, scores)
    assert missing[1] == pytest.approx(roc_auc_score(targets[20:, 1], scores[20:, 1])) != plain[1]
    assert missing[[0, 2]].tolist() == plain[[0, 2]].tolist()


def test_a_class_of_one_kind_has_no_area_and_no_part_in_the_mean() -> None:
    targets = np.array([[0, 1, np.nan, 0], [1, 1, np.nan, 1]], np.float32)
    scores = np.array([[0.1, 0.5, 0.5, 0.9], [0.8, 0.4, 0.2, 0.1]], np.float32)
    areas = class_auc(targets, scores)
    assert areas[0] == 1 and areas[3] == 0 and np.isnan(areas[[1, 2]]).all()
    assert macro(areas) == 0.5 and np.isnan(macro(areas[1:3]))
