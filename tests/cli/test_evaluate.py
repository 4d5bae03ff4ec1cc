"""``evaluate`` as a user types it: settings and options, two raters, a run that is asked, and what is refused.

Results are in tests/cli/test_screen.py, tests/cli/test_verbs.py and tests/evaluation.
"""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from understudy.cli.evaluate import judge
from understudy.cli.main import main
from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance
from understudy.core.result import read_results
from understudy.core.writer import CohortWriter


def test_options_stand_for_settings(capsys: pytest.CaptureFixture[str]) -> None:
    inputs = {"real": Path("r"), "synthetic": [Path("s")], "classifier": None}
    judge("fidelity", Path("o"), ["draws=3"], 4, True, {"features": "random", "network_sha256": None}, **inputs)
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["command"], shown["out"], shown["seed"]) == ("evaluate fidelity", "o", 4)
    assert (shown["features"], shown["draws"], shown["synthetic"]) == ("random", 3, ["s"])
    assert shown["network_sha256"] == "" and "classifier" not in shown
    with pytest.raises(UsageError, match="features was given twice, by --features and by --set"):
        judge("fidelity", Path("o"), ["features=texture"], 0, True, {"features": "random"}, **inputs)


def test_settings_of_the_protocols_are_shown_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    line = ["evaluate", "utility", "--real", "r", "--synthetic", "s", "--out", "x", "--dry-run", "--set"]
    assert main([*line, "shares=[0.25, 0.5]", "--set", "network=pix2pix"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["arms"], shown["shares"], shown["real_subjects"]) == (["synthetic"], [0.25, 0.5], [])
    assert shown["finetune_share"] == 0.3 and shown["channels"] == [32, 64, 128, 256, 256]
    for wrong, says in (
        ("shares=[1.5]", "above 0 and below 1"),
        ("arms=[]", "nothing to compare"),
        ("share=[0.5]", "it has.*finetune_share.*real_subjects.*shares"),
    ):
        assert main([*line, wrong]) == 2
        assert re.search(says, capsys.readouterr().err)


def test_the_task_has_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    line = "evaluate utility --real r --synthetic s t --out x --dry-run --task"
    assert main([*line.split(), "classification"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["task"], shown["network"], shown["synthetic"]) == ("classification", "densenet", ["s", "t"])
    assert main([*line.split(), "guessing"]) == 2
    assert "there is no task 'guessing': choose from segmentation, classification" in capsys.readouterr().err


ASKED = "evaluate {kind} --real r --synthetic s --out o --dry-run"


def asked(kind: str, more: str) -> int:
    return main(f"{ASKED.format(kind=kind)} {more}".split())


def test_options_of_fidelity_are_settings(capsys: pytest.CaptureFixture[str]) -> None:
    digest = "AB" * 32
    assert asked("fidelity", f"--features torchscript --network n.pt --network-sha256 {digest} --cache c") == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["features"], shown["network_sha256"]) == ("torchscript", digest.lower())
    assert (shown["network"], shown["cache"], shown["network_range"]) == ("n.pt", "c", "0..255")
    assert asked("fidelity", "--set features=texture") == 0
    assert yaml.safe_load(capsys.readouterr().out)["features"] == "texture"


@pytest.mark.parametrize(
    ("kind", "more", "said"),
    [
        ("fidelity", "--features inception", "the setting 'features'"),
        ("fidelity", "--features random --set features=texture", "features was given twice"),
        ("fidelity", "--features torchscript --network-sha256 abc", "the setting 'network_sha256'"),
        ("privacy", "--features texture", "No such option: --features"),
        ("consistency", "--network-sha256 abc", "No such option: --network-sha256"),
        ("consistency", "--cache c", "No such option: --cache"),
        ("fidelity", "--task segmentation", "No such option: --task"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    kind: str, more: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert asked(kind, more) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and said in err and err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


CASES = "import phantom --subjects 24 --size 16 --slices 1 --split train=0.5,control=0.5"
SMALL = "channels=[8,16] attention_levels=[] patch=1 images_seen=16 batch_size=4 precision=fp32 sampler_steps=3"


def run(*parts: object) -> int:
    return main([word for part in parts for word in shlex.split(str(part))])


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("score_query")
    settings = " ".join(f"--set {pair}" for pair in SMALL.split())
    assert run(f"{CASES} --out {root}/real") == 0
    assert run(f"train diffusion {root}/real --out {root}/run --preset demo {settings}") == 0
    assert run(f"sample {root}/run --n 6 --out {root}/synthetic") == 0
    return root


def test_the_run_is_asked(chain: Path, tmp_path: Path) -> None:
    words = (
        f"evaluate privacy --real {chain}/real --synthetic {chain}/synthetic "
        "--set bootstrap=100 --set matchers=[pixels]"
    )
    assert run(f"{words} --generator {chain}/run --out {tmp_path}/with") == 0
    assert run(f"{words} --out {tmp_path}/without") == 0
    told = [json.loads((tmp_path / name / "results.json").read_text()) for name in ("with", "without")]
    asked, alone = ({r["name"]: r for r in one["results"]} for one in told)
    name = "privacy.attack.denoising_loss.auc"
    assert asked[name]["low"] <= asked[name]["value"] <= asked[name]["high"] and asked[name]["n"] == 24
    assert alone[name]["note"].endswith("queried for its denoising loss: name its run with --generator")
    assert asked["privacy.attack.discriminator.auc"]["value"] is None
    assert asked["privacy.attack.nearest_pixels.auc"] == alone["privacy.attack.nearest_pixels.auc"]
    inputs = told[0]["provenance"]["inputs"]
    assert inputs.pop("score_query.denoising_loss") and inputs == told[1]["provenance"]["inputs"]


def test_a_run_that_does_not_fit_is_refused(chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = f"--real {chain}/real --synthetic {chain}/synthetic --generator {chain}/run --out {tmp_path}/out"
    assert run(f"evaluate privacy {words} --dry-run") == 0
    assert yaml.safe_load(capsys.readouterr().out)["generator"] == f"{chain}/run"

    def refused(more: str) -> str:
        assert run(more) == 2
        return capsys.readouterr().err

    assert "No such option: --generator" in refused(f"evaluate utility {words}")
    assert "is not a training run" in refused(f"evaluate privacy {words.replace('/run', '/real')}")
    assert "no attack uses the score query" in refused(f"evaluate privacy {words} --set attacks=[attribute]")
    both = words.replace("--generator", f"{chain}/synthetic --generator")
    assert "a score query is of one generator" in refused(f"evaluate privacy {both}")
    assert list(tmp_path.iterdir()) == []


CONSISTENCY = "evaluate consistency --real r --synthetic s t --out x --dry-run --set"


def test_settings_are_shown_and_checked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CONSISTENCY.split(), "quantile=0.1"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["network"], shown["quantile"], shown["synthetic"]) == ("segresnet", 0.1, ["s", "t"])
    for wrong, says in (("network=unet", "another architecture"), ("reference=test", "'reference'")):
        assert main([*CONSISTENCY.split(), wrong]) == 2
        assert says in capsys.readouterr().err


def test_results_take_the_place_of_cohorts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "correlation", "a", "b", "--out", "x", "--set", "draws=500", "--dry-run"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["command"], shown["results"], shown["draws"]) == ("evaluate correlation", ["a", "b"], 500)
    assert main(["evaluate", "correlation", str(tmp_path), "--out", f"{tmp_path}/out"]) == 2
    assert str(tmp_path) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


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
def test_what_no_evaluation_takes_is_refused(
    readers: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, says: str
) -> None:
    names = {"a": readers[0], "b": readers[1]}
    assert main(["evaluate", *line.format(**names).split(), "--out", str(tmp_path / "out")]) == 2
    assert says.format(**names) in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
