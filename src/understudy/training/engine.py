"""Device, precision and processes, through Lightning Fabric. No DDP wrapper: gradients are averaged explicitly.

Freed memory stays in the process. A training step frees and takes the same large blocks again and again; glibc returns
blocks over 32 MiB to the kernel at each free, and fresh ones cost a page fault for every 4 KiB: about half of the
processor time of a GAN step. All threads take from one heap, since those of others end at 64 MiB and larger blocks are
fresh each time. Linux with glibc only. What Lightning prints stays off the screen unless the environment
says ``UNDERSTUDY_VERBOSE=1``.

**Differs**: from the usual Fabric use: modules are not wrapped. A DDP wrapper breaks on unused blocks, on parts called
separately and on backwards whose loss is only a gradient penalty; :meth:`Engine.average_gradients` before each
optimiser step has none of these traps.
**Checked**: tests/training/test_engine.py (two processes hold equal gradients; page faults of a repeated allocation;
nothing is printed, with SLURM's clients installed too).
"""

import ctypes
import logging
import os
import platform
import warnings
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from understudy.core.errors import ProcessLost, UsageError
from understudy.training.processes import environment

Module = TypeVar("Module", bound=nn.Module)
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
KEEP_BYTES = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc to reuse freed blocks of any size, in later threads too; True if it took that, False if not."""
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    wanted = ((M_MMAP_THRESHOLD, KEEP_BYTES), (M_TRIM_THRESHOLD, KEEP_BYTES), (M_ARENA_MAX, 1))
    return all(mallopt(option, value) == 1 for option, value in wanted)


def has_fast_bf16(accelerator: str) -> bool:
    """Tell whether bf16 has instructions of its own there (AVX-512 BF16 or AMX; CUDA from Ampere)."""
    if accelerator == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported() and torch.cpu._is_avx512_bf16_supported())


def exact_on_cuda() -> None:
    """Let convolutions on CUDA give the same bits each time, and float32 be float32, not TF32 of 10 bits.

    Output layers, penalties and samplers ask for float32; NVIDIA's own StyleGAN code turns TF32 off as well.
    """
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's notes and warnings off the screen, unless the environment says UNDERSTUDY_VERBOSE=1."""
    if os.environ.get("UNDERSTUDY_VERBOSE") == "1":
        yield
        return
    logger = logging.getLogger("lightning_fabric")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"lightning_fabric\b")
            yield
    finally:
        logger.setLevel(before)


PRECISIONS = {"bf16": "bf16-mixed", "fp32": "32-true"}


class Engine:
    """Where and how tensors are computed, in ``devices`` processes with one device each, on each of ``nodes`` nodes.

    ``bf16`` is autocast (weights, losses and outputs stay fp32); ``auto``: bf16 where the processor or GPU has
    instructions for it. The accelerator is ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UsageError: another precision, fewer CUDA devices than asked for, or another number of processes was started.
    """

    def __init__(self, precision: str = "auto", accelerator: str = "auto", devices: int = 1, nodes: int = 1) -> None:
        from lightning_fabric import Fabric  # as long to import as torch, and much that imports this needs no engine

        if precision not in (*PRECISIONS, "auto"):
            raise UsageError(f"precision is auto, bf16 or fp32; found {precision!r}")
        if accelerator == "cuda" and not torch.cuda.is_available():
            raise UsageError(
                "accelerator cuda was asked for, and torch finds no CUDA device: use --accelerator cpu or auto"
            )
        if accelerator == "auto":
            accelerator = "cuda" if torch.cuda.is_available() else "cpu"
        if accelerator == "cuda" and devices > torch.cuda.device_count():
            raise UsageError(
                f"{devices} devices were asked for, and torch finds {torch.cuda.device_count()} CUDA devices: lower "
                "--devices, or let each process see all devices of its node"
            )
        if precision == "auto":
            precision = "bf16" if has_fast_bf16(accelerator) else "fp32"
        started_by = environment(devices, nodes)
        keep_freed_memory()
        if accelerator == "cuda":
            exact_on_cuda()
        self.precision = precision
        with quiet():
            self.fabric = Fabric(
                accelerator=accelerator,
                devices=devices,
                num_nodes=nodes,
                precision=PRECISIONS[precision],  # type: ignore[arg-type]
                strategy="ddp" if devices * nodes > 1 else "auto",
                plugins=started_by,
            )
            self.fabric.launch()

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self.fabric.device

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""
        return self.fabric.global_rank

    @property
    def world_size(self) -> int:
        """The number of processes."""
        return self.fabric.world_size

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which convolutions and matrix products run in the chosen precision."""
        return self.fabric.autocast()

    def place(self, module: Module) -> Module:
        """Move a module to the device, its convolution weights in channels_last, which convolutions prefer."""
        volumes = any(p.ndim == 5 for p in module.parameters())
        memory_format = torch.channels_last_3d if volumes else torch.channels_last
        return module.to(self.device).to(memory_format=memory_format)  # type: ignore[call-overload]

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes; a parameter without gradient counts as zero.

        One all-reduce of all gradients joined, called before each optimiser step. Nothing happens on one process.
        """
        if self.world_size == 1:
            return
        parameters = [p for p in parameters if p.requires_grad]
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in parameters])
        flat = self.mean(flat)
        for p, g in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            p.grad = torch.empty_like(p, requires_grad=False)  # laid out in memory as p: fused optimisers ask for it
            p.grad.copy_(g.reshape(p.shape))

    def mean(self, x: Tensor) -> Tensor:
        """Return the mean of a tensor over the processes, on every one of them."""
        if self.world_size == 1:
            return x
        with _together():
            return torch.as_tensor(self.fabric.all_reduce(x, reduce_op="mean"))

    def gather(self, x: Tensor) -> Tensor:
        """Return the tensors (N, ...) of all processes joined in their order, on every one; N is the same on all."""
        if self.world_size == 1:
            return x
        x = x.contiguous()
        everyones = [torch.empty_like(x) for _ in range(self.world_size)]
        with _together():
            torch.distributed.all_gather(everyones, x)  # Fabric's own prints that it is deprecated
        return torch.cat(everyones)

    def wait(self) -> None:
        """Wait for all processes."""
        with _together():
            self.fabric.barrier()


@contextmanager
def _together() -> Iterator[None]:
    """Tell of a process that is gone, in the midst of what all do together."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(
            "another of the processes that compute together has ended, of an error that it tells of or killed: run the "
            "same command again to go on"
        ) from error
