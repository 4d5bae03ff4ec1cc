"""What each matcher recognises, what it leaves out, and that blocks do not matter; a pasted part is found."""

import numpy as np
import pytest
import torch
from torch import nn

from understudy.evaluation.privacy.copies import matchers, registration
from understudy.evaluation.privacy.copies.cases import SmallCases, local_contrast
from understudy.evaluation.privacy.copies.matchers import MATCHERS, ReferenceSet, match, patch_rows, similar_patches
from understudy.evaluation.privacy.copies.registration import blur


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

    def near(images: torch.Tensor, own: int = -1) -> matchers.NearestTwo:
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
def small_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try shifts and mirrors only, to be quick."""
    monkeypatch.setattr(registration, "DEGREES", (0.0,))
    monkeypatch.setattr(registration, "ZOOMS", (1.0,))


def reference_set(cases: SmallCases, *names: str, known: torch.Tensor | None = None) -> ReferenceSet:
    """Return a reference_set whose encoder sees pixels as they are."""
    everyone = torch.ones(len(cases), dtype=torch.bool)
    encoder = nn.Flatten() if "embedding" in names else None
    return ReferenceSet(cases, encoder, everyone if known is None else known, names)


def strange(images: torch.Tensor, labels: torch.Tensor | None = None) -> SmallCases:
    return SmallCases(images, labels, torch.full((len(images),), -1))


def test_only_what_is_asked_for_is_looked_at(fields) -> None:  # type: ignore[no-untyped-def]
    training, queries = fields(6, 0), strange(fields(2, 1).images)
    assert list(match(queries, reference_set(training, "pixels"))) == ["pixels"]
    assert set(match(queries, reference_set(training, "pixels", "detail", "patches"))) == {
        "pixels",
        "detail",
        "patches",
    }
    assert set(match(queries, reference_set(training, *MATCHERS))) == set(MATCHERS) - {
        "lesions"
    }  # there are no label maps
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
    assert near.second == pytest.approx(np.sort(r, 1)[:, -2], abs=1e-5)


def test_each_matcher_recognises_its_transformations(fields) -> None:  # type: ignore[no-untyped-def]
    training = fields(12, 0, cases=2, channels=2)
    source = training.images[[4, 9]]
    moved = strange(torch.roll(source.flip(-1)[:, [1, 0]], 3, -1))
    seen = match(moved, reference_set(training, "pixels", "registered"))
    assert seen["registered"].case.tolist() == [4, 9]
    assert seen["registered"].first.min() > 0.9 > 0.8 > seen["pixels"].first.max()
    shaded = strange(blur(source, 2 / 64) + 0.25 * torch.linspace(-1, 1, 64))
    seen = match(shaded, reference_set(training, "pixels", "registered", "detail"))
    assert seen["detail"].case.tolist() == [4, 9]
    assert seen["detail"].score.min() > seen["pixels"].score.max()


@pytest.mark.parametrize("matcher", ["pixels", "registered", "detail", "deformed", "embedding", "patches"])
def test_the_own_subject_is_left_out_of_every_matcher(fields, matcher: str) -> None:  # type: ignore[no-untyped-def]
    training = fields(5, 0, cases=2)
    seen = match(training[:4], reference_set(training, "pixels", matcher))
    whose = training.subjects.numpy()
    assert (whose[seen[matcher].case] != whose[:4]).all()
    assert seen[matcher].first.max() < 0.995
    assert (seen[matcher].second <= seen[matcher].first).all()
    known = match(strange(training.images[:4]), reference_set(training, "pixels", matcher))[matcher]
    assert known.case.tolist() == [0, 1, 2, 3]
    assert known.first.min() > 0.995


def test_the_embedding_compares_with_known_cases_only(fields) -> None:  # type: ignore[no-untyped-def]
    training = fields(8, 0)
    known = torch.arange(8) >= 4
    near = match(strange(training.images), reference_set(training, "pixels", "embedding", known=known))["embedding"]
    assert near.case[4:].tolist() == [4, 5, 6, 7]
    assert near.case[:4].min() >= 4
    assert near.first[:4].max() < 0.9


def test_neither_blocks_nor_order_matter(fields, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    training, queries = fields(6, 0), strange(fields(7, 1).images)
    names = ("pixels", "registered", "embedding", "patches")
    whole = match(queries, reference_set(training, *names))
    monkeypatch.setattr(matchers, "MANY", 3)
    monkeypatch.setattr(matchers, "BLOCK", 2)
    order = np.array([5, 2, 0, 6, 1, 4, 3])
    parts = match(queries[order], reference_set(training, *names))
    for name, near in whole.items():
        assert parts[name].case.tolist() == near.case[order].tolist()
        assert parts[name].first == pytest.approx(near.first[order], abs=1e-4)
        assert parts[name].second == pytest.approx(near.second[order], abs=1e-4)
