"""What a GPU would refuse is found without one: all generators and task networks on a pretended device.

See tests/pretended_gpu.py for what it can show. benchmarks/gpu.sh runs the same on a real one.
"""

from pathlib import Path
from typing import Any

import pytest
import torch

from understudy.generators import GENERATORS

TESTS = Path(__file__).resolve().parent
BEGIN = f"""
import sys
sys.path[:0] = [{str(TESTS)!r}, {str(TESTS / "generators")!r}]
import numpy as np, torch
from pathlib import Path
from understudy.training.engine import Engine
import pretended_gpu as gpu
torch.set_num_threads(1)
out = Path(sys.argv[1])
gpu.begin()
Engine.device = property(lambda self: torch.device("gpu", 0))
"""
TRAIN = """
import test_contract as contract
from understudy.generators import GENERATORS, base, load
from understudy.training.checkpoint import latest, read_state
base.GRID_CASES = 4
cohort = contract.make_cohort(out / "cohort", contract.SCHEMES["labels"])
for name in sys.argv[2:]:
    kind = GENERATORS[name]
    other = cohort if kind.OTHER == "unpaired" else None
    settings = {**contract.TINY[name], **contract.COMMON, "images_seen": 8, "snapshot_every": 8, "grid_every": 8}
    method = kind(kind.Config(**settings))
    run = method.fit(cohort, out / name, 0, other, Engine("fp32", "cpu"))
    again = kind(method.config)
    again._start(method.encoding, method.size, 0, 1, Engine("fp32", "cpu"))
    again.load_state(*read_state(latest(run / "checkpoints")))
    for key, value in again.state()[0].items():
        assert value.device.type == "gpu" or not value.ndim, key
    rows = cohort.rows("train")[:2]
    drawn = load(run, engine=Engine("fp32", "cpu")).sample(2, 0, method.condition_of(cohort, rows))
    assert isinstance(drawn.labels, np.ndarray)
    print(name)
"""
FIT = """
from understudy.tasks.segmentation import SegmentationConfig, train_segmenter
class Cases:
    def __len__(self):
        return 4
    def read(self, chosen):
        random = np.random.default_rng(0)
        n = len(chosen)
        return random.random((n, 2, 16, 16), np.float32), random.integers(0, 3, (n, 16, 16), np.uint8)
for network in sys.argv[2:]:
    config = SegmentationConfig(network=network, channels=(4, 8, 16), updates=2, checks=1, batch_size=2, augment=True,
                                precision="fp32")
    judges = {"real": lambda one: float(one.predict(Cases().read([0])[0]).mean())}
    train_segmenter(Cases(), 3, config, 0, judges)
    print(network)
"""
FAULTS = """
x = torch.randn(2, 3, device="gpu")
for fault in (lambda: x + torch.randn(3), lambda: x.numpy(), lambda: np.asarray(x), lambda: torch.arange(4)[x.long()],
              lambda: torch.randn(3, generator=torch.Generator(), device="gpu"), lambda: torch.cat([x, x.cpu()])):
    try:
        fault()
    except (RuntimeError, TypeError):
        print("refused")
print((x + torch.tensor(1.0)).device.type, x[torch.tensor([0])].device.type, x.cpu().numpy().shape)
"""
needed = pytest.mark.skipif(
    not hasattr(torch.utils.backend_registration, "_setup_privateuseone_for_python_backend"),
    reason="this torch cannot pretend a device: 2.10 and later can",
)


def run(forked: Any, code: str, out: Path, *names: str) -> list[str]:
    ended = forked.run(BEGIN + code, out, *names)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return list(ended.stdout.split())


@needed
def test_the_pretended_device_refuses_what_cuda_refuses(forked: Any, tmp_path: Path) -> None:
    said = run(forked, FAULTS, tmp_path)
    assert said == ["refused"] * 6 + ["gpu", "gpu", "(2,", "3)"]


@needed
@pytest.mark.parametrize("first", [True, False])
def test_generators_train_resume_and_sample_on_a_device(forked: Any, tmp_path: Path, first: bool) -> None:
    names = list(GENERATORS)[:: 1 if first else -1][: 5 if first else 4]
    assert run(forked, TRAIN, tmp_path, *names) == names


@needed
def test_task_networks_learn_and_predict_on_a_device(forked: Any, tmp_path: Path) -> None:
    assert run(forked, FIT, tmp_path, "unet", "pix2pix") == ["unet", "pix2pix"]
