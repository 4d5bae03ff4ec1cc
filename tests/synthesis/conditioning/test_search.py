"""Latent class optimisation with known answers: a linear generator, and a classifier that looks at means."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.seed import derive
from understudy.synthesis.conditioning.search import (
    WIDTH,
    Accepted,
    ConditionConfig,
    DecodedCases,
    Latents,
    NormalLatents,
    Search,
    StyleLatents,
    certainty,
)

WIDE = 6
CONFIG = ConditionConfig(steps=60, restarts=2, attempts=2, check_every=2, block=8, prior=0.0)
NEEDED = math.log(0.9 / 0.1) / 4  # the coordinate at which a class reaches 0.9


def generate(z: Tensor) -> Tensor:
    """Draw z as six rows of pixels: row j holds z_j."""
    return z[:, None, :, None].expand(-1, 1, -1, 4)


def logits(x: Tensor) -> Tensor:
    """Class k is there where the mean of row k is above 0; a third class never is."""
    means = x.mean((1, 3))
    return torch.cat([4 * means[:, :2], torch.full_like(means[:, :1], -9) + 0 * means[:, :1]], 1)


def draw(x: Tensor) -> DecodedCases:
    return DecodedCases(x.numpy(), None, logits(x).sigmoid().numpy())


class Watched(NormalLatents):
    """Remembers every latent that was looked at."""

    def __init__(self) -> None:
        super().__init__(generate, WIDE, torch.device("cpu"))
        self.seen: list[Tensor] = []

    def cases(self, u: Tensor) -> Tensor:
        self.seen.append(u.detach().clone())
        return super().cases(u)


def found(
    targets: list[list[float]], seed: int = 0, latents: Latents | None = None, **changes: object
) -> list[Accepted | None]:
    config = CONFIG.model_copy(update=changes)
    latents = latents or NormalLatents(generate, WIDE, torch.device("cpu"))
    return list(Search(latents, logits, draw, config).run(np.array(targets, np.float32), seed))


def latent(case: Accepted | None) -> np.ndarray:
    assert case is not None
    return case.image[0, :, 0]


FREE = math.nan


def test_the_known_answer_is_found_and_not_overshot() -> None:
    targets = [[1, 0, FREE], [0, 1, FREE], [1, 1, FREE], [FREE, 0, FREE]] * 6
    cases = found(targets)
    for case, wanted in zip(cases, targets, strict=True):
        z = latent(case)
        for k in range(2):
            if not math.isnan(wanted[k]):
                assert (z[k] if wanted[k] else -z[k]) >= NEEDED
    moved = [c for c in cases if c is not None and c.steps > 0]
    assert len(moved) >= 6
    for case in moved:  # it stops within check_every steps of 0.05 after the last class got there
        assert min(abs(latent(case)[:2])) < NEEDED + 0.05 * 2 * 1.5


def test_only_what_the_classifier_sees_is_moved() -> None:
    (case,) = found([[1, 1, FREE]], seed=3, restarts=1)
    start = NormalLatents(generate, WIDE, torch.device("cpu")).start([derive(3, "case", 0, 0, 0)])[0].numpy()
    assert case is not None and case.steps > 0
    scale = latent(case)[2:] / start[2:]
    assert scale == pytest.approx(np.full(4, scale[0]), rel=1e-5)  # the bounds scale, the loss leaves alone


def test_a_case_that_shows_the_classes_already_is_left_as_it_was() -> None:
    cases = found([[1, FREE, FREE]] * 24, restarts=1)
    first = NormalLatents(generate, WIDE, torch.device("cpu")).start([derive(0, "case", i, 0, 0) for i in range(24)])
    at_once = [i for i in range(24) if float(first[i, 0]) >= NEEDED]
    assert at_once and [i for i, c in enumerate(cases) if c is not None and c.steps == 0] == at_once
    for i in at_once:
        assert (latent(cases[i]) == first[i].numpy()).all()


def test_what_cannot_be_shown_is_not_accepted() -> None:
    shown, impossible = found([[1, FREE, FREE], [1, FREE, 1]], steps=8)
    assert impossible is None and (shown is None or shown.attempts <= 2)


def test_a_case_depends_neither_on_n_nor_on_its_neighbours() -> None:
    targets = [[i % 2, FREE, FREE] for i in range(11)]
    many, few = found(targets), found(targets[:6])
    for a, b in zip(many[:6], few, strict=True):
        assert (
            a is not None
            and b is not None
            and (a.image == b.image).all()
            and (a.steps, a.attempts) == (b.steps, b.attempts)
        )
    other = [row if i == 2 else [1 - row[0], 1, 1] for i, row in enumerate(targets)]  # harder neighbours, some hopeless
    again = found(other)[2]
    assert again is not None and many[2] is not None and (again.image == many[2].image).all()
    assert any((latent(a) != latent(b)).any() for a, b in zip(found(targets, seed=1), many, strict=True))


def test_a_second_attempt_starts_elsewhere() -> None:
    class Stubborn(NormalLatents):
        """Starts where the classes are far away, until the second attempt."""

        def start(self, seeds: list[int]) -> Tensor:
            own = super().start(seeds)
            late = torch.tensor([seed in second for seed in seeds])[:, None]
            return torch.where(late, own, torch.full_like(own, -2.0))

    second = {derive(0, "case", i, 1, r) for i in range(4) for r in range(2)}
    cases = found([[1, FREE, FREE]] * 4, latents=Stubborn(generate, WIDE, torch.device("cpu")), steps=20)
    assert [c.attempts for c in cases if c is not None] == [2] * len([c for c in cases if c is not None])
    assert sum(c is not None for c in cases) >= 2


def test_of_several_restarts_the_surest_is_taken() -> None:
    cases = found([[1, FREE, FREE]], restarts=4, steps=0, attempts=1)
    starts = NormalLatents(generate, WIDE, torch.device("cpu")).start([derive(0, "case", 0, 0, r) for r in range(4)])
    best = starts[starts[:, 0].argmax()]
    assert float(best[0]) >= NEEDED and (latent(cases[0]) == best.numpy()).all()


@pytest.mark.parametrize("rate", [0.05, 5.0])
def test_latents_stay_in_the_shell(rate: float) -> None:
    watched = Watched()
    found([[1, 1, FREE], [0, 0, 1], [1, 0, 1]], latents=watched, learning_rate=rate)
    lengths = torch.cat([u.norm(dim=1) for u in watched.seen[1:]])
    starts = watched.seen[0].norm(dim=1)
    assert {len(u) for u in watched.seen} == {8}  # three cases, padded: a network sees one batch size only
    assert len(lengths) > 200 and lengths.max() <= max(math.sqrt(WIDE) + WIDTH, float(starts.max())) + 1e-5
    assert lengths.min() >= min(max(math.sqrt(WIDE) - WIDTH, 0), float(starts.min())) - 1e-5
    z = watched.bounded(torch.randn(5, WIDE) * 100)
    assert z.norm(dim=1).tolist() == pytest.approx([math.sqrt(WIDE) + WIDTH] * 5)


def test_the_prior_draws_towards_the_sphere() -> None:
    latents = NormalLatents(generate, 64, torch.device("cpu"))
    z = torch.randn(3, 64, generator=torch.Generator().manual_seed(0))
    sphere = z / z.norm(dim=1, keepdim=True) * 8
    assert latents.prior(sphere).abs().max() < 1e-10 and (latents.prior(1.2 * sphere) > 0.1).all()
    loose, tight = (found([[1, 1, 1]], restarts=1, attempts=1, prior=weight) for weight in (0.0, 5.0))
    assert loose == tight == [None]  # hopeless: what matters is where it went
    ends = []
    for weight in (0.0, 5.0):
        watched = Watched()
        found([[1, 1, 1]], latents=watched, prior=weight, restarts=1, attempts=1, learning_rate=0.2)
        ends.append(float(watched.prior(watched.seen[-1][:1])))
    assert ends[1] < 0.1 * ends[0]


def test_styles_are_searched_in_units_of_their_spread() -> None:
    scale = torch.tensor([10.0, 0.1, 1, 1, 1, 1])

    def style(z: Tensor) -> Tensor:
        return 3 + z * scale

    latents = StyleLatents(style, lambda w: generate((w - 3) / scale), WIDE, torch.device("cpu"))
    assert latents.mean.tolist() == pytest.approx([3.0] * 6, abs=1.1) and (latents.spread / scale - 1).abs().max() < 0.1
    z = NormalLatents(generate, WIDE, torch.device("cpu")).start([1, 2])
    assert torch.allclose(latents.cases(latents.start([1, 2])), generate(z), atol=1e-4)
    assert float(latents.prior(latents.start(list(range(400)))).mean()) == pytest.approx(1, abs=0.15)
    far = latents.bounded(torch.randn(4, WIDE) * 50)
    assert latents.prior(far).tolist() == pytest.approx([latents.limit] * 4, rel=1e-4) and 1 < latents.limit < 6
    assert torch.equal(latents.bounded(far * 0.3), far * 0.3)
    for case in found([[1, 0, FREE]] * 4, latents=latents):
        z_found = latent(case)
        assert z_found[0] >= NEEDED and z_found[1] <= -NEEDED


def test_certainty() -> None:
    probabilities = np.array([[0.9, 0.2], [0.9, 0.2], [0.9, 0.2], [0.4, 0.5]])
    targets = np.array([[1, 0], [1, 1], [1, FREE], [FREE, FREE]])
    assert certainty(probabilities, targets).tolist() == [0.8, 0.2, 0.9, 1]


def test_settings_are_checked() -> None:
    for wrong in ({"threshold": 0.4}, {"space": "x"}, {"block": 2, "restarts": 3}, {"unknown": 1}):
        with pytest.raises(ValueError, match="threshold|space|block|unknown"):
            ConditionConfig(**wrong)  # type: ignore[arg-type]
