"""A part that was pasted into another image is found."""

import pytest
import torch

from understudy.evaluation.privacy.copies import matchers
from understudy.evaluation.privacy.copies.cases import SmallCases
from understudy.evaluation.privacy.copies.matchers import patch_rows, similar_patches


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
