"""Search: understudy's nearest images against scikit-learn's brute force and faiss's IndexFlatIP, in one run.

    python benchmarks/search.py [--n 20000] [--rounds 3] [--faiss DIR] [--memory 1024]

Two sets of n made-up images of 64 x 64 x 3 (blobs before noise; a tenth of the queries are noisy copies) lie
as uint8 memory maps on disk. Sought is for each query the target of the highest Pearson r. understudy reads the maps,
standardises and searches, all of it timed; the others get z-scored float32 rows of length one, and only the building
of their index and the search are timed. Every timing is a process of its own, which reports its peak memory (pages of
the memory maps included); sides take turns, and ratios are taken round by round. The limits below are meant for
20,000 images: with few, fixed costs weigh more.

faiss is no dependency: ``pip install --target DIR --no-deps faiss-cpu`` somewhere, and ``--faiss DIR``; without it that
comparison is left out, and it is said. Exits with 1 where understudy is slower than it should be (4 times
scikit-learn; 2 times faiss with matrix units, 1 time without), misses a nearer target, holds 2 GiB, or grows
faster than linearly.
"""

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from understudy.evaluation import nearest as module
from understudy.evaluation.nearest import UnitRows, exact_r, nearest, unit_vectors

SHAPE = (3, 64, 64)
OURS, SKLEARN, FAISS = "understudy", "scikit-learn", "faiss"
FASTER = {SKLEARN: 4.0, FAISS: 2.0 if torch.cpu._is_amx_tile_supported() else 1.0}
MOST_MIB = 2048
STEEPEST = 1.15  # exponent of the growth of time with either set; above 1 by what a timing may err
Report = dict[str, Any]


