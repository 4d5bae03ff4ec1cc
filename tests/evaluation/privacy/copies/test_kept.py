"""What is kept: the same bits from the cache, nothing learned or matched twice; what misses; damaged entries."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from understudy.core.errors import UnderstudyError
from understudy.evaluation.cache import NOTHING_KEPT, Cache, open_cache
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.copies import kept, likeness
from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, fingerprint, local_contrast
from understudy.evaluation.privacy.copies.encoder import Lesson, learn
from understudy.evaluation.privacy.copies.kept import learned, learned_pairs
from understudy.evaluation.privacy.copies.likeness import Targets
from understudy.evaluation.privacy.copies.matchers import MATCHERS, ReferenceSet, match
from understudy.evaluation.privacy.copies.pairs import PairLesson
from understudy.evaluation.privacy.copies.second import SECOND
from understudy.evaluation.privacy.copies.transforms import TRANSFORMATIONS
from understudy.evaluation.privacy.stage import evaluate_privacy

Fields = Callable[..., SmallCases]
WAYS = list(TRANSFORMATIONS.values())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return open_cache(tmp_path / "cache", [])


@pytest.fixture
def never(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what makes learning fail from now on."""

    def fails(*_: object) -> None:
        raise AssertionError("nothing is learned twice")

    return lambda: monkeypatch.setattr(kept, "learn", fails)


def entries(cache: Cache) -> list[Path]:
    assert cache.folder is not None
    return sorted(cache.folder.glob("*.npy"))


def test_an_encoder_from_the_cache_has_the_same_bits(fields: Fields, cache: Cache, never: Callable[[], None]) -> None:
    cases = fields(12, 0)
    first = learned(cache, Lesson(cases.images, cases.subjects, WAYS, 2, 5))
    alone = learned(NOTHING_KEPT, Lesson(cases.images, cases.subjects, WAYS, 2, 5))
    never()
    torch.manual_seed(3)
    again, after = learned(cache, Lesson(cases.images, cases.subjects, WAYS, 2, 5)), torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(1)) and not again.training  # nobody else's randomness is used
    for one in (first, alone):
        for name, weights in one.state_dict().items():
            assert torch.equal(weights, again.state_dict()[name]) and weights.dtype == again.state_dict()[name].dtype
    for changed in ((cases.images + 1, WAYS, 2, 5), (cases.images, WAYS[:3], 2, 5), (cases.images, WAYS, 3, 5),
                    (cases.images, WAYS, 2, 6)):  # fmt: skip
        with pytest.raises(AssertionError, match="twice"):
            learned(cache, Lesson(changed[0], cases.subjects, *changed[1:]))


def test_a_pair_network_from_the_cache_has_the_same_bits(
    fields: Fields, cache: Cache, monkeypatch: pytest.MonkeyPatch, few_maps: Callable[[int], torch.Tensor]
) -> None:
    monkeypatch.setattr(likeness, "affine_bank", few_maps)
    cases, everyone = fields(12, 0), torch.ones(12, dtype=torch.bool)
    encoder = learn(Lesson(cases.images, cases.subjects, WAYS, 2, 5))
    lesson = PairLesson(
        cases.images, Targets(local_contrast(cases.images), cases.subjects, encoder, everyone), WAYS, 5, 48
    )
    first, alone = learned_pairs(cache, lesson), learned_pairs(NOTHING_KEPT, lesson)
    monkeypatch.setattr(kept, "learn_pairs", lambda *_: pytest.fail("nothing is learned twice"))
    again = learned_pairs(cache, lesson)
    for one in (first, alone):
        assert all(map(torch.equal, one.state_dict().values(), again.state_dict().values())) and not again.training
    known = replace(lesson.targets, known=torch.arange(12) > 2)
    other = learn(Lesson(cases.images, cases.subjects, WAYS, 2, 6))
    for changed in (replace(lesson, seed=6), replace(lesson, transformations=WAYS[:3]), replace(lesson, targets=known),
                    replace(lesson, targets=replace(lesson.targets, encoder=other))):  # fmt: skip
        with pytest.raises(pytest.fail.Exception, match="twice"):
            learned_pairs(cache, changed)


