"""Every transformation hides something, keeps the shape, and is what its name says."""

import pytest
import torch
from torch import Tensor

from understudy.evaluation.privacy.copies.registration import affine_maps, apply_affine, blur
from understudy.evaluation.privacy.copies.transforms import (
    CHIMERAS,
    FAMILIES,
    OF_VOLUMES,
    TRANSFORMATIONS,
    Transformation,
    available,
    compound,
    ghosts,
    harder,
    turned_each,
    turns,
)


def images(n: int = 6, channels: int = 3, seed: int = 0) -> Tensor:
    drawn = blur(torch.randn((n, channels, 64, 64), generator=torch.Generator().manual_seed(seed)), 1 / 16)
    return (drawn / drawn.std() / 3).clamp(-1, 1)


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("name", "use"),
    [(name, "inject") for name in TRANSFORMATIONS]
    + [(name, "augment") for name, d in TRANSFORMATIONS.items() if d.augment],
)
def test_a_transformation_changes_every_image_and_keeps_its_shape(name: str, use: str) -> None:
    way, x, others = getattr(TRANSFORMATIONS[name], use), images(), images(seed=1)
    kept, made = x.clone(), way(x, others, draw())
    assert torch.equal(x, kept)
    assert made.shape == x.shape
    assert made.dtype == x.dtype
    assert made.isfinite().all()
    changed = (made != x).flatten(1).any(1)
    assert not changed.any() if name == "exact" else changed.all()
    assert torch.equal(made, way(x, others, draw()))  # the same randomness, the same bits
    if name in {"noise", "channels_swapped", "warped", "shifted"}:
        assert not torch.equal(made, way(x, others, draw(5)))


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_the_order_of_channels_never_stays(channels: int) -> None:
    x = torch.arange(channels).float().view(1, channels, 1, 1).expand(500, channels, 2, 2).contiguous()
    orders = TRANSFORMATIONS["channels_swapped"].inject(x, x, draw())[:, :, 0, 0]
    assert (orders != torch.arange(channels)).any(1).all()
    assert torch.equal(orders.sort(1).values, x[:, :, 0, 0])
    found = {tuple(order) for order in orders.long().tolist()}
    assert len(found) == {2: 1, 3: 5, 4: 23}[channels]  # and every other order turns up


def test_the_encoder_sees_one_channel_in_the_place_of_all() -> None:
    images = torch.randn((4000, 3, 2, 2), generator=torch.Generator().manual_seed(0))
    learn = TRANSFORMATIONS["channels_swapped"].augment
    assert learn is not None
    shown = learn(images, images, torch.Generator().manual_seed(1))
    alone = (shown == shown[:, :1]).flatten(1).all(1)
    assert 0.22 < alone.float().mean() < 0.28
    first = images[:, :, 0, 0].sort(1).values
    assert torch.equal(shown[~alone][:, :, 0, 0].sort(1).values, first[~alone])  # the others have all, in any order
    assert (shown[alone][:, :1] == images[alone]).flatten(2).all(2).any(1).all()


def test_one_channel_has_no_order() -> None:
    assert not {"channels_swapped", "channel_inverted"} & set(available(1))
    assert set(available(3)) == set(TRANSFORMATIONS)
    assert {*FAMILIES, "none", "turned"} == {one.family for one in TRANSFORMATIONS.values()}  # turns are not learned


def test_what_is_injected_has_the_strength_that_is_said() -> None:
    x, others = images(40), images(40, seed=1)
    made = {name: one.inject(x, others, draw()) for name, one in TRANSFORMATIONS.items()}
    assert torch.equal(made["mirrored"], x.flip(-1))
    assert torch.allclose(made["blended"], 0.7 * x + 0.3 * others)
    assert torch.allclose(made["blurred"], blur(x, 2 / 64))
    assert float((made["noise"] - x).std()) == pytest.approx(0.1, rel=0.02)
    exponents = torch.log(((made["gamma"] + 1) / 2)[:, 0, 30, 30]) / torch.log(((x + 1) / 2)[:, 0, 30, 30])
    assert set(exponents.mul(2).round().long().tolist()) == {1, 3}  # 1 / 1.5 and 1.5
    inner = slice(3, 61)
    by = [(dy, dx) for dy in (-3, 3) for dx in (-3, 3)]
    rolled = torch.stack([torch.roll(x, s, (-2, -1)) for s in by])[..., inner, inner]
    error = (rolled - made["shifted"][None, ..., inner, inner]).abs().amax((2, 3, 4))  # of each image, for each shift
    assert error.amin(0).max() < 1e-4
    assert len(set(error.argmin(0).tolist())) == 4
    turned = [
        apply_affine(x, affine_maps(torch.full((40,), d), torch.ones(40), torch.zeros(40, 2))) for d in (-15.0, 15.0)
    ]
    error = torch.stack([(t - made["rotated_15"]).abs().amax((1, 2, 3)) for t in turned])
    assert error.amin(0).max() < 1e-5
    assert len(set(error.argmin(0).tolist())) == 2


def test_what_is_learned_lies_around_what_is_injected() -> None:
    x, others = images(200, 1), images(200, 1, seed=1)
    blended, noise = (TRANSFORMATIONS[name].augment for name in ("blended", "noise"))
    assert blended and noise
    share = blended(x, others, draw())
    shares = ((share - others) * (x - others)).sum((1, 2, 3)) / (x - others).square().sum((1, 2, 3))
    assert 0.54 < shares.min() < 0.6 < 0.7 < 0.8 < shares.max() < 0.86
    level = (noise(x, others, draw()) - x).flatten(1).std(1)
    assert level.min() < 0.1 < 0.2 < level.max() < 0.26


