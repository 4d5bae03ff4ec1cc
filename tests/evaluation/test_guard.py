"""The guard refuses what must not be compared, in a sentence that names the cohort and no subject."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.evaluation.guard import leak_note, open_pair, short_names, slug

ALL: dict[str, Any] = {"splits": {"train": 1, "test": 2}, "labels": True}


def test_cohorts_that_fit_are_opened(real: Path, synthetic: Path) -> None:
    cohort, others = open_pair(real, [synthetic, synthetic], **ALL)
    assert cohort.kind == "real" and [o.kind for o in others] == ["synthetic"] * 2 and leak_note(others[0]) == ""


@pytest.mark.parametrize("split", ["test", "control"])
def test_leak_is_refused_without_naming_the_patient(
    toy: Callable[..., Path], tmp_path: Path, real: Path, split: str
) -> None:
    patient = Cohort.open(real).subjects(split)[0]
    seen = [
        {"cohort": "x", "splits": ["train"], "subjects": ["real-0"]},
        {"cohort": "y", "splits": [], "subjects": [patient]},
    ]
    leaky = toy(tmp_path / "leaky", "synthetic", 3, 1, trained_on=seen)
    with pytest.raises(UnderstudyError, match=f"leaky was made from 1 {split} subject") as caught:
        open_pair(real, [leaky], **ALL)
    assert patient not in str(caught.value)


def test_case_of_a_test_subject_inside_the_cohort_is_a_leak(toy: Callable[..., Path], tmp_path: Path) -> None:
    original = toy(tmp_path / "original", "real", 12, 0)
    edited = toy(tmp_path / "edited", "real", 12, 0, splits=("train",))
    manifest = (edited / "cohort.json").read_text()
    (edited / "cohort.json").write_text(manifest.replace('"kind": "real"', '"kind": "semi-synthetic"'))
    with pytest.raises(UnderstudyError, match="edited was made from 2 control subject"):
        open_pair(original, [edited], **ALL)


def test_validation_subject_may_have_been_seen(toy: Callable[..., Path], tmp_path: Path, real: Path) -> None:
    seen = [{"cohort": "x", "splits": ["train"], "subjects": Cohort.open(real).subjects("validation")}]
    open_pair(real, [toy(tmp_path / "s", "synthetic", 3, 1, trained_on=seen)], **ALL)


def test_sides_that_are_swapped_are_noticed(real: Path, synthetic: Path) -> None:
    with pytest.raises(UsageError, match="--real needs .* synthetic is synthetic"):
        open_pair(synthetic, [real], **ALL)
    with pytest.raises(UsageError, match="--synthetic needs .* real is real"):
        open_pair(real, [synthetic, real], **ALL)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"size": (16, 16)}, "size"),
        ({"channels": [Channel("a", 0, 255), Channel("b", 0, 100)]}, "channels"),
        ({"channels": [Channel("a", 0, 255), Channel("c", 0, 255)]}, "channels"),
        ({"scheme": LabelScheme(("background", "other"), (0, 1))}, "label scheme"),
    ],
)
def test_cohorts_that_do_not_fit(
    toy: Callable[..., Path], tmp_path: Path, real: Path, changes: dict[str, Any], what: str
) -> None:
    if "size" in changes:
        changes = {"size": 16} if what == "size" else changes
    other = toy(tmp_path / "other", "synthetic", 3, 1, **changes)
    with pytest.raises(UsageError, match=f"other does not fit real: its {what} is"):
        open_pair(real, [other], **ALL)


def test_label_schemes_do_not_matter_where_labels_are_not_read(
    toy: Callable[..., Path], tmp_path: Path, real: Path
) -> None:
    bare = toy(tmp_path / "bare", "synthetic", 3, 1, scheme=None, label_source=None)
    open_pair(real, [bare], splits={"train": 1}, labels=False)
    with pytest.raises(UnderstudyError, match="needs label maps, and the cohort bare has none"):
        open_pair(real, [bare], **ALL)
    maps = toy(tmp_path / "maps", "synthetic", 3, 1, channels=[])
    with pytest.raises(UnderstudyError, match="needs images, and the cohort maps has none"):
        open_pair(real, [maps], splits={"train": 1}, labels=False)
    open_pair(real, [maps], splits={"train": 1}, labels=True, images=False)


def test_only_some_classes_count(toy: Callable[..., Path], tmp_path: Path, real: Path) -> None:
    scheme = LabelScheme(("background", "tissue", "Bright disc"), (0, 1, 2))
    other = toy(tmp_path / "more", "synthetic", 3, 1, scheme=scheme)
    with pytest.raises(UsageError, match="label scheme"):
        open_pair(real, [other], **ALL)
    one, (two,) = open_pair(real, [other], **ALL, classes=("Bright disc",))
    assert one.scheme == Cohort.open(real).scheme and two.scheme is not None and two.scheme.names == one.scheme.names
    plain = Cohort.open(real).labels
    assert plain is not None and one.labels is not None and (one.labels[:4] == plain[:4]).all()
    assert two.labels is not None and not two.labels[:].any() and two.id == Cohort.open(other).id
    with pytest.raises(UsageError, match="no class 'tissue' in .*real: there are Bright disc"):
        open_pair(real, [other], **ALL, classes=("tissue",))


def test_classes_of_one_name_in_results_are_refused(toy: Callable[..., Path], tmp_path: Path, synthetic: Path) -> None:
    twice = toy(tmp_path / "twice", "real", 12, 0, scheme=LabelScheme(("background", "T 1", "t-1"), (0, 1, 2)))
    with pytest.raises(UnderstudyError, match="twice have the same name in results, where background, T 1, t-1 become"):
        open_pair(twice, [synthetic], **ALL)


def test_too_few_subjects(toy: Callable[..., Path], tmp_path: Path, synthetic: Path) -> None:
    small = toy(tmp_path / "small", "real", 6, 0)
    with pytest.raises(UnderstudyError, match="at least 2 subject.* in the test split of small, found 1"):
        open_pair(small, [synthetic], **ALL)
    with pytest.raises(UsageError, match="at least one synthetic cohort"):
        open_pair(small, [], **ALL)


def test_short_names(toy: Callable[..., Path], tmp_path: Path, synthetic: Path) -> None:
    other = Cohort.open(toy(tmp_path / "x", "synthetic", 3, 1))
    one = Cohort.open(synthetic)
    assert short_names([one, other]) == ["stylegan-2", "synthetic"]
    assert short_names([one, other, one]) == ["stylegan-2-1", "synthetic", "stylegan-2-2"]
    assert slug("Necrosis / core") == "necrosis-core" and slug("///") == "unnamed"
    assert "not recorded" in leak_note(other)
