"""The reader of pickles: what it reads is what Python reads; names, opcodes and bombs are refused."""

import pickle  # noqa: TID251  the reference
import struct
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError
from understudy.generators.pretrained import pickle_file
from understudy.generators.pretrained.pickle_file import Budget, Reader, Refused

SHARED = [1, 2]
PLAIN = {
    "numbers": [0, 1, -1, 255, 256, 65535, 65536, -(2**31), 2**31, 2**70, 0.1, -1e300, float("inf"), True, False, None],
    "texts": ["", "a", "é" * 300, "x" * 70000, "\ud800"],
    "tuples": ((), (1,), (1, 2), (1, 2, 3), (1, 2, 3, (4, 5))),
    "shared": [SHARED, SHARED],
    "deep": {"a": {"b": [], "c": {}}},
}


class Thing:
    def __init__(self, *arguments: Any) -> None:
        self.arguments, self.state = arguments, None

    def build(self, state: Any) -> None:
        self.state = state


def read(data: bytes, names: dict[tuple[str, str], Callable[..., Any]] | None = None) -> Any:
    reader = Reader(BytesIO(data), "file.pkl", Budget(10_000))
    reader.names, reader.unfinished = names or {}, (Thing,)
    return reader.load()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_data_is_what_python_reads(protocol: int) -> None:
    found = read(pickle.dumps(PLAIN, protocol))
    assert found == PLAIN and found["shared"][0] is found["shared"][1]
    assert [type(v) for v in found["numbers"]] == [type(v) for v in PLAIN["numbers"]]


def test_sets_bytes_and_long_containers() -> None:
    data = {
        "a": {"x", "y"},
        "c": b"\x00\xff",
        "d": bytearray(b"ab"),
        "e": list(range(3000)),
    }
    assert read(pickle.dumps(data, 5)) == data
    assert read(pickle.dumps([{str(i): i for i in range(2500)}], 4)) == [{str(i): i for i in range(2500)}]


def test_names_reach_own_functions_only() -> None:
    table = {("a.b", "f"): Thing, ("torch", "FloatStorage"): Thing}
    for ask in (b"ca.b\nf\n", b"\x8c\x03a.b\x8c\x01f\x93"):
        for call in (b"R", b"\x81"):  # REDUCE, NEWOBJ
            made = read(b"\x80\x04" + ask + b"K\x01K\x02\x86" + call + b"}b.", table)
            assert type(made) is Thing and made.arguments == (1, 2) and made.state == {}
    assert read(b"\x80\x04ca.b\nf\n.", table).make is Thing


NAMES = [
    ("os", "system"), ("posix", "system"), ("nt", "system"), ("subprocess", "Popen"), ("builtins", "eval"),
    ("builtins", "exec"), ("builtins", "getattr"), ("__builtin__", "eval"), ("builtins", "__import__"),
    ("builtins", "open"), ("functools", "partial"), ("operator", "attrgetter"), ("importlib", "import_module"),
    ("pickle", "loads"), ("_pickle", "loads"), ("marshal", "loads"), ("types", "CodeType"), ("types", "FunctionType"),
    ("copyreg", "_reconstructor"), ("copyreg", "__newobj__"), ("torch", "load"), ("torch.hub", "load"),
    ("torch.jit", "load"), ("torch.storage", "torch.load"), ("torch._utils", "_import_dotted_name"),
    ("numpy", "load"), ("numpy.core.multiarray", "fromstring"), ("runpy", "run_path"), ("pty", "spawn"),
    ("webbrowser", "open"), ("ctypes", "CDLL"), ("socket", "socket"), ("shutil", "rmtree"), ("code", "interact"),
    ("dnnlib.util", "open_url"), ("dnnlib.util", "EasyDict.update"), ("dnnlib.util", "os.system"),
    ("torch_utils.persistence", "_src_to_module"), ("torch_utils.persistence", "import_hook"),
    ("collections", "OrderedDict.fromkeys"), ("builtins", "set.__class__"), ("", ""),
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES, ids=".".join)
def test_any_other_name_is_refused_by_name(name: tuple[str, str]) -> None:
    module, attribute = name
    on_stack = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in name) + b"\x93"
    for ask in (f"c{module}\n{attribute}\n".encode(), on_stack):
        with pytest.raises(Refused) as caught:
            read(b"\x80\x04" + ask + b"\x8c\x04true\x85R.", {("collections", "OrderedDict"): dict})
        assert ("os" if module in ("posix", "nt") else module) + "." + attribute in str(caught.value)
        assert str(caught.value).startswith("file.pkl asks for") and "nothing was run" in str(caught.value)


def test_a_name_with_escapes_is_refused_too() -> None:
    for name, shown in ((b"\\os\n\\system\n", r"\\os.\\system"), (b"o\\x73\nsystem\n", r"o\\x73.system")):
        with pytest.raises(UnderstudyError, match=f"asks for {shown}"):
            read(b"\x80\x02c" + name + b")R.")


