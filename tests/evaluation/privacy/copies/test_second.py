"""The second judgement's matchers: what each recognises, that none reads what the others do, and own subjects."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, without_subject
from understudy.evaluation.privacy.copies.matchers import MATCHERS, ReferenceSet, match
from understudy.evaluation.privacy.copies.registration import blur, random_warp
from understudy.evaluation.privacy.copies.second import SECOND, match_second, orientations, ranks, spectrum

Fields = Callable[..., SmallCases]
COPIES: dict[str, Callable[[Tensor], Tensor]] = {
    "turned": lambda x: torch.rot90(x, 1, (-2, -1)).flip(-1),
    "upside down": lambda x: x.flip(-2),
    "shifted": lambda x: torch.roll(x, (3, -4), (-2, -1)),
    "negative": lambda x: -x,
    "gamma": lambda x: ((x + 1) / 2) ** 1.6 * 2 - 1,
    "noise": lambda x: x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1)),
    "blurred": lambda x: blur(x, 2 / 64),
    "warped": lambda x: random_warp(x, 2 / 64, 6 / 64, torch.Generator().manual_seed(2)),
}


def every(queries: SmallCases, targets: SmallCases) -> dict[str, NearestTwo]:
    return {name: match_second(queries, targets, name) for name in SECOND}


@pytest.mark.parametrize("name", COPIES)
def test_copies_are_found_by_one_matcher_at_least(name: str, fields: Fields) -> None:
    cases = fields(12, 0)
    found = every(without_subject(COPIES[name](cases.images)), cases)
    right = torch.stack([torch.from_numpy(near.case == torch.arange(12).numpy()) for near in found.values()])
    assert right.float().mean(1).max() >= 0.9, right.float().mean(1)


def test_the_judgements_share_no_matcher_and_match_asks_the_right_one(fields: Fields) -> None:
    cases, everyone = fields(6, 0, cases=2), torch.ones(12, dtype=torch.bool)
    found = match(cases, ReferenceSet(cases, None, everyone, tuple(SECOND)))
    assert not set(found) & set(MATCHERS) and list(found) == ["orientations", "spectrum", "ranks"]
    whose = cases.subjects.numpy()
    assert all((whose[near.case] != whose).all() for near in found.values())


def test_features_forget_what_they_should(fields: Fields) -> None:
    x = fields(3, 0).images
    assert torch.allclose(orientations(-x), orientations(x), atol=1e-5)
    assert torch.allclose(orientations(0.5 * x + 0.2), orientations(x), atol=1e-4)
    assert torch.allclose(ranks(x.sign() * x.abs() * 3), ranks(x))
    assert torch.allclose(spectrum(x + 0.3), spectrum(x), atol=1e-3)


def test_copies_of_volumes_are_found_by_one_matcher_at_least(fields: Fields) -> None:
    cases = fields(5, 0, dims=3)
    ways = enumerate(("turned", "negative", "noise"))
    copies = without_subject(torch.cat([COPIES[name](cases.images[i : i + 1]) for i, name in ways]))
    found = every(copies, cases)
    right = [near.case == [0, 1, 2] for near in found.values()]
    assert list(right[0] | right[1] | right[2]) == [True] * 3
