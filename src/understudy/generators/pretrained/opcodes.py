"""A reader of pickles that cannot run anything: it interprets their opcodes and has no notion of a module or a call.

A pickle is a program for a stack machine. Python's own machine imports every name that the program asks for and calls
what it is told to call. This one never imports: a name is looked up in a table that the caller gives, a name that is
not there ends the reading, and what the program "calls" are the caller's own functions of that table, which make plain
data. Opcodes that the official files do not hold (INST, OBJ, EXT, PERSID, DUP ...) are not interpreted at all.

**Source**: Python's documentation of ``pickletools``, protocols 2 to 5; the bytes are cut into opcodes by
``pickletools.genops``, which decodes their arguments and nothing else.
**Differs** from Python's machine: keys of dicts and members of sets are text (nested tuples that share their parts, or
numbers made to collide, can take forever to hash); opcodes, and bytes given to the table's functions, are limited in
number; an object gets a state (BUILD) only where it is one of the caller's own.
**Checked** in tests/generators/pretrained/test_opcodes.py (each opcode against Python's machine, everything else
refused) and tests/generators/pretrained/test_pickle_file.py (mutated files).
"""

import pickletools
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from understudy.core.errors import UnderstudyError

MOST_OPCODES = 1_000_000  # the official files have some ten thousand
MOST_DIGITS = 32  # bytes of a whole number
Table = Mapping[tuple[str, str], Callable[..., Any]]

ARGUMENTS = frozenset(
    ("BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
     "BYTEARRAY8", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8")
)  # fmt: skip
NEW: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set,
}  # fmt: skip
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class Name:
    """A name of the table, as it lies on the stack: it can be given to REDUCE or be an argument, and does nothing."""

    module: str
    name: str
    make: Callable[..., Any]


class Refused(UnderstudyError):
    """A pickle asks for what it must not have; ``what`` names it."""

    def __init__(self, subject: str, what: str) -> None:
        self.what = what
        super().__init__(
            f"{subject} asks for {what}, which no official weights file needs: nothing was run and nothing written; "
            "do not open it with another program, and ask where it comes from"
        )


class Unfinished(ABC):
    """What one of the table's functions may return when its content follows with BUILD."""

    @abstractmethod
    def build(self, state: Any) -> None:
        """Take the content, or raise ValueError."""


class Budget:
    """How much may still be read: opcodes, nested pickles included, and bytes that become something.

    Args:
        size: bytes and characters that the table's functions may be given in all.
    """

    def __init__(self, size: int) -> None:
        self.opcodes, self.size = MOST_OPCODES, size

    def spend(self, opcodes: int, values: Iterable[Any] = ()) -> None:
        """Count opcodes and the bytes among some values.

        Raises:
            ValueError: there were too many; a file can ask for the same megabytes again and again.
        """
        self.opcodes -= opcodes
        self.size -= sum(len(value) for value in values if type(value) in (bytes, bytearray, str))
        if self.opcodes < 0 or self.size < 0:
            raise ValueError("more opcodes or bytes than weights need")


