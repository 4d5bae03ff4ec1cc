"""Every shipped study plans as it stands, and says where its numbers come from."""

import re
from importlib.resources import files
from pathlib import Path

import pytest

from understudy.cli.main import main
from understudy.data.split import counts, parse_fractions
from understudy.studies.command_line import CommandLine
from understudy.studies.expand import expand
from understudy.studies.study import read_study

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = sorted(Path(str(files("understudy.studies") / "shipped")).glob("*.yaml"))
PAPERS = {"akbar2024": "[S:A]", "shin2018": "[S:E]", "platscher2021": "[S:P]", "segal2020": "[S:G]"}
FULL = [file for file in SHIPPED if file.stem in PAPERS]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_it_plans(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command line's own parser reads every stage, and every setting is accepted."""
    assert main(["study", "plan", str(file), "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    planned = re.search(r"^0 of (\d+) stages are done", capsys.readouterr().out, re.MULTILINE)
    said = re.search(r"^#.* (\d+) stages\.", file.read_text(), re.MULTILINE)
    assert planned is not None
    assert said is None or said[1] == planned[1]


def test_the_four_papers_are_there_and_say_how_many_stages() -> None:
    assert {file.stem for file in FULL} == PAPERS.keys()
    for file in FULL:
        assert re.search(r"^#.* \d+ stages\.", file.read_text(), re.MULTILINE), file


@pytest.mark.parametrize("file", FULL, ids=lambda file: file.stem)
def test_settings_bear_evidence(file: Path) -> None:
    """Stages that train or compare say whence their settings are."""
    text = file.read_text()
    assert text.count(PAPERS[file.stem]) >= 3
    assert "our choice" in text
    assert "docs/scale.md" in text
    for name, template in read_study(file).stages.items():
        block = re.search(rf"^  {name}:.*?(?=^  \w|\Z)", text, re.MULTILINE | re.DOTALL)
        assert block is not None
        if template.verb in ("train", "classify", "condition", "evaluate"):
            assert re.search(r"\[[SD?]|our choice|not in the paper", block[0]), name


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_what_is_known_from_memory_only_is_no_target(file: Path) -> None:
    for line in file.read_text().splitlines():
        assert "[B" not in line or "our choice" in line


def test_akbars_splits_are_the_papers() -> None:
    """56 test subjects of 369, and of 1,251; the others learn, choose and calibrate."""
    loop = read_study(next(file for file in FULL if file.stem == "akbar2024")).loops["dataset"]
    shared = [counts(n, parse_fractions(loop[name]["split"])) for name, n in (("brats2020", 369), ("brats2021", 1251))]
    assert shared == [
        {"train": 250, "validation": 31, "control": 32, "test": 56},
        {"train": 956, "validation": 119, "control": 120, "test": 56},
    ]


@pytest.mark.parametrize(("name", "least"), [("frontier", 10), ("frontier_volumes", 9)])
def test_a_frontier_has_its_points_keeps_its_hours_and_says_what_was_chosen_on_what(
    name: str, least: int, line: CommandLine
) -> None:
    file = next(file for file in SHIPPED if file.stem == name)
    stages = expand(read_study(file), line)
    made = {stage.name for stage in stages if stage.verb in ("sample", "screen")}
    judged = [
        {one for stage in stages if stage.template.startswith(kind) for one in stage.inputs if one in made}
        for kind in ("utility", "privacy")
    ]
    assert judged[0] == judged[1] and len(judged[0]) == least
    assert sum(stage.needs.minutes or 0 for stage in stages) <= 150
    text = file.read_text()
    assert "Chosen on what" in text and "non_members: [control]" in text and "no test subject is in it" in text


@pytest.mark.parametrize("name", sorted(PAPERS))
def test_the_small_studies_keep_their_hour_of_two_cores(name: str, line: CommandLine) -> None:
    file = next(file for file in SHIPPED if file.stem == f"{name}_small")
    assert "for two cores in an hour" in file.read_text()
    assert sum((stage.needs.minutes or 0) * stage.needs.threads for stage in expand(read_study(file), line)) <= 120


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_a_study_with_a_page_of_results_names_the_sampler_of_its_diffusions(file: Path, line: CommandLine) -> None:
    """A default that changes would let the page's command give other numbers."""
    pages = " ".join(page.read_text() for page in (ROOT / "docs" / "results").glob("*.md"))
    if f"understudy study run {file.name}" in pages:
        stages = expand(read_study(file), line)
        drawn = {name for stage in stages if stage.verb == "sample" for name in stage.inputs}
        for stage in stages:
            if stage.name in drawn and stage.arguments[:2] == ("train", "diffusion"):
                assert any("sampler=" in word for word in stage.arguments), stage.name


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_ranges_are_quoted(file: Path) -> None:
    """YAML 1.1 reads 0:0.5 as 0.5 and -15:15 as -915, numbers in base 60."""
    assert re.findall(r":\s+-?\d[\d.]*:[\d.:]+\s*$", file.read_text(), re.MULTILINE) == []
