"""``evaluate interrater`` and ``correlation`` as a user types them: two raters of the phantom; what is refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from understudy.cli.main import main
from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.result import read_results
from understudy.core.writer import CohortWriter


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return a phantom cohort, and the same images with label maps that lie one pixel further down."""
    folder = tmp_path_factory.mktemp("readers")
    line = "import phantom --subjects 24 --slices 2 --size 32 --split train=0.4,validation=0.1,control=0.2,test=0.3"
    assert main([*line.split(), "--out", str(folder / "first")]) == 0
    first = Cohort.open(folder / "first")
    assert first.images is not None and first.labels is not None
    settings: dict[str, Any] = {
        **{"kind": "real", "modality": first.modality, "size": first.size, "dtype": first.encoding.dtype},
        **{"channels": list(first.encoding.channels), "scheme": first.scheme, "label_source": "patient"},
        "provenance": Provenance("import phantom", {"reader": 2}, 0, {"cohort": first.id}),
    }
    with CohortWriter(folder / "second", **settings) as writer:
        for row in range(len(first)):
            entries = {name: first.entry(name, row) for name in first.columns}
            writer.append(first.images[row], first.labels[[row]][0][[-1, *range(31)]], entries)
    return folder / "first", folder / "second"


def test_two_raters(readers: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = map(str, readers)
    line = ["evaluate", "interrater", "--real", first, "--other", second, "--out", str(tmp_path / "out")]
    assert main([*line, "--set", "draws=100", "--dry-run"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["command"] == "evaluate interrater" and shown["other"] == second and shown["split"] == "test"
    assert main([*line, "--set", "draws=100"]) == 0 and "interrater.dice" in capsys.readouterr().out
    dice = {result.name: result for result in read_results(tmp_path / "out")[0]}["interrater.dice"]
    assert dice.value is not None and 0.3 < dice.value < 0.7 and dice.n == 7
    assert main([*line, "--set", "split=nobody"]) == 2 and "'split' of evaluate interrater" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("interrater --real {a}", "Missing option '--other'"),
        ("interrater --other {b}", "Missing option '--real'"),
        ("interrater --real {a} --other {b} --synthetic {b}", "No such option: --synthetic"),
        ("interrater --real {a} --other {b} {b}", "unexpected extra argument(s) ({b})"),
        ("interrater --real {a} --other {b} --task segmentation", "No such option: --task"),
        ("correlation {a} --features texture", "No such option: --features"),
        ("correlation", "Missing argument 'RESULTS"),
        ("correlation {a}/nowhere", "results were expected at {a}/nowhere"),
        ("consistency --over {a}", "`evaluate consistency --over` is called `evaluate correlation RESULTS...` now"),
        ("readers --real {a}", "`evaluate readers` is called `evaluate interrater` now"),
        ("fidelity --real {a} --synthetic {b} --other {b}", "No such option: --other"),
        ("utility --real {a}", "Missing option '--synthetic'"),
        ("interrater --real {a} --other {a}", "first and first are the same cohort"),
    ],
)
def test_what_is_refused(
    readers: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    names = {"a": readers[0], "b": readers[1]}
    assert main(["evaluate", *line.format(**names).split(), "--out", str(tmp_path / "out")]) == 2
    assert says.format(**names) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
