"""Edits of whole label maps, over many random lesions: volume within 5 %, centroid within a voxel, rules, refusals."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.core.labels import LabelScheme
from understudy.synthesis.editing.lesions import CannotBeMet, Rules, cut, removed
from understudy.synthesis.editing.placement import anywhere, centred_at
from understudy.synthesis.editing.request import Edit, EditRequest, edit_map

LESION = ["oedema", "core", "rim"]
GRIDS = [(2, (1.0, 1.0)), (2, (2.0, 1.0)), (3, (4.0, 2.0, 2.0))]
SEEDS = range(4)
Bodies = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def rules(body_scheme: LabelScheme) -> Rules:
    return Rules.named(body_scheme, LESION)


@pytest.mark.parametrize(("dims", "spacing"), GRIDS)
@pytest.mark.parametrize(
    "edit",
    [
        Edit(grow=0.3),
        Edit(grow=0.6),
        Edit(grow=1.5),
        Edit(grow=3),
        Edit(rotate=30),
        Edit(rotate=-110, axis=1),
        Edit(deform=0.3, seed=1),
        Edit(grow=0.7, rotate=45, deform=0.2),
        Edit(grow=1.4, rotate=45, deform=0.2),
    ],
    ids=lambda edit: " ".join(f"{k}={v}" for k, v in edit.entries().items()),
)
def test_volume_and_centroid(body_map: Bodies, rules: Rules, dims: int, spacing: tuple[float, ...], edit: Edit) -> None:
    for seed in SEEDS:
        labels = body_map(dims, seed, spacing)
        before, new = cut(labels, rules, spacing), edit_map(labels, edit, rules, spacing=spacing)
        after = cut(new, rules, spacing)
        assert after.voxels == pytest.approx(edit.grow * before.voxels, rel=0.05, abs=0.51)
        for k in rules.lesion:
            assert (after.classes == k).sum() == pytest.approx(edit.grow * (before.classes == k).sum(), rel=0.05, abs=2)
        assert np.abs(after.centroid - before.centroid).max() <= 1
        changed = (labels != new) & ~np.isin(labels, rules.lesion) & ~np.isin(new, rules.lesion)
        assert not changed.any()  # nothing but the lesion's old and new place


@pytest.mark.parametrize(("dims", "spacing"), GRIDS)
@pytest.mark.parametrize("unit", ["voxel", "mm"])
def test_a_move_arrives(body_map: Bodies, rules: Rules, dims: int, spacing: tuple[float, ...], unit: str) -> None:
    vector = np.array([3.0, -2.0, 2.0][:dims])
    for seed in SEEDS:
        labels = body_map(dims, seed, spacing, 5.0)
        before = cut(labels, rules, spacing)
        edit = Edit(move=tuple(vector), unit=unit)  # type: ignore[arg-type]
        after = cut(edit_map(labels, edit, rules, spacing=spacing), rules, spacing)
        wanted = before.centroid + vector / (spacing if unit == "mm" else 1)
        assert np.abs(after.centroid - wanted).max() <= 0.5 + 1e-9
        assert np.array_equal(after.classes, before.classes)  # all classes together


@pytest.mark.parametrize(("dims", "spacing"), GRIDS)
def test_rules_are_kept_or_the_edit_is_refused(
    body_map: Bodies, body_scheme: LabelScheme, dims: int, spacing: tuple[float, ...]
) -> None:
    outcomes = set()
    for kind in ({"inside": ["white"]}, {"forbidden": ["grey"], "minimum": 30}):
        rules = Rules.named(body_scheme, LESION, **kind)  # type: ignore[arg-type]
        for seed in range(12):
            labels, random = body_map(dims, seed, spacing), np.random.default_rng(seed)
            move = tuple((random.uniform(-14, 14, dims) / spacing).tolist())
            edit = Edit(float(random.uniform(0.1, 4)), move, rotate=float(random.uniform(0, 360)), deform=0.2)
            own = cut(labels, rules, spacing)
            allowed = rules.allowed(removed(labels, own, rules)) | np.isin(labels, rules.lesion)
            try:
                new = np.isin(edit_map(labels, edit, rules, spacing=spacing), rules.lesion)
            except CannotBeMet as error:
                outcomes.add(error.reason)
                continue
            outcomes.add("met")
            assert allowed[new].all() and new.sum() >= rules.minimum
            assert new.sum() == pytest.approx(edit.grow * own.voxels, rel=0.05, abs=0.51)
    assert {"met", "outside its region"} <= outcomes


def test_each_refusal_has_its_sentence(body_map: Bodies, body_scheme: LabelScheme, rules: Rules) -> None:
    labels = body_map(2, 0, (1.0, 1.0))
    small = Rules.named(body_scheme, LESION, minimum=50)
    for edit, which, reason in (
        (Edit(move=(0, 60)), rules, "outside the image"),
        (Edit(move=(0, 25)), rules, "outside its region"),
        (Edit(grow=100), rules, "no room to grow"),
        (Edit(grow=0.1), small, "below the minimum size"),
        (Edit(move=(1, 1), unit="mm"), rules, "spacing not known"),
    ):
        before = labels.copy()
        with pytest.raises(CannotBeMet, match=f"^{reason}: ") as caught:
            edit_map(labels, edit, which)
        assert caught.value.reason == reason and "\n" not in str(caught.value) and np.array_equal(labels, before)
    with pytest.raises(CannotBeMet, match="no lesion"):
        edit_map(np.where(labels > 2, 2, labels).astype(np.uint8), Edit(grow=2), rules)


def test_the_largest_part_alone_is_edited(body_map: Bodies, rules: Rules) -> None:
    labels = body_map(2, 0, (1.0, 1.0))
    labels[50:53, 32:35] = 4
    new = edit_map(labels, Edit(grow=0.5), rules, which="largest")
    assert (new[50:53, 32:35] == 4).all() and np.isin(new, rules.lesion).sum() - 9 == pytest.approx(
        0.5 * (np.isin(labels, rules.lesion).sum() - 9), abs=0.51
    )


def test_another_lesion_takes_the_place_of_the_own(body_map: Bodies, rules: Rules) -> None:
    theirs = cut(body_map(2, 1, (1.0, 1.0), 5.0), rules)
    labels = body_map(2, 2, (1.0, 1.0))
    healthy = removed(labels, cut(labels, rules), rules)
    for base in (labels, healthy):
        new = edit_map(base, Edit(grow=1.5, move=(2, 0)), rules, donor=theirs, place=centred_at((30, 34)))
        after = cut(new, rules)
        assert after.voxels == round(1.5 * theirs.voxels) and np.abs(after.centroid - (32, 34)).max() <= 1
        assert np.array_equal(new[after.on(new.shape) == 0], healthy[after.on(new.shape) == 0])
    corners = set()
    for seed in range(12):
        new = edit_map(labels, Edit(), rules, donor=theirs, place=anywhere(np.random.default_rng(seed)))
        found = cut(new, rules)
        corners.add(found.corner)
        assert np.array_equal(found.classes, theirs.classes) and (healthy[found.on(new.shape) > 0] > 0).all()
    assert len(corners) > 6


def test_own_ground_counts_for_the_own_lesion_only(body_scheme: LabelScheme, body_map: Bodies) -> None:
    labels = body_map(2, 0, (1.0, 1.0))
    only_grey = Rules.named(body_scheme, LESION, inside=["grey"])
    assert cut(edit_map(labels, Edit(grow=0.5), only_grey), only_grey).voxels > 0
    with pytest.raises(CannotBeMet, match="no place"):
        edit_map(labels, Edit(), only_grey, donor=cut(labels, only_grey), place=anywhere(np.random.default_rng(0)))


def test_the_same_edit_is_the_same_map(body_map: Bodies, rules: Rules) -> None:
    labels = body_map(3, 3, (4.0, 2.0, 2.0))
    edits = [Edit(deform=0.4, seed=seed, rotate=20) for seed in (5, 5, 6)]
    a, b, c = (edit_map(labels, edit, rules, spacing=(4.0, 2.0, 2.0)) for edit in edits)
    assert np.array_equal(a, b) and not np.array_equal(a, c)


def test_requests_are_drawn() -> None:
    request = EditRequest(grow=(0.5, 2), distance=(0, 8), rotate=(-90, 90), deform=(0.1, 0.3))
    drawn = [request.drawn(np.random.default_rng(seed), 3) for seed in range(300)]
    assert drawn[0] == request.drawn(np.random.default_rng(0), 3)
    grow, far = np.array([e.grow for e in drawn]), np.array([np.linalg.norm(e.move) for e in drawn])
    assert 0.5 <= grow.min() < 0.52 and 1.95 < grow.max() <= 2 and abs(np.log(grow).mean()) < 0.08
    assert far.max() <= 8 and 3 < far.mean() < 5 and np.abs(np.mean([e.move for e in drawn], 0)).max() < 0.6
    assert {-90 <= e.rotate <= 90 and 0.1 <= e.deform <= 0.3 and len(e.move) == 3 for e in drawn} == {True}
    assert request.random and request.asked and not EditRequest().asked
    fixed = EditRequest(grow=(2, 2), move=(1, 2), unit="mm")
    assert not fixed.random and fixed.drawn(np.random.default_rng(1), 2).entries() == {
        "grow": "2", "move": "1 2 mm", "rotate": "0", "deform": "0"
    }  # fmt: skip
    for wrong in ({"grow": (0, 1)}, {"grow": (2, 1)}, {"deform": (0, 2)}, {"move": (1.0,), "distance": (0, 1)}):
        with pytest.raises(ValueError, match="goes from|not both"):
            EditRequest(**wrong)  # type: ignore[arg-type]
    for endless in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            EditRequest(move=(endless, 0))
