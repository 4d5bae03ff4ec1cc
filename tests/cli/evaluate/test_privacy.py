"""``evaluate privacy --generator RUN`` as a user types it: the attack is measured, and what does not fit is refused."""

import json
import shlex
from pathlib import Path

import pytest
import yaml

from understudy.cli import main

CASES = "import phantom --subjects 24 --size 16 --slices 1 --split train=0.5,control=0.5"
SMALL = "channels=[8,16] attention_levels=[] patch=1 images_seen=16 batch_size=4 precision=fp32 sampler_steps=3"


def run(*parts: object) -> int:
    return main.main([word for part in parts for word in shlex.split(str(part))])


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


def test_what_does_not_fit_is_refused(chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
