"""A reader of pickles that runs nothing: an allow-list of opcodes and of names, on Python's own reader.

A pickle is a program for a stack machine. It may import any name and call it, set attributes, and ask for memory. Here
it consists of the opcodes that official weights files hold, and a name that it asks for stands in a list, with a
function of this package that makes plain data; any other opcode or name ends the reading, by name.

**Source**: Python's ``pickle._Unpickler``, the reader written in Python. Its twin in C reserves memory for numbers and
lengths that a file only claims, and takes no notice when opcodes are taken away.
**Differs**: keys of dicts and members of sets are text (nested tuples that share their parts take forever to hash);
a state is set on own objects only; opcodes, and bytes that become something, are limited in number.
**Checked** in tests/generators/pretrained/test_pickle_file.py (what Python reads; damage) and test_hostile.py.
"""

import pickle  # noqa: TID251  with an allow-list: official weights exist as pickles only; no other file may import it
import pickletools
import struct
from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any, NamedTuple

from understudy.core.errors import UnderstudyError

MAX_OPCODES = 1_000_000  # the official files have some ten thousand
MAX_BITS = 256  # of a whole number
OPCODES = """
    PROTO FRAME STOP MARK NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1 BINFLOAT SHORT_BINBYTES BINBYTES BINBYTES8
    BYTEARRAY8 SHORT_BINUNICODE BINUNICODE BINUNICODE8 EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE EMPTY_LIST APPEND APPENDS
    EMPTY_DICT SETITEM SETITEMS EMPTY_SET ADDITEMS BINPUT LONG_BINPUT MEMOIZE BINGET LONG_BINGET GLOBAL STACK_GLOBAL
    REDUCE NEWOBJ BUILD
"""
OPCODE_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
DAMAGE = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, RuntimeError, TypeError,
    ValueError, pickle.UnpicklingError, struct.error,
)  # fmt: skip


class Refused(UnderstudyError):
    """A pickle asks for what it must not have; ``what`` names it."""

    def __init__(self, file: str, what: str) -> None:
        self.what = what
        super().__init__(
            f"{file} asks for {what}, which no official weights file needs: nothing was run and nothing written; "
            "do not open it with another program, and ask where it comes from"
        )


class Budget:
    """What may still be read, pickles inside the file included: opcodes, and bytes (a file can ask for them again)."""

    def __init__(self, size: int) -> None:
        self.opcodes, self.size = MAX_OPCODES, size

    def spend(self, size: int = 0, opcodes: int = 0) -> None:
        """Count bytes and opcodes, or raise ValueError: there were too many."""
        self.opcodes, self.size = self.opcodes - opcodes, self.size - size
        if self.opcodes < 0 or self.size < 0:
            raise ValueError("more opcodes or bytes than weights need")


class Name(NamedTuple):
    """A name of the list, as it lies on the stack: REDUCE calls its function, and nothing else happens to it."""

    make: Any


class Reader(pickle._Unpickler):
    """Python's reader with a list of opcodes and of names.

    Reading starts where the stream stands and leaves it behind the pickle. `file` is how to call the file in a
    sentence; the budget is shared by a file and the pickles inside it.
    """

    opcodes = frozenset(OPCODES.split())  # what a pickle may consist of
    names: Mapping[tuple[str, str], Any] = {}  # what it may ask for, with an own function for each
    unfinished: tuple[type, ...] = ()  # own classes whose content follows with BUILD; no other object takes a state
    stack: list[Any]
    metastack: list[Any]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]
    read: Callable[[int], bytes]

    def __init__(self, stream: BytesIO, file: str, budget: Budget) -> None:
        super().__init__(stream)
        self.stream, self.file, self.budget = stream, file, budget
        self.dispatch = self  # type: ignore[assignment, misc]

    def load(self) -> Any:
        """Read one pickle into plain data.

        Raises:
            UnderstudyError: it asks for a name or an opcode that is not on the list, or it is damaged.
        """
        try:
            content = super().load()
            if self.stack or self.metastack:
                raise ValueError("it ends in the middle")
        except DAMAGE as error:
            why = f"{type(error).__name__}: {error}"[:200]
            raise UnderstudyError(
                f"{self.file} is damaged, or no official weights file ({why}): nothing was run and nothing written; "
                "fetch it again from where it comes"
            ) from error
        return content

    def find_class(self, module: str, name: str) -> Any:
        """Return the own function of a name."""
        if (module, name) not in self.names:
            module, name = ("".join(c if c.isprintable() else "?" for c in text)[:80] for text in (module, name))
            system = module in ("posix", "nt")  # os.system is pickled as posix.system
            raise Refused(self.file, f"os.{name} (written {module}.{name})" if system else f"{module}.{name}")
        return Name(self.names[module, name])

    def __getitem__(self, code: int) -> Callable[["Reader"], None]:
        """Return the function of an opcode, as the base asks its ``dispatch`` for."""
        self.budget.spend(opcodes=1)
        name = OPCODE_NAMES[code]
        if name not in self.opcodes:
            raise Refused(self.file, f"the pickle opcode {name}")
        return getattr(type(self), pickle._Unpickler.dispatch[code].__name__)

    # -------------------------------------------------- opcodes that are stricter here
    def load_frame(self) -> None:
        """FRAME: a hint that is not used, and must not lie."""
        if struct.unpack("<Q", self.read(8))[0] > len(self.stream.getvalue()) - self.stream.tell():
            raise ValueError("a frame that goes on behind the end")

    def load_bytearray8(self) -> None:
        """BYTEARRAY8: no memory for a length that is only claimed."""
        self.append(bytearray(self.read(struct.unpack("<Q", self.read(8))[0])))

    def load_long1(self) -> None:
        """LONG1: a whole number, not a huge one."""
        super().load_long1()  # type: ignore[misc]
        if self.stack[-1].bit_length() > MAX_BITS:
            raise ValueError(f"a whole number of more than {MAX_BITS // 8} bytes")

    def load_setitem(self) -> None:
        """SETITEM: one pair to the dict below it."""
        value, key = self.stack.pop(), self.stack.pop()
        self._top(dict)[_text(key)] = value

    def load_setitems(self) -> None:
        """SETITEMS: all pairs since the mark to the dict below it."""
        flat = self.pop_mark()
        self._top(dict).update(zip(map(_text, flat[::2]), flat[1::2], strict=True))

    def load_additems(self) -> None:
        """ADDITEMS: all since the mark to the set below it."""
        members = self.pop_mark()
        self._top(set).update(map(_text, members))

    def load_reduce(self) -> None:
        """REDUCE, NEWOBJ: give arguments to the own function of a name, and to nothing else."""
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(function) is not Name or type(arguments) is not tuple:
            raise TypeError("a call of what is no name")
        self.append(function.make(*arguments))

    load_newobj = load_reduce

    def load_build(self) -> None:
        """BUILD: the content of an own unfinished object."""
        state, thing = self.stack.pop(), self.stack[-1]
        if type(thing) not in self.unfinished:
            raise TypeError("a state for what takes none")
        thing.build(state)

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise TypeError(f"a {kind.__name__} was expected on the stack")
        return self.stack[-1]


def _text(key: Any) -> str:
    if type(key) is not str:
        raise TypeError("a key that is no text")
    return key
