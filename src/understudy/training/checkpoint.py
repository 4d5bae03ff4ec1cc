"""State on disk without pickle: tensors as safetensors, everything else as JSON; a folder is whole or absent.

A **checkpoint** is the state to resume from, a **snapshot** the weights to use; both are written by
:func:`write_state`. **Checked**: tests/training/test_checkpoint.py and the contract tests (resume = uninterrupted, bit
for bit).
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from understudy.core.atomic import whole_folder
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.regular_file import open_regular

NUMBERS = {
    torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8, torch.int32, torch.int64, torch.bool,
}  # fmt: skip


def not_finite(tensors: dict[str, Tensor]) -> str:
    """Return the name of the first tensor that holds NaN or infinity; "" if there is none."""
    return next((name for name, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()), "")


def write_state(folder: Path, tensors: dict[str, Tensor], scalars: dict[str, Any]) -> None:
    """Write tensors and scalars into a new folder, through a hidden sibling that is renamed.

    Raises:
        UnderstudyError: a tensor is not finite; nothing is written.
    """
    if found := not_finite(tensors):
        raise UnderstudyError(
            f"training diverged: {found} is not finite, and {folder} is not written; the last whole checkpoint, if "
            "any, is kept: lower the learning rate with --set"
        )
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    try:
        with whole_folder(folder, replace=True) as partial:
            save_file(plain, partial / "tensors.safetensors")
            (partial / "scalars.json").write_text(json.dumps(scalars, indent=1) + "\n")
    except SafetensorError as error:
        raise OSError(f"{folder} could not be written: {error}") from error


def read_state(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what :func:`write_state` wrote.

    Raises:
        UnderstudyError: the folder is missing or damaged, holds NaN or infinity, or a pipe, a device ... lies where
            a file should be.
    """
    try:
        for name in ("tensors.safetensors", "scalars.json"):
            open_regular(folder / name, "a file").close()
        tensors = load_file(folder / "tensors.safetensors")
        scalars = json.loads((folder / "scalars.json").read_text())
        if type(scalars) is not dict:
            raise ValueError(f"scalars.json holds {type(scalars).__name__}, and an object was expected")
        if odd := [str(t.dtype) for t in tensors.values() if t.dtype not in NUMBERS]:
            raise ValueError(f"its tensors hold {odd[0]}, and no network here does")
    except (OSError, RecursionError, SafetensorError, UsageError, ValueError) as error:
        why = " ".join(str(error).split())[:400]
        raise UnderstudyError(
            f"{folder} is not a whole checkpoint or snapshot ({why}): remove it and run train again"
        ) from error
    if found := " ".join(not_finite(tensors).split())[:80]:
        raise UnderstudyError(f"{folder} holds weights that are not finite ({found}): remove it and run train again")
    return tensors, scalars


def latest(folder: Path) -> Path | None:
    """Return the checkpoint or snapshot with the most images seen below ``folder``, or None."""
    whole = [p for p in folder.glob("[0-9]*") if p.name.isdecimal() and p.is_dir()] if folder.is_dir() else []
    return max(whole, key=lambda p: int(p.name), default=None)


def weights_of(run: Path) -> Path:
    """Return the last checkpoint of a run, or its last snapshot where it has none; UsageError: it has neither."""
    found = latest(run / "checkpoints") or latest(run / "snapshots")
    if found is None:
        raise UsageError(f"{run} holds no weights to start from: name a run that `understudy train` made")
    return found


def start_from(run: Path, modules: dict[str, nn.Module]) -> list[str]:
    """Begin with the weights of another run: its last checkpoint, or a snapshot where it has none (imported weights).

    A module that the run does not hold takes the averaged weights ``ema`` if these have its names (a generator), else
    it keeps its own and is named in the result. So does the part of a network that embeds classes (its attribute
    ``CLASS_PART``), if the run knew other classes, or none.

    Raises:
        UsageError: there are no weights, or they are of other networks.
    """
    tensors, _ = read_state(weights_of(run))
    average, anew = _part(tensors, "ema"), []
    for name, module in modules.items():
        wanted = module.state_dict()
        weights = _part(tensors, name) or (average if average.keys() == wanted.keys() else {})
        part = getattr(module, "CLASS_PART", None)
        own = {key: value for key, value in wanted.items() if part and key.startswith(f"{part}.")}
        if weights and own and _difference(own, {key: weights[key] for key in own.keys() & weights.keys()}):
            weights = {key: value for key, value in weights.items() if not key.startswith(f"{part}.")} | own
            anew.append(f"{name}.{part}")
        if weights and (differs := _difference(wanted, weights)):
            raise UsageError(
                f"{run} holds weights of another network: {name}.{differs}: give the settings, the size and the "
                "channels of that run"
            )
        if weights:
            module.load_state_dict(weights)
        else:
            anew.append(name)
    return anew


def _part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one module, without its name in front."""
    return {k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")}


def _difference(wanted: dict[str, Tensor], found: dict[str, Tensor]) -> str:
    """Return the first tensor that is missing, superfluous, or of another shape or type; "" if there is none."""
    for key in [*wanted, *sorted({*found} - {*wanted})]:
        shapes: list[Any] = [tuple(t[key].shape) if key in t else "none" for t in (wanted, found)]
        if shapes[0] == shapes[1]:
            shapes = [t[key].dtype for t in (wanted, found)]
        if shapes[0] != shapes[1]:
            return f"{key} was expected as {shapes[0]}, found {shapes[1]}"
    return ""


def load_modules(modules: dict[str, nn.Module], tensors: dict[str, Tensor]) -> None:
    """Read the weights of modules out of a state that names them ``module.key``; UnderstudyError: they do not fit."""
    for name, module in modules.items():
        weights = _part(tensors, name)
        if differs := _difference(module.state_dict(), weights):
            raise UnderstudyError(
                f"the weights do not fit the network {name} of the run's settings: {differs}: the run is of another "
                "version of understudy, or its folder was changed; train again"
            )
        module.load_state_dict(weights)


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
    """Put back what :func:`optimizer_state` took; tensors get the memory format of their parameters.

    Raises:
        ValueError: a tensor has another shape than its parameter.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    found = {name: value for name, value in tensors.items() if name.startswith(prefix + ".")}
    for name, value in {**found, **scalars["entries"]}.items():
        index, entry = name.removeprefix(prefix + ".").split(".", 1)
        if isinstance(value, Tensor) and value.shape == parameters[int(index)].shape:
            value = torch.empty_like(parameters[int(index)], requires_grad=False).copy_(value)
        elif isinstance(value, Tensor) and value.ndim:
            raise ValueError(f"{name} has the shape {tuple(value.shape)}, and its parameter another")
        state.setdefault(int(index), {})[entry] = value
    groups = [{**group, "betas": tuple(group["betas"])} if "betas" in group else group for group in scalars["groups"]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
