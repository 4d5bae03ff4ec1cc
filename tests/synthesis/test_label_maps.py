"""The sources of label maps: what each gives, whose it is, that a map does not depend on how many are drawn."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.seed import derive
from understudy.synthesis import label_maps as masks_module
from understudy.synthesis.editing.anatomy import joining
from understudy.synthesis.editing.lesions import Rules
from understudy.synthesis.editing.request import EditRequest
from understudy.synthesis.editing.stage import EditConfig, edit_cohort
from understudy.synthesis.label_maps import LabelMaps, MapRequest, label_maps

LESION = ("oedema", "core", "rim")
STROKE = LabelScheme(("nothing", "stroke"), (0, 9))
SEEN = [{"cohort": "brats", "splits": ["train"], "subjects": ["p1", "p2"]}]
WITHOUT_SUBJECT = {"kind": "synthetic", "label_source": "sampled", "trained_on": SEEN}
Bodies = Callable[..., Path]


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, classes_cohort: Callable[..., Cohort], train: Any) -> Path:
    """A tiny generator of 8 px images with label maps."""
    root = tmp_path_factory.mktemp("masks")
    return train(classes_cohort(root / "cohort"), root / "run")


def drawn(maps: LabelMaps, n: int) -> np.ndarray:
    return np.stack([labels for labels, _ in maps.take(n)])


def test_a_run_draws_maps_that_are_fully_synthetic(run: Path) -> None:
    maps = label_maps(MapRequest(run, 0))
    assert (maps.label_source, maps.kind, maps.size, maps.cohorts) == ("sampled", "synthetic", (8, 8), [])
    assert maps.scheme.names == ("background", "tumour") and "run" in maps.inputs
    assert maps.trained_on[0]["splits"] == ["train"] and len(maps.trained_on[0]["subjects"]) == 12
    ten = drawn(maps, 10)
    assert ten.dtype == np.uint8 and set(np.unique(ten)) <= {0, 1} and len(np.unique(ten, axis=0)) > 5
    assert np.array_equal(ten[:3], drawn(label_maps(MapRequest(run, 0)), 3))
    assert not np.array_equal(ten[:3], drawn(label_maps(MapRequest(run, 1)), 3))


def test_real_maps_are_the_patients_and_of_the_train_split(bodies: Bodies) -> None:
    cohort = Cohort.open(bodies("real"))
    maps = label_maps(MapRequest(cohort.path, 0))
    assert (maps.label_source, maps.kind, maps.sampling) == ("patient", "semi-synthetic", {"maps": 6})
    assert [entry["subjects"] for entry in maps.trained_on] == [cohort.subjects("train")] and [
        one.id for one in maps.cohorts
    ] == [cohort.id]
    first = list(maps.take(12))
    for turn in (first[:6], first[6:]):  # each once a round
        assert {row["label_case"] for _, row in turn} == set(cohort.column("case_id")[cohort.rows("train")])
    assert [row["label_case"] for _, row in first[:6]] != [row["label_case"] for _, row in first[6:]]
    assert cohort.labels is not None
    for labels, row in first:
        i = cohort.column("case_id").tolist().index(row["label_case"])
        assert np.array_equal(labels, cohort.labels[i]) and row["subject_id"] == cohort.column("subject_id")[i]
        assert row["spacing"] == cohort.column("spacing")[i]
    assert np.array_equal(drawn(label_maps(MapRequest(cohort.path, 0)), 2), np.stack([m for m, _ in first[:2]]))


def test_a_map_costs_no_look_at_the_whole_case_table(bodies: Bodies, monkeypatch: pytest.MonkeyPatch) -> None:
    maps = label_maps(MapRequest(bodies("real"), 0))
    monkeypatch.setattr(Cohort, "column", None)  # reads all N entries
    assert len(list(maps.take(12))) == 12


def test_edited_and_synthetic_cohorts(bodies: Bodies, tmp_path: Path) -> None:
    config = EditConfig(lesion=LESION, request=EditRequest(grow=(0.5, 1.5)))
    for name, whose in (("real", "edited patient"), ("nobody", "sampled")):
        source = bodies(name, **(WITHOUT_SUBJECT if name == "nobody" else {}))
        edited = Cohort.open(edit_cohort(source, tmp_path / name, config, 0))
        maps = label_maps(MapRequest(edited.path, 0))
        assert maps.label_source == whose and maps.kind == edited.kind
        subjects = {s for entry in maps.trained_on for s in entry["subjects"]}
        assert subjects == ({"p1", "p2"} if name == "nobody" else set(edited.subjects()))
        assert ("subject_id" in next(maps.stream)[1]) == (name == "real")
    maps = label_maps(MapRequest(bodies("nobody"), 0))
    assert maps.label_source == "sampled" and maps.trained_on == SEEN and maps.sampling == {"maps": 8}


@pytest.mark.parametrize(
    ("lesion", "anatomy", "whose"),
    [
        ("nobody", "nobody", "sampled"),
        ("nobody", "real", "edited patient"),
        ("real", "nobody", "edited patient"),
        ("real", "real", "edited patient"),
        ("predicted", "nobody", "predicted"),
    ],
)
def test_placed_maps_belong_to_whoever_gave_a_part(bodies: Bodies, lesion: str, anatomy: str, whose: str) -> None:
    kinds = {
        "nobody": WITHOUT_SUBJECT,
        "real": {},
        "predicted": {"kind": "semi-synthetic", "label_source": "predicted"},
    }
    masks = bodies(f"stroke-{lesion}", 6, first=30, scheme=STROKE, **kinds[lesion])
    base = bodies(anatomy, **kinds[anatomy])
    request = MapRequest(masks, 0, base, lesion=("stroke",), inside=("white",))
    maps = label_maps(request)
    assert maps.label_source == whose and maps.kind == ("synthetic" if whose == "sampled" else "semi-synthetic")
    assert [one.path for one in maps.cohorts] == [masks, base]
    named = {s for entry in maps.trained_on for s in entry["subjects"]}
    assert ({"p1"} <= named) == ("nobody" in (lesion, anatomy))
    assert ({"real-s0"} <= named) == (anatomy == "real") and ({"stroke-real-s0"} <= named) == (lesion == "real")
    assert set(maps.inputs) == {"lesions.labels", "anatomy.labels"}
    made = list(maps.take(8))
    under_all = Cohort.open(base)
    assert under_all.labels is not None
    bases = dict(zip(under_all.column("case_id"), under_all.labels, strict=True))
    for labels, row in made:
        under = bases[row["label_case"]]
        assert maps.scheme.names[-1] == "stroke" and (labels == 6).any() and (under[labels == 6] == 2).all()
        assert np.array_equal(labels[labels != 6], under[labels != 6])
        assert row.get("subject_id", "").startswith(
            anatomy if anatomy == "real" else "" if whose == "sampled" else "stroke"
        )
    again = label_maps(request)
    assert np.array_equal(drawn(again, 3), np.stack([m for m, _ in made[:3]]))
    assert maps.sampling["placed"] == 8 and maps.sampling["tried"] == 8 + sum(maps.sampling["skipped"].values())


def test_the_own_lesion_of_the_anatomy_is_taken_out(bodies: Bodies) -> None:
    maps = label_maps(MapRequest(bodies("nobody"), 0, bodies("real"), lesion=LESION))
    sizes = {int((m > 2).sum()) for m in Cohort.open(bodies("nobody")).labels}  # type: ignore[union-attr]
    for labels, _ in maps.take(6):
        assert int((labels > 2).sum()) in sizes


def test_a_lesion_does_not_say_where_the_voxels_of_a_body_lie(bodies: Bodies, monkeypatch: pytest.MonkeyPatch) -> None:
    source, body = masks_module._source, bodies("nobody", **WITHOUT_SUBJECT)

    def placeless(path: Path, request: MapRequest) -> LabelMaps:  # as a run draws bodies
        maps = source(path, request)
        return replace(maps, stream=((m, {}) for m, _ in maps.stream)) if path == body else maps

    monkeypatch.setattr(masks_module, "_source", placeless)
    lesions = bodies("stroke-real", 6, first=30, scheme=STROKE)
    maps = label_maps(MapRequest(lesions, 0, body, lesion=("stroke",), inside=("white",)))
    for _, row in maps.take(4):
        assert set(row) == {"label_case", "subject_id"} and row["subject_id"].startswith("stroke-real")


def test_one_cohort_may_give_both_and_pairs_are_mixed(bodies: Bodies) -> None:
    maps = label_maps(MapRequest(bodies("nobody"), 0, bodies("nobody"), lesion=LESION))
    own = Cohort.open(bodies("nobody"))
    assert own.labels is not None
    size = {c: int((m > 2).sum()) for c, m in zip(own.column("case_id"), own.labels, strict=True)}
    assert sum(size[row["label_case"]] != (labels > 2).sum() for labels, row in maps.take(8)) >= 4


def test_a_run_may_give_lesions(
    run: Path, bodies: Bodies, classes_cohort: Callable[..., Cohort], tmp_path: Path
) -> None:
    real = classes_cohort(tmp_path / "c")
    maps = label_maps(MapRequest(run, 0, run, minimum=1))
    assert maps.label_source == "sampled" and {"lesions.run", "anatomy.run"} <= set(maps.inputs)
    assert label_maps(MapRequest(run, 0, real.path)).label_source == "edited patient"
    with pytest.raises(UsageError, match=r"\(8, 8\) and anatomy of size \(32, 32\)"):
        label_maps(MapRequest(run, 0, bodies("real")))


def test_lesions_can_stay_next_to_where_they_lay(bodies: Bodies) -> None:
    masks = bodies("stroke-nobody", 6, first=30, scheme=STROKE, **WITHOUT_SUBJECT)
    far = []
    for where in ("anywhere", "nearest"):
        request = MapRequest(masks, 0, bodies("real"), lesion=("stroke",), where=where)
        drawn_lesions = label_maps(replace(request, source=masks, anatomy=None, seed=derive(0, "lesions")))
        steps = []
        for (placed_map, _), (own, _) in zip(label_maps(request).take(6), drawn_lesions.take(6), strict=True):
            centres = [np.argwhere(m == m.max()).mean(0) for m in (placed_map, own)]
            steps.append(np.linalg.norm(centres[0] - centres[1]))
        far.append(np.mean(steps))
    assert far[1] < 0.5 * far[0]


@pytest.mark.parametrize("spacing", [0.9, 1.0, 2.0])
def test_near_its_place_is_in_mm_where_voxels_are_of_another_size(spacing: float) -> None:
    side, centre = 48, np.array([20, 29])
    grid = np.indices((side, side)).reshape(2, -1).T.reshape(side, side, 2)
    ball = (((grid - centre) ** 2).sum(2) <= 36).astype(np.uint8)
    both = joining(LabelScheme(("nothing", "white"), (0, 1)), STROKE, ("stroke",))
    maps = masks_module._placements(
        iter([(ball, {"spacing": "1 1"})]),
        iter([(np.ones((side, side), np.uint8), {"spacing": f"{spacing} {spacing}"})]),
        both,
        Rules.named(both.scheme, ("stroke",)),
        MapRequest(Path(), 0, where="nearest"),
        {"tried": 0, "placed": 0, "skipped": {}},
    )
    placed, _ = next(maps)
    found = np.argwhere(placed == both.scheme.names.index("stroke")).mean(0)
    middle = (side - 1) / 2
    assert np.abs((found - middle) * spacing - (centre - middle)).max() <= 0.5 * spacing + 1e-6


def test_what_cannot_be_placed_is_counted_and_then_given_up(bodies: Bodies) -> None:
    masks = bodies("stroke-nobody", 6, first=30, scheme=STROKE, **WITHOUT_SUBJECT)
    tight = label_maps(MapRequest(masks, 0, bodies("real"), lesion=("stroke",), inside=("white", "grey"), minimum=19))
    made = list(itertools.islice(tight.stream, 4))
    assert all((m == 6).sum() >= 19 for m, _ in made) and tight.sampling["skipped"].get("below the minimum size", 0) > 0
    hopeless = label_maps(MapRequest(masks, 0, bodies("real"), lesion=("stroke",), inside=("rim",)))
    with pytest.raises(UnderstudyError, match="could not be placed.*no place"):
        next(hopeless.stream)


def test_what_is_refused(bodies: Bodies, run: Path, tmp_path: Path) -> None:
    real = bodies("real")
    for request, says in (
        (MapRequest(real, 0, real, lesion=("cyst",)), "no class 'cyst'"),
        (MapRequest(tmp_path, 0), "is not a cohort"),
    ):
        with pytest.raises(UsageError, match=says):
            label_maps(request)
    record = json.loads((run / "run.json").read_text())
    for k, (changes, says) in enumerate((
        ({"given": "images"}, "is a translator"),
        ({"encoding": record["encoding"] | {"label_scheme": None}}, "draws no label maps"),
        ({"config": record["config"] | {"conditional": True}}, "is conditional"),
    )):  # fmt: skip
        copy = tmp_path / str(k)
        copy.mkdir()
        for part in ("snapshots", "complete.json"):
            (copy / part).symlink_to(run / part)
        (copy / "run.json").write_text(json.dumps(record | changes))
        with pytest.raises(UsageError, match=says):
            label_maps(MapRequest(copy, 0))
