"""Results folders joined by cohort: one cohort a folder or several, other orders, and each refusal."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.core.result import write_results
from understudy.evaluation.correlation.config import CorrelationConfig
from understudy.evaluation.correlation.join import Joined, join

Write = Callable[..., Path]


def numbers(joined: Joined) -> dict[str, Any]:
    return {
        c.id: (c.generator, c.n, c.fidelity["frechet"].value, c.fidelity["coverage"].better, c.utility.value)
        for c in joined.cohorts
    }


def test_names_are_ids_and_metrics_are_what_has_a_direction(
    tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write
) -> None:
    rows = cohorts(7)
    together = [fidelity(tmp_path / "f", rows), utility(tmp_path / "u", rows)]
    joined = join(together, CorrelationConfig())
    assert joined.real == "real" and joined.score == "unet.dice"
    assert [c.name for c in joined.cohorts[:4]] == ["diffusion-1", "progan-1", "stylegan-2-1", "diffusion-2"]
    assert all(set(c.fidelity) == {"frechet", "coverage"} for c in joined.cohorts)
    assert numbers(joined) == {id_: (g, 50, x, "higher", y) for id_, g, x, y in rows}
    apart = [w(tmp_path / f"{k}{r[0]}", [r]) for r in rows for k, w in (("f", fidelity), ("u", utility))]
    mixed = [
        fidelity(tmp_path / "g1", rows[4:]),
        fidelity(tmp_path / "g2", rows[:4]),
        utility(tmp_path / "v", rows[::-1]),
    ]
    for folders in (apart, mixed):
        assert numbers(join(folders, CorrelationConfig())) == numbers(joined)
    assert join(together[::-1], CorrelationConfig()) == joined


def test_folders_of_folders_are_searched_and_others_passed_over(
    tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write
) -> None:
    rows = cohorts(3)
    folders = [fidelity(tmp_path / "all" / "a" / "fidelity", rows), utility(tmp_path / "all" / "utility", rows)]
    (tmp_path / "all" / ".half.partial").mkdir()
    (tmp_path / "all" / ".half.partial" / "results.json").write_text("{")
    write_results(tmp_path / "all", [], Provenance("evaluate privacy"))
    with pytest.raises(UsageError, match="were expected, and .*all holds those of 'evaluate privacy': leave it out"):
        join([tmp_path / "all"], CorrelationConfig())
    (tmp_path / "all" / "privacy").mkdir()
    (tmp_path / "all" / "results.json").rename(tmp_path / "all" / "privacy" / "results.json")
    joined = join([tmp_path / "all"], CorrelationConfig())
    assert joined == join(folders, CorrelationConfig()) == join([tmp_path / "all", *folders], CorrelationConfig())
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UsageError, match="nothing holds no results"):
        join([tmp_path / "nothing"], CorrelationConfig())


def test_another_score_can_be_chosen(tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write) -> None:
    folders = [fidelity(tmp_path / "f", cohorts(3)), utility(tmp_path / "u", cohorts(3))]
    joined = join(folders, CorrelationConfig(score="hd95"))
    assert joined.score == "unet.hd95" and joined.cohorts[0].utility.better == "lower"
    for config, says in (
        (CorrelationConfig(score="nsd"), "no number utility.synthetic.diffusion.unet.nsd: choose one"),
        (CorrelationConfig(arm="both"), "no number utility.both.diffusion.unet.dice: choose one"),
        (CorrelationConfig(score="dice.disc"), "unet.dice.disc: withheld: 3 subjects"),
    ):
        with pytest.raises(UnderstudyError, match=says):
            join(folders, config)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f, u, p, c: [f(p / "f", c)], "results of `understudy evaluate utility` are needed too"),
        (lambda f, u, p, c: [u(p / "u", c)], "results of `understudy evaluate fidelity` are needed too"),
        (
            lambda f, u, p, c: [f(p / "f", c), u(p / "u", c, real="R")],
            "the real cohort of .*f is real, and that of .* R",
        ),
        (
            lambda f, u, p, c: [f(p / "f", c), u(p / "u", c[:1]), u(p / "v", c[1:], network="swin")],
            "the setting network of .*u is unet, and that of .*v is swin: evaluate all cohorts in one way",
        ),
        (
            lambda f, u, p, c: [f(p / "f", c), u(p / "u", c[:1]), u(p / "v", c[1:], updates=8)],
            "the setting updates of .*u is 9, and that of .*v is 8",
        ),
        (
            lambda f, u, p, c: [f(p / "f", c[:1]), f(p / "g", c[1:], extractor="texture"), u(p / "u", c)],
            "the setting extractor of .*f is None, and that of .*g is texture",
        ),
        (lambda f, u, p, c: [f(p / "f", c[:1]), f(p / "g", c[1:], seed=1), u(p / "u", c)], "the seed of .*f is 0, and"),
        (
            lambda f, u, p, c: [f(p / "f", c), u(p / "u", c[1:])],
            "f holds the fidelity of the cohort.s. id00, and no folder their utility: run",
        ),
        (
            lambda f, u, p, c: [f(p / "f", c[:2]), u(p / "u", c)],
            "u holds the utility of the cohort.s. id02, and no folder their fidelity: run",
        ),
        (
            lambda f, u, p, c: [f(p / "f", c), f(p / "g", c[:1]), u(p / "u", c)],
            "the fidelity of the cohort id00 is in .*f and .*g: each cohort counts once",
        ),
        (lambda f, u, p, c: [f(p / "f", [*c, c[0]]), u(p / "u", c)], "id00 is in .*f, twice"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write, change: Callable[..., list[Path]], says: str
) -> None:
    with pytest.raises(UnderstudyError, match=says):
        join(change(fidelity, utility, tmp_path, cohorts(3)), CorrelationConfig())


def test_another_classifier_or_another_name_is_refused(
    tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write
) -> None:
    rows = cohorts(3)
    folders = [fidelity(tmp_path / "f", rows[:2]), fidelity(tmp_path / "g", rows[2:]), utility(tmp_path / "u", rows)]
    table, results = (folders[0] / name for name in ("tables/fidelity.csv", "results.json"))
    before = table.read_text()
    table.write_text(before.replace("progan,ProGAN", "progan,GAN"))
    with pytest.raises(UnderstudyError, match="its table of image metrics names diffusion, progan"):
        join(folders, CorrelationConfig())
    for content in (b"\xff", b"cohort\n1\n", before.encode().replace(b"50", b"many"), b"x" * 200_000):
        table.write_bytes(content)
        with pytest.raises(UnderstudyError, match="fidelity.csv is no table of cohorts and generators: evaluate again"):
            join(folders, CorrelationConfig())
    table.write_text(before)
    results.write_text(results.read_text().replace('"real": "real"', '"real": "real", "classifier": "abc"'))
    with pytest.raises(UnderstudyError, match="the classifier of .*f is abc, and that of .*g is None"):
        join(folders, CorrelationConfig())


def test_a_folder_that_compared_no_images_of_a_cohort_is_refused(
    tmp_path: Path, fidelity: Write, utility: Write, cohorts: Write
) -> None:
    folders = [fidelity(tmp_path / "f", cohorts(3)), utility(tmp_path / "u", cohorts(3))]
    file = folders[0] / "tables" / "fidelity.csv"
    with file.open(newline="") as handle:
        rows = [row for row in csv.reader(handle) if row[0] != "progan"]
    file.write_text("\n".join(",".join(row) for row in rows))
    with pytest.raises(
        UnderstudyError, match="measured 3 cohorts, and its table of image metrics names diffusion, style"
    ):
        join(folders, CorrelationConfig())
    file.unlink()
    with pytest.raises(UnderstudyError, match="compares no images"):
        join(folders, CorrelationConfig())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"spoilt": ("zzzz",)}, "'zzzz' fits 0 of the cohorts"),
        ({"unfinished": ("long",)}, "'long' fits 2 of the cohorts"),
        ({"unfinished": ("longa",), "spoilt": ("longa",)}, "'longa' fits a cohort that is named twice"),
    ],
)
def test_marks_name_one_cohort_each(
    tmp_path: Path, fidelity: Callable[..., Path], utility: Callable[..., Path], settings: Any, says: str
) -> None:
    rows = [("longa", "ProGAN", 1.0, 0.5), ("longb", "ProGAN", 2.0, 0.4)]
    folders = [fidelity(tmp_path / "f", rows), utility(tmp_path / "u", rows)]
    with pytest.raises(UsageError, match=says):
        join(folders, CorrelationConfig(**settings))
    assert [c.kind for c in join(folders, CorrelationConfig(spoilt=("longb",))).cohorts] == ["finished", "spoilt"]
