"""Edited cohorts: what stands in them, whose they are, what is counted, refused, and the same again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.synthesis.editing.request import EditRequest
from understudy.synthesis.editing.stage import EditConfig, edit_cohort

LESION = ("oedema", "core", "rim")


def config(**changes: Any) -> EditConfig:
    return EditConfig(**{"lesion": LESION, "request": EditRequest(grow=(0.5, 2), distance=(0, 3)), **changes})


def test_an_edited_patient_is_still_that_patient(bodies: Callable[..., Path], tmp_path: Path) -> None:
    source = Cohort.open(bodies("real"))
    told: list[tuple[int, int]] = []
    out = edit_cohort(source.path, tmp_path / "e", config(per_case=2), 0, progress=lambda *n: told.append(n))
    cohort = Cohort.open(out)
    assert cohort.kind == "semi-synthetic" and cohort.label_source == "edited patient" and cohort.images is None
    assert cohort.scheme == source.scheme and cohort.provenance["inputs"] == {"cohort": source.id}
    assert cohort.trained_on == [
        {"cohort": source.id, "splits": ["train"], "subjects": ["real-s0", "real-s1", "real-s4", "real-s5", "real-s6"]}
    ]
    assert set(cohort.column("split")) == {""} and set(cohort.subjects()) == set(cohort.trained_on[0]["subjects"])
    assert cohort.column("case_id")[:3].tolist() == ["c0-edit00", "c0-edit01", "c1-edit00"]
    assert cohort.column("edited_from")[:3].tolist() == ["c0", "c0", "c1"]
    for name in ("spacing", "slice_index", "affine"):
        assert cohort.column(name)[2] == source.column(name)[1]
    assert cohort.sampling == {"asked": 12, "made": len(cohort), "skipped": {"no lesion": 2}} and told[-1] == (12, 12)
    cohort.verify()
    assert source.labels is not None and cohort.labels is not None
    for row, case in enumerate(cohort.column("edited_from")):
        before = source.labels[source.column("case_id").tolist().index(case)]
        grown = float(cohort.column("grow")[row])
        assert (cohort.labels[row] > 2).sum() == pytest.approx(grown * (before > 2).sum(), rel=0.05)
    assert len(set(cohort.column("grow"))) == len(cohort) and (cohort.labels[0] != cohort.labels[1]).any()


def test_the_same_request_is_the_same_cohort(bodies: Callable[..., Path], tmp_path: Path) -> None:
    for name in "ab":
        edit_cohort(bodies("real"), tmp_path / name, config(), 3)
    files = [{f.name: f.read_bytes() for f in (tmp_path / name).iterdir()} for name in "ab"]
    assert files[0] == files[1]
    edit_cohort(bodies("real"), tmp_path / "a", config(), 3)
    with pytest.raises(UsageError, match="another request"):
        edit_cohort(bodies("real"), tmp_path / "a", config(), 4)
    other = Cohort.open(edit_cohort(bodies("real"), tmp_path / "c", config(), 4))
    assert (other.labels != Cohort.open(tmp_path / "a").labels).any()


def test_more_of_the_same_case_does_not_change_the_first(bodies: Callable[..., Path], tmp_path: Path) -> None:
    one, three = (Cohort.open(edit_cohort(bodies("real"), tmp_path / f"{n}", config(per_case=n), 0)) for n in (1, 3))
    assert one.labels is not None and three.labels is not None
    assert np.array_equal(one.labels, three.labels[[c.endswith("edit00") for c in three.column("case_id")]])


def test_whole_maps_are_augmented_and_mirrored_healthy_ones_too(bodies: Callable[..., Path], tmp_path: Path) -> None:
    source = Cohort.open(bodies("real"))
    request = config(request=EditRequest(), mirror=True, augment=0.5, per_case=3)
    cohort = Cohort.open(edit_cohort(source.path, tmp_path / "e", request, 0))
    assert cohort.sampling["made"] == 18 == len(cohort) and cohort.label_source == "edited patient"
    assert set(cohort.column("mirror")) == {"0", "1"} and set(cohort.column("augment")) == {"0.5"}
    assert source.labels is not None and cohort.labels is not None
    only = Cohort.open(edit_cohort(source.path, tmp_path / "m", config(request=EditRequest(), mirror=True), 1))
    assert only.labels is not None
    for row, case in enumerate(only.column("edited_from")):
        before = source.labels[source.column("case_id").tolist().index(case)]
        assert np.array_equal(only.labels[row], before[..., ::-1] if only.column("mirror")[row] == "1" else before)
    grown = Cohort.open(edit_cohort(source.path, tmp_path / "g", config(augment=1.0), 0))
    assert {"augment", "grow"} <= set(grown.columns) and grown.sampling["skipped"]["no lesion"] == 1


def test_a_sampled_map_stays_fully_synthetic(bodies: Callable[..., Path], tmp_path: Path) -> None:
    seen = [{"cohort": "x", "splits": ["train"], "subjects": ["p"]}]
    source = bodies("nobody3", kind="synthetic", label_source="sampled", trained_on=seen)
    cohort = Cohort.open(edit_cohort(source, tmp_path / "e", config(), 0))
    assert cohort.kind == "synthetic" and cohort.label_source == "sampled" and cohort.trained_on == seen
    assert not (cohort.path / "seal.json").exists()  # nobody vouches for its source


def test_what_was_screened_out_of_body_or_lender_stays_known(bodies: Callable[..., Path], tmp_path: Path) -> None:
    sampled: dict[str, Any] = {"kind": "synthetic", "label_source": "sampled", "key": None}
    plain = bodies("nobody5", **sampled)
    screened = bodies("nobody6", **sampled, sampling={"screened": ["a log"], "differential_privacy": {"epsilon": 1}})
    place, mirror = config(origin="place", request=EditRequest()), config(request=EditRequest(), mirror=True)
    for name, path, request, donors in (
        ("mirror", screened, mirror, None), ("body", screened, place, plain), ("lender", plain, place, screened)
    ):  # fmt: skip
        told = Cohort.open(edit_cohort(path, tmp_path / name, request, 0, donors=donors)).sampling
        assert told["screened"] == ["a log"] and told["asked"] == 8
        assert ("differential_privacy" in told) == (donors is None)


@pytest.mark.parametrize("dims", [2, 3])
def test_transplants_lie_at_the_same_relative_place(bodies: Callable[..., Path], tmp_path: Path, dims: int) -> None:
    source, donors = (
        Cohort.open(bodies(f"real{dims}", dims=dims)),
        Cohort.open(bodies(f"lend{dims}", 5, dims, first=20)),
    )
    request = config(origin="transplant", request=EditRequest())
    cohort = Cohort.open(edit_cohort(source.path, tmp_path / "e", request, 0, donors=donors.path))
    assert cohort.sampling["made"] == len(cohort) == 6  # also the one without a lesion of its own
    assert cohort.label_source == "edited patient" and cohort.provenance["inputs"]["lesions"] == donors.id
    lent = {f"lend{dims}-s{c[1:]}" for c in cohort.column("lesion_from")}
    assert [set(e["subjects"]) for e in cohort.trained_on] == [set(cohort.subjects()), lent] and len(lent) > 1
    assert cohort.labels is not None and donors.labels is not None
    for new, case in zip(cohort.labels, cohort.column("lesion_from"), strict=True):
        theirs = donors.labels[int(case[1:])]
        assert (new > 2).sum() == (theirs > 2).sum()
        assert np.abs(np.argwhere(new > 2).mean(0) - np.argwhere(theirs > 2).mean(0)).max() <= 1  # like bodies


def test_transplants_to_a_wanted_place_and_in_mm(bodies: Callable[..., Path], tmp_path: Path) -> None:
    donors = bodies("fine", 3, first=20, spacing=(1.0, 1.0))
    request = config(origin="transplant", request=EditRequest(), at=(16, 15))
    cohort = Cohort.open(edit_cohort(bodies("real"), tmp_path / "e", request, 0, donors=donors))
    lender = Cohort.open(donors)
    assert cohort.labels is not None and lender.labels is not None
    for new, case in zip(cohort.labels, cohort.column("lesion_from"), strict=True):
        assert (new > 2).sum() == pytest.approx((lender.labels[int(case[1:])] > 2).sum() / 4, abs=1)
        assert np.abs(np.argwhere(new > 2).mean(0) - (16, 15)).max() <= 0.5


def test_masks_are_placed_and_the_schemes_joined(bodies: Callable[..., Path], tmp_path: Path) -> None:
    stroke = LabelScheme(("nothing", "stroke"), (0, 9))
    masks = bodies("masks", 4, scheme=stroke, kind="synthetic", label_source="sampled")
    request = EditConfig(lesion=("stroke",), origin="place", inside=("white",), per_case=2)
    cohort = Cohort.open(edit_cohort(bodies("real"), tmp_path / "e", request, 0, donors=masks))
    assert cohort.scheme is not None and cohort.scheme.names == (*Cohort.open(bodies("real")).scheme.names, "stroke")  # type: ignore[union-attr]
    assert (
        cohort.label_source == "edited patient" and len(cohort.trained_on) == 1
    )  # the body's owners; masks: fully synthetic
    source = Cohort.open(bodies("real"))
    assert cohort.labels is not None and source.labels is not None
    for new, case in zip(cohort.labels, cohort.column("edited_from"), strict=True):
        before = source.labels[int(case[1:])]
        assert (before[new == 6] == 2).all() and (new == 6).any() and np.array_equal(new[new != 6], before[new != 6])
    nobody = bodies("nobody2", kind="synthetic", label_source="sampled")
    both = Cohort.open(edit_cohort(nobody, tmp_path / "f", request, 0, donors=masks))
    assert both.label_source == "sampled" and both.kind == "synthetic"


def test_a_case_never_gets_its_own_lesion_as_anothers(bodies: Callable[..., Path], tmp_path: Path) -> None:
    request = config(origin="place", request=EditRequest(), per_case=4)
    cohort = Cohort.open(edit_cohort(bodies("real"), tmp_path / "e", request, 0, donors=bodies("real")))
    assert (cohort.column("edited_from") != cohort.column("lesion_from")).all()
    again = Cohort.open(edit_cohort(bodies("real"), tmp_path / "f", request, 0, donors=cohort.path))  # the same people
    lent = dict(zip(cohort.column("case_id"), cohort.column("subject_id"), strict=True))
    assert all(
        lent[case] != mine for case, mine in zip(again.column("lesion_from"), again.column("subject_id"), strict=True)
    )


def test_a_patients_lesion_in_a_synthetic_body_is_the_patients(bodies: Callable[..., Path], tmp_path: Path) -> None:
    source, donors = bodies("nobody4", kind="synthetic", label_source="sampled"), Cohort.open(bodies("real"))
    request = config(origin="place", request=EditRequest())
    cohort = Cohort.open(edit_cohort(source, tmp_path / "e", request, 0, donors=donors.path))
    owner = dict(zip(donors.column("case_id"), donors.column("subject_id"), strict=True))
    assert cohort.kind == "semi-synthetic" and len(cohort.subjects()) > 1
    assert cohort.column("subject_id").tolist() == [owner[case] for case in cohort.column("lesion_from")]


def test_a_lesion_without_spacing_moves_by_the_voxels_it_comes_to_lie_on(
    bodies: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, donors = Cohort.open(bodies("real")), Cohort.open(bodies("unknown", 3, first=20))
    known = {source.id: (2.0, 2.0), donors.id: None}
    monkeypatch.setattr(Cohort, "spacing_mm", lambda self, row: known[self.id])
    request = config(origin="transplant", at=(16, 16), request=EditRequest(move=(8, 0), unit="mm"))
    cohort = Cohort.open(edit_cohort(source.path, tmp_path / "e", request, 0, donors=donors.path))
    assert cohort.labels is not None
    for new in cohort.labels:
        assert np.abs(np.argwhere(new > 2).mean(0) - (20, 16)).max() <= 1


def test_the_case_table_is_not_read_whole_for_every_map(
    bodies: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, column = [0], Cohort.column

    def counted(self: Cohort, name: str) -> np.ndarray:
        looked[0] += 1
        return column(self, name)

    monkeypatch.setattr(Cohort, "column", counted)
    times = []
    for n in (1, 3):
        looked[0] = 0
        request = config(origin="place", per_case=n)
        edit_cohort(bodies("real"), tmp_path / f"{n}", request, 0, donors=bodies("real"))
        times.append(looked[0])
    assert times[0] == times[1]


def test_random_requests_are_drawn_anew_and_fixed_ones_counted(bodies: Callable[..., Path], tmp_path: Path) -> None:
    far = {"request": EditRequest(distance=(5, 9)), "inside": ("white",)}
    once = Cohort.open(edit_cohort(bodies("real"), tmp_path / "once", config(attempts=1, **far), 0))
    again = Cohort.open(edit_cohort(bodies("real"), tmp_path / "again", config(attempts=40, **far), 0))
    assert len(once) < len(again) == 5 and once.sampling["skipped"]["outside its region"] == 5 - len(once)
    fixed = config(request=EditRequest(move=(0, 6)), inside=("white",))
    cohort = Cohort.open(edit_cohort(bodies("real"), tmp_path / "fixed", fixed, 0))
    assert 0 < len(cohort) < 5 and sum(cohort.sampling["skipped"].values()) == 6 - len(cohort)


def test_what_is_refused(bodies: Callable[..., Path], tmp_path: Path) -> None:
    real, out = bodies("real"), tmp_path / "no"
    for wrong, donors, error, says in (
        (config(lesion=("tumour",)), None, UsageError, "no class 'tumour'"),
        (config(inside=("bone",)), None, UsageError, "no class 'bone'"),
        (config(request=EditRequest(move=(1, 2, 3))), None, UsageError, "names 2 axes"),
        (config(request=EditRequest(move=(0, 40))), None, UnderstudyError, "none of 6 .*outside the image: 5, no les"),
        (config(splits=("validation",)), None, UnderstudyError, "no case in the split validation"),
        (config(origin="place", minimum=5000), real, UnderstudyError, "has a lesion .* at least 5000"),
        (config(origin="place"), None, UsageError, "if and only if"),
        (config(), real, UsageError, "if and only if"),
        (config(origin="place"), bodies("real3", dims=3), UsageError, "number of axes"),
    ):  # fmt: skip
        with pytest.raises(error, match=says) as caught:
            edit_cohort(real, out, wrong, 0, donors=donors)
        assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"lesion": ()},
        {"request": EditRequest()},
        {"at": (1, 2)},
        {"at": (float("nan"), 2), "origin": "transplant"},
        {"per_case": 2, "request": EditRequest(grow=(2, 2))},
        {"which": "x"},
    ],
)
def test_settings_that_cannot_be(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        config(**changes)


def test_the_id_is_keyed_where_it_is_patient_derived(
    bodies: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "ab":
        edit_cohort(bodies("real"), tmp_path / name, config(), 0, key=tmp_path / f"key{name}")
    manifests = [json.loads((tmp_path / name / "cohort.json").read_text()) for name in "ab"]
    assert manifests[0].pop("id") != manifests[1].pop("id") and manifests[0] == manifests[1]