def test_the_eight_flips_and_quarter_turns_differ() -> None:
    x = images(1)
    names = ("exact", *(name for name, one in TRANSFORMATIONS.items() if one.family == "turned"))
    made = [TRANSFORMATIONS[name].inject(x, x, draw()) for name in names]
    assert len(made) == 8
    assert not any(torch.equal(a, b) for i, a in enumerate(made) for b in made[:i])
    assert torch.equal(made[names.index("upside_down")], x.flip(-2))
    assert torch.equal(made[names.index("transposed")], x.transpose(2, 3))


def test_a_quarter_of_the_resolution_has_no_detail() -> None:
    x = torch.randn((4, 1, 64, 64), generator=draw())
    assert float(TRANSFORMATIONS["quarter_resolution"].inject(x, x, draw()).std()) < 0.3


def test_one_channel_is_inverted_and_the_encoder_sees_more_of_them() -> None:
    x = torch.ones(400, 3, 2, 2)
    way = TRANSFORMATIONS["channel_inverted"]
    assert way.augment is not None
    one, some = (use(x, x, draw()).mean((2, 3)) for use in (way.inject, way.augment))
    assert (one.sum(1) == 1).all() and (one == -1).any(0).all()  # one of three, and each of them
    counts = (some == -1).sum(1)
    assert counts.min() == 1 and counts.max() == 3


@pytest.mark.parametrize("axis", [-1, -2])
def test_ghosts_lie_half_an_image_away(axis: int) -> None:
    """Of a point: every second line as it is gives half of it here and half of it there, as do the moved ones."""
    x = torch.zeros(1, 1, 16, 16)
    x[..., 3, 3] = 1
    made = ghosts(x, 2 / 16, 0.5, axis)[0, 0]
    line = made[3] if axis == -1 else made[:, 3]
    expected = torch.zeros(16)
    expected[3], expected[11], expected[5], expected[13] = 0.5, 0.5, 0.25, -0.25
    assert torch.allclose(line, expected, atol=1e-6) and made.abs().sum() == pytest.approx(1.5, abs=1e-4)


def test_a_compound_has_so_many_transformations_of_different_families() -> None:
    def adds(value: float) -> Transformation:
        return Transformation(f"family {int(value)}", lambda x, _, __: x + value, lambda x, _, __: x)

    ways = {"exact": TRANSFORMATIONS["exact"]} | {str(value): adds(value) for value in (1.0, 1.25, 10.0, 100.0)}
    x = torch.zeros(400, 1, 2, 2)
    totals = {length: set(compound(ways, length)(x, x, draw())[:, 0, 0, 0].tolist()) for length in (2, 3)}
    assert totals == {2: {11.0, 11.25, 101.0, 101.25, 110.0}, 3: {111.0, 111.25}}


def test_chimeras_are_of_two_patients() -> None:
    x, others = torch.ones(50, 3, 8, 8), torch.zeros(50, 3, 8, 8)
    halves = CHIMERAS["halves"](x, others, draw())
    assert (halves.mean((1, 2, 3)) == 0.5).all()
    assert set(halves[:, 0, 0, 0].tolist()) == {0.0, 1.0}  # left or right
    contrasts = CHIMERAS["contrasts"](x, others, draw())
    assert (contrasts.mean((2, 3)).sum(1) == 1).all() and (contrasts.mean((0, 2, 3)) > 0).all()
    assert "chimera_contrasts" in harder(3) and "chimera_contrasts" not in harder(1)


@pytest.mark.parametrize("name", available(2, 3))
def test_transformations_of_volumes(name: str) -> None:
    x, others = (blur(torch.randn((4, 2, 16, 16, 16), generator=draw(seed)), 1 / 16) for seed in (0, 1))
    way = available(2, 3)[name]
    for use in (way.inject, way.augment or way.inject):
        made = use(x, others, draw(3))
        assert made.shape == x.shape and made.isfinite().all()
        assert torch.equal(made, use(x, others, draw(3)))
        changed = (made != x).flatten(1).any(1)
        assert not changed.any() if name == "exact" else changed.all()


def test_volumes_are_turned_in_48_ways_and_rotated_about_any_axis() -> None:
    x = torch.rand((60, 1, 8, 8, 8), generator=draw())
    ways = turns(3)
    assert len({way(x[:1]).contiguous().numpy().tobytes() for way in ways}) == 48
    assert torch.equal(ways[0](x), x)
    each = turned_each(x, torch.arange(60) % 48)
    assert torch.equal(each[7], ways[7](x[7])) and torch.equal(each[49], ways[1](x[49]))
    assert torch.equal(OF_VOLUMES["front_to_back"].inject(x, x, draw()), x.flip(2))
    made = OF_VOLUMES["turned_any"].inject(x, x, draw())
    assert (made != x).flatten(1).any(1).all()
    assert torch.equal(made.flatten(1).sort(1).values, x.flatten(1).sort(1).values)
    line = torch.zeros((40, 1, 9, 9, 9))
    line[..., 4] = 1  # a plane; rotations about the axis across it leave it as it is
    rotated = TRANSFORMATIONS["rotated_30"].inject(line, line, draw())
    assert len(torch.unique(rotated, dim=0)) == 40


def test_chimeras_and_compounds_of_volumes() -> None:
    x, others = torch.ones(20, 2, 8, 8, 8), torch.zeros(20, 2, 8, 8, 8)
    made = {name: way(x, others, draw()) for name, way in harder(2, 3).items()}
    assert set(made) == {"compound_2", "compound_3", "chimera_halves", "chimera_contrasts"}
    assert made["chimera_halves"].mean((1, 2, 3, 4)).tolist() == [0.5] * 20
    assert {tuple(one) for one in made["chimera_contrasts"].mean((2, 3, 4)).tolist()} == {(0, 1), (1, 0)}
