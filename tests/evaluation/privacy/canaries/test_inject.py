"""Copies come from training cases, hosts from unseen subjects, and lesions lie on tissue beside no other."""

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from understudy.core.errors import UsageError
from understudy.evaluation.privacy.canaries.inject import (
    Recipe,
    Step,
    draw_sources,
    inject_lesions,
    inject_parts,
    inject_transformed,
    map_changes,
    read_recipes,
)
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.copies.cases import SmallCases
from understudy.evaluation.privacy.copies.registration import blur
from understudy.evaluation.privacy.copies.transforms import TRANSFORMATIONS, Transformation


def squares(cases: SmallCases, tops: list[int], side: int = 6) -> SmallCases:
    """Give each case a square lesion; none where its top is negative. The left half is air."""
    labels, images = torch.zeros(len(cases), 64, 64, dtype=torch.int64), cases.images.clone() * 0.3 + 0.5
    images[..., :24] = -1
    for i, top in enumerate(tops):
        if top >= 0:
            labels[i, top : top + side, 40 : 40 + side] = 1 + i % 2
    return SmallCases(images, labels, cases.subjects)


def test_each_source_is_drawn_once_before_any_is_drawn_twice() -> None:
    seven = np.arange(7)
    drawn = draw_sources("x", seven, 17, 0)
    assert sorted(drawn[:7]) == sorted(drawn[7:14]) == list(range(7))
    assert len(set(drawn[14:])) == 3
    assert draw_sources("x", seven, 17, 0).tolist() == drawn.tolist()
    assert draw_sources("y", seven, 17, 0).tolist() != drawn.tolist()
    assert set(draw_sources("x", np.array([2, 5]), 9, 0)) == {2, 5}


def test_transformed_copies_are_of_training_cases_and_unseen_are_blended_in(fields) -> None:  # type: ignore[no-untyped-def]
    training, unseen, seen = squares(fields(6, 0), [10] * 6), fields(3, 1, first=100), []

    def spy(images: Tensor, others: Tensor, draw: torch.Generator) -> Tensor:
        seen.append(others)
        return TRANSFORMATIONS["blended"].inject(images, others, draw)

    made = inject_transformed("blended", Transformation("blended", spy, spy), training, unseen, 9, 0)
    assert len(made.cases) == len(made.source) == 9
    assert made.cases.labels is None
    assert (made.cases.subjects == -1).all()
    hosts = [[torch.equal(image, one) for one in unseen.images].index(True) for image in seen[0]]
    expected = 0.7 * training.images[made.source] + 0.3 * unseen.images[hosts]
    assert torch.allclose(made.cases.images, expected)
    exact = inject_transformed("exact", TRANSFORMATIONS["exact"], training, unseen, 9, 0)
    assert torch.equal(exact.cases.images, training.images[exact.source])


def test_parts_lie_in_their_place_in_other_images(fields) -> None:  # type: ignore[no-untyped-def]
    training, hosts = fields(5, 0, channels=2), fields(4, 1, channels=2, first=100)
    kept = hosts.images.clone()
    made = inject_parts(training, hosts, 8, 0)
    assert torch.equal(hosts.images, kept)
    for image, row in zip(made.cases.images, made.source, strict=True):
        same = (image == training.images[row]).all(0).numpy()
        parts, n = ndimage.label(same)
        box = max(ndimage.find_objects(parts), key=lambda s: same[s].sum())
        assert n >= 1 and same[box].all()
        assert [24 <= s.stop - s.start <= 28 for s in box] == [True, True]
        as_host = [(image == host).all(0).float().mean() for host in hosts.images]
        assert max(as_host) > 0.7  # all but the part and its seam


