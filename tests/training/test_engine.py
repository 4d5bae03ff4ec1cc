"""The engine: device, precision, freed memory, and equal gradients in two processes."""

import os
import resource
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from understudy.core.errors import UsageError
from understudy.training.engine import Engine, exact_on_cuda

MEASURE = """
import resource, threading, torch
from understudy.training.engine import keep_freed_memory
{call}
def work():
    global start
    for i in range(40):
        torch.empty(20_000_000).fill_(1)
        if i == 19:
            start = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
{where}
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - start)
"""
IN_A_THREAD = "thread = threading.Thread(target=work); thread.start(); thread.join()"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the allocator of Linux")
@pytest.mark.parametrize("where", ["work()", IN_A_THREAD], ids=["here", "thread"])
def test_freed_memory_is_kept(forked: Any, where: str) -> None:
    def faults(call: str) -> int:
        return int(forked.run(MEASURE.format(call=call, where=where)).stdout)

    assert resource.getpagesize() > 0
    assert faults("keep_freed_memory()") * 10 < faults("pass")


def test_engine() -> None:
    engine = Engine("fp32", "cpu")
    assert engine.device.type == "cpu" and engine.rank == 0 and engine.world_size == 1
    with pytest.raises(UsageError, match="precision"):
        Engine("fp16")
    with Engine("bf16", "cpu").autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16


def test_float32_is_float32_on_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend, name in ((torch.backends.cudnn, "deterministic"), (torch.backends.cudnn, "allow_tf32")):
        monkeypatch.setattr(backend, name, getattr(backend, name))  # put back afterwards
    exact_on_cuda()
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.allow_tf32 and not torch.backends.cuda.matmul.allow_tf32


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put SLURM's client on the PATH: Lightning would warn that it is not used."""
    (tmp_path / "srun").write_text("#!/bin/sh\n")
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("verbose", [False, True])
def test_what_lightning_prints_is_off_the_screen(forked: Any, verbose: bool) -> None:
    """In a process of its own: its logger has the handler that a user sees."""
    script = "from understudy.training.engine import Engine; Engine('bf16', 'cpu')"
    environment = {"UNDERSTUDY_VERBOSE": "1" if verbose else "0", "PATH": os.environ["PATH"]}
    run = forked.run(script, environment=environment)
    shown = run.stdout + run.stderr
    assert run.returncode == 0, shown
    assert ("bfloat16 Automatic Mixed Precision" in shown) == verbose
    assert "`srun` command" not in shown  # the environment is never guessed
    assert verbose or not shown


@pytest.mark.usefixtures("slurm")
def test_an_engine_can_be_made_where_warnings_are_errors() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Engine("bf16", "cpu")


RANKS = """
import torch
from torch import nn
from understudy.training.engine import Engine
engine = Engine("fp32", "cpu", devices=2)
torch.manual_seed(0)
net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)); unused = engine.place(nn.Conv2d(2, 2, 3))
x = torch.arange(6.0).reshape(2, 3)[engine.rank : engine.rank + 1].requires_grad_()
gradient, = torch.autograd.grad(net(x).sum(), x, create_graph=True)   # a backward that is only a gradient penalty
gradient.square().sum().backward()
parameters = [*net.parameters(), *unused.parameters()]
engine.average_gradients(parameters)
assert all(p.grad.stride() == p.stride() for p in parameters)   # what a fused optimiser pairs them by
everyone = engine.gather(torch.cat([p.grad.reshape(-1) for p in parameters])[None])
assert engine.mean(torch.tensor(float(engine.rank))) == 0.5
if engine.rank == 0:
    assert torch.equal(everyone[0], everyone[1]) and everyone[0].abs().sum() > 0
    x = torch.arange(6.0).reshape(2, 3).requires_grad_()
    net.zero_grad()
    gradient, = torch.autograd.grad(net(x).sum(), x, create_graph=True)
    (gradient.square().sum() / 2).backward()
    alone = torch.cat([p.grad.reshape(-1) if p.grad is not None else torch.zeros(p.numel()) for p in parameters])
    assert torch.allclose(alone, everyone[0], atol=1e-6)
    print("equal")
"""


@pytest.mark.loopback
def test_two_processes_hold_equal_gradients(forked: Any, tmp_path: Path) -> None:
    """Two ranks over loopback (in processes of their own, which the socket block of the tests does not reach)."""
    script = tmp_path / "ranks.py"
    script.write_text(RANKS)
    run = forked.script(script)
    assert "equal" in run.stdout, run.stderr[-2000:]
