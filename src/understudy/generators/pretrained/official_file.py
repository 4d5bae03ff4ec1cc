"""Official StyleGAN2 and StyleGAN3 weights (``network-snapshot-*.pkl``), read without running anything in the file.

An official file is a pickle of a dict: G, D and G_ema (networks), augment_pipe, training_set_kwargs. Opened in the
usual way it executes the Python source that it carries, and whatever else its author put there. Here each name that it
may ask for stands below, with a function that makes plain data (the reader is generators/pretrained/pickle_file.py);
a network becomes a :class:`StandIn`: class name, attributes, tensors; the source that it carries is never compiled
(generators/pretrained/stored_source.py looks through it for signs of tampering).

**Source** (layout): NVlabs stylegan2-ada-pytorch and stylegan3: torch_utils/persistence.py (version 6),
training/training_loop.py; PyTorch's storages in the form of ``torch.save`` before 1.6 (in which tensors are pickled to
this day) and after; NumPy's ``__reduce__`` of scalars, arrays and types.
**Differs**: ``torch.load(weights_only=True)`` does not read the storages: it reserves memory for a length that is only
claimed, and unpacks compressed archives.
**Checked** in tests/generators/pretrained/test_official_file.py (values, damage; the official code's own files, where
it is at hand) and test_hostile.py (attacks).
"""

import os
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from understudy.core.errors import UnderstudyError
from understudy.core.regular_file import open_regular
from understudy.generators.pretrained.pickle_file import Budget, Name, Reader, Refused
from understudy.generators.pretrained.stored_source import foreign

MAX_BYTES = 4 * 2**30  # the largest official files have 0.4 GB
MAX_SOURCES = 16  # the official files carry two or three
MAX_NAME = 200  # characters
MAX_DIMENSIONS = 8
PERSISTENCE = 6
MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of torch.save
FLOATS = {
    "HalfStorage": torch.float16, "BFloat16Storage": torch.bfloat16, "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
}  # fmt: skip
NUMBERS = frozenset(("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"))


@dataclass(frozen=True)
class StandIn:
    """An object of the official code, inert: the name of its class and the attributes it had."""

    class_name: str
    state: dict[str, Any]

    @property
    def settings(self) -> dict[str, Any]:
        """The keyword arguments it was made with."""
        return _dict(self.state.get("_init_kwargs"))

    def parts(self, prefix: str = "") -> Iterator[tuple[str, "StandIn"]]:
        """Yield itself and its modules by dotted name; UnderstudyError for one in two places, as in no network."""
        seen, waiting = set[int](), [(prefix, self)]
        while waiting:
            name, part = waiting.pop()
            if id(part) in seen:
                raise UnderstudyError(f"the module {name!r} lies in two places of its network: no official weights")
            seen.add(id(part))
            yield name, part
            inner = _dict(part.state.get("_modules"))
            waiting += [(_below(name, key), m) for key, m in inner.items() if isinstance(m, StandIn)]

    def tensors(self) -> dict[str, Tensor]:
        """Return parameters and buffers by dotted name, as ``state_dict`` would."""
        found: dict[str, Tensor] = {}
        for name, part in self.parts():
            for kind in ("_parameters", "_buffers"):
                inner = _dict(part.state.get(kind))
                found |= {_below(name, key): t for key, t in inner.items() if isinstance(t, Tensor)}
        return found


def read_bytes(file: Path) -> bytes:
    """Read a weights file into memory.

    Raises:
        UsageError: there is no such file, or it is a folder, a pipe, a device.
        UnderstudyError: it is too large for weights.
    """
    with open_regular(Path(file), "a weights file (network-snapshot-....pkl)") as handle:
        size = os.fstat(handle.fileno()).st_size
        data = handle.read(MAX_BYTES + 1) if size <= MAX_BYTES else b""
    if max(size, len(data)) > MAX_BYTES:
        raise UnderstudyError(
            f"{Path(file).name} has {size / 2**30:.1f} GiB, and official weights have less than "
            f"{MAX_BYTES // 2**30}: it is something else"
        )
    return data


