"""Hostile weights files: each is refused by name, in a sentence, soon, in little memory; and nothing of it runs."""

import copyreg
import gzip
import io
import os
import pickle  # noqa: TID251  some attacks are real pickles
import resource
import socket
import struct
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from understudy.core.errors import UnderstudyError
from understudy.generators.pretrained.official_file import read_bytes, read_official

NAME = "network-snapshot-000100.pkl"
RUNNING = ("os.", "subprocess.", "exec", "open", "socket.", "ctypes.", "shutil.", "marshal.", "pickle.find_class")
CPU_SECONDS, GROWTH = 10, 400  # a file, MiB of the process


# ---------------------------------------------------------------------- a pickle by hand
def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def data(value: bytes) -> bytes:
    return b"B" + struct.pack("<I", len(value)) + value


def whole(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def stacked(module: str, attribute: str) -> bytes:
    return text(module) + text(attribute) + b"\x93"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def mapping(**values: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in values.items()) + b"u"


def network(source: str = "import torch\n", **state: bytes) -> bytes:
    """A persistent object of the official code with some state."""
    described = {
        "type": text("class"),
        "version": whole(6),
        "module_src": text(source),
        "class_name": text("Generator"),
    }
    return call(
        name("torch_utils.persistence", "_reconstruct_persistent_obj"), mapping(**described, state=mapping(**state))
    )


def snapshot(value: bytes, protocol: int = 4) -> bytes:
    """A file whose G_ema is a value."""
    return b"\x80" + bytes([protocol]) + mapping(G_ema=value) + b"."


def buffer(value: bytes) -> bytes:
    """A network one of whose tensors lies in the given bytes."""
    return network(weight=call(name("torch.storage", "_load_from_bytes"), data(value)))


SYSTEM = name("posix", "system")
TOUCH = text("touch canary")
CALL = call(SYSTEM, TOUCH)
DICT, TENSOR = name("collections", "OrderedDict"), name("torch._utils", "_rebuild_tensor_v2")
NUMBERS = name("numpy", "dtype")
ARRAY = call(name("numpy.core.multiarray", "_reconstruct"), name("numpy", "ndarray"), b"K\x00\x85", data(b"b"))


def saved(thing: Any = None, archive: bool = False) -> bytes:
    stream = io.BytesIO()
    thing = torch.arange(6.0)._typed_storage() if thing is None else thing
    torch.save(thing, stream, _use_new_zipfile_serialization=archive)
    return stream.getvalue()


STORAGE = call(name("torch.storage", "_load_from_bytes"), data(saved()))


def identity(kind: bytes = name("torch", "FloatStorage"), n: bytes = whole(6), what: bytes = text("storage")) -> bytes:
    return b"\x80\x02(" + what + kind + text("0") + text("cpu") + n + b"tQ."


def stream(storage: bytes = b"", n: int = 6, values: int = 6, at: int = -1, other: bytes = b"") -> bytes:
    """A storage as torch.save writes it, with one of its five pickles replaced."""
    machine = mapping(protocol_version=whole(1001), little_endian=b"\x88")
    pickles = [pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2), b"\x80\x02" + machine + b"."]
    pickles += [storage or identity(), pickle.dumps(["0"], 2)]
    if at >= 0:
        pickles[at] = other
    return b"".join(pickles) + struct.pack("<q", n) + bytes(4 * values)


def tensor(offset: bytes = b"K\x00", size: bytes = b"K\x06\x85", stride: bytes = b"K\x01\x85", *more: bytes) -> bytes:
    return network(weight=call(TENSOR, STORAGE, offset, size, stride, b"\x89", call(DICT), *more))


def archived(**changes: Any) -> bytes:
    content = {"archive/data.pkl": identity(), "archive/data/0": bytes(24), **changes.pop("files", {})}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", changes.get("compression", zipfile.ZIP_STORED)) as archive:
        for file, values in content.items():
            archive.writestr(file, values)
    return packed.getvalue()


