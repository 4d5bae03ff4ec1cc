"""State on disk without pickle: tensors as safetensors, everything else as JSON; a folder is whole or absent.

A **checkpoint** is the state to resume from, a **snapshot** the weights to use; both are written by
:func:`write_state`. **Checked** in tests/training/test_training.py and by the contract tests (resume =
uninterrupted, bit for bit).
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from understudy.core.errors import UnderstudyError


def write_state(folder: Path, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
    """Write tensors and scalars into a new folder, through a hidden sibling that is renamed."""
    partial = folder.parent / f".{folder.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        save_file(
            {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()},
            partial / "tensors.safetensors",
        )
        (partial / "scalars.json").write_text(json.dumps(scalars, indent=1) + "\n")
        for file in partial.iterdir():
            handle = os.open(file, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    except SafetensorError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise OSError(f"{folder} could not be written: {error}") from error


def read_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_state` wrote.

    Raises:
        UnderstudyError: the folder is missing or damaged.
    """
    try:
        return load_file(folder / "tensors.safetensors"), json.loads((folder / "scalars.json").read_text())
    except (OSError, SafetensorError, ValueError) as error:
        raise UnderstudyError(
            f"{folder} is not a whole checkpoint or snapshot ({error}): remove it and run train again"
        ) from error


def latest(folder: Path) -> Path | None:
    """Return the checkpoint or snapshot with the most images seen below ``folder``, or None."""
    whole = sorted(p for p in folder.glob("[0-9]*") if p.is_dir()) if folder.is_dir() else []
    return whole[-1] if whole else None


def optimizer_state(optimizer: Optimizer, prefix: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split an optimiser's state into named tensors and JSON scalars."""
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    scalars: dict[str, Any] = {}
    for index, entries in state["state"].items():
        for name, value in entries.items():
            (tensors if isinstance(value, Tensor) else scalars)[f"{prefix}.{index}.{name}"] = value
    return tensors, {"groups": state["param_groups"], "entries": scalars}


def load_optimizer_state(
    optimizer: Optimizer, prefix: str, tensors: dict[str, Tensor], scalars: dict[str, Any]
) -> None:
    """Put back what :func:`optimizer_state` took; tensors get the memory format of their parameters."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    found = {name: value for name, value in tensors.items() if name.startswith(prefix + ".")}
    for name, value in {**found, **scalars["entries"]}.items():
        index, entry = name.removeprefix(prefix + ".").split(".", 1)
        if isinstance(value, Tensor) and value.shape == parameters[int(index)].shape:
            value = torch.empty_like(parameters[int(index)], requires_grad=False).copy_(value)
        state.setdefault(int(index), {})[entry] = value
    groups = [{**group, "betas": tuple(group["betas"])} if "betas" in group else group for group in scalars["groups"]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