def read_official(data: bytes, name: str) -> dict[str, StandIn]:
    """Read the bytes of an official weights file, which sentences call `name`; nothing in it is run.

    Returns its networks as stand-ins: G, D, G_ema, and augment_pipe where it has one.

    Raises:
        UnderstudyError: it asks for anything that official weights do not need, is damaged, or something else.
    """
    if data[:1] != b"\x80" or data[1:2] not in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise UnderstudyError(
            f"{name} is no official weights file: a pickle of protocol 2 to 5 was expected, and it begins with "
            f"{data[:8]!r}; official files are called network-snapshot-....pkl"
        )
    stream = BytesIO(data)
    try:
        content = OfficialReader(stream, name, Budget(4 * len(data) + 2**20)).load()
    except Refused as refused:
        if not refused.what.startswith("dnnlib.tflib"):
            raise
        raise UnderstudyError(
            f"{name} was written by the TensorFlow code of StyleGAN ({refused.what}), whose files cannot be read "
            "without running that code: convert it with legacy.py of NVlabs stylegan3 where it may be run, and import "
            "the result"
        ) from None
    if stream.tell() != len(data):
        raise UnderstudyError(f"{name} goes on for {len(data) - stream.tell()} bytes behind its end: fetch it again")
    networks = {key: value for key, value in _dict(content).items() if isinstance(value, StandIn)}
    if "G_ema" not in networks:
        raise UnderstudyError(
            f"{name} holds no network G_ema, which official training snapshots have: name a network-snapshot-....pkl"
        )
    return networks


def _below(name: str, key: Any) -> str:
    """Return the dotted name of what a module holds; names without end are no names."""
    if type(key) is not str or not key.isidentifier() or len(name) + len(key) > MAX_NAME:
        raise UnderstudyError("a network in the weights file has parts without proper names: no official weights")
    return f"{name}.{key}".lstrip(".")


def _dict(value: Any) -> dict[Any, Any]:
    if value is None:
        return {}
    if type(value) is not dict:
        raise UnderstudyError(
            f"a dict was expected in the weights file, found {type(value).__name__}: it is no official weights file"
        )
    return value