def test_a_transformation_without_a_name_is_learned_anew(
    fields: Fields, cache: Cache, never: Callable[[], None]
) -> None:
    cases, way = fields(12, 0), replace(WAYS[1], augment=lambda x, others, draw: x)
    learned(cache, Lesson(cases.images, cases.subjects, [way], 1, 0))
    never()
    learned(cache, Lesson(cases.images, cases.subjects, [way], 1, 0))  # the same function of the same process
    with pytest.raises(AssertionError, match="twice"):
        learned(cache, Lesson(cases.images, cases.subjects, [replace(way, augment=lambda x, others, draw: x)], 1, 0))


@pytest.mark.parametrize("matchers", [MATCHERS, tuple(SECOND)])
def test_matches_from_the_cache_have_the_same_bits(
    fields: Fields, cache: Cache, matchers: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    queries, targets, everyone = fields(3, 1, first=50), fields(8, 0), torch.ones(8, dtype=torch.bool)
    labels = torch.zeros(8, 64, 64, dtype=torch.int64)
    labels[:, 20:40, 20:40] = 1
    queries, targets = replace(queries, labels=labels[:3]), replace(targets, labels=labels)
    reference = ReferenceSet(targets, None, everyone, matchers, cache)
    alone, first = match(queries, replace(reference, cache=NOTHING_KEPT)), match(queries, reference)
    assert len(entries(cache)) == len(first) == len(matchers)
    store = Cache.store
    monkeypatch.setattr(Cache, "store", lambda *_: pytest.fail("matched again"))
    again = match(queries, replace(reference))
    assert list(again) == list(alone)
    for name, near in again.items():
        for part in ("case", "first", "score"):
            for other in (first, alone):
                assert np.array_equal(getattr(near, part), getattr(other[name], part))
            assert getattr(near, part).dtype == getattr(alone[name], part).dtype
    monkeypatch.setattr(Cache, "store", store)
    for changed in (replace(targets, images=targets.images * 2), replace(targets, subjects=targets.subjects + 1),
                    replace(targets, labels=labels * 0)):  # fmt: skip
        before = len(entries(cache))
        match(queries, replace(reference, cases=changed))
        assert len(entries(cache)) > before


def test_fingerprints_tell_shapes_types_and_values_apart() -> None:
    x = torch.arange(6.0)
    every = [
        fingerprint(x),
        fingerprint(x.view(2, 3)),
        fingerprint(x.double()),
        fingerprint(x + 1),
        fingerprint(x, None),
    ]
    assert len(set(every)) == 5 and fingerprint(x.view(2, 3).T.T) == every[1]


def test_an_evaluation_has_the_same_bytes_with_a_cache(write: Callable[..., Path], tmp_path: Path) -> None:
    """A second cohort against the same real one finds the detector; a damaged entry is refused."""
    draw = np.random.default_rng(0)
    pictures = [draw.integers(0, 256, (n, 2, 8, 8)).astype(np.uint8) for n in (40, 6, 6)]
    real = write("real", pictures[0], kind="real", splits=["train"] * 20 + ["control"] * 12 + ["test"] * 8)
    first, second = (write(name, pictures[i]) for i, name in ((1, "first"), (2, "second")))
    config = PrivacyConfig(matchers=("pixels", "whole"), updates=2, bootstrap=100, attacks=())
    evaluate_privacy(real, [first], tmp_path / "once", 0, config, cache=tmp_path / "cache")
    before = len(list((tmp_path / "cache").glob("*.npy")))
    alone = evaluate_privacy(real, [second], tmp_path / "alone", 0, config)
    found = evaluate_privacy(real, [second], tmp_path / "found", 0, config, cache=tmp_path / "cache")
    ours, theirs = (
        {f.relative_to(out): f.read_bytes() for f in out.rglob("*") if f.is_file()} for out in (alone, found)
    )
    assert ours == theirs
    files = sorted((tmp_path / "cache").glob("*.npy"))
    assert len(files) - before <= 4  # the second cohort, against training cases and in the swap test
    for file in files:
        file.write_bytes(file.read_bytes()[:-1] + b"0")
    with pytest.raises(UnderstudyError, match="the seal of .* does not hold"):
        evaluate_privacy(real, [second], tmp_path / "damaged", 0, config, cache=tmp_path / "cache")
    assert not (tmp_path / "damaged").exists()


def test_what_is_kept_is_small(fields: Fields, cache: Cache) -> None:
    queries, targets = fields(3, 1, first=50), fields(8, 0)
    near = match(queries, ReferenceSet(targets, None, torch.ones(8, dtype=torch.bool), ("pixels",), cache))
    (file,) = entries(cache)
    assert np.load(file).shape == (3, len(queries)) and isinstance(near["pixels"], NearestTwo)
