"""A pretended GPU: what is computed on it is computed by the processor, and what a CUDA device refuses is refused.

Tensors on the device ``gpu`` hold a tensor of the processor inside. An operation on them and on tensors of the
processor with one dimension or more is an error, as with CUDA; so are NumPy views of them and draws from the
processor's generators. It shows faults of devices, and nothing of speed, memory, low precision or CUDA's own kernels.
``begin()`` changes torch for the rest of a process: call it in one that was forked for it (tests/forked.py).
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

aten = torch.ops.aten
BETWEEN = {aten._to_copy.default, aten.copy_.default}  # operations that take tensors of both sides
BY_POSITION = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
STRICT = ("_fused_adam_",)  # whose tensors without dimensions must be there, too


class OnGPU(torch.Tensor):
    """A tensor that says that it is on the device."""

    inner: torch.Tensor

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> "OnGPU":
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, strides=inner.stride(), storage_offset=inner.storage_offset(), dtype=inner.dtype,
            device="gpu:0", requires_grad=inner.requires_grad,
        )  # fmt: skip

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"OnGPU({self.inner})"

    def tolist(self) -> Any:
        """As every device does."""
        return self.inner.tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        """As CUDA does not."""
        raise TypeError("can't convert gpu:0 device type tensor to numpy. Use Tensor.cpu() first")

    def __array__(self, *args: Any) -> Any:
        return self.numpy()

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(function, args, kwargs or {})

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["inner"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], meta: Any, size: Any, stride: Any) -> "OnGPU":
        return OnGPU(inner["inner"])


class PretendedGPU(TorchDispatchMode):
    """Tensors that are made on the device inside of it are OnGPU."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(function, args, kwargs or {})


def computed(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Compute an operation on the processor; its results are where a GPU would have them."""
    if function.has_kernel_for_dispatch_key(torch._C.DispatchKey.CompositeImplicitAutograd):  # in inference mode alone
        with PretendedGPU():
            parts = function.decompose(*args, **kwargs)
        if parts is not NotImplemented:
            return parts
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    here = [tensor for tensor in given if not isinstance(tensor, OnGPU)]
    there = len(here) < len(given)
    asked = kwargs.get("device")
    result_there = there if asked is None else torch.device(asked).type == "gpu"
    if there and function not in BETWEEN:
        refuse_two_devices(function, args, here)
    generator = kwargs.get("generator")
    if generator is not None and result_there:
        raise RuntimeError(f"Expected a 'gpu' device type for generator but found 'cpu' ({function})")
    plain_args, plain = tree_map_only(OnGPU, lambda tensor: tensor.inner, (args, kwargs))
    if asked is not None:
        plain["device"] = "cpu"
    out = function(*plain_args, **plain)
    if function is aten.copy_.default:
        return args[0]
    if result_there:
        out = tree_map_only(torch.Tensor, OnGPU, out)
    return return_and_correct_aliasing(function, args, kwargs, out) if there and function not in BETWEEN else out


def refuse_two_devices(function: Any, args: Any, here: list[torch.Tensor]) -> None:
    """Raise what CUDA raises; positions may be the processor's, and so may be single numbers."""
    if function in BY_POSITION and isinstance(args[0], OnGPU):
        here = [tensor for tensor in here if not any(tensor is index for index in args[1] or ())]
    strict = function._schema.name.rpartition("::")[2] in STRICT
    if wrong := [tuple(tensor.shape) for tensor in here if tensor.ndim or strict]:
        raise RuntimeError(f"Expected all tensors to be on the same device: {function} has {wrong} on the processor")


class Backend:
    """What torch asks of a device's module."""

    def is_available(self) -> bool:
        """It is there."""
        return True

    def is_initialized(self) -> bool:
        """Nothing is to be done."""
        return True

    def current_device(self) -> int:
        """There is one."""
        return 0

    def device_count(self) -> int:
        """There is one."""
        return 1

    def manual_seed_all(self, seed: int) -> None:
        """The processor draws."""

    def _is_in_bad_fork(self) -> bool:
        return False

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        """None: all in float32."""
        return [torch.bfloat16]


def begin() -> PretendedGPU:
    """Make the device known, and return the context in which tensors can be on it."""
    from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

    _setup_privateuseone_for_python_backend("gpu", Backend())
    torch.autograd.set_multithreading_enabled(False)
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device=...) makes a tensor here, and moves it
    mode = PretendedGPU()
    mode.__enter__()
    return mode


def engine() -> Any:
    """Return an engine of fp32 whose device is the pretended one."""
    from understudy.training.engine import Engine

    class There(Engine):
        @property
        def device(self) -> torch.device:
            return torch.device("gpu", 0)

    return There("fp32", "cpu")
