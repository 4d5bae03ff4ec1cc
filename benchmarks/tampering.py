"""Flip bits of a signed bundle and count how many ``verify --key`` misses; the suite does a small sample of it.

python benchmarks/tampering.py BUNDLE --key PUBLIC             one bit in every byte of every file
python benchmarks/tampering.py BUNDLE --key PUBLIC --bits 10000   so many random bits, all files as one

The bundle is copied first, into memory where there is /dev/shm, and one process verifies it again and again: about 4 ms
a bit of a bundle of 200 kB. How far it is goes to stderr; the last line is a JSON object: bits flipped, noticed,
missed, seconds.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from understudy.core.errors import UnderstudyError
from understudy.release.verify import verify_bundle

MEMORY = Path("/dev/shm")
TOLD_EVERY = 10_000  # bits


def places(files: list[Path], bits: int | None, seed: int) -> Iterator[tuple[Path, int, int]]:
    """Yield (file, byte, bit): of every byte one bit, or ``bits`` random ones."""
    if bits is None:
        for file in files:
            yield from ((file, place, place % 8) for place in range(file.stat().st_size))
        return
    sizes, drawn = [file.stat().st_size for file in files], random.Random(seed)
    for file in drawn.choices(files, sizes, k=bits):
        yield file, drawn.randrange(file.stat().st_size), drawn.randrange(8)


@contextmanager
def flipped_bit(file: Path, place: int, bit: int) -> Iterator[None]:
    """Flip a bit of a file, and put it back."""
    handle = os.open(file, os.O_RDWR)
    byte = os.pread(handle, 1, place)
    os.pwrite(handle, bytes([byte[0] ^ 1 << bit]), place)
    yield
    os.pwrite(handle, byte, place)
    os.close(handle)


def noticed(bundle: Path, key: Path | None) -> bool:
    """Tell whether a bundle is refused."""
    try:
        verify_bundle(bundle, key)
    except UnderstudyError:
        return True
    return False


def main() -> None:
    """Flip, verify, restore."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--key", type=Path, help="without it, integrity alone is checked")
    parser.add_argument("--bits", type=int)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    print(verify_bundle(given.bundle, given.key))
    start, flipped, missed = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory(dir=MEMORY if os.access(MEMORY, os.W_OK) else None) as scratch:
        bundle = Path(shutil.copytree(given.bundle, Path(scratch) / "bundle"))
        files = sorted(file for file in bundle.rglob("*") if file.is_file() and file.stat().st_size)
        for file, place, bit in places(files, given.bits, given.seed):
            with flipped_bit(file, place, bit):
                flipped += 1
                if not noticed(bundle, given.key):
                    missed.append((file.relative_to(bundle).as_posix(), place, bit))
            if flipped % TOLD_EVERY == 0:
                seconds = time.monotonic() - start
                print(f"{flipped:,} bits, {len(missed)} missed, {seconds:.0f} s", file=sys.stderr, flush=True)
    told = {"flipped": flipped, "noticed": flipped - len(missed), "missed": missed[:20]}
    print(json.dumps({**told, "files": len(files), "seconds": round(time.monotonic() - start, 1)}))


if __name__ == "__main__":
    main()
