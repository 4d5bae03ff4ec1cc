"""What the names in an official weights file stand for: tensors, arrays, numbers, dicts, stand-ins for its networks.

Each function here takes the arguments that the file gives to one name, checks them, and makes plain data; it is the
whole list of what such a file can ask for (``allowed`` in generators/pretrained/pickle_file.py). Tensors are views into
bytes of the file: float32 (or another float type) on the processor.

**Source** (formats): PyTorch's serialisation of a storage, the sequence of pickles and raw bytes that ``torch.save``
wrote before 1.6 and that pickled tensors still hold, and the uncompressed ZIP archive after it; NumPy's ``__reduce__``
of scalars, arrays and data types; ``torch_utils.persistence`` of the official StyleGAN code, version 6.
**Differs**: neither pickle nor ``torch.load`` is used; bytes of tensors go through the same machine as the file
(generators/pretrained/opcodes.py) with a table of their own.
**Checked** in tests/generators/pretrained/test_pickle_file.py (values, views beyond their storage, lengths that do not
fit).
"""

import struct
import zipfile
from collections.abc import Callable, Sequence
from io import BytesIO
from math import prod
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from understudy.generators.pretrained.opcodes import Budget, Machine, Name, Unfinished

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
FLOATS = {
    "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16, "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
}  # fmt: skip
NUMBERS = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))
MOST_DIMENSIONS = 8


# ---------------------------------------------------------------------- plain data
def plain_dict(pairs: Sequence[Any] = ()) -> dict[Any, Any]:
    """OrderedDict, EasyDict: a new dict; pairs come later, or as a list of (key, value) with text for keys."""
    if any(type(pair) not in (list, tuple) or len(pair) != 2 or type(pair[0]) is not str for pair in pairs):
        raise ValueError("pairs of a name and a value were expected")
    return dict(pairs)


def plain_set(members: Sequence[Any] = ()) -> set[str]:
    """Return a new set of texts."""
    if any(type(member) is not str for member in members):
        raise ValueError("a set of names was expected")
    return set(members)


def plain_bytes(text: str = "", encoding: str = "latin1") -> bytes:
    """Bytes as protocol 2 writes them: text with one character a byte."""
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes in an unknown encoding")
    return text.encode("latin1")


