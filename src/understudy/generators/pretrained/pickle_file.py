"""Official StyleGAN2 and StyleGAN3 weights (``network-snapshot-*.pkl``), read without running anything in the file.

An official file is a pickle of a dict: G, D and G_ema (networks), augment_pipe, training_set_kwargs. Opened in the
usual way it executes the Python source that it carries, and whatever else its author put there. Here

- its opcodes are interpreted by a machine that cannot import or call (generators/pretrained/opcodes.py);
- each name it may ask for stands in :func:`allowed` below, with a function of this package that makes plain data of it
  (generators/pretrained/rebuild.py); any other name ends the reading, by name;
- a network becomes a :class:`StandIn`: class name, attributes, tensors; nothing of the official code is needed;
- the source it carries is never compiled; a source with anything that a network does not need is refused
  (generators/pretrained/stored_source.py).

**Source** (layout): NVlabs stylegan2-ada-pytorch and stylegan3: torch_utils/persistence.py (version 6),
training/training_loop.py (what a snapshot holds).
**Checked** in tests/generators/pretrained/test_pickle_file.py: values, every dangerous opcode and name, calls hidden at
the top, in the bytes of a tensor and in the source, bombs, mutated files; and against the official code where it is at
hand.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from torch import Tensor

from understudy.core.errors import UnderstudyError, UsageError
from understudy.generators.pretrained import rebuild
from understudy.generators.pretrained.opcodes import Budget, Machine, Refused, Table
from understudy.generators.pretrained.stored_source import foreign

MOST_BYTES = 4 * 2**30  # the largest official files have 0.4 GB
MOST_NAME = 200  # characters
MOST_SOURCES = 16  # the official files carry two or three
PERSISTENCE = 6
SNAPSHOT = re.compile(r"network-snapshot-(\d{6})\.pkl")


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
        """Yield itself and the modules in it, each with its dotted name.

        Raises:
            UnderstudyError: a module lies in two places, as in no network.
        """
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
        UsageError: there is no such file.
        UnderstudyError: it is too large for weights.
    """
    file = Path(file)
    if not file.is_file():
        found = "a folder" if file.is_dir() else "nothing"
        raise UsageError(f"a weights file (network-snapshot-....pkl) was expected at {file}, found {found}")
    if file.stat().st_size > MOST_BYTES:
        raise UnderstudyError(
            f"{file.name} has {file.stat().st_size / 2**30:.1f} GiB, and official weights have less than "
            f"{MOST_BYTES // 2**30}: it is something else"
        )
    return file.read_bytes()


def digest(data: bytes) -> str:
    """Return the SHA-256 of a file's bytes."""
    return hashlib.sha256(data).hexdigest()


def images_seen(name: str) -> int:
    """Return what an official file name tells: thousands of images, as in network-snapshot-025000.pkl; else 0."""
    seen = SNAPSHOT.fullmatch(name)
    return int(seen[1]) * 1000 if seen else 0


def read_official(data: bytes, name: str) -> dict[str, StandIn]:
    """Read an official weights file; nothing in it is run.

    Args:
        data: the file's bytes.
        name: the file's name, for sentences.

    Returns:
        Its networks as stand-ins: G, D, G_ema, and augment_pipe where it has one.

    Raises:
        UnderstudyError: it asks for anything that official weights do not need, is damaged, or something else.
    """
    if data[:1] != b"\x80" or data[1:2] not in (b"\x02", b"\x03", b"\x04", b"\x05"):
        raise UnderstudyError(
            f"{name} is no official weights file: a pickle of protocol 2 to 5 was expected, and it begins with "
            f"{data[:8]!r}; official files are called network-snapshot-....pkl"
        )
    stream, budget = BytesIO(data), Budget(4 * len(data) + 2**20)
    try:
        content = Machine(name, allowed(name, budget), budget).run(stream)
    except Refused as refused:
        raise (_tensorflow(name, refused.what) if refused.what.startswith("dnnlib.tflib") else refused) from None
    if stream.tell() != len(data):
        raise UnderstudyError(f"{name} goes on for {len(data) - stream.tell()} bytes behind its end: fetch it again")
    networks = {key: value for key, value in _dict(content).items() if isinstance(value, StandIn)}
    if "G_ema" not in networks:
        raise UnderstudyError(
            f"{name} holds no network G_ema, which official training snapshots have: name a network-snapshot-....pkl"
        )
    return networks


def allowed(name: str, budget: Budget) -> Table:
    """Return all that an official file may ask for, with what this package makes of it.

    Args:
        name: of the file, for sentences.
        budget: opcodes left for the file.
    """
    checked: set[str] = set()
    table: dict[tuple[str, str], Any] = {
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): lambda meta: _stand_in(meta, name, checked),
        ("dnnlib.util", "EasyDict"): rebuild.plain_dict,
        ("collections", "OrderedDict"): rebuild.plain_dict,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild.tensor,
        ("torch._utils", "_rebuild_parameter"): rebuild.parameter,
        ("torch.storage", "_load_from_bytes"): rebuild.storage_reader(name, budget),
        ("numpy", "dtype"): rebuild.NumberType,
        ("numpy", "ndarray"): rebuild.Array,
        ("_codecs", "encode"): rebuild.plain_bytes,
    }
    for numpy in ("numpy.core", "numpy._core"):
        table[f"{numpy}.multiarray", "scalar"] = rebuild.scalar
        table[f"{numpy}.multiarray", "_reconstruct"] = rebuild.Array
        table[f"{numpy}.numeric", "_frombuffer"] = rebuild.array_from_buffer
    for builtin in ("builtins", "__builtin__"):
        table[builtin, "set"] = rebuild.plain_set
        table[builtin, "bytes"] = rebuild.plain_bytes
    return table


def _stand_in(meta: Any, name: str, checked: set[str]) -> StandIn:
    """Take what the official code pickles for an object of one of its classes."""
    meta = _dict(meta)
    kind, version, source, class_name, state = (
        meta.get(key) for key in ("type", "version", "module_src", "class_name", "state")
    )
    if kind != "class" or version != PERSISTENCE or type(class_name) is not str or type(source) is not str:
        raise ValueError(f"an official object of version {PERSISTENCE} was expected")
    if source not in checked:
        found = foreign(source) if len(checked) < MOST_SOURCES else f"more than {MOST_SOURCES} sources"
        if found:
            raise UnderstudyError(
                f"the source stored in {name} asks for {found}, which no official network needs: nothing was run and "
                "nothing written; do not open the file with another program, and ask where it comes from"
            )
        checked.add(source)
    return StandIn(class_name, _dict(state))


def _tensorflow(name: str, what: str) -> UnderstudyError:
    return UnderstudyError(
        f"{name} was written by the TensorFlow code of StyleGAN ({what}), whose files cannot be read without running "
        "that code: convert it with legacy.py of NVlabs stylegan3 where it may be run, and import the result"
    )


def _below(name: str, key: Any) -> str:
    """Return the dotted name of what a module holds; names without end are no names."""
    if type(key) is not str or not key.isidentifier() or len(name) + len(key) > MOST_NAME:
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
