"""Local correlation by hand; channels in any order, inverted; what pairs are made of; same bits; copies stand out."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from understudy.evaluation.privacy.copies import likeness, pairs
from understudy.evaluation.privacy.copies.cases import SmallCases, local_contrast
from understudy.evaluation.privacy.copies.likeness import Targets
from understudy.evaluation.privacy.copies.pairs import (
    AGAIN,
    CANDIDATES,
    LEAST,
    PairLesson,
    compared,
    learn_pairs,
    local_correlation,
    log_odds,
    pair_updates,
    registered,
)
from understudy.evaluation.privacy.copies.transforms import TRANSFORMATIONS

Fields = Callable[..., SmallCases]
WAYS = [TRANSFORMATIONS[name] for name in ("noise", "warped", "gamma")]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, few_maps: Callable[[int], Tensor]) -> None:
    monkeypatch.setattr(pairs, "WIDTH", 4)
    monkeypatch.setattr(likeness, "affine_bank", few_maps)


def lesson(cases: SmallCases, seed: int = 0, known: Tensor | None = None) -> PairLesson:
    everyone = torch.ones(len(cases), dtype=torch.bool)
    targets = Targets(local_contrast(cases.images), cases.subjects, nn.Flatten(), everyone if known is None else known)
    return PairLesson(cases.images, targets, WAYS, seed)


def test_local_correlation_is_that_of_a_gaussian_window() -> None:
    draw = torch.Generator().manual_seed(0)
    a, b = torch.rand((2, 1, 1, 64, 64), generator=draw)
    at, steps = 30, torch.arange(64.0)
    line = torch.exp(-((steps - at) ** 2) / (2 * 2.5**2)) * ((steps - at).abs() <= 10)
    weights = line[:, None] * line / line.sum() ** 2
    mean_a, mean_b = (weights * a[0, 0]).sum(), (weights * b[0, 0]).sum()
    of_a, of_b = ((weights * (x[0, 0] - mean) ** 2).sum() + 0.01 for x, mean in ((a, mean_a), (b, mean_b)))
    by_hand = (weights * (a[0, 0] - mean_a) * (b[0, 0] - mean_b)).sum() / (of_a * of_b).sqrt()
    found = local_correlation(a, b)[0, 0, 0, at, at]
    assert float(found) == pytest.approx(float(by_hand), abs=1e-5)
    assert torch.allclose(local_correlation(a, -b), -local_correlation(a, b), atol=1e-5)
    assert (
        local_correlation(10 * a, 3 * a + 1).min() > 0.9 and local_correlation(a, torch.ones_like(a)).abs().max() < 1e-3
    )


def test_channels_are_compared_in_any_order_and_inverted(fields: Fields) -> None:
    draw = torch.Generator().manual_seed(1)
    images = local_contrast(torch.cat([fields(4, seed).images for seed in (1, 2, 3)], 1)[:, :3])
    sign = torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1)
    query = images[:, [2, 0, 1]] * sign
    seen = compared(query, images)
    assert seen.shape == (4, 3, 3, 64, 64)
    shows = seen[:, :, 0].abs() > 0.05
    assert torch.equal(seen[:, :, 0] * sign, seen[:, :, 1])  # each channel beside the one it was made of
    inside = seen[:, :, 2][shows].sign() == sign.expand(4, 3, 64, 64)[shows]
    assert inside.float().mean() > 0.99
    plain = torch.zeros_like(images)
    assert not compared(torch.rand(images.shape, generator=draw), plain).any()  # a plain case shows nothing


def test_registered_cases_are_of_other_subjects_than_the_querys_own(fields: Fields) -> None:
    cases = fields(6, 0, cases=2)
    targets = lesson(cases).targets
    nobody = torch.full((12,), -1)
    found = registered(targets.images, nobody, targets)
    assert found.case[:, 0].tolist() == list(range(12)) and found.case.shape == (12, CANDIDATES)
    assert found.query.shape == found.fitted.shape == (12, CANDIDATES, *cases.images.shape[1:])
    others = registered(targets.images, cases.subjects, targets)
    assert (cases.subjects[others.case] != cases.subjects[:, None]).all()


def test_examples_are_transformed_cases_and_cases_beside_others_of_what_the_encoder_knows(
    fields: Fields, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases, asked = fields(20, 0), []
    known = torch.arange(20) >= 8

    def spy(queries: Tensor, own: Tensor, targets: Targets) -> pairs.Registered:
        asked.append((queries, own))
        return registered(queries, own, targets)

    monkeypatch.setattr(pairs, "registered", spy)
    one = lesson(cases, known=known)
    shown, same = pairs._examples(one, torch.Generator().manual_seed(0))
    (transformed, nobody), (as_they_are, own) = asked
    assert len(transformed) == 12 * AGAIN and len(as_they_are) == 12 and (nobody == -1).all()
    assert sorted(own.tolist()) == list(range(8, 20))  # a case a subject: the names are the rows
    assert torch.equal(as_they_are, one.targets.images[own])
    ends = 12 * AGAIN * CANDIDATES
    assert len(shown) == len(same) == ends + 12 * CANDIDATES
    assert not same[ends:].any() and 10 * AGAIN <= same[:ends].sum() <= 12 * AGAIN


def test_same_seed_same_bits_and_nobody_elses_randomness(fields: Fields) -> None:
    one, state, done = replace(lesson(fields(24, 0)), queries=48), torch.random.get_rng_state(), []
    first = learn_pairs(one, lambda: done.append(None))
    assert len(done) == pair_updates(24, 48) and torch.equal(torch.random.get_rng_state(), state) and not first.training
    torch.randn(3)
    again, other = learn_pairs(one), learn_pairs(replace(one, seed=1))
    pairs_of = [list(net.state_dict().values()) for net in (first, again, other)]
    assert all(map(torch.equal, pairs_of[0], pairs_of[1])) and not all(map(torch.equal, pairs_of[0], pairs_of[2]))


def test_copies_stand_out_from_people_whom_the_network_has_not_seen(fields: Fields) -> None:
    network = learn_pairs(lesson(fields(64, 0)))
    unseen = fields(40, 1)
    targets = lesson(unseen).targets
    draw = torch.Generator().manual_seed(2)
    warped = local_contrast(TRANSFORMATIONS["warped"].inject(unseen.images, unseen.images, draw))
    warped[:, :1] *= -1  # and one contrast inverted
    copies, strangers = (
        registered(warped, own, targets) for own in (torch.full((40,), -1), torch.arange(40) + int(unseen.subjects[0]))
    )
    right = unseen.subjects[copies.case] == unseen.subjects[:, None]
    sure, not_sure = (
        log_odds(network, x.query.flatten(0, 1), x.fitted.flatten(0, 1)).view(40, -1) for x in (copies, strangers)
    )
    assert right.any(1).float().mean() > 0.8
    assert sure[right].quantile(0.2) > not_sure.amax(1).quantile(0.95)
    assert torch.cat([sure.flatten(), not_sure.flatten()]).min() == LEAST  # of unlike pairs none is less unlike