class Machine:
    """Reads one pickle.

    Args:
        subject: how to call the file in a sentence.
        table: own functions by the (module, name) that a pickle asks for.
        budget: shared by a file and the pickles inside it.
        persistent: what BINPERSID gives for its argument, or None where that opcode is refused.
    """

    def __init__(
        self, subject: str, table: Table, budget: Budget, persistent: Callable[[Any], Any] | None = None
    ) -> None:
        self.subject, self.table, self.budget, self.persistent = subject, table, budget, persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, stream: BytesIO) -> Any:
        """Read one pickle from where the stream stands; the stream then stands behind it.

        Returns:
            What the pickle describes: plain data and what the table's functions made.

        Raises:
            UnderstudyError: it asks for a name or an opcode that is not known here, or it is damaged.
        """
        try:
            with warnings.catch_warnings(action="ignore"):  # of names with strange escapes, which are refused anyway
                for opcode, argument, _ in pickletools.genops(stream):
                    self.budget.spend(1)
                    self._step(opcode.name, argument)
        except DAMAGE as e:
            why = f"{type(e).__name__}: {e}"[:200]
            raise UnderstudyError(
                f"{self.subject} is damaged, or no official weights file ({why}): nothing was run and nothing written; "
                "fetch it again from where it comes"
            ) from e
        if len(self.stack) != 1 or self.marks:
            raise UnderstudyError(f"{self.subject} is damaged: it ends in the middle; fetch it again")
        return self.stack[0]

    def _step(self, name: str, argument: Any) -> None:
        if name in ARGUMENTS:
            self.stack.append(_sane(argument))
        elif name in NEW:
            self.stack.append(NEW[name]())
        elif name in TUPLES:
            self.stack.append(tuple(reversed([self._pop() for _ in range(TUPLES[name])])))
        elif name in STEPS:
            STEPS[name](self, argument)
        else:
            raise Refused(self.subject, f"the pickle opcode {name}")

    # ------------------------------------------------------------------ stack
    def _pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise IndexError("the stack is empty")
        return self.stack.pop()

    def _top(self, kind: type) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0) or type(self.stack[-1]) is not kind:
            raise TypeError(f"a {kind.__name__} was expected on the stack")
        return self.stack[-1]

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        found = self.stack[start:]
        del self.stack[start:]
        return found

    def mark(self, _: None) -> None:
        """MARK: remember where the stack stands."""
        self.marks.append(len(self.stack))

    def nothing(self, _: Any) -> None:
        """PROTO, FRAME, STOP: nothing to do."""

    # ------------------------------------------------------------------ containers
    def make_tuple(self, _: None) -> None:
        """TUPLE: all since the mark."""
        self.stack.append(tuple(self._since_mark()))

    def make_frozenset(self, _: None) -> None:
        """FROZENSET: all since the mark."""
        self.stack.append(frozenset(map(_key, self._since_mark())))

    def append(self, _: None) -> None:
        """APPEND: one value to the list below it."""
        value = self._pop()
        self._top(list).append(value)

    def appends(self, _: None) -> None:
        """APPENDS: all since the mark to the list below it."""
        values = self._since_mark()
        self._top(list).extend(values)

    def add_items(self, _: None) -> None:
        """ADDITEMS: all since the mark to the set below it."""
        values = self._since_mark()
        self._top(set).update(map(_key, values))

    def set_item(self, _: None) -> None:
        """SETITEM: one pair to the dict below it."""
        value, key = self._pop(), self._pop()
        self._top(dict)[_key(key)] = value

    def set_items(self, _: None) -> None:
        """SETITEMS: all pairs since the mark to the dict below it."""
        flat = self._since_mark()
        self._top(dict).update(zip(map(_key, flat[::2]), flat[1::2], strict=True))

    # ------------------------------------------------------------------ memo
    def put(self, index: int) -> None:
        """BINPUT, LONG_BINPUT: remember the top of the stack."""
        self.memo[index] = self.stack[-1]

    def memoize(self, _: None) -> None:
        """MEMOIZE: remember the top of the stack under the next number."""
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, index: int) -> None:
        """BINGET, LONG_BINGET: what was remembered."""
        self.stack.append(self.memo[index])

    # ------------------------------------------------------------------ names
    def name(self, argument: str) -> None:
        """GLOBAL: a name, module and attribute in one line each."""
        module, _, attribute = argument.partition(" ")
        self._look_up(module, attribute)

    def name_from_stack(self, _: None) -> None:
        """STACK_GLOBAL: a name, module and attribute on the stack."""
        attribute, module = self._pop(), self._pop()
        if type(module) is not str or type(attribute) is not str:
            raise TypeError("a name that is no text")
        self._look_up(module, attribute)

    def _look_up(self, module: str, attribute: str) -> None:
        make = self.table.get((module, attribute))
        if make is None:
            raise Refused(self.subject, called(module, attribute))
        self.stack.append(Name(module, attribute, make))

    def reduce(self, _: None) -> None:
        """REDUCE, NEWOBJ: give arguments to the table's own function of a name, and to nothing else."""
        arguments, name = self._pop(), self._pop()
        if type(name) is not Name or type(arguments) is not tuple:
            raise TypeError("a call of what is no name")
        self.budget.spend(0, arguments)
        self.stack.append(name.make(*arguments))

    def build(self, _: None) -> None:
        """BUILD: the content of an own unfinished object; no other object has a state to set."""
        state = self._pop()
        self.budget.spend(0, state if type(state) is tuple else ())
        if not self.stack or not isinstance(self.stack[-1], Unfinished):
            raise TypeError("a state for what takes none")
        self.stack[-1].build(state)

    def persistent_id(self, _: None) -> None:
        """BINPERSID: what lies outside the pickle, where the caller knows of such things."""
        if self.persistent is None:
            raise Refused(self.subject, "the pickle opcode BINPERSID")
        self.stack.append(self.persistent(self._pop()))


STEPS: dict[str, Callable[[Machine, Any], None]] = {
    "PROTO": Machine.nothing, "FRAME": Machine.nothing, "STOP": Machine.nothing, "MARK": Machine.mark,
    "TUPLE": Machine.make_tuple, "FROZENSET": Machine.make_frozenset, "APPEND": Machine.append,
    "APPENDS": Machine.appends, "ADDITEMS": Machine.add_items, "SETITEM": Machine.set_item,
    "SETITEMS": Machine.set_items, "BINPUT": Machine.put, "LONG_BINPUT": Machine.put, "MEMOIZE": Machine.memoize,
    "BINGET": Machine.get, "LONG_BINGET": Machine.get, "GLOBAL": Machine.name,
    "STACK_GLOBAL": Machine.name_from_stack, "REDUCE": Machine.reduce, "NEWOBJ": Machine.reduce,
    "BUILD": Machine.build, "BINPERSID": Machine.persistent_id,
}  # fmt: skip


def called(module: str, attribute: str) -> str:
    """Return a name as a reader knows it: pickles call ``os.system`` ``posix.system`` (``nt.system`` on Windows)."""
    module, attribute = ("".join(c if c.isprintable() else "?" for c in text)[:80] for text in (module, attribute))
    written = f"{module}.{attribute}"
    return f"os.{attribute} (written {written})" if module in ("posix", "nt") else written


def _sane(value: Any) -> Any:
    if type(value) is int and value.bit_length() > 8 * MOST_DIGITS:
        raise ValueError(f"a whole number of more than {MOST_DIGITS} bytes")
    return value


def _key(value: Any) -> Any:
    if type(value) is not str:
        raise TypeError("a key that is no text")
    return value
