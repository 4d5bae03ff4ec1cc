"""Screening keeps the right cases whole, logs and counts every removal, and leaves nothing when it is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.evaluation.guard import leak_note, short_names
from understudy.release.screen import (
    class_sizes,
    retained_distribution,
    retention_warnings,
    screen_cohort,
    screening_summary,
    size_sentence,
)

Write = Callable[..., Path]
MEAN = [0.9, 0.1, 0.2, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.4]  # cases 1, 2 and 9 lie below 0.5
KEPT = [0, 3, 4, 5, 6, 7, 8]


def test_the_right_cases_are_kept_whole(cohort: Path, consistency: Write, tmp_path: Path) -> None:
    source, made = (
        Cohort.open(cohort),
        Cohort.open(screen_cohort(cohort, [consistency(cohort, MEAN)], tmp_path / "out")),
    )
    assert (
        source.images is not None and source.labels is not None and made.images is not None and made.labels is not None
    )
    assert np.array_equal(made.images, source.images[KEPT]) and np.array_equal(made.labels, source.labels[KEPT])
    assert made.columns == source.columns
    for name in source.columns:
        assert made.column(name).tolist() == source.column(name)[KEPT].tolist()
    for name in ("kind", "modality", "size", "encoding", "classes", "label_source"):
        assert getattr(made, name) == getattr(source, name)
    made.verify()
    assert made.id != source.id and made.sampling["asked"] == 10
    assert short_names([made]) == ["diffusion"] and made.provenance["inputs"]["cohort"] == source.id


def test_the_log_is_complete(cohort: Path, consistency: Write, privacy: Write, tmp_path: Path) -> None:
    folders = [privacy(cohort, [2, 5]), consistency(cohort, MEAN)]
    made = Cohort.open(screen_cohort(cohort, folders, tmp_path / "out"))
    assert made.column("case_id").tolist() == [f"case{i}" for i in (0, 3, 4, 6, 7, 8)]
    (entry,) = made.sampling["screened"]
    low = {"evidence": "consistency", "what": "mean", "threshold": 0.5}
    flag = {"evidence": "privacy", "what": "nearness", "score": 0.95, "threshold": 0.9}
    assert entry["rejected"] == [
        {"case_id": "case1", "reasons": [{**low, "score": 0.1}]},
        {"case_id": "case2", "reasons": [{**low, "score": 0.2}, flag]},
        {"case_id": "case5", "reasons": [flag]},
        {"case_id": "case9", "reasons": [{**low, "score": 0.4}]},
    ]
    assert entry["source"]["cohort"] == Cohort.open(cohort).id and entry["source"]["provenance"]["seed"] == 3
    assert entry["retained"]["cases"] == {"before": 10, "after": 6, "share": 0.6}
    assert entry["retained"]["classes"]["tumour"]["terciles"]["small"]["after"] == 1
    assert {(t["evidence"], t["split"]) for t in entry["data_used"]} == {
        ("consistency", "train"),
        ("consistency", "validation"),
        ("consistency", "control"),
        ("privacy", "train"),
        ("privacy", "control"),
    }
    assert "patient" not in (tmp_path / "out" / "cohort.json").read_text()


def test_what_the_segmenter_saw_joins_trained_on(
    cohort: Path, another: Write, consistency: Write, tmp_path: Path
) -> None:
    made = Cohort.open(screen_cohort(cohort, [consistency(cohort, MEAN)], tmp_path / "out"))
    assert [entry["subjects"] for entry in made.trained_on] == [["t1", "t2"], ["t1", "t2", "v1"]] and not leak_note(
        made
    )
    unknown = another("unknown", trained_on=[])
    made = Cohort.open(screen_cohort(unknown, [consistency(unknown, MEAN, name="b")], tmp_path / "out2"))
    assert leak_note(made) and made.trained_on[-1]["subjects"] == ["t1", "t2", "v1"]


def test_the_id_is_keyed_where_it_is_patient_derived(another: Write, consistency: Write, tmp_path: Path) -> None:
    semi = another("semi", kind="semi-synthetic", label_source="edited patient", key=b"k")
    folder = consistency(semi, MEAN)
    for name in "ab":
        screen_cohort(semi, [folder], tmp_path / name, key=tmp_path / f"key-{name}")
    manifests = [json.loads((tmp_path / name / "cohort.json").read_text()) for name in "ab"]
    assert manifests[0].pop("id") != manifests[1].pop("id") and manifests[0] == manifests[1]


def test_what_a_person_is_told(cohort: Path, consistency: Write, tmp_path: Path) -> None:
    made = Cohort.open(screen_cohort(cohort, [consistency(cohort, MEAN)], tmp_path / "out"))
    assert screening_summary(made) == [
        "7 of 10 cases are kept (70 %); rejected: 3 by consistency (mean below 0.500).",
        "Of the 3 cases with the smallest tumour (up to 3 voxels) 1 are kept (33 %), of the 3 with the largest (from "
        "7) 2 (67 %).",
    ]
    small = [0.9, 0.1, 0.1, 0.1, *[0.9] * 6]
    made = Cohort.open(screen_cohort(cohort, [consistency(cohort, small, name="b")], tmp_path / "out2"))
    assert screening_summary(made)[2].startswith("warning: small lesions are dropped disproportionately: 0 % kept")


def test_screened_twice_is_logged_twice(cohort: Path, consistency: Write, privacy: Write, tmp_path: Path) -> None:
    once = screen_cohort(cohort, [consistency(cohort, MEAN)], tmp_path / "once")
    twice = Cohort.open(screen_cohort(once, [privacy(once, [0])], tmp_path / "twice"))
    assert [len(entry["rejected"]) for entry in twice.sampling["screened"]] == [3, 1]
    assert screening_summary(twice)[0] == "6 of 7 cases are kept (86 %); rejected: 1 by privacy (nearness)."


def test_made_once_and_another_request_is_refused(
    cohort: Path, consistency: Write, privacy: Write, tmp_path: Path
) -> None:
    one, other = consistency(cohort, MEAN), privacy(cohort, [0])
    out = screen_cohort(cohort, [one, other], tmp_path / "out")
    before = (out / "cohort.json").stat().st_mtime_ns
    screen_cohort(cohort, [other, one], out)  # the order of the evidence does not matter
    assert (out / "cohort.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="made by another request"):
        screen_cohort(cohort, [one, other], out, {"mean": 0.3})


def test_evidence_that_was_changed_is_another_request(cohort: Path, consistency: Write, tmp_path: Path) -> None:
    evidence = consistency(cohort, MEAN)
    screen_cohort(cohort, [evidence], tmp_path / "out")
    rows = (evidence / "cases.csv").read_text()
    (evidence / "cases.csv").write_text(rows.replace("0.1", "0.9"))
    assert (evidence / "cases.csv").read_text() != rows
    with pytest.raises(UsageError, match="another request"):
        screen_cohort(cohort, [evidence], tmp_path / "out")


def test_label_maps_alone_and_no_rejection(another: Write, privacy: Write, consistency: Write, tmp_path: Path) -> None:
    maps = another("maps", channels=[])
    made = Cohort.open(screen_cohort(maps, [consistency(maps, [1.0] * 10)], tmp_path / "out"))
    assert made.images is None and len(made) == 10
    assert screening_summary(made)[0] == "10 of 10 cases are kept (100 %); none was rejected."


def test_refusals_leave_nothing(
    cohort: Path, another: Write, consistency: Write, privacy: Write, tmp_path: Path
) -> None:
    good, flags = consistency(cohort, MEAN), privacy(cohort, [0])
    foreign = privacy(cohort, [0], name="foreign", real="real1")
    patients = another("patients", kind="real", label_source="patient")
    other = consistency(another("other", [1, 2]), [1, 1], name="of-other")
    before = sorted(p.name for p in tmp_path.iterdir())
    for kind, source, evidence, thresholds, says in (
        (UnderstudyError, cohort, [good], {"mean": 0.95}, "none of the 10 cases .* would be left .10 by consistency"),
        (UsageError, cohort, [], None, "at least one results folder"),
        (UsageError, cohort, [good, good], None, "is the same: name it once"),
        (UsageError, cohort, [good, foreign], None, "against the real cohort real"),
        (UsageError, cohort, [other], None, "is about the synthetic cohort"),
        (UsageError, cohort, [flags], {"mean": 0.5}, "--threshold is for evidence of"),
        (UsageError, patients, [good], None, "patients is real"),
    ):
        with pytest.raises(kind, match=says):
            screen_cohort(source, evidence, tmp_path / "out", thresholds)
        assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_no_threshold_is_the_default_and_not_none_at_all(cohort: Path, consistency: Write, tmp_path: Path) -> None:
    assert len(Cohort.open(screen_cohort(cohort, [consistency(cohort, MEAN)], tmp_path / "out", {}))) == len(KEPT)


def test_a_changed_cohort_is_refused(cohort: Path, consistency: Write, tmp_path: Path) -> None:
    folder = consistency(cohort, MEAN)
    data = bytearray((cohort / "images.npy").read_bytes())
    data[-1] ^= 1
    (cohort / "images.npy").write_bytes(bytes(data))
    with pytest.raises(UnderstudyError, match="was changed"):
        screen_cohort(cohort, [folder], tmp_path / "out")
    assert not (tmp_path / "out").exists()


SMALL_LOST = np.array([1, 0, 0, 1, 1, 1, 1, 1, 1, 0], bool)


def counts(before: int, after: int) -> dict[str, float | None]:
    return {"before": before, "after": after, "share": after / before if before else None}


def test_sizes_are_counted_case_by_case(cohort: Path) -> None:
    sizes = class_sizes(Cohort.open(cohort))
    assert sizes[:, 0].tolist() == list(range(10)) and sizes[:, 1].tolist() == [1, 0] * 5


def test_counts_by_hand(cohort: Path) -> None:
    told = retained_distribution(Cohort.open(cohort), SMALL_LOST)
    assert told["cases"] == counts(10, 7)
    tumour = told["classes"]["tumour"]
    assert tumour["present"] == counts(9, 6) and tumour["absent"] == counts(1, 1)
    assert tumour["terciles"] == {
        "small": {"from_voxels": 1, "to_voxels": 3, **counts(3, 1)},
        "medium": {"from_voxels": 4, "to_voxels": 6, **counts(3, 3)},
        "large": {"from_voxels": 7, "to_voxels": 9, **counts(3, 2)},
    }
    bins = [(b["from_voxels"], b["to_voxels"], b["before"], b["after"]) for b in tumour["bins"]]
    assert bins == [(1, 1, 1, 0), (2, 3, 2, 1), (4, 7, 4, 4), (8, 15, 2, 1)]
    cyst = told["classes"]["small cyst"]
    assert cyst["present"] == counts(5, 4) and cyst["terciles"]["large"] == counts(0, 0)
    assert told["columns"] == {"ill": counts(5, 4)}


def test_a_warning_when_small_lesions_go(cohort: Path) -> None:
    opened = Cohort.open(cohort)
    assert retention_warnings(retained_distribution(opened, SMALL_LOST)) == []  # 1 of 3 is half of 6 of 9, not less
    worse = SMALL_LOST.copy()
    worse[3] = False
    (warning,) = retention_warnings(retained_distribution(opened, worse))
    assert (
        "small lesions are dropped disproportionately: 0 % kept" in warning
        and "56 % of all cases with tumour" in warning
    )
    assert retention_warnings(retained_distribution(opened, np.ones(10, bool))) == []


def test_a_warning_when_a_class_goes(cohort: Path) -> None:
    kept = np.arange(10) < 5
    found = retention_warnings(retained_distribution(Cohort.open(cohort), kept))
    assert found == ["cases of class ill are dropped disproportionately: 0 % kept, 50 % of all"]
    kept = np.arange(10) % 2 == 1
    assert any(
        "cases with small cyst are dropped" in w
        for w in retention_warnings(retained_distribution(Cohort.open(cohort), kept))
    )


def test_the_sentence_names_both_ends(cohort: Path) -> None:
    told = retained_distribution(Cohort.open(cohort), SMALL_LOST)
    assert size_sentence(told) == (
        "Of the 3 cases with the smallest tumour (up to 3 voxels) 1 are kept (33 %), of the 3 with the largest (from "
        "7) 2 (67 %)."
    )


@pytest.mark.parametrize("sizes", [[0] * 4, [5] * 4])
def test_no_lesion_or_one_size(another: Write, sizes: list[int]) -> None:
    opened = Cohort.open(another("even", sizes))
    told = retained_distribution(opened, np.array([1, 1, 1, 0], bool))
    told["classes"].pop("small cyst")
    if sizes[0]:
        assert size_sentence(told) == "All cases with tumour are of one size, and 3 of 4 are kept."
    else:
        assert size_sentence(told).startswith("No label map holds a lesion") and told["classes"]["tumour"]["bins"] == []


def test_without_label_maps_there_are_no_sizes(another: Write) -> None:
    opened = Cohort.open(another("bare", scheme=None, label_source=None))
    told = retained_distribution(opened, SMALL_LOST)
    assert told["classes"] == {} and told["cases"] == counts(10, 7) and retention_warnings(told) == []
