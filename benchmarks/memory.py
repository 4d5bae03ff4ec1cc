"""Peak memory: of every stage at 10,000 cases, and of sample, fidelity and nearest search at 5 x 256 x 256.

    python benchmarks/memory.py stages FOLDER [--cases 10000] [--size 64] [--limit 4] [--tiny]
    python benchmarks/memory.py large FOLDER [--cases 4000,16000] [--size 256] [--limit 6] [--tiny]

Cohorts are made (made_cohorts.py), networks are small and learn for a few steps: memory is what is asked. ``stages``
runs the whole chain at so many real and as many synthetic cases, a process a stage. ``large`` takes four image channels
and a label map; its cohorts have 256 cases with content, the others are holes of a sparse file, which take no disk and
are read as zeros. It is run at two numbers of cases, and told as well is what the straight line through both gives at
100,000. What is drawn is written, so that ``sample`` takes 327,680 bytes of disk a case, and is removed again.

Held against the limit, in GiB, is what is a process's own (measured_process.py). FOLDER/memory.csv and what is printed
are for docs/speed.md; what is done is skipped when the command is run again (chain.py).
"""

import argparse
import csv
import json
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from chain import Chain, Run, numbers, run_process
from chain_stages import WHY, Stage
from chain_tables import write_csv
from made_cohorts import write_cohort
from measured_process import measured

FULL, CHANNELS, FILLED, QUERIES = 100_000, 4, 256, 700  # queries: more than a block of 256 px holds
FEW = "--set updates=2 --set repeats=1 --set checks=1"
NETWORK = "--set channels=[16,32] --set attention_levels=[] --set batch_size=16 --set images_seen=32"
SEARCH = """
import sys, numpy as np
from understudy.evaluation.nearest import UnitRows, nearest
query, target = (np.load(f"{folder}/images.npy", mmap_mode="r") for folder in sys.argv[1:3])
print(nearest(UnitRows(query[:int(sys.argv[3])]), UnitRows(target)).r.mean())
"""


def stage(name: str, line: str, reads: Sequence[str] = (), cases: int = 0, size: int = 0) -> Stage:
    """Return a stage; its kind is its verb."""
    words = tuple(shlex.split(line))
    return Stage(name, words[1] if words[0] == "evaluate" else words[0], size, words, tuple(reads), cases=cases)


def chain(n: int, size: int) -> Iterator[Stage]:
    """Yield every stage at n cases."""
    pair, judged = "--real real --synthetic synthetic", "utility fidelity privacy consistency"
    lines = {
        "checked": "check real",
        "imported": f"import folder pngs --images images --labels masks --table manifest.csv --subject subject "
        f"--label-scheme 0=background,255=lesion --size {size} --key key",
        "tissues": "edit real --anatomy 3 --key key",
        "edited": "edit real --lesion lesion --grow 0.5:2 --rotate 0:40 --key key",
        "run": f"train diffusion real {NETWORK} --set sampler_steps=2",
        "cases": f"sample run --n {n}",
        "pix2pix": "train pix2pix tissues --preset demo --set images_seen=32",
        "rendered": f"sample pix2pix --labels tissues --n {n} --key key",
        "utility": f"evaluate utility {pair} {FEW}",
        "fidelity": f"evaluate fidelity {pair}",
        "privacy": f"evaluate privacy {pair} --audit",
        "consistency": f"evaluate consistency {pair} --set updates=2",
        "report": f"report {judged} --internal",
        "screened": "screen synthetic --evidence consistency privacy --threshold mean=0 --key key",
        "bundle": f"release synthetic --evidence {judged} --real real --override '{WHY}'",
        "verified": "verify bundle",
    }
    before: list[str] = []
    for name, line in lines.items():
        yield stage(name, line, [one for one in before if one in line.split()[1:]], n, size)
        before.append(name)


def large(n: int, size: int) -> Iterator[Stage]:
    """Yield sample and fidelity at n cases."""
    yield stage("run", f"train diffusion small {NETWORK} --set sampler_steps=2", size=size)
    yield stage(f"sample-{n}", f"sample run --n {n}", ["run"], n, size)
    line = f"evaluate fidelity --real real-{n} --synthetic synthetic-{n} --set features=random"
    yield stage(f"fidelity-{n}", line, (), n, size)