# ---------------------------------------------------------------------- what the names of an official file stand for
class OfficialReader(Reader):
    """The names of an official file: persistent objects, dicts, tensors, NumPy's numbers and arrays."""

    def __init__(self, stream: BytesIO, file: str, budget: Budget) -> None:
        super().__init__(stream, file, budget)
        self.unfinished = (_NumberType, _Array)
        self.sources: set[str] = set()
        self.names = {
            ("torch_utils.persistence", "_reconstruct_persistent_obj"): self._stand_in,
            ("dnnlib.util", "EasyDict"): _empty_dict,
            ("collections", "OrderedDict"): _empty_dict,
            ("torch._utils", "_rebuild_tensor_v2"): self._tensor,
            ("torch._utils", "_rebuild_parameter"): _parameter,
            ("torch.storage", "_load_from_bytes"): self._storage,
            ("numpy", "dtype"): _NumberType,
            ("numpy", "ndarray"): _Array,
            ("_codecs", "encode"): self._bytes,
        }
        for numpy in ("numpy.core", "numpy._core"):
            self.names[f"{numpy}.multiarray", "scalar"] = _scalar
            self.names[f"{numpy}.multiarray", "_reconstruct"] = _Array
            self.names[f"{numpy}.numeric", "_frombuffer"] = _Array.from_buffer
        for builtin in ("builtins", "__builtin__"):
            self.names[builtin, "set"] = self._set
            self.names[builtin, "bytes"] = self._bytes

    def _stand_in(self, meta: Any) -> StandIn:
        """Take what the official code pickles for an object of one of its classes."""
        meta = _dict(meta)
        kind, version, source, class_name, state = (
            meta.get(key) for key in ("type", "version", "module_src", "class_name", "state")
        )
        if kind != "class" or version != PERSISTENCE or type(class_name) is not str or type(source) is not str:
            raise ValueError(f"an official object of version {PERSISTENCE} was expected")
        if source not in self.sources:
            self.sources.add(source)
            found = foreign(source) if len(self.sources) <= MAX_SOURCES else f"more than {MAX_SOURCES} sources"
            if found:
                raise UnderstudyError(
                    f"the source stored in {self.file} asks for {found}, which no official network needs: nothing was "
                    "run and nothing written; do not open the file with another program, and ask where it comes from"
                )
        return StandIn(class_name, _dict(state))

    def _set(self, members: Any = ()) -> set[str]:
        if type(members) not in (list, tuple) or any(type(member) is not str for member in members):
            raise ValueError("a set of names was expected")
        self.budget.spend(len(members))
        return set(members)

    def _bytes(self, text: Any = "", encoding: Any = "latin1") -> bytes:
        """Bytes as protocol 2 writes them: text with one character a byte."""
        if type(text) is not str or encoding not in ("latin1", "latin-1"):
            raise ValueError("bytes in an unknown encoding")
        self.budget.spend(len(text))
        return text.encode("latin1")

    def _storage(self, data: Any) -> "Storage":
        """Read the bytes of one storage (``torch.storage._load_from_bytes``)."""
        if type(data) is not bytes:
            raise ValueError("a storage without bytes")
        self.budget.spend(len(data))
        return (_from_archive if data.startswith(b"PK") else _from_stream)(data, self.file, self.budget)

    def _tensor(self, storage: Any, offset: Any, size: Any, stride: Any, _: Any, hooks: Any, *rest: Any) -> Tensor:
        """Make a view into a storage (``torch._utils._rebuild_tensor_v2``) that stays inside it and repeats nothing."""
        if type(storage) is not Storage or type(offset) is not int or offset < 0 or hooks or any(rest):
            raise ValueError("a tensor without storage, or with hooks")
        (values,), size, stride = storage, _sizes(size), _sizes(stride)
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True)) if prod(size) else offset
        if prod(size) > len(values) or max((last, *stride)) > len(values) or (prod(size) and last >= len(values)):
            raise ValueError("a tensor that reaches outside its storage")
        self.budget.spend(prod(size) * values.itemsize)
        return values.as_strided(size, stride, offset)


def _empty_dict() -> dict[str, Any]:
    """OrderedDict, EasyDict: a new dict; pairs come later."""
    return {}


