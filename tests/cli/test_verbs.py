"""The verbs as a user types them: help, dry runs, the whole chain on a small phantom, and what is refused."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from understudy.cli import demo, main
from understudy.core.result import read_results

OPTIONS = {
    "import": [
        "--subjects",
        "28",
        "--slices",
        "3",
        "--size",
        "32",
        "--split",
        "train=0.4,validation=0.1,control=0.2,test=0.3",
    ],
    "sample": ["--n", "24"],
}
SETTINGS = {
    "train mask_gan": ["images_seen=32", "z_dim=8", "generator_maps=4", "critic_maps=4", "sample_block=16"],
    "train pix2pix": ["images_seen=16", "channels=4", "channels_max=8", "patch_channels=4", "sample_block=16"],
    "train diffusion": ["images_seen=32", "channels=[8, 16]", "head_channels=8", "sampler_steps=2", "sample_block=16"],
    "evaluate utility": ["updates=2", "repeats=1", "checks=1", "draws=100", "channels=[4, 8, 8]", "batch_size=8"],
    "evaluate fidelity": ["draws=3", "subsets=5", "pairs=10", "encoder_updates=2"],
    "evaluate privacy": ["bootstrap=100", "matchers=[pixels]"],
}


def small(line: list[str]) -> list[str]:
    """Return a command of the demo with settings that take a second; a later option wins over an earlier one."""
    replaced = {i for start, word in enumerate(line) if word == "--set" for i in (start, start + 1)}
    settings = [word for setting in SETTINGS.get(" ".join(line[:2]), []) for word in ("--set", setting)]
    return [word for i, word in enumerate(line) if i not in replaced] + settings + OPTIONS.get(line[0], [])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the demo's own commands, made small, and return its folder."""
    out = tmp_path_factory.mktemp("chain")
    for name in ("runs", "synthetic", "results"):
        (out / name).mkdir()
    for line in demo.chain(out, 0):
        assert main.main(small(line)) == 0, shlex.join(line)
    return out


def test_the_chain_ends_with_evidence(chained: Path) -> None:
    for kind in ("utility", "fidelity", "privacy"):
        results, _ = read_results(chained / "results" / kind)
        assert any(result.value is not None and result.name.startswith(f"{kind}.") for result in results)
    assert (chained / "report" / "report.html").stat().st_size > 10_000
    assert (chained / "report" / "internal" / "report.html").is_file()


def test_nothing_is_made_twice(chained: Path) -> None:
    before = contents(chained)
    for line in demo.chain(chained, 0):
        assert main.main(small(line)) == 0
    assert contents(chained) == before
    assert not list(chained.rglob(".*"))


def test_another_seed_is_another_request(chained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in demo.chain(chained, 1):
        if line[0] in ("import", "train", "sample"):
            assert main.main(small(line)) == 2
            assert "choose another --out" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        "train diffusion {cohort} --out {new} --set images_sen=5",
        "train diffusion {cohort} --out {new} --set images_seen=many",
        "train diffusion {cohort} --out {new} --set images_seen",
        "train diffusion {cohort} --out {new} --preset nope",
        "train nope {cohort} --out {new}",
        "train diffusion {cohort}/nowhere --out {new}",
        "train diffusion {cohort} --out {new} --devices 0",
        "train diffusion {cohort} --out {new}/deeper/down",
        "sample {cohort} --n 4 --out {new}",
        "sample {run} --n 0 --out {new}",
        "sample {run} --n 4 --snapshot 5 --out {new}",
        "sample {run} --n 4 --classes ill=1 --out {new}",
        "sample {run} --n 4 --classes ill --out {new}",
        "evaluate utility --real {cohort} --synthetic {cohort} --out {new}",
        "evaluate fidelity --real {synthetic} --synthetic {cohort} --out {new}",
        "evaluate privacy --real {cohort} --synthetic {synthetic} --set bootstrap=2 --out {new}",
        "evaluate nothing --real {cohort} --synthetic {synthetic} --out {new}",
        "report {cohort} --out {new}",
        "report --out {new}",
        "check {run}",
        "import phantom --size 64x --out {new}",
        "import nothing --out {new}",
    ],
)
def test_what_is_refused(chained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str) -> None:
    folders = {
        "cohort": chained / "cohort",
        "run": chained / "runs" / "diffusion",
        "new": tmp_path / "new",
        "synthetic": chained / "synthetic" / "diffusion",
    }
    code = main.main(arguments.format(**folders).split())
    out, err = capsys.readouterr()
    assert code in (1, 2) and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and len(err) > 40
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", demo.chain(Path("x"), 0), ids=lambda line: " ".join(line[:2]))
def test_a_dry_run_says_what_would_be_done(
    line: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if line[0] == "check":
        return
    wanted = small(line) if line[0] == "import" else line  # a dry run of an import reads its cases
    assert main.main([*wanted, "--dry-run"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["command"].split()[0] == line[0] and shown["out"] == line[line.index("--out") + 1]
    assert list(tmp_path.iterdir()) == []


def test_settings_are_recorded(chained: Path) -> None:
    record = json.loads((chained / "runs" / "diffusion" / "run.json").read_text())
    assert record["config"]["images_seen"] == 32 and record["seed"] == 0
