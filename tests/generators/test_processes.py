"""Two processes over loopback, every generator: equal gradients and weights, resume, sampling, one writer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.data.pseudonym import load_key
from understudy.generators import GENERATORS

pytestmark = pytest.mark.loopback


@pytest.fixture(scope="module")
def folder(forked: Any, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Start the two processes, once; cohorts are sealed with the key at hand, which is made before."""
    load_key(key_file)
    folder = tmp_path_factory.mktemp("ranks")
    run = forked.script(Path(__file__).with_name("ranks.py"), folder, environment={"OMP_NUM_THREADS": "1"})
    assert run.returncode == 0, run.stderr[-3000:]
    return folder


def found(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "found.json").read_text()))


def content(folder: Path) -> dict[str, bytes]:
    """All bytes of a folder, but for the log, which holds times."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.name != "log.jsonl")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


@pytest.mark.parametrize("name", GENERATORS)
def test_gradients_and_all_that_is_kept_are_equal(name: str, folder: Path) -> None:
    result = found(folder)[name]
    assert result["differ"] == [] and result["steps"] >= 8


@pytest.mark.parametrize("name", GENERATORS)
def test_resumed_is_uninterrupted_and_one_process_writes(name: str, folder: Path) -> None:
    whole = content(folder / f"{name}-whole")
    assert content(folder / f"{name}-resumed") == whole
    assert {Path(file).parts[0] for file in whole} == {
        "run.json", "complete.json", "checkpoints", "snapshots", "grids",
    }  # fmt: skip
    lines = [json.loads(line) for line in (folder / f"{name}-whole" / "log.jsonl").read_text().splitlines()]
    assert [line["images_seen"] for line in lines] == sorted({line["images_seen"] for line in lines})


@pytest.mark.parametrize("name", GENERATORS)
def test_sampling_gives_the_bytes_of_one_process(name: str, folder: Path) -> None:
    assert content(folder / f"{name}-joint") == content(folder / f"{name}-alone")
    assert len(np.load(folder / f"{name}-joint" / "labels.npy")) == 10


@pytest.mark.parametrize("name", ["pix2pix", "diffusion"])
def test_two_shares_of_eight_are_a_batch_of_sixteen(name: str, folder: Path) -> None:
    """A step of pix2pix without dropout, noise and jitter draws nothing; diffusion here draws by case.

    It cannot hold of the GANs from noise, whose latents each process draws anew and whose minibatch deviations are
    taken over its own share, nor of spade and cyclegan, whose latents and pools follow from each process's draws.
    """
    result = found(folder)[name]
    joint, alone = np.array(result["losses"]), np.array(result["losses alone"])
    assert joint.shape == alone.shape and len(joint) == 20
    assert np.abs(joint - alone).max() < 1e-4
    assert np.ptp(joint, axis=0).max() > 5e-3  # while losses change by far more
