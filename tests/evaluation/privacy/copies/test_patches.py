"""A part that was pasted into another image is found."""

import pytest
import torch

from understudy.evaluation.privacy.copies import patches
from understudy.evaluation.privacy.copies.cases import Cases
from understudy.evaluation.privacy.copies.near import joined
from understudy.evaluation.privacy.copies.patches import SHOWN, richest, similar_patches


def test_patches_are_centred_by_channel_and_of_length_one() -> None:
    images = torch.rand((3, 2, 64, 64), generator=torch.Generator().manual_seed(0))
    images[1] = torch.tensor([0.2, 0.9]).view(2, 1, 1)  # plain, though its channels differ
    rows = patches.patches(images)
    assert rows.shape == (3, 13 * 13, 2 * 64)
    assert torch.allclose(rows[[0, 2]].norm(dim=2), torch.tensor(1.0))
    assert (rows[1] == 0).all()
    assert rows[0].unflatten(1, (2, 64)).mean(2).abs().max() < 1e-6
    halved = images.view(3, 2, 32, 2, 32, 2).mean((3, 5))
    second = halved[0, :, :8, 2:10].flatten(1)  # the patch to the right of the first
    expected = (second - second.mean(1, keepdim=True)).flatten()
    assert torch.allclose(rows[0, 1], expected / expected.norm(), atol=1e-5)


def test_the_richest_patches_lie_where_the_detail_is() -> None:
    images = torch.zeros(1, 1, 64, 64)
    images[..., 44:52, 8:16] = 1
    at = richest(images)[0]
    assert len(at) == SHOWN
    rows, columns = 4 * torch.div(at, 13, rounding_mode="floor"), 4 * (at % 13)
    assert ((rows <= 48) & (rows + 16 >= 48)).all()
    assert ((columns <= 12) & (columns + 16 >= 12)).all()


def test_a_pasted_part_is_found(fields, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    training: Cases = fields(20, 0, cases=2, channels=2)
    hosts: Cases = fields(8, 1, channels=2)
    pasted = hosts.images.clone()
    pasted[5, :, 8:36, 24:52] = 1.5 * training.images[27, :, 20:48, 12:40]  # elsewhere, and brighter
    nobody = torch.full((8,), -1)
    near = joined(similar_patches(pasted, training.images, training.subjects, nobody))
    before = joined(similar_patches(hosts.images, training.images, training.subjects, nobody))
    assert near.case[5] == 27
    assert near.first[5] > 0.99 > 0.97 > before.first.max()
    assert near.score[5] > before.score.max() + 1
    others = [0, 1, 2, 3, 4, 6, 7]
    assert near.score[others] == pytest.approx(before.score[others], abs=1e-5)
    own = torch.where(torch.arange(8) == 5, 13, -1)  # cases 26 and 27 are of subject 13
    assert joined(similar_patches(pasted, training.images, training.subjects, own)).first[5] < 0.97
    monkeypatch.setattr(patches, "BLOCK", 3)
    again = joined(similar_patches(pasted, training.images, training.subjects, nobody))
    assert again.case.tolist() == near.case.tolist()
    assert again.score == pytest.approx(near.score, abs=1e-5)
