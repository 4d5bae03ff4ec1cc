"""Which processes compute together, and who starts them: torchrun, srun, or the first process itself on one node.

Lightning's own choice takes any SLURM job for one whose tasks are the processes: in a job of one task two devices were
one, without a word. Here only the tasks of a job step count, which srun started; a batch script starts its own.
**Checked**: tests/training/test_processes.py.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from understudy.core.errors import UsageError

if TYPE_CHECKING:
    from lightning_fabric.plugins.environments import ClusterEnvironment, LightningEnvironment

FIRST_PORT, PORTS = 15_000, 10_000


@cache
def job_step() -> type[LightningEnvironment]:
    """Return the class of environments in which the tasks of one SLURM job step are the processes."""
    from lightning_fabric.plugins.environments import LightningEnvironment, SLURMEnvironment

    class JobStep(LightningEnvironment):
        """Where the tasks of one SLURM job step are the processes."""

        creates_processes_externally: Any = True

        @property
        def main_address(self) -> str:
            """Where the first process listens: MASTER_ADDR, or the first node of the step."""
            here = "127.0.0.1" if os.environ["SLURM_STEP_NUM_NODES"] == "1" else ""
            first = SLURMEnvironment.resolve_root_node_address(os.environ.get("SLURM_STEP_NODELIST", ""))
            return os.environ.get("MASTER_ADDR") or here or first

        @property
        def main_port(self) -> int:
            """MASTER_PORT, or one that all tasks of the step, and no other step of the node, are likely to name."""
            step = int(os.environ["SLURM_JOB_ID"]) * 100 + int(os.environ["SLURM_STEP_ID"])
            return int(os.environ.get("MASTER_PORT", FIRST_PORT + step % PORTS))

        def local_rank(self) -> int:
            """Return the number of this task on its node."""
            return int(os.environ["SLURM_LOCALID"])

        def node_rank(self) -> int:
            """Return the number of this node in the step."""
            return int(os.environ["SLURM_NODEID"])

    return JobStep


def environment(devices: int, nodes: int) -> ClusterEnvironment:
    """Return what starts ``devices`` processes on each of ``nodes`` nodes; nothing is started or connected yet.

    Raises:
        UsageError: another number of processes was started; every one of them says so, and none waits.
    """
    from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment

    torchrun, step = TorchElasticEnvironment.detect(), "SLURM_STEP_NUM_TASKS" in os.environ
    if torchrun:
        world, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        there = world // here
    elif step:
        world, there = int(os.environ["SLURM_STEP_NUM_TASKS"]), int(os.environ["SLURM_STEP_NUM_NODES"])
    else:
        world = there = 1
    if not torchrun and world == nodes == 1:
        return LightningEnvironment()
    if (world, there) != (devices * nodes, nodes):
        starter = "torchrun" if torchrun else "srun" if step else "without torchrun or srun this command"
        raise UsageError(
            f"--devices {devices} on each of --nodes {nodes} asks for {devices * nodes} processes, and {starter} "
            f"started {world} on {there}: give --devices and --nodes as they were started, or start as many"
        )
    return TorchElasticEnvironment() if torchrun else job_step()()
