"""mask_gan: its losses and penalty, what is learned and left out, empty maps, softness, a toy that is learned."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.encoding import Encoding
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.generators.masks.mask_gan import MaskGAN
from understudy.nets.case_noise import CaseNoise
from understudy.nets.label_maps import decoded
from understudy.nets.losses import gradient_penalty
from understudy.training.batches import Batch
from understudy.training.engine import Engine

TINY = {"z_dim": 8, "generator_maps": 4, "critic_maps": 4, "max_maps": 16, "batch_size": 4, "precision": "fp32"}
BRAIN = LabelScheme(("background", "white", "grey", "stroke", "core"), (0, 1, 2, 3, 4))
MASK = LabelScheme(("background", "lesion"), (0, 1))


def built(scheme: LabelScheme | None = MASK, size: tuple[int, ...] = (16, 16), **changes: Any) -> MaskGAN:
    method = MaskGAN(MaskGAN.Config(**{**TINY, **changes}))
    method.encoding, method.size, method.engine = Encoding((), "uint8", scheme), size, Engine("fp32")
    torch.manual_seed(0)
    method.build(method.encoding, size, classes=1 if method.config.conditional else 0)
    return method


def channels(method: MaskGAN, labels: np.ndarray) -> Tensor:
    return torch.from_numpy(method.scheme.encode(labels))


def stripes(*voxels: int, k: int = 1, size: tuple[int, ...] = (16, 16)) -> np.ndarray:
    """Label maps with so many voxels of class k."""
    labels = np.zeros((len(voxels), *size), np.uint8)
    for one, n in zip(labels.reshape(len(voxels), -1), voxels, strict=True):
        one[:n] = k
    return labels


# ---------------------------------------------------------------------- losses
def test_gradient_penalty_of_a_volume_against_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(size=(8, 8, 16))
    d = method.d.double()
    real, synthetic = torch.rand(2, 1, 2, 8, 8, 16, dtype=torch.float64)
    t = torch.tensor([0.2], dtype=torch.float64).view(1, 1, 1, 1, 1)
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: t if shape == (1, 1, 1, 1, 1) else None)
    x, step = real + t * (synthetic - real), 1e-6
    changes = step * torch.eye(2048, dtype=torch.float64).view(2048, 2, 8, 8, 16)
    with torch.no_grad():
        norm = ((d(x + changes) - d(x - changes)) / (2 * step)).norm()
    expected = (norm.item() - 1) ** 2
    assert gradient_penalty(d, real, synthetic).item() == pytest.approx(expected, rel=1e-5)


def test_losses_are_those_of_the_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    method = built(penalty=3.0)
    monkeypatch.setattr(method, "d", lambda x, _: 2 * x[:, 1].flatten(1).sum(1, keepdim=True))
    monkeypatch.setattr(method, "_generate", lambda n, _: torch.full((n, 2, 16, 16), 0.5))
    real = torch.zeros(4, 2, 16, 16)
    real[:, 1, 0, 0] = 1
    method._d_loss(real, None)
    assert method.losses["d"].item() == pytest.approx(2 * (128 - 1))
    assert method.losses["penalty"].item() == pytest.approx(3 * (32 - 1) ** 2)  # |grad| = sqrt(256 * 2^2)
    assert method._g_loss(4, None).item() == pytest.approx(-256)


def test_the_critic_takes_so_many_steps_to_one_of_the_generator() -> None:
    method = built(critic_steps=3, ema_images=0)
    x, g, d = channels(method, stripes(3, 9, 30, 40)), [], []
    for i in range(6):
        method.update(Batch(x, None, 4 * i))
        g.append(method.g.conv_out.weight.detach().clone())
        d.append(method.d.mix.weight.detach().clone())
    assert [i for i in range(1, 6) if (g[i] != g[i - 1]).any()] == [2, 5]
    assert all((d[i] != d[i - 1]).any() for i in range(1, 6))
    assert method.scalars() == {"steps": 6} and torch.equal(method.ema.conv_out.weight, g[-1])


# ---------------------------------------------------------------------- what is learned
def test_classes_left_out_are_replaced_before_the_critic_sees_them_and_never_drawn() -> None:
    method = built(BRAIN, without={"stroke": "white", "core": "white"})
    labels = np.random.default_rng(0).integers(0, 5, (4, 16, 16)).astype(np.uint8)
    real, _, gain = method.learned(channels(method, labels), None)
    assert gain == 1 and real.shape == (4, 3, 16, 16)
    np.testing.assert_array_equal(real.argmax(1).numpy(), np.where(labels >= 3, 1, labels))
    assert method.counted.tolist() == [False, True, True]


@pytest.mark.parametrize("names", [("a", "b", "c"), ("a", "b", "c", "d", "e")])
def test_classes_left_out_keep_their_number_and_are_never_drawn(names: tuple[str, ...]) -> None:
    scheme = LabelScheme(("background", *names), tuple(range(len(names) + 1)))
    method = built(scheme, without={"b": "a"})
    z = CaseNoise(range(8), torch.device("cpu")).normal(8)
    drawn = decoded(method.draw(list(range(8))), scheme)
    assert set(drawn.unique().tolist()) == set(range(len(names) + 1)) - {2}
    soft = method.generate(z)
    if len(names) > 3:
        assert torch.equal(decoded(soft, scheme), drawn) and (soft[:, 2] == -1).all()
        torch.testing.assert_close((soft + 1).sum(dim=1), torch.full((8, 16, 16), 2.0))
    else:
        assert soft.shape == (8, 1, 16, 16)


def test_cases_with_too_few_voxels_are_left_out() -> None:
    method = built(BRAIN, lesion=("stroke", "core"), min_voxels=20)
    labels = np.concatenate([stripes(200, 19, k=1), stripes(19, 20, k=3), stripes(50, k=4)])
    condition = torch.arange(5.0).view(5, 1)
    real, told, gain = method.learned(channels(method, labels), condition)
    assert gain == 1 and told is not None and told.flatten().tolist() == [3, 4, 3, 4, 3]
    np.testing.assert_array_equal(real.argmax(1).numpy(), labels[[3, 4, 3, 4, 3]])
    assert method.learned(channels(method, labels[:3]), None)[2] == 0


def test_a_batch_without_a_case_to_learn_changes_no_critic() -> None:
    method = built(min_voxels=5)
    before = method.d.mix.weight.detach().clone()
    method.update(Batch(channels(method, stripes(0, 1, 2, 4)), None, 0))
    assert torch.equal(method.d.mix.weight, before)


@pytest.mark.parametrize(
    ("voxels", "setting", "least"), [((0, 4), 0, 0), ((1, 4), 0, 1), ((1, 40), 20, 20), ((40, 50), 20, 20)]
)
def test_training_cases_say_from_how_many_voxels_on_a_map_is_worth_keeping(
    voxels: tuple[int, ...], setting: int, least: int
) -> None:
    method = built(min_voxels=setting)
    method.measure([channels(method, stripes(*each)) for each in (voxels, voxels[::-1])])
    assert int(method.ema.min_voxels) == int(method.g.min_voxels) == least
    assert int(method.snapshot()[0]["ema.min_voxels"]) == least


def test_nothing_to_learn_is_refused() -> None:
    method = built(min_voxels=20)
    with pytest.raises(UsageError, match="no training case has 20 voxels .* at most 19"):
        method.measure([channels(method, stripes(voxels)) for voxels in (3, 19)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": (16, 20)}, "sides that divide by 8, found 16 x 20: import with another --size"),
        ({"size": (16, 8, 12)}, "16 x 8 x 12"),
        ({"scheme": None}, "import with --labels"),
        ({"scheme": LabelScheme(("background",), (0,))}, "beside the background"),
        ({"lesion": ("tumour",)}, "no class 'tumour' .* background, lesion"),
        ({"without": {"lesion": "white"}}, "no class 'white'"),
        ({"scheme": BRAIN, "without": {"stroke": "core", "core": "white"}}, "'core' is left out"),
        ({"scheme": BRAIN, "without": {"background": "white"}}, "is the background"),
        ({"without": {"lesion": "background"}}, "nothing would be learned"),
    ],
)
def test_refusals(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        built(**changes)


# ---------------------------------------------------------------------- sampling
class Scripted(torch.nn.Module):
    """Draws a map whose number of voxels is read from z: as many as the first latent, scaled, says."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("min_voxels", torch.tensor(5))

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        n = (z[:, :1] * 20).clamp_min(0)
        lesion = (torch.arange(256) < n).float().view(-1, 16, 16)
        return torch.stack([1 - lesion, lesion], dim=1)