def test_lesions_lie_on_tissue_and_touch_no_other(fields) -> None:  # type: ignore[no-untyped-def]
    training = squares(fields(6, 0), [20, -1, 30, 10, 35, -1])
    hosts = squares(fields(5, 1, first=100), [25, 5, -1, 45, 15], side=10)
    assert training.labels is not None and hosts.labels is not None
    made = inject_lesions(training, hosts, 12, 0)
    assert made is not None
    assert made.cases.labels is not None
    assert len(made.source) == 12
    assert set(made.source.tolist()) == {0, 2, 3, 4}  # only these have a lesion
    for image, labels, row in zip(made.cases.images, made.cases.labels, made.source, strict=True):
        host = int(np.argmax([(image == one).float().mean() for one in hosts.images]))
        added = ((labels > 0) & (hosts.labels[host] == 0)).numpy()
        assert added.sum() == 36
        assert torch.equal(labels[~added], hosts.labels[host][~added])
        near = ndimage.binary_dilation(added, iterations=2)
        assert not (hosts.labels[host].numpy() > 0)[near].any()
        assert (hosts.images[host].mean(0).numpy()[added] > -0.9).mean() >= 0.95
        assert set(labels.numpy()[added]) == {int(training.labels[row].max())}
        lesion = training.images[row][:, training.labels[row] > 0]
        assert torch.equal(image[:, torch.from_numpy(added)], lesion)
        far = ~ndimage.binary_dilation(added, np.ones((3, 3)), iterations=6)
        assert np.allclose(image.numpy()[:, far], hosts.images[host].numpy()[:, far], atol=1e-6)


def test_without_lesions_or_room_none_are_injected(fields) -> None:  # type: ignore[no-untyped-def]
    bare, training = fields(4, 0), squares(fields(4, 0), [20] * 4)
    none, full = squares(fields(4, 0), [-1] * 4), squares(fields(4, 1), [20] * 4)
    assert full.labels is not None
    full.labels[:] = 1
    air = SmallCases(torch.full_like(full.images, -1), torch.zeros_like(full.labels), full.subjects)
    for source, hosts in ((bare, training), (training, bare), (none, training), (training, full), (training, air)):
        assert inject_lesions(source, hosts, 5, 0) is None


FILE = """
- name: tilted_and_dark
  steps: [{flip: vertical}, {gamma: 2.0}]
- name: crumpled
  steps: [{warp: {strength: 0.06}}, {noise: 0.1}]
"""


def draw() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def images(seed: int = 0) -> torch.Tensor:
    return blur(torch.rand((3, 2, 64, 64), generator=torch.Generator().manual_seed(seed)) * 2 - 1, 1 / 32)


def test_steps_follow_each_other(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(FILE)
    dark, crumpled = read_recipes(tmp_path / "own.yaml")
    made = dark.transformation().inject(images(), images(1), draw())
    assert torch.allclose(made, ((images().flip(-2) + 1) / 2) ** 2 * 2 - 1, atol=1e-6)
    assert crumpled.transformation().inject(images(), images(1), draw()).shape == (3, 2, 64, 64)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        ({"flip": "horizontal"}, "mirrored"),
        ({"flip": "vertical"}, "upside_down"),
        ({"turn": 90}, "turned_90"),
        ({"negative": True}, "negative"),
        ({"noise": 0.1}, "noise"),
        ({"blur": 2 / 64}, "blurred"),
        ({"coarser": 4}, "quarter_resolution"),
        ({"blend": 0.3}, "blended"),
        ({"warp": {"strength": 3 / 64, "smoothness": 6 / 64}}, "warped"),
    ],
)
def test_a_step_is_that_of_the_menu(step: dict[str, object], name: str) -> None:
    expected = TRANSFORMATIONS[name].inject(images(), images(1), draw())
    assert torch.allclose(Step.model_validate(step)(images(), images(1), draw()), expected, atol=1e-6)


def test_moves_by_hand() -> None:
    x = images()
    shifted = Step(shift=(2 / 64, 0.0))(x, x, draw())
    assert torch.allclose(shifted[..., 2:], x[..., :-2], atol=1e-4)
    turned, quarter = Step(rotate=90)(x, x, draw()), torch.rot90(x, 1, (2, 3))
    assert torch.allclose(turned, quarter, atol=1e-4)
    assert not torch.allclose(Step(zoom=1.3)(x, x, draw()), x, atol=0.1)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("name: x", "list"),
        ("- {name: X, steps: [{turn: 90}]}", "pattern"),
        ("- {name: x, steps: []}", "at least 1"),
        ("- {name: x, steps: [{turn: 90, flip: vertical}]}", "exactly one"),
        ("- {name: x, steps: [{turn: null}]}", "exactly one"),
        ("- {name: x, steps: [{spin: 90}]}", "spin"),
        ("- {name: x, steps: [{gamma: .inf}]}", "less than or equal"),
        ("- {name: x, steps: [{turn: 90}]}\n- {name: x, steps: [{turn: 180}]}", "twice"),
        ("[" * 9000, "is no list"),
        ("\t", "is no list"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "own.yaml").write_text(content)
    with pytest.raises(UsageError, match=said):
        read_recipes(tmp_path / "own.yaml")


