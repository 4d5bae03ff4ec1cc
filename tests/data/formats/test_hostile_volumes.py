"""Volumes that lie, break off or lead elsewhere: one sentence each, no memory on their word, nothing left behind.

NIfTI, MetaImage and NRRD: cut at every structure, sizes that cannot be, headers that are no header, streams that are
damaged, names that lead out of the folder; and a thousand files with random changes, the same in every run.
"""

import gzip
import random
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.data import formats

CUBE = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)
NIFTI = nib.Nifti1Image(CUBE, np.diag([-1.0, -2, 3, 1])).to_bytes()
NIFTI2 = nib.Nifti2Image(CUBE, np.diag([-1.0, -2, 3, 1])).to_bytes()
META = (
    b"ObjectType = Image\nNDims = 3\nBinaryData = True\nCompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\n"
    b"Offset = 0 0 0\nElementSpacing = 1 2 3\nDimSize = 6 5 4\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
) + CUBE.tobytes()
NRRD = (
    b"NRRD0004\ntype: short\ndimension: 3\nspace: RAS\nsizes: 6 5 4\nspace directions: (1,0,0) (0,2,0) (0,0,3)\n"
    b"kinds: domain domain domain\nendian: little\nencoding: raw\nspace origin: (0,0,0)\n\n"
) + CUBE.tobytes()
ZIPPED = gzip.compress(NIFTI, mtime=0)
PACKED = META.replace(b"CompressedData = False", b"CompressedData = True").replace(
    CUBE.tobytes(), zlib.compress(CUBE.tobytes())
)
GZ_NRRD = NRRD.replace(b"encoding: raw", b"encoding: gzip").replace(
    CUBE.tobytes(), gzip.compress(CUBE.tobytes(), mtime=0)
)
PEAK = 2**25  # bytes that reading any of these small files may take
OFFSETS = {
    "sizeof_hdr": (0, "i"), "dim": (40, "8h"), "dim0": (40, "h"), "datatype": (70, "h"), "bitpix": (72, "h"),
    "pixdim": (76, "8f"), "vox_offset": (108, "f"), "scl": (112, "2f"), "qform_code": (252, "h"),
    "sform_code": (254, "h"), "quatern": (256, "3f"), "srow_x": (280, "4f"), "srow": (280, "12f"), "magic": (344, "4s"),
}  # fmt: skip
NAN, INF = float("nan"), float("inf")


def changed(field: str, *values: object) -> bytes:
    """A NIfTI file with one field of its header changed."""
    at, kind = OFFSETS[field]
    out = bytearray(NIFTI)
    struct.pack_into("<" + kind, out, at, *values)
    return bytes(out)


def nifti_2(at: int, kind: str, *values: int) -> bytes:
    out = bytearray(NIFTI2)
    struct.pack_into("<" + kind, out, at, *values)
    return bytes(out)


def flipped(content: bytes, at: int) -> bytes:
    out = bytearray(content)
    out[at] ^= 255
    return bytes(out)


