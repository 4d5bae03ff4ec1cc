"""What each matcher recognises, what it leaves out, and that blocks do not matter; a pasted part is found."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from understudy.evaluation.privacy.copies import likeness, matchers, pairs
from understudy.evaluation.privacy.copies.cases import SmallCases, local_contrast, ratio
from understudy.evaluation.privacy.copies.matchers import MATCHERS, ReferenceSet, match, patch_rows, similar_patches
from understudy.evaluation.privacy.copies.registration import random_warp


def test_patches_are_centred_by_channel_and_of_length_one() -> None:
    halved = torch.rand((3, 2, 32, 32), generator=torch.Generator().manual_seed(0))
    halved[1] = torch.tensor([0.2, 0.9]).view(2, 1, 1)  # plain, though its channels differ
    rows = patch_rows(halved, 0, 2)
    assert rows.shape == (3, 2 * 64)
    assert torch.allclose(rows[[0, 2]].norm(dim=1), torch.tensor(1.0))
    assert (rows[1] == 0).all()
    assert rows[0].view(2, 64).mean(1).abs().max() < 1e-6
    cut = halved[0, :, :8, 2:10].flatten(1)
    expected = (cut - cut.mean(1, keepdim=True)).flatten()
    assert torch.allclose(rows[0], expected / expected.norm(), atol=1e-5)


def test_a_pasted_part_is_found(fields, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    training: SmallCases = fields(20, 0, cases=2, channels=2)
    hosts: SmallCases = fields(8, 1, channels=2)
    pasted = hosts.images.clone()
    pasted[5, :, 8:36, 24:52] = 1.5 * training.images[27, :, 12:40, 20:48]  # four pixels aside, and brighter

    def near(images: Tensor, own: int = -1) -> matchers.NearestTwo:
        return similar_patches(SmallCases(images, None, torch.full((8,), own)), training)

    found, before = near(pasted), near(hosts.images)
    assert found.case[5] == 27
    assert found.first[5] > 0.99 > 0.97 > before.first.max()
    assert found.score[5] > before.score.max() + 1
    others = [0, 1, 2, 3, 4, 6, 7]
    assert found.score[others] == pytest.approx(before.score[others], abs=1e-5)
    assert near(pasted, own=13).first[5] < 0.97  # cases 26 and 27 are of subject 13
    monkeypatch.setattr(matchers, "PATCH_BLOCK", 3)
    again = near(pasted)
    assert again.case.tolist() == found.case.tolist()
    assert again.score == pytest.approx(found.score, abs=1e-3)


@pytest.fixture(autouse=True)
def small_bank(monkeypatch: pytest.MonkeyPatch, few_maps: Callable[[int], Tensor]) -> None:
    """Try shifts only, to be quick."""
    monkeypatch.setattr(likeness, "affine_bank", few_maps)


def reference_set(cases: SmallCases, *names: str, known: Tensor | None = None, encoder: bool = True) -> ReferenceSet:
    """Return a reference set whose encoder sees pixels as they are."""
    everyone = torch.ones(len(cases), dtype=torch.bool)
    return ReferenceSet(cases, nn.Flatten() if encoder else None, everyone if known is None else known, names)


def strange(images: Tensor, labels: Tensor | None = None) -> SmallCases:
    return SmallCases(images, labels, torch.full((len(images),), -1))


def test_only_what_is_asked_for_is_looked_at(fields) -> None:  # type: ignore[no-untyped-def]
    training, queries = fields(6, 0), strange(fields(2, 1).images)
    assert list(match(queries, reference_set(training, "pixels"))) == ["pixels"]
    assert set(match(queries, reference_set(training, "pixels", "patches"))) == {"pixels", "patches"}
    assert set(match(queries, reference_set(training, *MATCHERS))) == set(MATCHERS) - {"lesions"}  # no label maps
    maps = torch.zeros(6, 64, 64, dtype=torch.int64)
    maps[:, 20:30, 20:30] = 1
    labelled = SmallCases(training.images, maps, training.subjects)
    seen = match(strange(training.images[:2], maps[:2]), reference_set(labelled, "pixels", "lesions"))
    assert seen["lesions"].case.tolist() == [0, 1]
    assert "lesions" not in match(queries, reference_set(labelled, "pixels", "lesions"))


def test_pixels_are_pearsons_r_in_local_contrast(fields) -> None:  # type: ignore[no-untyped-def]
    training, queries = fields(6, 0, channels=2), strange(fields(3, 1, channels=2).images)
    near = match(queries, reference_set(training, "pixels"))["pixels"]
    rows = [local_contrast(one.images).flatten(1).numpy() for one in (queries, training)]
    r = np.corrcoef(*rows)[:3, 3:]
    assert near.case.tolist() == r.argmax(1).tolist()
    assert near.first == pytest.approx(r.max(1), abs=1e-5)
    assert near.score == pytest.approx(ratio(r.max(1), np.sort(r, 1)[:, -2]), abs=1e-4)


@pytest.mark.parametrize("encoder", [True, False])
def test_whole_sees_through_a_mirror_a_shift_a_warp_and_swapped_channels(fields, encoder: bool) -> None:  # type: ignore[no-untyped-def]
    training = fields(12, 0, cases=2, channels=2)
    source = training.images[[4, 9]]
    worn = random_warp(torch.roll(source.flip(-1)[:, [1, 0]], 3, -1), 2 / 64, 6 / 64, torch.Generator().manual_seed(0))
    names = ("pixels", "whole")
    seen = match(strange(worn), reference_set(training, *names, encoder=encoder))
    unseen = match(strange(fields(12, 1, channels=2).images), reference_set(training, *names, encoder=encoder))
    assert seen["whole"].case.tolist() == [4, 9]
    assert seen["whole"].first.min() > 0.8 > seen["pixels"].first.max()
    assert seen["whole"].score.min() > unseen["whole"].score.max()


@pytest.mark.parametrize("matcher", ["pixels", "whole", "patches"])
def test_the_own_subject_is_left_out_of_every_matcher(fields, matcher: str) -> None:  # type: ignore[no-untyped-def]
    training = fields(5, 0, cases=2)
    seen = match(training[:4], reference_set(training, "pixels", matcher))
    whose = training.subjects.numpy()
    assert (whose[seen[matcher].case] != whose[:4]).all()
    assert seen[matcher].first.max() < 0.995
    known = match(strange(training.images[:4]), reference_set(training, "pixels", matcher))[matcher]
    assert known.case.tolist() == [0, 1, 2, 3]
    assert known.first.min() > 0.995


def test_what_no_encoder_has_learned_is_compared_only_without_one(fields) -> None:  # type: ignore[no-untyped-def]
    training = fields(8, 0)
    known = torch.arange(8) >= 4
    near = match(strange(training.images), reference_set(training, "pixels", "whole", known=known))["whole"]
    assert near.case[4:].tolist() == [4, 5, 6, 7]
    assert near.case[:4].min() >= 4
    assert near.score[:4].max() < near.score[4:].min()
    every = match(strange(training.images), reference_set(training, "whole", known=known, encoder=False))["whole"]
    assert every.case.tolist() == list(range(8))


def test_neither_blocks_nor_order_matter(fields, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    training, queries = fields(6, 0), strange(fields(7, 1).images)
    names = ("pixels", "whole", "patches")
    whole = match(queries, reference_set(training, *names))
    for name, size in (("MANY", 3), ("BLOCK", 4), ("PATCH_BLOCK", 3)):
        monkeypatch.setattr(matchers, name, size)
    monkeypatch.setattr(pairs, "REGISTERED", 2)
    order = np.array([5, 2, 0, 6, 1, 4, 3])
    parts = match(queries[order], reference_set(training, *names))
    for name, near in whole.items():
        assert parts[name].case.tolist() == near.case[order].tolist()
        assert parts[name].first == pytest.approx(near.first[order], abs=1e-4)
        assert parts[name].score == pytest.approx(near.score[order], abs=2e-2)


def test_with_one_subject_there_is_no_second(fields) -> None:  # type: ignore[no-untyped-def]
    training = fields(1, 0, cases=3)
    near = match(strange(fields(2, 1).images), reference_set(training, "whole"))["whole"]
    assert np.isfinite(near.score).all()


def test_copies_of_volumes_are_found_by_whole_and_by_patches(fields: Callable[..., SmallCases]) -> None:
    training, strangers = fields(5, 0, dims=3), fields(4, 1, first=100, dims=3).images
    warp = torch.Generator().manual_seed(0)
    worn = random_warp(-training.images[[3]].transpose(2, 4).flip(3), 2 / 64, 6 / 64, warp)
    part = strangers[:1].clone()
    part[..., 6:20, 4:18, 10:24] = training.images[2][..., 6:20, 4:18, 10:24]
    shown = strange(torch.cat([worn, part, strangers[1:]]))
    names = ("pixels", "whole", "patches")
    found = match(shown, reference_set(training, *names, encoder=False))
    assert found["whole"].case[0] == 3 and found["whole"].score[0] > found["whole"].score[1:].max() + 2
    assert found["patches"].case[1] == 2 and found["patches"].score[1] > found["patches"].score[[0, 2, 3, 4]].max() + 1
    own = match(training[:2], reference_set(training, *names, encoder=False))
    assert all((near.case != np.arange(2)).all() for near in own.values())
