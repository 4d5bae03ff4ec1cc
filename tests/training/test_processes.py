"""Who starts the processes, and that another number of them is refused before anything connects."""

import re
from typing import Any

import pytest
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment

from understudy.core.errors import UsageError
from understudy.training.processes import environment, job_step

JobStep = job_step()
BATCH = {"SLURM_JOB_ID": "77", "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_NNODES": "1"}  # a job's own script


def step(tasks: int, nodes: int = 1) -> dict[str, str]:
    found = {"SLURM_STEP_NUM_TASKS": str(tasks), "SLURM_STEP_NUM_NODES": str(nodes), "SLURM_NTASKS": str(tasks)}
    more = {"SLURM_STEP_ID": "3", "SLURM_LOCALID": "1", "SLURM_NODEID": "0", "SLURM_STEP_NODELIST": "gpu[07-08]"}
    return BATCH | found | more


def torchrun(world: int, here: int) -> dict[str, str]:
    return {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(here), "LOCAL_RANK": "0"}


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*torchrun(1, 1), *step(1), "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "devices", "nodes", "expected"),
    [
        ({}, 1, 1, LightningEnvironment),
        ({}, 2, 1, LightningEnvironment),
        (BATCH, 2, 1, LightningEnvironment),  # a job of one task starts its own processes
        (BATCH | {"SLURM_NTASKS": "2"}, 2, 1, LightningEnvironment),  # so does a batch script, whatever the job's tasks
        (step(1), 2, 1, LightningEnvironment),
        (step(2), 2, 1, JobStep),
        (step(4, 2), 2, 2, JobStep),
        (step(2, 2), 1, 2, JobStep),
        (torchrun(2, 2), 2, 1, TorchElasticEnvironment),
        (torchrun(4, 2), 2, 2, TorchElasticEnvironment),
        (step(1) | torchrun(2, 2), 2, 1, TorchElasticEnvironment),  # torchrun within a job
    ],
)
def test_who_starts_them(
    variables: dict[str, str], devices: int, nodes: int, expected: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = environment(devices, nodes)
    assert type(found) is expected
    assert found.creates_processes_externally == (expected is not LightningEnvironment)


@pytest.mark.parametrize(
    ("variables", "devices", "nodes", "told"),
    [
        ({}, 2, 2, "asks for 4 processes, and without torchrun or srun this command started 1 on 1"),
        (BATCH, 1, 2, "asks for 2 processes, and without torchrun or srun this command started 1 on 1"),
        (step(2), 1, 1, "--devices 1 on each of --nodes 1 asks for 1 processes, and srun started 2 on 1"),
        (step(3), 2, 1, "asks for 2 processes, and srun started 3 on 1"),
        (step(4, 2), 4, 1, "--devices 4 on each of --nodes 1 asks for 4 processes, and srun started 4 on 2"),
        (torchrun(1, 1), 2, 1, "asks for 2 processes, and torchrun started 1 on 1"),
        (torchrun(2, 2), 1, 1, "asks for 1 processes, and torchrun started 2 on 1"),
        (torchrun(4, 2), 4, 1, "torchrun started 4 on 2"),
    ],
)
def test_another_number_is_refused(
    variables: dict[str, str], devices: int, nodes: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=re.escape(told)):
        environment(devices, nodes)


def test_the_tasks_of_a_step_find_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in step(4, 2).items():
        monkeypatch.setenv(name, value)
    tasks = JobStep()
    assert (tasks.local_rank(), tasks.node_rank(), tasks.main_address) == (1, 0, "gpu07")
    port = tasks.main_port
    assert 15_000 <= port < 25_000
    monkeypatch.setenv("SLURM_STEP_ID", "4")
    assert tasks.main_port != port  # two steps of a job at once
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "1")
    assert tasks.main_address == "127.0.0.1"
    monkeypatch.setenv("MASTER_ADDR", "10.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "99")
    assert (tasks.main_address, tasks.main_port) == ("10.0.0.1", 99)