def hostile_nifti() -> dict[str, bytes]:
    sizes = [(0, 5, 4), (-1, 1, 1), (6, -5, 4), (32767, 32767, 32767), (32767, 32767, 1), (7, 5, 4), (600, 500, 400)]
    cases = {f"nifti cut at {n}": NIFTI[:n] for n in (0, 1, 2, 4, 40, 347, 348, 351, 352, 353, len(NIFTI) - 1)}
    cases |= {f"nifti-2 cut at {n}": NIFTI2[:n] for n in (4, 348, 539, 540, 543, 544, len(NIFTI2) - 1)}
    cases |= {f"gzip cut at {n}": ZIPPED[:n] for n in (2, 3, 9, 10, 18, 40, len(ZIPPED) // 2, -9, -8, -4, -1)}
    cases |= {f"dims {size}": changed("dim", 3, *size, 1, 1, 1, 1) for size in sizes}
    cases |= {f"{n} axes": changed("dim0", n) for n in (0, 1, 8, -1, 32767, -32768)}
    cases |= {f"type {n}": changed("datatype", n) for n in (0, 1, 2, 8, 32, 128, 1536, 1792, 2048, 2304, 77, -4)}
    cases |= {f"bitpix {n}": changed("bitpix", n) for n in (0, 8, -16, 32767)}
    cases |= {
        f"voxels at {x}": changed("vox_offset", x)
        for x in (1e30, -1e30, NAN, INF, -INF, -1.0, 100.0, 352.5, 368.0, 1e6)
    }
    cases |= {f"scaled by {pair}": changed("scl", *pair) for pair in ((INF, 0), (-INF, 0), (1, NAN), (2, INF))}
    cases |= {f"sform of {x}": changed("srow", *[x] * 12) for x in (0, 1, NAN, INF, 1e38, 1e-38)}
    cases |= {f"magic {word!r}": changed("magic", word) for word in (b"", b"ni1", b"abc", b"n+", b"\xff" * 4)[:3]}
    cases |= {f"header of {n}": changed("sizeof_hdr", n) for n in (0, 347, 349, 540, -348, 2**31 - 1)}
    cases |= {f"nifti-2 dims {n}": nifti_2(24, "q", n) for n in (0, -1, 2**31, 2**62, 2**63 - 1)}
    cases |= {f"nifti-2 voxels at {n}": nifti_2(168, "q", n) for n in (-1, 1, 2**40, 2**63 - 1)}
    return cases | {
        "nothing in gzip": gzip.compress(b""),
        "gzip in gzip": gzip.compress(ZIPPED),
        "gzip with a wrong checksum": flipped(ZIPPED, -5),
        "gzip with a wrong length": flipped(ZIPPED, -1),
        "gzip with wrong voxels": flipped(ZIPPED, len(ZIPPED) // 2),
        "gzip that claims 65 GB": gzip.compress(changed("dim", 3, 32767, 1000, 1000, 1, 1, 1, 1)),
        "gzip that claims 500 MB": gzip.compress(changed("dim", 3, 1000, 500, 500, 1, 1, 1, 1)),
        "gzip with voxels far out": gzip.compress(changed("vox_offset", 2.0**27)),
        "text": b"this is no volume, but a letter\n" * 30,
        "zeros": bytes(1000),
        "a line of spaces": b" " * 1000,
    }


def hostile_meta() -> dict[str, bytes]:
    def said(old: bytes, new: bytes) -> bytes:
        assert old in META
        return META.replace(old, new)

    sizes = (b"0 5 4", b"-6 5 4", b"65536 1 1", b"65535 65535 65535", b"6 5", b"6 5 4 3", b"6.0 5 4", b"1e9 5 4",
             b"nan 5 4", b"9" * 30 + b" 5 4", b"", b"7 5 4", b"600 500 400", "\u0666 5 4".encode())  # fmt: skip
    names = (b"/dev/zero", b"/etc/hostname", b"../x.raw", b"LIST", b"a%d.raw 1 4 1", b"", b"missing.raw", b"a.mha",
             b"\xff\xfe", b"a\x01b", b"~/x", b".", b"a" * 5000)  # fmt: skip
    cases = {f"meta size {text[:9]!r} {len(text)}": said(b"DimSize = 6 5 4", b"DimSize = " + text) for text in sizes}
    cases |= {
        f"meta data in {n[:9]!r}": said(b"DataFile = LOCAL", b"DataFile = " + n).replace(CUBE.tobytes(), b"")
        for n in names
    }
    cases |= {f"meta cut at {n}": META[:n] for n in (1, 10, 60, 120, META.index(CUBE.tobytes()), -1)}
    cases |= {f"packed meta cut at {n}": PACKED[:n] for n in (-1, -4, -40, PACKED.index(b"LOCAL") + 6)}
    cases |= {f"{n!r} axes": said(b"NDims = 3", b"NDims = " + n) for n in (b"0", b"1", b"2", b"-3", b"4", b"17", b"x")}
    for name in (b"MET_STRING", b"MET_LONG", b"MET_NONE", b"", b"MET_SHORT_ARRAY_ARRAY", b"MET_DOUBLE"):
        cases[f"meta type {name!r}"] = said(b"MET_SHORT", name)
    for more in (b"DimSize = 1 1 1", b"ElementNumberOfChannels = 1000000000", b"ElementNumberOfChannels = -1",
                 b"ElementNumberOfChannels = 2", b"HeaderSize = 999", b"HeaderSize = -1\nCompressedData = True",
                 b"HeaderSize = -9", b"\0", b"=", b"a" * 2**21, b"ElementToIntensityFunctionSlope = nan",
                 b"DistanceUnits = parsec", b"ElementByteOrderMSB = x\nBinaryDataByteOrderMSB = y"):  # fmt: skip
        cases[f"meta more {more[:40]!r}"] = said(b"ElementDataFile", more + b"\nElementDataFile")
    for text in (b"0 2 3", b"nan 2 3", b"inf 2 3", b"1e308 1e308 1e308", b"1e-300 2 3"):
        cases[f"meta spacing {text!r}"] = said(b"Spacing = 1 2 3", b"Spacing = " + text)
    for text in (b"1 0 0 1 0 0 0 0 1", b"0 0 0 0 0 0 0 0 0", b"nan 0 0 0 1 0 0 0 1", b"1e300 0 0 0 1 0 0 0 1"):
        cases[f"meta matrix {text!r}"] = said(b"Matrix = 1 0 0 0 1 0 0 0 1", b"Matrix = " + text)
    return cases | {"meta offset": said(b"Offset = 0 0 0", b"Offset = nan 0 0"), "packed meta": flipped(PACKED, -1)}


def hostile_nrrd() -> dict[str, bytes]:
    def said(old: bytes, new: bytes) -> bytes:
        assert old in NRRD
        return NRRD.replace(old, new)

    sizes = (b"0 5 4", b"-6 5 4", b"65536 1 1", b"65535 65535 65535", b"6 5", b"6 5 4 3", b"6.0 5 4", b"x", b"",
             b"9" * 30 + b" 5 4", b"7 5 4", b"600 500 400")  # fmt: skip
    cases = {f"nrrd size {text[:9]!r} {len(text)}": said(b"sizes: 6 5 4", b"sizes: " + text) for text in sizes}
    cases |= {f"nrrd cut at {n}": NRRD[:n] for n in (4, 7, 8, 30, 100, NRRD.index(CUBE.tobytes()), -1)}
    cases |= {f"gzip nrrd cut at {n}": GZ_NRRD[:n] for n in (-1, -8, -9, -60, GZ_NRRD.index(b"\n\n") + 2)}
    cases |= {f"nrrd {n!r} axes": said(b"dimension: 3", b"dimension: " + n) for n in (b"0", b"1", b"-1", b"4", b"99")}
    cases |= {
        f"nrrd type {n!r}": said(b"type: short", b"type: " + n) for n in (b"block", b"", b"long", b"half", b"double")
    }
    cases |= {f"nrrd encoding {n!r}": said(b": raw", b": " + n) for n in (b"hex", b"ascii", b"bzip2", b"zstd", b"gzip")}
    for text in (b"(0,0,0) (0,2,0) (0,0,3)", b"(1,0,0) (1,0,0) (0,0,3)", b"(nan,nan,nan) (0,2,0) (0,0,3)", b"(1,0)",
                 b"(1e300,0,0) (0,2,0) (0,0,3)", b"(1,0,0) (0,2,0) (0,0,3) (1,1,1)", b"none none none", b"((((",
                 b"(inf,0,0) (0,2,0) (0,0,3)"):  # fmt: skip
        cases[f"nrrd directions {text!r}"] = said(b"(1,0,0) (0,2,0) (0,0,3)", text)
    for more in (b"sizes: 1 1 1", b"data file: /dev/zero", b"data file: ../a", b"data file: LIST\na\nb",
                 b"line skip: 9", b"data file: x%d.raw 1 4 1", b"byte skip: -7",
                 b"byte skip: 99999", b"nothing", b"\0", b"x" * 2**21,
                 b'space units: "ell" "ell" "ell"', b"spacings: 1 1 1\nspacings: 2 2 2"):  # fmt: skip
        cases[f"nrrd more {more[:40]!r}"] = said(b"endian", more + b"\nendian")
    for kinds in (
        b"complex domain domain",
        b"list list domain",
        b"domain",
        b"3D-matrix domain domain",
        b"list domain domain",
    ):
        cases[f"nrrd kinds {kinds!r}"] = said(b"kinds: domain domain domain", b"kinds: " + kinds)
    return cases | {
        "nrrd version": said(b"NRRD0004", b"NRRD9999"),
        "nrrd without endian": said(b"endian: little\n", b""),
        "gzip nrrd with a wrong checksum": flipped(GZ_NRRD, -5),
    }


HOSTILE = (
    {name: ("a.nii", content) for name, content in hostile_nifti().items()}
    | {name: ("a.mha", content) for name, content in hostile_meta().items()}
    | {name: ("a.nrrd", content) for name, content in hostile_nrrd().items()}
)


def refusal(file: Path) -> str | None:
    """The sentence with which an image is refused, or None where it is read."""
    for read in (formats.header, formats.labels, formats.image):
        try:
            read(file)
            sentence, code = None, 1
        except UnderstudyError as error:
            sentence, code = str(error), error.exit_code
        assert code in (1, 2)
        assert sentence is None or ("\n" not in sentence and len(sentence) < 600 and str(file) in sentence), sentence
    return sentence


def test_there_are_many() -> None:
    assert len(HOSTILE) >= 200


def test_the_files_that_are_changed_are_read(tmp_path: Path) -> None:
    good = {
        "a.nii": NIFTI,
        "b.nii": ZIPPED,
        "c.nii": NIFTI2,
        "a.mha": META,
        "b.mha": PACKED,
        "a.nrrd": NRRD,
        "b.nrrd": GZ_NRRD,
    }
    for name, content in good.items():
        (tmp_path / name).write_bytes(content)
        assert refusal(tmp_path / name) is None


@pytest.mark.parametrize("case", list(HOSTILE))
def test_one_sentence(tmp_path: Path, case: str, capfd: pytest.CaptureFixture[str]) -> None:
    name, content = HOSTILE[case]
    (tmp_path / name).write_bytes(content)
    tracemalloc.start()
    try:
        sentence = refusal(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sentence is not None
    assert peak < PEAK
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [0, 1, -8, 15, 2**31 - 1])
def test_header_extensions_that_lie_are_passed_over(tmp_path: Path, size: int) -> None:
    chain = struct.pack("<4b", 1, 0, 0, 0) + struct.pack("<2i", size, 6) + bytes(24)
    (tmp_path / "a.nii").write_bytes(changed("vox_offset", 384.0)[:348] + chain + CUBE.tobytes(order="F"))
    assert np.array_equal(formats.stored_image(tmp_path / "a.nii").array[0], CUBE)


def test_a_bomb_after_the_voxels_is_not_unpacked(tmp_path: Path) -> None:
    for name, content in {
        "a.nii.gz": gzip.compress(NIFTI + bytes(2**26), 9),
        "a.mha": PACKED.replace(zlib.compress(CUBE.tobytes()), zlib.compress(CUBE.tobytes() + bytes(2**26))),
    }.items():
        (tmp_path / name).write_bytes(content)
        tracemalloc.start()
        refusal(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < PEAK


@pytest.mark.parametrize(
    "case", ["dims (32767, 32767, 32767)", "gzip with wrong voxels", "type 1792", "voxels at 1e+30"]
)
def test_an_import_leaves_nothing_behind(tmp_path: Path, refused: Callable[..., str], case: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.nii").write_bytes(NIFTI)
    (tmp_path / "in" / "b.nii").write_bytes(HOSTILE[case][1])
    refused("b.nii", tmp_path / "in", images=".", one_image_per_subject=True, split="train=1")


FUZZ = """
import random, resource, sys, warnings
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_hostile_volumes as volumes
warnings.simplefilter("error")
base = {"a.nii": volumes.NIFTI, "b.nii": volumes.ZIPPED, "c.nii": volumes.NIFTI2, "a.mha": volumes.META,
        "b.mha": volumes.PACKED, "a.nrrd": volumes.NRRD, "b.nrrd": volumes.GZ_NRRD}
for name, content in base.items():
    Path(sys.argv[1], name).write_bytes(content)
    assert volumes.refusal(Path(sys.argv[1], name)) is None
for case, content in volumes.HOSTILE.values():
    Path(sys.argv[1], case).write_bytes(content)
    assert volumes.refusal(Path(sys.argv[1], case))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
chance = random.Random(0)
refused = 0
for _ in range(1000):
    name = chance.choice(sorted(base))
    file = Path(sys.argv[1], name)
    file.write_bytes(volumes.mutated(base[name], chance))
    refused += volumes.refusal(file) is not None
print(refused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def mutated(content: bytes, chance: random.Random) -> bytes:
    """A file with bytes changed, cut off, or put in, most of them in its header."""
    out = bytearray(content)
    kind = chance.random()
    if kind < 0.7:
        for _ in range(chance.choice([1, 1, 2, 4, 16])):
            at = chance.randrange(min(len(out), 352 if chance.random() < 0.8 else len(out)))
            out[at] = chance.choice(
                [0, 255, 127, 128, ord("9"), ord(" "), ord("-"), chance.randrange(256), out[at] ^ 1]
            )
    elif kind < 0.85:
        del out[chance.randrange(len(out)) :]
    else:
        at = chance.randrange(len(out))
        out[at : at + chance.randint(1, 8)] = chance.randbytes(chance.randint(0, 8))
    return bytes(out)


def test_files_with_random_changes_take_no_memory_and_end_in_a_sentence(tmp_path: Path) -> None:
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, str(tmp_path), str(here)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-2000:]
    refused, grown = map(int, done.stdout.split())
    assert refused > 350
    assert grown < 2**17  # KiB: 128 MiB