def write_pngs(folder: Path, cohort: Path) -> None:
    """Write the first channel of a cohort and its label maps as PNGs with a table, unless they are there."""
    from PIL import Image

    from understudy.core.cohort import Cohort

    if (folder / "manifest.csv").is_file():
        return
    cases = Cohort.open(cohort)
    assert cases.images is not None and cases.labels is not None
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    rows = []
    for i, subject in enumerate(cases.column("subject_id")):
        Image.fromarray(cases.images[i, 0]).save(folder / "images" / f"{i:06d}.png", compress_level=1)
        Image.fromarray(cases.labels[i] * np.uint8(255)).save(folder / "masks" / f"{i:06d}.png", compress_level=1)
        rows.append([f"{i:06d}.png", subject])
    with (folder / "manifest.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["file", "subject"], *rows])


def write_sparse(out: Path, n: int, size: int, real: Path | None = None) -> None:
    """Write a cohort of n cases, the first of which have content, unless it is there; synthetic ones of a real one."""
    from understudy.core.cohort import Cohort

    if (out / "cohort.json").is_file():
        return
    more: dict[str, Any] = {"trained_on": [Cohort.open(real).seen("train")]} if real else {"per_subject": 16}
    kind, full = ("synthetic" if real else "real"), min(n, FILLED)
    partial = out.with_name(f"{out.name}.made")
    write_cohort(partial, full, CHANNELS, size, kind, seed=1 if real else 0, **more)
    for name in ("images", "labels"):
        array = np.load(partial / f"{name}.npy", mmap_mode="r")
        grown = np.lib.format.open_memmap(partial / f"{name}.new.npy", "w+", array.dtype, (n, *array.shape[1:]))
        grown[:full] = array
        grown.flush()
        (partial / f"{name}.new.npy").replace(partial / f"{name}.npy")
    with (partial / "cases.csv").open(newline="") as file:
        heads, *rows = csv.reader(file)
    grown_rows = [[f"more-{i}" if head == "case_id" or (real and head == "subject_id") else value
                   for head, value in zip(heads, rows[i % full], strict=True)] for i in range(full, n)]  # fmt: skip
    with (partial / "cases.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([heads, *rows, *grown_rows])
    manifest = json.loads((partial / "cohort.json").read_text())
    (partial / "cohort.json").write_text(json.dumps(manifest | {"n": n}, indent=1) + "\n")  # its hashes are of the few
    partial.rename(out)


def search(folder: Path, n: int) -> dict[str, Any]:
    """Measure the nearest of n images to a few; memory depends on blocks, not on how many are asked for."""
    words = [sys.executable, "-c", SEARCH, f"synthetic-{n}", f"real-{n}", str(QUERIES)]
    took = measured(words, folder)
    if took.code:
        return {"failed": took.said.strip().splitlines()[-1]}
    return {"own_mib": took.own_mib, "peak_mib": took.peak_mib, "seconds": took.seconds, "cases": n}


def rows_of(results: dict[str, Any], limit_gib: float) -> Iterator[dict[str, Any]]:
    """Yield a row a stage, with whether the limit is held."""
    for name, found in results.items():
        if "failed" in found:
            yield {"stage": name, "failed": found["failed"]}
            continue
        row = {"stage": name, "cases": found["cases"], "own_mib": round(found["own_mib"], 1)}
        row |= {"peak_mib": round(found["peak_mib"], 1), "seconds": round(found["seconds"], 1)}
        yield row | {"limit_mib": limit_gib * 1024, "held": found["own_mib"] <= limit_gib * 1024}


def extended(results: dict[str, Any], cases: Sequence[int], limit_gib: float) -> Iterator[dict[str, Any]]:
    """Yield what the line through the least and the most cases gives of each stage at 100,000."""
    few, many = min(cases), max(cases)
    for name in ("sample", "fidelity", "nearest"):
        a, b = (results.get(f"{name}-{n}", {}).get("own_mib") for n in (few, many))
        if a and b and few < many:
            at = b + (b - a) / (many - few) * (FULL - many)
            row = {"stage": f"{name}, line to {FULL}", "cases": FULL, "own_mib": round(at, 1)}
            yield row | {"limit_mib": limit_gib * 1024, "held": at <= limit_gib * 1024}


def measure_stages(folder: Path, n: int, size: int, run: Run) -> dict[str, Any]:
    """Make cohorts of n cases, and run every stage on them."""
    from understudy.core.cohort import Cohort

    write_cohort(folder / "real", n, CHANNELS, size, per_subject=10)
    seen = [Cohort.open(folder / "real").seen("train")]
    write_cohort(folder / "synthetic", n, CHANNELS, size, "synthetic", seed=10**6, trained_on=seen)
    write_pngs(folder / "pngs", folder / "real")
    done = Chain(folder, list(chain(n, size)), flops=False, run=run)
    done.go()
    return done.asked()


def measure_large(folder: Path, cases: Sequence[int], size: int, run: Run) -> dict[str, Any]:
    """Make sparse cohorts, and measure sample, fidelity and nearest search at each number of cases."""
    write_cohort(folder / "small", 64, CHANNELS, size)
    results: dict[str, Any] = {}
    for n in cases:
        write_sparse(folder / f"real-{n}", n, size)
        write_sparse(folder / f"synthetic-{n}", n, size, folder / f"real-{n}")
        one = Chain(folder, list(large(n, size)), flops=False, run=run)
        one.go()
        results |= one.asked() | {f"nearest-{n}": search(folder, n)}
        shutil.rmtree(folder / f"sample-{n}", ignore_errors=True)
    return results


def main(words: list[str] | None = None, run: Run = run_process) -> int:
    """Read the command line and measure; 1 where a stage failed or a limit is not held."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("stages", "large"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=numbers)
    parser.add_argument("--size", type=int)
    parser.add_argument("--limit", type=float, help="GiB")
    parser.add_argument("--tiny", action="store_true", help="to try the script")
    given = parser.parse_args(words)
    folder = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").write_text("00" * 32)
    stages = given.what == "stages"
    cases = given.cases or ((48,) if stages else (40, 60)) if given.tiny else given.cases or (
        (10_000,) if stages else (4_000, 16_000)
    )  # fmt: skip
    size, limit = given.size or (16 if given.tiny else 64 if stages else 256), given.limit or (4 if stages else 6)
    if stages:
        rows = list(rows_of(measure_stages(folder, cases[0], size, run), limit))
    else:
        results = measure_large(folder, cases, size, run)
        rows = [*rows_of(results, limit), *extended(results, cases, limit)]
    write_csv(folder / "memory.csv", rows)
    for row in rows:
        print("| " + " | ".join(str(value) for value in row.values()) + " |")
    return int(any("failed" in row or not row["held"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
