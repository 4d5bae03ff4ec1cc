"""A tiny encoder: the same seed gives the same bits; transformed copies lie nearer than unseen cases."""

import pytest
import torch
from torch import Tensor, nn

from understudy.evaluation.privacy.copies import encoder
from understudy.evaluation.privacy.copies.cases import local_contrast
from understudy.evaluation.privacy.copies.encoder import Lesson, batch, embed, learn
from understudy.evaluation.privacy.copies.transforms import FAMILIES, TRANSFORMATIONS

LEARNED = [TRANSFORMATIONS[name] for name in ("noise", "shifted")]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder, "WIDTH", 4)


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_copies_original_lie_nearer_than_unseen(fields) -> None:  # type: ignore[no-untyped-def]
    training, unseen = fields(16, 0).images, fields(16, 1).images
    made = learn(Lesson(training, torch.arange(16), LEARNED, 60, 0))
    assert not made.training
    known = embed(made, local_contrast(training))
    assert torch.allclose(known.norm(dim=1), torch.ones(16), atol=1e-5)
    draw = torch.Generator().manual_seed(5)
    copies = torch.cat([TRANSFORMATIONS[name].inject(training, unseen, draw) for name in ("noise", "shifted")])
    similarity = embed(made, local_contrast(copies)) @ known.T
    assert (similarity.argmax(1) == torch.arange(16).repeat(2)).float().mean() > 0.8
    apart = (embed(made, local_contrast(unseen)) @ known.T).amax(1)
    assert similarity.amax(1).median() > apart.quantile(0.95)


def test_same_seed_same_bits(fields) -> None:  # type: ignore[no-untyped-def]
    images = fields(40, 0).images
    state = torch.random.get_rng_state()
    done: list[None] = []
    first = learn(Lesson(images, torch.arange(40), LEARNED, 3, 0), lambda: done.append(None))
    assert len(done) == 3
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.randn(7)
    assert same(first, learn(Lesson(images, torch.arange(40), LEARNED, 3, 0)))
    assert not same(first, learn(Lesson(images, torch.arange(40), LEARNED, 3, 1)))
    assert torch.equal(embed(first, images)[:5], embed(first, images[:5]))


def test_cases_of_the_same_subject_are_no_wrong_answers(fields, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    seen: list[tuple[Tensor, Tensor]] = []
    real = encoder.F.cross_entropy

    def spy(logits: Tensor, chosen: Tensor) -> Tensor:
        seen.append((logits.detach(), chosen))
        return real(logits, chosen)

    monkeypatch.setattr(encoder.F, "cross_entropy", spy)
    cases = fields(4, 0, cases=3)
    learn(Lesson(cases.images, cases.subjects, LEARNED, 2, 0))
    for logits, chosen in seen:
        own = cases.subjects[chosen][:, None] == cases.subjects
        itself = chosen[:, None] == torch.arange(12)
        assert torch.equal(logits == -1e4, own & ~itself)
        assert logits[~own | itself].abs().max() <= 1 / encoder.TEMPERATURE + 1e-3


def test_a_batch_wears_families_by_their_odds_in_groups_and_some_are_left_as_they_are() -> None:
    images = torch.zeros(128, 1, 2, 2)
    ways = {"moved": [lambda x, _, __: x + 1, lambda x, _, __: x + 2], "warped": [lambda x, _, __: x + 100]}
    draw = torch.Generator().manual_seed(0)
    shown = torch.cat([batch(images, ways, draw)[:, 0, 0, :1] for _ in range(60)], 1)
    assert not images.any()
    assert (shown[: encoder.UNTOUCHED] == 0).all()
    applied = shown[encoder.UNTOUCHED :: 12]  # one of each group of 12
    assert torch.equal(applied.repeat_interleave(12, 0), shown[encoder.UNTOUCHED :])
    assert set(applied.flatten().tolist()) == {0, 1, 2, 100, 101, 102}
    assert float((applied % 100 > 0).float().mean()) == pytest.approx(encoder.ODDS["moved"], abs=0.06)
    assert float((applied >= 100).float().mean()) == pytest.approx(encoder.ODDS["warped"], abs=0.06)


def test_every_family_that_is_learned_has_odds() -> None:
    assert set(encoder.ODDS) == set(FAMILIES)


def test_the_encoder_learns_from_local_contrast(fields, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    seen: list[Tensor] = []
    monkeypatch.setattr(encoder, "local_contrast", lambda x: seen.append(x) or local_contrast(x))
    images = fields(16, 0).images
    learn(Lesson(images, torch.arange(16), LEARNED, 2, 0))
    assert len(seen) == 2
    untouched = seen[0][0]
    assert any(torch.equal(untouched, one) for one in images)


def test_what_is_blended_in_is_another_case_of_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(encoder.ODDS, "blended", 1.0)
    images = torch.arange(64).float().view(-1, 1, 1, 1)
    shown = batch(images, {"blended": [lambda _, others, __: others]}, torch.Generator().manual_seed(0)).flatten()
    applied = shown[8:]
    assert set(applied.tolist()) <= set(range(64))
    assert (applied != images.flatten()[8:]).float().mean() > 0.9