def test_maps_with_too_few_voxels_are_drawn_again_each_on_its_own() -> None:
    method = built(redraws=20)
    method.ema = Scripted()
    seeds = list(range(12))
    labels = decoded(method.draw(seeds), method.scheme)
    assert (method.voxels(labels) >= 5).all()
    for i in (0, 5, 11):
        assert torch.equal(decoded(method.draw([seeds[i]]), method.scheme)[0], labels[i])
    never = built(redraws=0)
    never.ema = method.ema
    once = decoded(never.draw(seeds), never.scheme)
    kept = method.voxels(once) >= 5
    assert 0 < kept.sum() < 12 and torch.equal(once[kept], labels[kept])


def test_stray_voxels_do_not_count() -> None:
    """A map whose lesion is a speck has none once it is cleared, and is drawn again like any other without."""
    method = built(redraws=20, small_components=9)
    method.ema = Scripted()
    labels = decoded(method.draw(list(range(12))), method.scheme)
    assert (method.voxels(labels) >= 9).all()


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16)])
def test_soft_maps_are_differentiable_and_drawn_ones_are_codes(k: int, size: tuple[int, ...]) -> None:
    scheme = LabelScheme(tuple(f"c{i}" for i in range(k)), tuple(range(k)))
    method = built(scheme, size)
    z = CaseNoise((3, 4), torch.device("cpu")).normal(8).requires_grad_()
    soft = method.generate(z)
    assert soft.shape == (2, method.encoding.n, *size) and soft.abs().max() <= 1
    soft.square().sum().backward()
    assert z.grad is not None and (z.grad.abs().amax(dim=1) > 0).all()
    hard = method.draw([3, 4])
    labels = decoded(hard, scheme)
    np.testing.assert_array_equal(hard.numpy(), scheme.encode(labels.numpy()))
    if k != 3:
        assert torch.equal(decoded(soft, scheme), labels)