class _NumberType:
    """A NumPy data type: numbers and truth values, little-endian."""

    def __init__(self, code: Any, align: Any = False, copy: Any = True) -> None:
        if type(code) is not str or code not in NUMBERS:
            raise ValueError(f"a NumPy type other than {', '.join(sorted(NUMBERS))}")
        self.dtype = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take the byte order and see that there is nothing else: no fields, no shape."""
        if type(state) is not tuple or len(state) < 5 or state[1] not in ("<", "|", "=") or any(state[2:5]):
            raise ValueError("a NumPy type that is not little-endian, or has fields")


class _Array:
    """A NumPy array; ``value`` is None until its content was read."""

    def __init__(self, kind: Any = None, shape: Any = None, code: Any = None) -> None:
        self.value: np.ndarray | None = None

    @classmethod
    def from_buffer(cls, data: Any, kind: Any, shape: Any, order: Any) -> "_Array":
        """Make an array as protocol 5 writes it."""
        made = cls()
        made.build((1, shape, kind, order == "F", data))
        return made

    def build(self, state: Any) -> None:
        """Take (version, shape, type, column-major, bytes)."""
        _, shape, kind, column_major, data = state
        if type(kind) is not _NumberType or type(data) not in (bytes, bytearray):
            raise ValueError("a NumPy array without type or bytes")
        if prod(_sizes(shape)) * kind.dtype.itemsize != len(data):
            raise ValueError("a NumPy array whose bytes do not fit its shape")
        self.value = np.ndarray(shape, kind.dtype, data, order="F" if column_major else "C")


def _scalar(kind: Any, data: Any) -> bool | int | float:
    """Make a Python number of a NumPy one."""
    value = _Array.from_buffer(data, kind, (), "C").value
    assert value is not None
    return value.item()


def _parameter(data: Any, requires_grad: Any, hooks: Any) -> Tensor:
    """Return the tensor of a parameter (``torch._utils._rebuild_parameter``)."""
    if type(data) is not Tensor or hooks:
        raise ValueError("a parameter without tensor, or with hooks")
    return data


def _sizes(values: Any) -> tuple[int, ...]:
    if type(values) is not tuple or len(values) > MAX_DIMENSIONS or any(type(v) is not int or v < 0 for v in values):
        raise ValueError("a shape that is none")
    return values


# ---------------------------------------------------------------------- storages
class Storage(NamedTuple):
    """The one-dimensional memory of tensors."""

    values: Tensor


class Announced(NamedTuple):
    """What a pickle says of a storage before its bytes."""

    key: str
    dtype: torch.dtype
    n: int


class _StorageReader(Reader):
    """The names in the bytes of a tensor: the kinds of storage, which are named and never called."""

    opcodes = Reader.opcodes | {"BINPERSID"}

    def __init__(self, stream: BytesIO, file: str, budget: Budget) -> None:
        super().__init__(stream, f"{file} (in the bytes of a tensor)", budget)
        self.names = {("torch", name): dtype for name, dtype in FLOATS.items()}
        self.names["collections", "OrderedDict"] = _empty_dict

    def persistent_load(self, identity: Any) -> Announced:
        """Take ("storage", type, key, place, elements[, view]); the place (cpu, cuda:0) does not matter here."""
        if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage" or any(identity[5:]):
            raise ValueError("a storage that is not described as one")
        _, name, key, _, n = identity[:5]
        dtype = name.make if type(name) is Name else None
        if type(dtype) is not torch.dtype or type(key) is not str or type(n) is not int or n < 0:
            raise ValueError("a storage that is not described as one, or not of floating-point numbers")
        return Announced(key, dtype, n)


def _from_stream(data: bytes, file: str, budget: Budget) -> Storage:
    """Four pickles (magic number, version, machine, the storage), one with its key, its length, its bytes."""
    stream = BytesIO(data)
    magic, version, machine, storage, keys = (_StorageReader(stream, file, budget).load() for _ in range(5))
    little_endian = type(machine) is dict and machine.get("little_endian") is True
    if magic != MAGIC or version != PROTOCOL or not little_endian or type(storage) is not Announced:
        raise ValueError("bytes of a tensor that are not a saved storage")
    if keys != [storage.key] or stream.read(8) != struct.pack("<q", storage.n):
        raise ValueError("bytes of a tensor with another key or length than announced")
    return _filled(storage, memoryview(data)[stream.tell() :])


def _from_archive(data: bytes, file: str, budget: Budget) -> Storage:
    """An uncompressed ZIP archive: NAME/data.pkl and NAME/data/KEY."""
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("bytes of a tensor that are compressed")
            (description,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
            folder = description.removesuffix("data.pkl")
            order = archive.read(f"{folder}byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
            storage = _StorageReader(BytesIO(archive.read(description)), file, budget).load()
            if type(storage) is not Announced or order != b"little":
                raise ValueError("bytes of a tensor that are not a saved storage")
            return _filled(storage, archive.read(f"{folder}data/{storage.key}"))
    except (zipfile.BadZipFile, NotImplementedError, OSError, struct.error) as error:
        raise ValueError(f"bytes of a tensor that are no whole archive: {error}") from error


def _filled(announced: Announced, data: bytes | memoryview) -> Storage:
    if len(data) != announced.n * announced.dtype.itemsize:
        raise ValueError(f"a storage of {announced.n} numbers was announced, found {len(data)} bytes")
    if not announced.n:
        return Storage(torch.empty(0, dtype=announced.dtype))
    return Storage(torch.frombuffer(bytearray(data), dtype=announced.dtype))