def test_a_config_keeps_recipes(tmp_path: Path) -> None:
    recipe = Recipe.model_validate({"name": "x", "steps": [{"turn": 90}]})
    config = PrivacyConfig.model_validate({"audit_transformations": [recipe.model_dump(exclude_unset=True)]})
    assert config.audit_transformations == (recipe,)


def test_parts_and_lesions_of_volumes_are_injected(fields) -> None:  # type: ignore[no-untyped-def]
    training, hosts = fields(3, 0, dims=3), fields(2, 1, first=100, dims=3)
    made = inject_parts(training, hosts, 2, 0)
    for image, row in zip(made.cases.images, made.source, strict=True):
        assert int((image == training.images[row]).sum()) >= 12**3
    labels = torch.zeros(3, 32, 32, 32, dtype=torch.int64)
    labels[:, 12:18, 12:18, 12:18] = 1
    labelled = SmallCases(training.images, labels, training.subjects)
    clean = SmallCases(
        hosts.images.clamp_min(-0.2) + torch.linspace(0, 1, 32), torch.zeros_like(labels[:2]), hosts.subjects
    )
    lesions = inject_lesions(labelled, clean, 2, 0)
    assert lesions is not None and lesions.cases.labels is not None
    for image, mask, row in zip(lesions.cases.images, lesions.cases.labels > 0, lesions.source, strict=True):
        assert int(mask.sum()) == 6**3
        assert torch.equal(image[:, mask], training.images[row][:, labels[row] > 0])


def test_steps_move_volumes_in_their_last_axes() -> None:
    x = torch.rand((2, 1, 16, 16, 16), generator=draw())
    for step, expected in (
        (Step(turn=90), torch.rot90(x, 1, (-2, -1))),
        (Step(rotate=90), torch.rot90(x, 1, (-2, -1))),
        (Step(flip="vertical"), x.flip(-2)),
    ):
        assert torch.allclose(step(x, x, draw()), expected, atol=1e-4)
    assert torch.allclose(Step(shift=(2 / 16, 0))(x, x, draw())[..., 2:], x[..., :-2], atol=1e-4)


def test_label_maps_are_changed_as_told() -> None:
    map_ = np.zeros((40, 40), np.uint8)
    map_[10:20, 14:20], map_[16:20, 14:20] = 1, 2
    made = {name: change(map_, np.random.default_rng(0)) for name, change in map_changes().items()}
    assert all(one.shape == map_.shape and set(np.unique(one)) == {0, 1, 2} for one in made.values())
    assert np.array_equal(made["as_it_is"], map_)
    assert np.array_equal(made["mirrored"], map_[:, ::-1]) and np.array_equal(made["upside_down"], map_[::-1])
    centre = {name: np.argwhere(one > 0).mean(0) for name, one in made.items()}
    for name, by in (("shifted", 2), ("shifted_far", 8)):  # a twentieth and a fifth of 40
        assert np.abs(centre[name] - centre["as_it_is"]).tolist() == [by, by]
    assert (made["specks"] > 0).sum() - (map_ > 0).sum() in range(5, 9)  # 8 voxels, some of them in the foreground
    assert (made["grown"] > 0).sum() == 60 + 2 * (10 + 6) and (made["shrunk"] > 0).sum() == 8 * 4
    assert np.array_equal(made["grown"][map_ > 0], map_[map_ > 0])
    sizes = {name: (one > 0).sum() / 60 for name, one in made.items()}
    assert sizes["magnified"] == pytest.approx(1.21, abs=0.12) and sizes["rotated_15"] == pytest.approx(1, abs=0.1)
    away = {name: (made[name] != map_).sum() for name in ("warped", "warped_strongly", "rotated_5", "rotated_15")}
    assert 0 < away["warped"] < away["warped_strongly"] and 0 < away["rotated_5"] < away["rotated_15"]


def test_volumes_of_labels_are_changed_in_the_plane_or_in_space() -> None:
    map_ = np.zeros((32, 40, 48), np.uint8)
    map_[8:24, 10:30, 12:36] = 1
    made = {name: change(map_, np.random.default_rng(0)) for name, change in map_changes().items()}
    assert all(one.shape == map_.shape and one.any() for one in made.values())
    assert (np.argwhere(made["shifted_far"]).mean(0) - np.argwhere(map_).mean(0))[0] == 0
    assert (made["magnified"] > 0).sum() > 1.1 * (map_ > 0).sum()