def write_images(folder: Path, n: int) -> None:
    """Write query.npy and target.npy, uint8 (n, 3, 64, 64), block by block."""
    rng = np.random.default_rng(0)
    maps = {
        name: np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, (n, *SHAPE))
        for name in ("target", "query")
    }
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    for start in range(0, n, 500):
        for name, images in maps.items():
            made = images[start : start + 500]
            centre, size = rng.uniform(-0.4, 0.4, (2, len(made), 3, 1, 1)), rng.uniform(0.2, 0.7, (len(made), 3, 1, 1))
            blob = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / size**2)
            made[:] = np.clip(40 + 150 * blob + rng.normal(0, 12, made.shape), 0, 255)
            if name == "query":  # a gain and noise on a target from anywhere in this block
                copied = maps["target"][start + rng.permutation(len(made))[: len(made) // 10]]
                made[: len(copied)] = np.clip(0.9 * copied + rng.normal(5, 4, copied.shape), 0, 255)


def unit_rows(file: Path, n: int) -> np.ndarray:
    """Return the first n images as z-scored float32 rows of length one."""
    source = UnitRows(np.load(file, mmap_mode="r")[:n])
    rows = np.empty((n, source.dimension), np.float32)
    for start in range(0, n, 256):
        rows[start : start + 256] = source.block(start, min(start + 256, n))
    return rows


def ours(folder: Path, n: int, m: int, memory: int) -> tuple[Callable[[], np.ndarray], Report]:
    """Return the search by understudy and what it will report."""
    query, target = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("query", "target"))
    report: Report = {}

    def run() -> np.ndarray:
        return nearest(UnitRows(query[:n]), UnitRows(target[:m]), memory_mib=memory).index

    def counted(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        report["computed"] += len(a)
        return exact_r(a, b)

    nearest(UnitRows(query[:64]), UnitRows(target[:64]))  # loads what the first call loads
    report["computed"], module.exact_r = 0, counted
    return run, report


def theirs(side: str, folder: Path, n: int, m: int) -> Callable[[], np.ndarray]:
    """Return the search by another library, its rows made beforehand."""
    query, target = unit_rows(folder / "query.npy", n), unit_rows(folder / "target.npy", m)
    if side == FAISS:
        import faiss  # type: ignore[import-not-found]  # from --faiss

        def run_faiss() -> np.ndarray:
            index = faiss.IndexFlatIP(query.shape[1])
            index.add(target)
            found: np.ndarray = index.search(query, 1)[1][:, 0]
            return found

        return run_faiss
    from sklearn.neighbors import NearestNeighbors

    def run_sklearn() -> np.ndarray:
        near = NearestNeighbors(n_neighbors=1, algorithm="brute", metric="euclidean").fit(target)
        found: np.ndarray = near.kneighbors(query, return_distance=False)[:, 0]
        return found

    return run_sklearn


def product_rate(dimension: int) -> float:
    """Return the machine's own rate of matrix products of the search's shape and type, in FLOP/s: the best of three."""
    a, b = (torch.randint(-127, 128, (n, dimension), dtype=torch.int8) for n in (2048, 1024))
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        module._product(a, b)
        seconds.append(time.perf_counter() - start)
    return 2 * 2048 * 1024 * dimension / min(seconds[1:])


def child(arguments: argparse.Namespace) -> None:
    """Time one side once; write its neighbours, and print what was measured as JSON."""
    folder, n, m = arguments.folder, arguments.n, arguments.targets
    report: Report = {}
    if arguments.side == OURS:
        run, report = ours(folder, n, m, arguments.memory)
    else:
        run = theirs(arguments.side, folder, n, m)
    start = time.perf_counter()
    index = run()
    report["seconds"] = time.perf_counter() - start
    report["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if arguments.side == OURS:
        report["rate"] = product_rate(int(np.prod(SHAPE)))
    np.save(folder / f"{arguments.side}.npy", index)
    print(json.dumps(report))


def measured(side: str, folder: Path, n: int, m: int, arguments: argparse.Namespace) -> Report:
    """Run one side in a process of its own and return its report."""
    command = [sys.executable, __file__, "--side", side, "--folder", str(folder), "--n", str(n), "--targets", str(m)]
    paths = [os.environ.get("PYTHONPATH"), arguments.faiss and str(arguments.faiss)]
    done = subprocess.run(
        [*command, "--memory", str(arguments.memory)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in paths if path)},
    )
    report: Report = json.loads(done.stdout.splitlines()[-1])
    return report


def compare_neighbours(folder: Path, side: str) -> list[str]:
    """Hold our neighbours against theirs; where they differ, r in float64 says who is right."""
    mine, other = np.load(folder / f"{OURS}.npy"), np.load(folder / f"{side}.npy")
    differ = np.flatnonzero(mine != other)
    if not len(differ):
        print(f"neighbours: all {len(mine)} identical to those of {side}")
        return []
    query, target = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("query", "target"))

    def r(chosen: np.ndarray) -> np.ndarray:
        return exact_r(*(unit_vectors(x[at].reshape(len(at), -1)) for x, at in ((query, differ), (target, chosen))))

    gain = r(mine[differ]) - r(other[differ])
    print(
        f"neighbours: {len(differ)} of {len(mine)} differ from {side}; in float64 ours are nearer by "
        f"{gain.min():.1e} .. {gain.max():.1e} in r"
    )
    return [f"{side} found {(gain < 0).sum()} nearer targets than understudy"] * bool((gain < 0).any())


def compare_times(reports: dict[str, list[Report]]) -> list[str]:
    """Print each side's time and memory, and the ratios; return what is not as it should be."""
    said = []
    for side, rounds in reports.items():
        seconds, peak = statistics.median(r["seconds"] for r in rounds), max(r["peak_mib"] for r in rounds)
        print(f"{side:12s} {seconds:8.1f} s  peak {peak:6.0f} MiB")
        if side == OURS and peak >= MOST_MIB:
            said.append(f"the peak of {peak:.0f} MiB is not below {MOST_MIB}")
    for side in set(reports) - {OURS}:
        ratios = [t["seconds"] / o["seconds"] for t, o in zip(reports[side], reports[OURS], strict=True)]
        median = statistics.median(ratios)
        print(f"{OURS} against {side}: {' '.join(f'{r:.2f}' for r in ratios)}, median {median:.2f}")
        if median < FASTER[side]:
            said.append(f"{median:.2f} times as fast as {side}, not {FASTER[side]:g}")
    return said


def compare_growth(folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Time both sets, each halved in turn, and return where time grows faster than linearly."""
    n, said = arguments.n, []
    grown: dict[str, list[float]] = {"queries": [], "targets": []}
    for _ in range(arguments.rounds):
        whole = measured(OURS, folder, n, n, arguments)["seconds"]
        for name, sizes in (("queries", (n // 2, n)), ("targets", (n, n // 2))):
            grown[name].append(math.log2(whole / measured(OURS, folder, *sizes, arguments)["seconds"]))
    for name, exponents in grown.items():
        median = statistics.median(exponents)
        print(f"time grows with the number of {name} to the power of {median:.2f}")
        if median > STEEPEST:
            said.append(f"time grows with {name} to the power of {median:.2f}")
    return said


def run(folder: Path, arguments: argparse.Namespace) -> list[str]:
    """Compare all sides on images in a folder; return what is not as it should be."""
    n, sides = arguments.n, [OURS, SKLEARN, *([FAISS] if arguments.faiss else [])]
    write_images(folder, n)
    reports: dict[str, list[Report]] = {side: [] for side in sides}
    for i in range(arguments.rounds):
        for side in sides[:: 1 if i % 2 == 0 else -1]:
            reports[side].append(measured(side, folder, n, n, arguments))
    said = compare_times(reports)
    for side in sides[1:]:
        said += compare_neighbours(folder, side)
    shares = [2 * n * n * math.prod(SHAPE) / r["seconds"] / r["rate"] for r in reports[OURS]]
    rate = statistics.median(r["rate"] for r in reports[OURS])
    print(
        f"share of the machine's own rate of int8 products "
        f"({rate / 1e9:.0f} GFLOP/s): {statistics.median(shares):.2f}; "
        f"computed in float64: {reports[OURS][0]['computed'] / n:.1f} pairs a query"
    )
    return said + compare_growth(folder, arguments)


def main() -> None:
    """Compare, and fail where understudy is too slow, too large or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("n", 20_000), ("rounds", 3), ("memory", 1024), ("targets", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--faiss", type=Path, help="folder with an installed faiss-cpu")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help="where the images are written; a temporary folder where left out")
    arguments = parser.parse_args()
    if arguments.side:
        child(arguments)
        return
    print(f"{torch.get_num_threads()} threads, {arguments.n} x {arguments.n} images, {arguments.rounds} rounds")
    if not arguments.faiss:
        print("without --faiss: not compared with faiss")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        if said := run(Path(folder), arguments):
            sys.exit("; ".join(said))


if __name__ == "__main__":
    main()
