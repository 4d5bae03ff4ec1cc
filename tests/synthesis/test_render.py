"""Render: whose maps, which images, the same case whatever n, ensembles, refusals, the verb."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.cli import main
from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.synthesis.label_maps import MapRequest
from understudy.synthesis.render import render_cohort
from understudy.synthesis.sample import sample_cohort


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    classes_cohort: Callable[..., Cohort],
    train: Callable[..., Path],
) -> Path:
    """A cohort, two translators, a run that draws pairs, a synthetic cohort, a key."""
    folder = tmp_path_factory.mktemp("render")
    cohort = classes_cohort(folder / "cohort")
    for i in range(2):
        train(cohort, folder / f"translator{i}", i, labels="given")
    train(cohort, folder / "joint", 3)
    sample_cohort(folder / "joint", 9, 0, folder / "synthetic")
    (folder / "key").write_text("k" * 40)
    return folder


def render(folder: Path, out: Path, source: str, n: int = 7, translators: tuple[str, ...] = ("translator0",)) -> Cohort:
    request = MapRequest(folder / source, seed=5)
    return Cohort.open(render_cohort([folder / p for p in translators], request, n, 1, out, key=folder / "key"))


@pytest.mark.parametrize(
    ("source", "label_source", "kind"),
    [("cohort", "patient", "semi-synthetic"), ("synthetic", "sampled", "synthetic"), ("joint", "sampled", "synthetic")],
)
def test_the_cohort_says_whose_its_maps_are(
    made: Path, tmp_path: Path, source: str, label_source: str, kind: str
) -> None:
    found = render(made, tmp_path / "out", source)
    assert (found.label_source, found.kind, len(found)) == (label_source, kind, 7)
    assert found.images is not None and found.labels is not None and found.images.dtype == "uint16"
    real = Cohort.open(made / "cohort")
    train = real.subjects("train")
    assert any(set(entry["subjects"]) == set(train) for entry in found.trained_on)
    owned = set(found.column("subject_id").tolist()) <= set(train)
    assert owned == (kind == "semi-synthetic")
    if source != "joint":  # the very maps, of training cases only
        maps = Cohort.open(made / source)
        row = {str(case): i for i, case in enumerate(maps.column("case_id").tolist())}
        for i, case in enumerate(found.column("label_case").tolist()):
            assert maps.labels is not None
            np.testing.assert_array_equal(found.labels[i], maps.labels[row[case]])
            assert maps.column("split")[row[case]] in ("train", "")


def test_case_i_is_the_same_whatever_n_and_translators_take_turns(made: Path, tmp_path: Path) -> None:
    both = ("translator0", "translator1")
    nine, four = render(made, tmp_path / "a", "cohort", 9, both), render(made, tmp_path / "b", "cohort", 4, both)
    np.testing.assert_array_equal(nine.images[:4], four.images)  # type: ignore[index,arg-type]
    np.testing.assert_array_equal(nine.labels[:4], four.labels)  # type: ignore[index,arg-type]
    assert nine.column("generator").tolist() == [f"diffusion#{i % 2}" for i in range(9)]
    alone = render(made, tmp_path / "c", "cohort", 9)
    same = [(nine.images[i] == alone.images[i]).all() for i in range(9)]  # type: ignore[index]
    assert same == [i % 2 == 0 for i in range(9)]
    assert render(made, tmp_path / "c", "cohort", 9).id == alone.id  # not made twice


def test_refusals(made: Path, tmp_path: Path, classes_cohort: Callable[..., Cohort]) -> None:
    with pytest.raises(UsageError, match="is not given label maps: name a translator"):
        render(made, tmp_path / "x", "cohort", translators=("joint",))
    with pytest.raises(UsageError, match="renders them: name some with --labels"):
        sample_cohort(made / "translator0", 2, 0, tmp_path / "x")
    classes_cohort(made / "large", size=16)
    with pytest.raises(UsageError, match=r"label maps of size \(8, 8\)"):
        render(made, tmp_path / "x", "large")
    with pytest.raises(UsageError, match="is a translator"):
        render(made, tmp_path / "x", "translator1")
    assert not (tmp_path / "x").exists()


def test_the_verb(made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"sample {made}/translator0 --labels {made}/synthetic --n 3 --seed 1 --out {tmp_path}/out"
    assert main.main(command.split()) == 0
    assert Cohort.open(tmp_path / "out").label_source == "sampled"
    for more, message in (
        (f"--labels {made}/cohort --classes data", "leave --classes or --labels out"),
        (f"--anatomy {made}/cohort", "into --anatomy: name both"),
        (f"--labels {made}/cohort --where nearest", "into --anatomy: name both"),
        (f"--labels {made}/cohort --anatomy {made}/cohort --where there", "--where is anywhere or nearest"),
    ):
        assert main.main(f"sample {made}/translator0 {more} --n 3 --out {tmp_path}/new".split()) == 2
        assert message in capsys.readouterr().err