def huge(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little")


def laughs(depth: int, end: bytes) -> bytes:
    """Tuples that share their parts: 2 ** depth leaves."""
    return b")" + b"".join(b"q" + bytes([i]) + b"h" + bytes([i]) + b"\x86" for i in range(depth)) + end


# ---------------------------------------------------------------------- what is refused, and what the sentence names
HOSTILE: dict[str, tuple[bytes, str]] = {
    # a call at the top, in every way a pickle can ask for one
    "reduce": (b"\x80\x04" + CALL + b".", "asks for os.system"),
    "stack global": (b"\x80\x04" + call(stacked("posix", "system"), TOUCH) + b".", "asks for os.system"),
    "stack global of memo": (
        b"\x80\x04" + text("os") + b"\x940h\x00" + text("system") + b"\x93" + TOUCH + b"\x85R.",
        "POP",
    ),
    "inst": (b"\x80\x04(" + TOUCH + b"iposix\nsystem\n.", "opcode INST"),
    "obj": (b"\x80\x04(" + SYSTEM + TOUCH + b"o.", "asks for os.system"),
    "newobj": (b"\x80\x04" + SYSTEM + TOUCH + b"\x85\x81.", "asks for os.system"),
    "newobj_ex": (b"\x80\x04" + SYSTEM + TOUCH + b"\x85}\x92.", "asks for os.system"),
    "newobj_ex of a good name": (snapshot(DICT + b")}\x92"), "opcode NEWOBJ_EX"),
    **{f"protocol {p}": (snapshot(CALL, p), "asks for os.system") for p in (2, 3, 4, 5)},
    "protocol 0": (b"cposix\nsystem\n(S'true'\ntR.", "a pickle of protocol 2 to 5 was expected"),
    "protocol 1": (b"\x80\x01" + CALL + b".", "a pickle of protocol 2 to 5 was expected"),
    "protocol 6": (b"\x80\x06" + CALL + b".", "a pickle of protocol 2 to 5 was expected"),
    "protocol 0 inside": (b"\x80\x04(S'true'\niposix\nsystem\n.", "opcode STRING"),
    "in a frame": (b"\x80\x04\x95" + struct.pack("<Q", len(CALL) + 1) + CALL + b".", "asks for os.system"),
    "before the network": (b"\x80\x04" + CALL + b"0}.", "asks for os.system"),
    # a call inside
    "value": (snapshot(mapping(a=CALL)), "asks for os.system"),
    "key": (b"\x80\x04}" + CALL + b"Ns.", "asks for os.system"),
    "state": (snapshot(network(a=CALL)), "asks for os.system"),
    "settings": (snapshot(network(_init_kwargs=mapping(a=CALL))), "asks for os.system"),
    "hooks": (snapshot(network(_backward_hooks=mapping(a=CALL))), "asks for os.system"),
    "argument": (snapshot(call(DICT, CALL)), "asks for os.system"),
    "hooks of a tensor": (snapshot(tensor(b"K\x00", b")", b")", CALL)), "asks for os.system"),
    "set": (snapshot(b"\x8f(" + CALL + b"\x90"), "asks for os.system"),
    "deep": (snapshot(b"]" * 500 + CALL + b"a" * 500), "asks for os.system"),
    # a call in the bytes of a tensor
    "bytes": (snapshot(buffer(b"\x80\x02" + CALL + b".")), r"\(in the bytes of a tensor\) asks for os.system"),
    **{
        f"bytes, pickle {i}": (snapshot(buffer(stream(at=i, other=b"\x80\x02" + CALL + b"."))), "asks for os.system")
        for i in range(5)
    },
    "bytes, kind": (snapshot(buffer(stream(identity(SYSTEM)))), "asks for os.system"),
    "bytes, number": (snapshot(buffer(stream(identity(n=CALL)))), "asks for os.system"),
    "bytes in bytes": (snapshot(buffer(b"\x80\x02" + buffer(CALL) + b".")), "asks for torch_utils.persistence"),
    "archive": (
        snapshot(buffer(archived(files={"archive/data.pkl": b"\x80\x02" + CALL + b"."}))),
        "asks for os.system",
    ),
    "archive of code": (snapshot(buffer(archived(files={"archive/code/a.py": b"import os"})[:-5])), "damaged"),
    # a call in the source
    "source": (snapshot(network("import os\nos.system('true')\n")), r"asks for os \(line 1\), os.system \(line 2\)"),
    "source, builtin": (snapshot(network("__import__('os').system('true')")), "asks for .*__import__"),
    "source, eval": (snapshot(network("def f(x=eval('1')): pass")), "asks for eval"),
    "source, through torch": (snapshot(network("import torch\ntorch.os.system('true')")), r"asks for torch.os.system"),
    "source, loader": (snapshot(network("import torch\ntorch.hub.load('a', 'b')")), "asks for torch.hub"),
    "source, coding": (snapshot(network("# coding: rot13\nvzcbeg bf")), "not Python"),
    "source, nul": (snapshot(network("x = 1\0")), "not Python"),
    "source, deep": (snapshot(network("x = " + "(" * 5000)), "not Python"),
    "source, long": (snapshot(network("#" * 1_000_001)), "more than 1000000 characters"),
    # dotted names: what a listed module has imported
    **{
        f"dotted {module}.{attribute}": (
            snapshot(call(stacked(module, attribute), TOUCH)),
            f"asks for {module}.{attribute}",
        )
        for module, attribute in (
            ("torch._utils", "os.system"),
            ("torch._utils", "sys.modules"),
            ("dnnlib.util", "os.system"),
            ("torch.storage", "torch.load"),
            ("torch.storage", "_load_from_bytes.__globals__"),
            ("torch", "os.system"),
            ("torch", "FloatStorage"),
            ("torch._utils", "_rebuild_tensor_v2.__globals__"),
            ("numpy", "f2py.os.system"),
            ("collections", "OrderedDict.fromkeys"),
            ("collections", "_sys.modules"),
            ("numpy", "dtype.__class__"),
            ("builtins", "set.__class__"),
            ("_codecs", "encode.__self__"),
            ("torch_utils.persistence", "sys"),
            ("builtins", "getattr"),
            ("builtins", "eval"),
            ("copyreg", "_reconstructor"),
            ("operator", "attrgetter"),
            ("functools", "partial"),
            ("torch.jit", "load"),
            ("numpy", "load"),
            ("pickle", "loads"),
            ("", ""),
        )
    },
    # the extension registry
    "ext1": (snapshot(b"\x82\xf0" + TOUCH + b"\x85R"), "opcode EXT1"),
    "ext2": (snapshot(b"\x83\xf0\x00" + TOUCH + b"\x85R"), "opcode EXT2"),
    "ext4": (snapshot(b"\x84\xf0\x00\x00\x00" + TOUCH + b"\x85R"), "opcode EXT4"),
    # BUILD
    "state of a dict": (snapshot(call(DICT) + mapping(__setstate__=b"N") + b"b"), "a state for what takes none"),
    "slots of a dict": (snapshot(call(DICT) + b"N" + mapping(keys=b"N") + b"\x86b"), "a state for what takes none"),
    "state of a network": (snapshot(network() + mapping(__class__=DICT) + b"b"), "a state for what takes none"),
    "slots of a network": (snapshot(network() + b"N" + mapping(state=b"N") + b"\x86b"), "a state for what takes none"),
    "state of a name": (snapshot(DICT + mapping(make=SYSTEM) + b"b"), "asks for os.system"),
    "slots of a name": (snapshot(DICT + b"N" + mapping(make=DICT) + b"\x86b"), "a state for what takes none"),
    "code of a name": (snapshot(TENSOR + b"N" + mapping(__code__=b"N") + b"\x86b"), "a state for what takes none"),
    "state of a tensor": (
        snapshot(
            call(TENSOR, STORAGE, b"K\x00", b"K\x06\x85", b"K\x01\x85", b"\x89", call(DICT))
            + b"("
            + STORAGE
            + b"K\x00"
            + huge(2**62)
            + b"\x85K\x01\x85tb"
        ),
        "a state for what takes none",
    ),
    "state of a storage": (snapshot(STORAGE + b"Nb"), "a state for what takes none"),
    "state of a set": (snapshot(b"\x8f}b"), "a state for what takes none"),
    "state of nothing": (snapshot(b"}b"), "damaged"),
    "objects in an array": (snapshot(call(NUMBERS, text("O8"), b"\x89", b"\x88")), "a NumPy type other than"),
    "records": (snapshot(call(NUMBERS, text("V8"), b"\x89", b"\x88")), "a NumPy type other than"),
    "fields of a type": (
        snapshot(call(NUMBERS, text("f8")) + b"(K\x03" + text("<") + b"N" + text("a") + b"}tb"),
        "or has fields",
    ),
    "array of objects": (
        snapshot(ARRAY + b"(K\x01K\x01\x85" + text("O") + b"\x89" + data(bytes(8)) + b"tb"),
        "without type",
    ),
    "array that lies": (
        snapshot(
            ARRAY + b"(K\x01" + huge(2**62) + b"\x85" + call(NUMBERS, text("f8")) + b"\x89" + data(bytes(8)) + b"tb"
        ),
        "do not fit its shape",
    ),
    "array of too little": (snapshot(ARRAY + b"K\x01\x85b"), "damaged"),
    # memo
    "memo of nothing": (snapshot(b"h\x07"), "damaged"),
    "memo far away": (snapshot(b"j\xff\xff\xff\xff"), "damaged"),
    "memo before there is a value": (b"\x80\x04q\x00.", "damaged"),
    "memo of 2 ** 31": (snapshot(b"](Nr\x00\x00\x00\x80j\x00\x00\x00\x80e"), "no network G_ema"),
    "memo of 2 ** 32": (snapshot(b"](Nr\xff\xff\xff\xffj\xff\xff\xff\xffe"), "no network G_ema"),
    "a name swapped": (
        snapshot(b"](" + DICT + b"q\x00" + text("eval") + b"q\x00eh\x00" + TOUCH + b"\x85R"),
        "a call of what",
    ),
    "a name put over another": (
        snapshot(b"](" + DICT + b"q\x00" + SYSTEM + b"q\x00eh\x00" + TOUCH + b"\x85R"),
        "os.system",
    ),
    # calls of what may be asked for, with other arguments
    "call of a text": (snapshot(text("os.system") + TOUCH + b"\x85R"), "a call of what is no name"),
    "call of a network": (snapshot(network() + TOUCH + b"\x85R"), "a call of what is no name"),
    "call with a tensor for arguments": (snapshot(DICT + STORAGE + b"R"), "a call of what is no name"),
    "network of a list": (
        snapshot(call(name("torch_utils.persistence", "_reconstruct_persistent_obj"), b"]")),
        "a dict was",
    ),
    "network of nothing": (
        snapshot(call(name("torch_utils.persistence", "_reconstruct_persistent_obj"), b"}")),
        "version 6",
    ),
    "network of two": (
        snapshot(call(name("torch_utils.persistence", "_reconstruct_persistent_obj"), b"}", b"}")),
        "damaged",
    ),
    "dict of pairs": (snapshot(call(DICT, b"](", b"N\x85", b"e")), "damaged"),
    "encode to a file": (snapshot(call(name("_codecs", "encode"), text("a"), text("zip"))), "unknown encoding"),
    "encode a number": (snapshot(call(name("_codecs", "encode"), b"K\x01")), "unknown encoding"),
    "set of tuples": (snapshot(call(name("builtins", "set"), b"])a")), "a set of names"),
    "set of a text": (snapshot(call(name("builtins", "set"), text("ab"))), "a set of names"),
    "storage of a text": (
        snapshot(network(a=call(name("torch.storage", "_load_from_bytes"), text("PK")))),
        "without bytes",
    ),
    "kind of storage called": (
        snapshot(
            buffer(stream(at=3, other=b"\x80\x02" + call(name("torch", "FloatStorage"), whole(2**31 - 1)) + b"."))
        ),
        "damaged",
    ),
    "quantised": (snapshot(call(name("torch._utils", "_rebuild_qtensor"))), "asks for torch._utils._rebuild_qtensor"),
    "meta": (
        snapshot(call(name("torch._utils", "_rebuild_meta_tensor_no_storage"))),
        "asks for torch._utils._rebuild_meta",
    ),
    # persistent ids and buffers from outside
    "binpersid": (snapshot(TOUCH + b"Q"), "opcode BINPERSID"),
    "persid": (snapshot(b"Pos.system\n"), "opcode PERSID"),
    "identity of text": (snapshot(buffer(stream(b"\x80\x02" + text("storage") + b"Q."))), "not described as one"),
    "identity of a module": (snapshot(buffer(stream(identity(what=text("module"))))), "not described as one"),
    "identity of a dict": (snapshot(buffer(stream(identity(DICT)))), "not described as one"),
    "identity of too much": (snapshot(buffer(stream(b"\x80\x02(" + b"N" * 9 + b"tQ."))), "not described as one"),
    "next buffer": (snapshot(b"\x97", 5), "opcode NEXT_BUFFER"),
    "readonly buffer": (snapshot(b"C\x01a\x98", 5), "opcode READONLY_BUFFER"),
    # lengths that are only claimed
    "binbytes": (snapshot(b"B\xff\xff\xff\xffab"), "damaged"),
    "binbytes8": (snapshot(b"\x8e" + struct.pack("<Q", 2**60) + b"ab"), "damaged"),
    "binbytes8 beyond": (snapshot(b"\x8e" + b"\xff" * 8), "damaged"),
    "bytearray8": (snapshot(b"\x96" + struct.pack("<Q", 2**40) + b"ab", 5), "damaged"),
    "binunicode": (snapshot(b"X\xff\xff\xff\xffab"), "damaged"),
    "binunicode8": (snapshot(b"\x8d" + struct.pack("<Q", 2**62) + b"ab"), "damaged"),
    "long1": (snapshot(b"\x8a\xff" + b"\x01" * 255), "a whole number of more than 32 bytes"),
    "long4": (snapshot(b"\x8b" + struct.pack("<i", 2**31 - 1) + b"ab"), "opcode LONG4"),
    "long4 below 0": (snapshot(b"\x8b" + struct.pack("<i", -1) + b"ab"), "opcode LONG4"),
    "frame": (
        b"\x80\x04\x95" + struct.pack("<Q", 2**60) + snapshot(network())[2:],
        "a frame that goes on behind the end",
    ),
    "frame beyond": (b"\x80\x04\x95" + b"\xff" * 8 + snapshot(network())[2:], "a frame that goes on behind the end"),
    "frame in a storage": (snapshot(buffer(b"\x80\x04\x95" + struct.pack("<Q", 2**40) + b"N.")), "behind the end"),
    # storages
    "storage of 2 ** 60": (snapshot(buffer(stream(identity(n=huge(2**60)), 2**60))), "1152921504606846976 numbers was"),
    "storage below 0": (snapshot(buffer(stream(identity(n=whole(-6)), -6))), "not described as one"),
    "storage of True": (snapshot(buffer(stream(identity(n=b"\x88"), 1, 1))), "not described as one"),
    "two lengths": (snapshot(buffer(stream(n=7, values=7))), "another key or length than announced"),
    "short storage": (snapshot(buffer(stream(values=5))), "6 numbers was announced, found 20 bytes"),
    "long storage": (snapshot(buffer(stream(values=7))), "6 numbers was announced, found 28 bytes"),
    "big-endian": (
        snapshot(buffer(stream(at=2, other=b"\x80\x02" + mapping(little_endian=b"\x89") + b"."))),
        "not a saved",
    ),
    "storage of integers": (
        snapshot(buffer(stream(identity(name("torch", "LongStorage"))))),
        "asks for torch.LongStorage",
    ),
    "cut storage": (snapshot(buffer(saved()[:40])), "damaged"),
    "empty storage": (snapshot(buffer(b"")), "damaged"),
    "archive with a bomb": (
        snapshot(buffer(archived(compression=zipfile.ZIP_DEFLATED, files={"archive/data/0": bytes(10**7)}))),
        "compressed",
    ),
    "archive of two": (snapshot(buffer(archived(files={"b/data.pkl": identity()}))), "damaged"),
    "archive of nothing": (snapshot(buffer(b"PK\x05\x06" + bytes(18))), "damaged"),
    "archive with a path": (
        snapshot(
            buffer(archived(files={"archive/data.pkl": identity().replace(text("0"), text("../../../etc/passwd"))}))
        ),
        "damaged",
    ),
    # tensors
    "beyond": (snapshot(tensor(size=b"K\x07\x85")), "reaches outside its storage"),
    "offset": (snapshot(tensor(b"K\x01")), "reaches outside its storage"),
    "offset below 0": (snapshot(tensor(whole(-1))), "without storage"),
    "stride": (snapshot(tensor(size=b"K\x02K\x03\x86", stride=b"K\x04K\x01\x86")), "reaches outside its storage"),
    "stride below 0": (snapshot(tensor(stride=whole(-1) + b"\x85")), "a shape that is none"),
    "repeated": (snapshot(tensor(size=huge(2**62) + b"\x85", stride=b"K\x00\x85")), "reaches outside its storage"),
    "overflow": (
        snapshot(tensor(size=huge(2**63) + b"K\x02\x86", stride=huge(2**64 - 1) + b"K\x01\x86")),
        "reaches outside its storage",
    ),
    "offset and stride": (snapshot(tensor(huge(2**64), b"K\x01\x85")), "reaches outside its storage"),
    "ranks": (snapshot(tensor(size=b"K\x02K\x03\x86")), "damaged"),
    "nine dimensions": (
        snapshot(tensor(size=b"(" + b"K\x01" * 9 + b"t", stride=b"(" + b"K\x01" * 9 + b"t")),
        "a shape that is",
    ),
    "tensor of a tensor": (
        snapshot(network(a=call(TENSOR, network(), b"K\x00", b")", b")", b"\x89", b"}"))),
        "without storage",
    ),
    "tensor in a hook": (snapshot(tensor(b"K\x00", b")", b")", tensor())), "damaged"),
    # bombs
    "laughs as a key": (b"\x80\x04}" + laughs(200, b"Ns."), "a key that is no text"),
    "laughs in a set": (b"\x80\x04\x8f(" + laughs(200, b"\x90."), "a key that is no text"),
    "laughs in a call": (snapshot(call(name("builtins", "set"), b"](" + laughs(200, b"e"))), "a set of names"),
    "laughs": (b"\x80\x04" + laughs(200, b"."), "a dict was expected in the weights file, found tuple"),
    "deep list": (b"\x80\x04" + b"]" * 150_000 + b"a" * 149_999 + b".", "a dict was expected"),
    "deep tuple": (b"\x80\x04)" + b"\x85" * 200_000 + b".", "a dict was expected"),
    "deep dict": (b"\x80\x04" + b"}X\1\0\0\0a" * 100_000 + b"N" + b"s" * 100_000 + b".", "no network G_ema"),
    "deep keys": (b"\x80\x04}" + b")" + b"\x85" * 100_000 + b"Ns.", "a key that is no text"),
    "marks": (b"\x80\x04" + b"(" * 200_000 + b".", "damaged"),
    "opcodes": (b"\x80\x04" + b"(" + b"N" * 1_000_001 + b"t.", "more opcodes or bytes than weights need"),
    "the same bytes": (
        b"\x80\x04"
        + name("_codecs", "encode")
        + b"q\x00"
        + text("x" * 2**18)
        + b"\x85q\x01"
        + b"h\x00h\x01R" * 50
        + b".",
        "more opcodes or bytes than weights need",
    ),
    "the same storage": (
        b"\x80\x04"
        + name("torch.storage", "_load_from_bytes")
        + b"q\x00"
        + data(stream(identity(n=whole(2**18)), 2**18, 2**18))
        + b"\x85q\x01"
        + b"h\x00h\x01R" * 50
        + b".",
        "more opcodes or bytes than weights need",
    ),
    "the same tensor": (
        b"\x80\x04"
        + TENSOR
        + b"q\x00("
        + call(name("torch.storage", "_load_from_bytes"), data(stream(identity(n=whole(2**18)), 2**18, 2**18)))
        + b"K\x00"
        + whole(2**18)
        + b"\x85K\x01\x85\x89}tq\x01"
        + b"h\x00h\x01R" * 50
        + b".",
        "more opcodes or bytes than weights need",
    ),
    "the same set": (
        b"\x80\x04"
        + name("builtins", "set")
        + b"q\x00]("
        + b"".join(text(f"{i}") for i in range(20_000))
        + b"e\x85q\x01"
        + b"h\x00h\x01R" * 1000
        + b".",
        "more opcodes or bytes than weights need",
    ),
    # no pickle, or half of one
    "nothing": (b"", "begins with b''"),
    "zeros": (bytes(1000), "a pickle of protocol 2 to 5 was expected"),
    "gzip": (gzip.compress(snapshot(network())), "a pickle of protocol 2 to 5 was expected"),
    "zip": (archived(), "a pickle of protocol 2 to 5 was expected"),
    "text": (b"version https://git-lfs.github.com/spec/v1\n", "a pickle of protocol 2 to 5 was expected"),
    "only a protocol": (b"\x80\x04", "damaged"),
    "no stop": (snapshot(network())[:-1], "damaged"),
    "half": (snapshot(network())[:100], "damaged"),
    "more": (snapshot(network()) + b"\x80\x04N.", "goes on for 4 bytes"),
    "unknown opcode": (b"\x80\x04\xff.", "damaged"),
    "name that is no text": (snapshot(b"K\x01K\x02\x93"), "damaged"),
    "name that is no UTF-8": (snapshot(b"c\xff\xfe\nsystem\n"), "damaged"),
    "name without end": (snapshot(b"cos" + b"a" * 1000), "asks for osa{78}"),
    "name with a line": (snapshot(stacked("os\nx", "system")), r"asks for os\?x.system"),
    "name of 10 ** 6 characters": (snapshot(stacked("a" * 10**6, "system")), "asks for a{80}.system"),
}


@pytest.fixture(scope="module")
def events() -> Iterator[list[str]]:
    """What Python reports of running, opening, connecting while a file is read; an audit hook cannot be taken away."""
    seen: list[str] = []
    listening = [True]

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        unknown = event == "open" and arguments[0] == "<unknown>"  # where ast.parse looks for the line of an error
        if listening[0] and event.startswith(RUNNING) and not unknown:
            seen.append(event)

    sys.addaudithook(hear)
    yield seen
    listening[0] = False


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    """Give the extension registry an entry, as another package might."""
    copyreg.add_extension("posix", "system", 240)
    yield
    copyreg.remove_extension("posix", "system", 240)


def test_the_canary_sings(events: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = len(events)
    pickle.loads(HOSTILE["reduce"][0])
    assert "os.system" in events[before:] and "pickle.find_class" in events[before:] and (tmp_path / "canary").exists()


def test_the_network_that_the_attacks_are_made_of_is_read() -> None:
    network_read = read_official(snapshot(tensor()), NAME)["G_ema"]
    assert network_read.class_name == "Generator"
    assert torch.equal(network_read.state["weight"], torch.arange(6.0))
    assert read_official(snapshot(buffer(stream())), NAME) and read_official(snapshot(buffer(archived())), NAME)


@pytest.mark.parametrize("attack", HOSTILE)
def test_refused_by_name_and_nothing_runs(
    events: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str
) -> None:
    content, says = HOSTILE[attack]
    monkeypatch.chdir(tmp_path)
    read_official(snapshot(tensor()), NAME)  # whatever is imported late is imported now
    before, start, memory = len(events), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnderstudyError, match=says) as caught:
        read_official(content, NAME)
    seconds = time.process_time() - start
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    sentence = str(caught.value)
    assert events[before:] == [] and list(tmp_path.iterdir()) == []
    assert NAME in sentence or "in the weights file" in sentence
    assert "\n" not in sentence and len(sentence) < 600 and sentence.isprintable()
    assert seconds < CPU_SECONDS and grown < GROWTH, (seconds, grown)


def test_networks_in_networks_end_soon() -> None:
    deep = network()
    head, tail = network(_modules=mapping(a=b"@")).split(b"@")
    content = snapshot(head * 5_000 + deep + tail * 5_000)
    found = read_official(content, NAME)["G_ema"]
    with pytest.raises(UnderstudyError, match="without proper names"):
        list(found.parts())
    del found


@pytest.mark.parametrize("part", range(1, 40))
def test_a_file_cut_anywhere(official_layout: ModuleType, part: int) -> None:
    content = official_layout.stylegan2_file()
    with pytest.raises(UnderstudyError, match=r"damaged|protocol 2 to 5"):
        read_official(content[: len(content) * part // 40], NAME)


# ---------------------------------------------------------------------- what is no regular file
def pipe(place: Path) -> None:
    os.mkfifo(place)


def unix_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as opened:
        here = os.getcwd()
        os.chdir(place.parent)
        opened.bind(place.name)
        os.chdir(here)


PLACES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pipe": (pipe, "found a pipe"),
    "folder": (Path.mkdir, "found a folder"),
    "device": (lambda place: place.symlink_to("/dev/zero"), "found a device"),
    "terminal": (lambda place: place.symlink_to("/dev/tty"), "found"),
    "socket": (unix_socket, "found"),
    "circle": (lambda place: place.symlink_to(place), "found"),
    "link to nothing": (lambda place: place.symlink_to(place.parent / "none"), "found nothing"),
    "link to a pipe": (lambda place: (pipe(place.parent / "p"), place.symlink_to("p")), "found a pipe"),
    "nothing": (lambda place: None, "found nothing"),
    "below a file": (lambda place: place.parent.rmdir() or place.parent.touch(), "found nothing"),
}


@pytest.mark.parametrize("kind", PLACES)
def test_what_is_no_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    make, says = PLACES[kind]
    (tmp_path / "f").mkdir()
    make(tmp_path / "f" / NAME)
    start = time.monotonic()
    with pytest.raises(UnderstudyError, match=f"a weights file .* was expected at .*{NAME}, {says}"):
        read_bytes(tmp_path / "f" / NAME)
    assert time.monotonic() - start < 2


def test_a_file_without_end(tmp_path: Path) -> None:
    with (tmp_path / NAME).open("wb") as file:
        file.truncate(2**40)  # holes, no disk
    with pytest.raises(UnderstudyError, match=f"{NAME} has 1024.0 GiB, and official weights have less than 4"):
        read_bytes(tmp_path / NAME)