OTHERS = {
    "FROZENSET": b"(\x91.", "LONG4": b"\x8b\x01\x00\x00\x00\x01.",
    "INST": b"(ios\nsystem\n.", "OBJ": b"(K\x01o.", "NEWOBJ_EX": b")})\x92.", "EXT1": b"\x82\x01.",
    "EXT2": b"\x83\x01\x00.", "EXT4": b"\x84\x01\x00\x00\x00.", "PERSID": b"Pkey\n.", "BINPERSID": b"K\x01Q.",
    "DUP": b"K\x012.", "POP": b"K\x01K\x010.", "POP_MARK": b"(1.", "NEXT_BUFFER": b"\x97.", "READONLY_BUFFER": b"\x98.",
    "INT": b"I1\n.", "LONG": b"L1L\n.", "FLOAT": b"F1\n.", "STRING": b"S'a'\n.", "BINSTRING": b"T\x01\x00\x00\x00a.",
    "SHORT_BINSTRING": b"U\x01a.", "UNICODE": b"Va\n.", "LIST": b"(l.", "DICT": b"(d.", "GET": b"K\x01p0\ng0\n.",
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_opcodes_that_official_files_do_not_hold(name: str) -> None:
    with pytest.raises(Refused, match=f"asks for the pickle opcode (PUT|{name}), which no official weights file needs"):
        read(b"\x80\x04" + OTHERS[name])


def nested(depth: int) -> bytes:
    return b"\x80\x04" + b"]" * depth + b"a" * (depth - 1) + b"."


BROKEN = {
    "empty": b"",
    "no stop": b"\x80\x04K\x01",
    "unknown opcode": b"\x80\x04\xff.",
    "empty stack": b"\x80\x04.",
    "two values": b"\x80\x04K\x01K\x02.",
    "open mark": b"\x80\x04(K\x01.",
    "no mark": b"\x80\x04t.",
    "tuple below": b"\x80\x04K\x01\x86.",
    "behind a mark": b"\x80\x04](a.",
    "memo": b"\x80\x04h\x07.",
    "put nothing": b"\x80\x04q\x00.",
    "append to a number": b"\x80\x04K\x01K\x02a.",
    "odd pairs": b"\x80\x04}(K\x01u.",
    "items of a list": b"\x80\x04](K\x01K\x02u.",
    "name of numbers": b"\x80\x04K\x01K\x02\x93.",
    "call of a number": b"\x80\x04K\x01)R.",
    "call with a list": b"\x80\x04ca\nf\n]R.",
    "state of a dict": b"\x80\x04}}b.",
    "state of a list": b"\x80\x04]}b.",
    "state of a name": b"\x80\x04ca\nf\n}b.",
    "key of tuples": b"\x80\x04})\x85K\x01s.",
    "tuple in a set": b"\x80\x04\x8f()\x90.",
    "number as key": b"\x80\x04}K\x01K\x01s.",
    "number in a set": b"\x80\x04\x8f(K\x01\x90.",
    "list as key": b"\x80\x04}]K\x01s.",
    "claimed text": b"\x80\x04X\xff\xff\xff\xffab.",
    "claimed bytes": b"\x80\x04\x8e" + struct.pack("<Q", 2**60) + b"ab.",
    "claimed beyond": b"\x80\x04\x8e" + b"\xff" * 8 + b"ab.",
    "claimed array": b"\x80\x05\x96" + struct.pack("<Q", 2**60) + b"ab.",
    "claimed frame": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",
    "claimed number": b"\x80\x04\x8a\xff\x01.",
    "large number": b"\x80\x04\x8a\x40" + b"\x01" * 64 + b".",
    "text that is none": b"\x80\x04X\x01\x00\x00\x00\xff.",
    "call that fails": b"\x80\x04ca\nf\nK\x01\x85R.",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_sentence(name: str) -> None:
    def fails(*arguments: Any) -> None:
        raise ValueError("as it should")

    with pytest.raises(UnderstudyError, match=r"^file.pkl is damaged") as caught:
        read(BROKEN[name], {("a", "f"): fails})
    assert len(str(caught.value)) < 500


def test_bombs_end_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.process_time()
    deep = read(nested(100_000))
    assert type(deep) is list and len(deep) == 1
    del deep
    assert read(b"\x80\x04K\x01r\xff\xff\xff\xffj\xff\xff\xff\xff\x86.") == (1, 1)  # a memo of four thousand million
    doubled = b"\x80\x04]q\x00" + b"".join(b"(h\x00h\x00e" for _ in range(10)) + b"."
    assert len(read(doubled)) == 20  # a list that holds itself; nothing walks it
    monkeypatch.setattr(pickle_file, "MAX_OPCODES", 1000)
    with pytest.raises(UnderstudyError, match="more opcodes or bytes"):
        read(b"\x80\x04(" + b")" * 1001 + b"t.")
    assert time.process_time() - start < 5