def test_a_condition_is_needed_and_heard() -> None:
    method = built(conditional=True)
    with pytest.raises(UsageError, match="needs a condition"):
        method.draw([1])
    z = torch.randn(1, 8)
    assert (method.generate(z, torch.zeros(1, 1)) - method.generate(z, torch.ones(1, 1))).abs().max() > 1e-3


def test_a_toy_is_learned() -> None:
    """Discs in the left half, of some 30 pixels: drawn maps lie there, are as large, and are not all the same."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:16, :16]
    centres, radii = random.uniform((4, 3), (12, 5), (256, 2)), random.uniform(2, 4, 256)
    labels = np.array([((y - a) ** 2 + (x - b) ** 2 < r * r) for (a, b), r in zip(centres, radii, strict=True)])
    changes = {"generator_maps": 8, "critic_maps": 8, "batch_size": 16, "critic_steps": 2, "ema_images": 500}
    method = built(learning_rate=0.003, critic_rate=0.003, **changes)
    everything = channels(method, labels.astype(np.uint8))
    method.measure([everything])
    for i in range(200):
        torch.manual_seed(i)
        method.update(Batch(everything[torch.randint(256, (16,))], None, 16 * i))
    drawn = decoded(method.draw(list(range(64))), method.scheme)
    volumes, wanted = method.voxels(drawn).float(), labels.sum((1, 2)).mean()
    assert (volumes > 0).all() and 0.6 < volumes.mean() / wanted < 1.6 and volumes.std() > 0.1 * wanted
    assert drawn[:, :, :9].sum() > 0.9 * drawn.sum()
    heights = (drawn.sum(2) * torch.arange(16)).sum(1) / volumes
    assert heights.std() > 1