# ---------------------------------------------------------------------- NumPy
class NumberType(Unfinished):
    """A NumPy data type: numbers and truth values, little-endian."""

    def __init__(self, code: str, align: Any = False, copy: Any = True) -> None:
        """Take the arguments of ``numpy.dtype``."""
        if type(code) is not str or code not in NUMBERS:
            raise ValueError(f"a NumPy type other than {', '.join(sorted(NUMBERS))}")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take the byte order and see that there is nothing else: no fields, no shape."""
        if type(state) is not tuple or len(state) < 5 or state[1] not in ("<", "|", "=") or any(state[2:5]):
            raise ValueError("a NumPy type that is not little-endian, or has fields")


class Array(Unfinished):
    """A NumPy array; ``value`` is None until its content was read."""

    def __init__(self, kind: Any = None, shape: Any = None, code: Any = None) -> None:
        """Take the arguments of ``numpy._core.multiarray._reconstruct``, which say nothing yet."""
        self.value: np.ndarray | None = None

    def build(self, state: Any) -> None:
        """Take (version, shape, type, column-major, bytes)."""
        _, shape, kind, column_major, data = state
        self.value = _array(data, kind, shape, "F" if column_major else "C")


def array_from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> Array:
    """Make an array as protocol 5 writes it."""
    made = Array()
    made.value = _array(data, kind, shape, "F" if order == "F" else "C")
    return made


def scalar(kind: Any, data: Any) -> bool | int | float:
    """Make a Python number of a NumPy one."""
    return _array(data, kind, (), "C").item()


def _array(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    if type(kind) is not NumberType or type(data) not in (bytes, bytearray):
        raise ValueError("a NumPy array without type or bytes")
    if prod(_sizes(shape)) * kind.dtype.itemsize != len(data):
        raise ValueError("a NumPy array whose bytes do not fit its shape")
    return np.ndarray(shape, kind.dtype, bytes(data), order=order)


def _sizes(values: Any) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > MOST_DIMENSIONS or any(type(v) is not int or v < 0 for v in values):
        raise ValueError("a shape that is none")
    return values


# ---------------------------------------------------------------------- tensors
class Storage(NamedTuple):
    """The one-dimensional memory of tensors."""

    values: Tensor


class _Announced(NamedTuple):
    """What a stream of a storage says before its bytes."""

    key: str
    dtype: torch.dtype
    n: int


def tensor(storage: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, *rest: Any) -> Tensor:
    """Make a view into a storage (``torch._utils._rebuild_tensor_v2``).

    Args:
        storage: a :class:`Storage`.
        offset: first element.
        size: of each dimension.
        stride: of each dimension, in elements.
        requires_grad: not used.
        hooks: must be empty.
        rest: must be empty.

    Raises:
        ValueError: the view reaches outside its storage, or repeats elements.
    """
    if type(storage) is not Storage or type(offset) is not int or offset < 0 or hooks or any(rest):
        raise ValueError("a tensor without storage, or with hooks")
    (values,), size, stride = storage, _sizes(size), _sizes(stride)
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if prod(size) else offset
    if prod(size) > len(values) or max((last, *stride)) > len(values) or (prod(size) and last >= len(values)):
        raise ValueError("a tensor that reaches outside its storage")
    return values.as_strided(size, stride, offset)


def parameter(data: Any, requires_grad: Any, hooks: Any) -> Tensor:
    """Return the tensor of a parameter (``torch._utils._rebuild_parameter``)."""
    if type(data) is not Tensor or hooks:
        raise ValueError("a parameter without tensor, or with hooks")
    return data


def storage_reader(subject: str, budget: Budget) -> Callable[[Any], Storage]:
    """Return the function that reads the bytes of one storage (``torch.storage._load_from_bytes``).

    Args:
        subject: how to call the file in a sentence.
        budget: opcodes left for the file.
    """
    inner = f"{subject} (in the bytes of a tensor)"
    table = {("torch", name): _only_named for name in FLOATS} | {("collections", "OrderedDict"): plain_dict}

    def read(data: Any) -> Storage:
        if type(data) is not bytes:
            raise ValueError("a storage without bytes")

        def pickled(stream: BytesIO) -> Any:
            return Machine(inner, table, budget, _announced).run(stream)

        return _from_archive(data, pickled) if data.startswith(b"PK") else _from_stream(data, pickled)

    return read


def _only_named(*arguments: Any) -> None:
    raise ValueError("a type that is called, where it should be named")


def _announced(identity: Any) -> _Announced:
    """Take ("storage", type, key, place, elements[, view]); the place (cpu, cuda:0) does not matter here."""
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage" or any(identity[5:]):
        raise ValueError("a storage that is not described as one")
    _, kind, key, _, n = identity[:5]
    if type(kind) is not Name or type(key) is not str or type(n) is not int or n < 0:
        raise ValueError("a storage that is not described as one")
    if kind.name not in FLOATS:
        raise ValueError("a storage of something else than floating-point numbers")
    return _Announced(key, FLOATS[kind.name], n)


def _from_stream(data: bytes, pickled: Callable[[BytesIO], Any]) -> Storage:
    """Four pickles (magic number, version, machine, the storage), one with its key, its length, its bytes."""
    stream = BytesIO(data)
    magic, version, machine, storage, keys = (pickled(stream) for _ in range(5))
    little_endian = type(machine) is dict and machine.get("little_endian") is True
    if magic != MAGIC or version != PROTOCOL or not little_endian or type(storage) is not _Announced:
        raise ValueError("bytes of a tensor that are not a saved storage")
    if keys != [storage.key] or stream.read(8) != struct.pack("<q", storage.n):
        raise ValueError("bytes of a tensor with another key or length than announced")
    return _storage(storage, stream.read())


def _from_archive(data: bytes, pickled: Callable[[BytesIO], Any]) -> Storage:
    """An uncompressed ZIP archive: NAME/data.pkl and NAME/data/KEY."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("bytes of a tensor that are compressed")
            (description,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            folder = description.removesuffix("data.pkl")
            order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
            storage = pickled(BytesIO(archive.read(description)))
            if type(storage) is not _Announced or order != b"little":
                raise ValueError("bytes of a tensor that are not a saved storage")
            return _storage(storage, archive.read(f"{folder}data/{storage.key}"))
    except (zipfile.BadZipFile, EOFError, OSError, struct.error) as error:
        raise ValueError(f"bytes of a tensor that are no whole archive: {error}") from error


def _storage(announced: _Announced, data: bytes) -> Storage:
    if len(data) != announced.n * announced.dtype.itemsize:
        raise ValueError(f"a storage of {announced.n} numbers was announced, found {len(data)} bytes")
    if not announced.n:
        return Storage(torch.empty(0, dtype=announced.dtype))
    return Storage(torch.frombuffer(bytearray(data), dtype=announced.dtype))
