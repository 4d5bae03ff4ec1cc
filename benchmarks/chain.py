"""The whole chain, every stage as a process of the command line: seconds, share of the machine's peak, memory, growth.

    python benchmarks/chain.py FOLDER [--data DATA] [--sizes 64,128] [--generators diffusion,stylegan2]
                                      [--kinds train,sample] [--images 2048] [--cases 250,500,1000] [--no-flops]
                                      [--tiny]
    python benchmarks/chain.py FOLDER --whole [--data DATA]       # 40,000 images, 1,000 cases, from import to verdict

DATA is a folder like lgg_tcga (images128, masks128, manifest.csv); without it phantoms are written that way. What is
done stands in FOLDER/results.json and is skipped when the command is run again; a stage whose command has changed, one
that reads what was made anew, and one that failed are run again. Beside it are written chain.csv, growth.csv and
chain.md, the tables of docs/speed.md. The machine's own peak (machine_peak.py) is measured before the first stage and
after the last one; the better counts.

FLOPs are counted in a second run, of the same command, or with less work where work is proportional to a number (one
block of cases), so that counting slows down nothing that is timed; at the first number of cases alone. Time on quiet
cores with --no-flops, and run the command without it later, beside other work: it then only counts. `evaluate utility`
trains one network an arm, not three. Every training draws its grid of 16 cases once, at its end.

Threads are those of OMP_NUM_THREADS, two by default. --whole trains a diffusion with its default settings, counts no
FLOPs, and prints the time from import to verdict. --tiny is for trying the script: its numbers mean nothing.
"""

import argparse
import json
import os
import shutil
import sys
import time
import unittest.mock
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from chain_stages import GENERATORS, KINDS, TINY_SETTINGS, Plan, Stage, chosen, write_phantoms
from chain_tables import growth, machine_line, markdown, table_rows, write_csv
from full_scale import Counter
from measured_process import UNDERSTUDY, Took, measured

HERE = Path(__file__).resolve().parent
WHOLE = {"sizes": (64,), "generators": ("diffusion",), "images": 40_000, "cases": (1000,), "preset": "auto"}
JUDGED = ("utility", "fidelity", "privacy")
LIMIT_MINUTES = 45
Run = Callable[[list[str], Path], Took]


def environment(folder: Path) -> dict[str, str]:
    """Return what commands are told: the threads, and a key of the folder's own."""
    return {"OMP_NUM_THREADS": "2", **os.environ, "UNDERSTUDY_KEY_FILE": str(folder / "key")}


def run_process(words: list[str], folder: Path) -> Took:
    """Run a command as a whole process."""
    return measured(words, folder, environment(folder))


class Chain:
    """The stages of a plan in a folder, and what was measured of them.

    Args:
        folder: where all lies.
        stages: what is to be measured, in order.
        flops: count them.
        run: runs a command in the folder.
    """

    def __init__(self, folder: Path, stages: list[Stage], flops: bool = True, run: Run = run_process) -> None:
        self.folder, self.stages, self.flops, self.run = folder, stages, flops, run
        self.file = folder / "results.json"
        self.results: dict[str, Any] = json.loads(self.file.read_text()) if self.file.is_file() else {}

    def go(self) -> None:
        """Measure what is not measured yet; results.json is written after each stage."""
        for stage in self.stages:
            old = self.results.get(stage.name, {})
            made_of = {name: self.results.get(name, {}).get("at") for name in stage.reads}
            same = old.get("command") == stage.command() and old.get("made_of") == made_of
            if not same or "failed" in old:
                found = self._measure(stage)
                kept = {key: getattr(stage, key) for key in ("kind", "size", "generator", "cases", "images")}
                old = {**kept, **found, "command": stage.command(), "made_of": made_of}
                print(stage.name, found.get("failed") or f"{found['seconds']:.1f} s", flush=True)
                self._keep(stage.name, old)
            if self.flops and stage.counted is not None and not {"failed", "gflop"} & {*old}:
                self._keep(stage.name, old | {"gflop": self._gflop(stage)})

    def _keep(self, name: str, found: dict[str, Any]) -> None:
        self.results[name] = found
        partial = self.file.with_suffix(".partial")
        partial.write_text(json.dumps(self.results, indent=1) + "\n")
        partial.replace(self.file)

    def asked(self) -> dict[str, Any]:
        """Return the results of these stages, in their order, without those of earlier plans in this folder."""
        return {stage.name: self.results[stage.name] for stage in self.stages if stage.name in self.results}

    def _measure(self, stage: Stage) -> dict[str, Any]:
        if missing := [name for name in stage.reads if "failed" in self.results.get(name, {"failed": ""})]:
            return {"failed": f"not run: it reads {missing[0]}"}
        out = self.folder / stage.name
        shutil.rmtree(out, ignore_errors=True)
        out.parent.mkdir(exist_ok=True)
        load = round(os.getloadavg()[0], 1)
        took = self.run([*UNDERSTUDY, *stage.command()], self.folder)
        if took.code:
            return {"failed": (took.said.strip().splitlines() or [f"exit code {took.code}"])[-1]}
        read = [folder for word in stage.words if (folder := self.folder / word).is_dir()]
        found = {key: getattr(took, key) for key in ("seconds", "processor_seconds", "peak_mib", "own_mib")}
        return found | {"bytes": sum(map(size_of, [*read, out])), "load": load, "at": time.time()}

    def _gflop(self, stage: Stage) -> float | None:
        """Return the GFLOPs of a stage; None where counting fails."""
        out, told = self.folder / "counted", self.folder / "counted.json"
        shutil.rmtree(out, ignore_errors=True)
        words = [*(stage.counted or stage.words), "--out", str(out)]
        took = self.run([sys.executable, str(HERE / "chain.py"), str(told), "--count", *words], self.folder)
        shutil.rmtree(out, ignore_errors=True)
        if took.code or not told.is_file():
            print(f"{stage.name}: FLOPs could not be counted: {took.said.strip()[-300:]}", file=sys.stderr)
            return None
        flops = json.loads(told.read_text())["flops"]
        told.unlink()
        return float(flops * stage.times / 1e9) or None


def size_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def count(told: Path, words: list[str]) -> None:
    """Run a command in this process, and write the FLOPs that torch computed, in threads of a pool, too."""
    from understudy.cli.main import main

    counters, submit = [Counter()], ThreadPoolExecutor.submit

    def counted(pool: ThreadPoolExecutor, job: Callable[..., Any], /, *given: Any, **named: Any) -> Any:
        def counting(*given: Any, **named: Any) -> Any:  # a thread sees no other thread's counter
            counter = Counter()
            counters.append(counter)
            with counter:
                return job(*given, **named)

        return submit(pool, counting, *given, **named)

    with unittest.mock.patch.object(ThreadPoolExecutor, "submit", counted), counters[0]:
        code = main(words)
    if code:
        raise SystemExit(code)
    told.write_text(json.dumps({"flops": sum(counter.flops for counter in counters)}))


def machine(folder: Path, run: Run, tiny: bool) -> dict[str, Any]:
    """Measure the machine's own peak in a process of its own; the better of this and of earlier times counts."""
    took = run([sys.executable, str(HERE / "machine_peak.py"), *(["--tiny"] if tiny else [])], folder)
    if took.code:
        raise SystemExit(f"machine_peak.py ended with {took.code}: {took.said}")
    found: dict[str, Any] = json.loads(took.said.strip().splitlines()[-1])
    file = folder / "machine.json"
    old = json.loads(file.read_text()) if file.is_file() else {}
    same = {"precision", "threads", "torch"}
    if all(old.get(key) == found[key] for key in same):
        found |= {key: max(value, old[key]) for key, value in found.items() if key not in same}
    file.write_text(json.dumps(found, indent=1) + "\n")
    return found


def write_tables(folder: Path, results: dict[str, Any], peak: dict[str, Any]) -> str:
    """Write chain.csv, growth.csv and chain.md; return the last."""
    write_csv(folder / "chain.csv", list(table_rows(results, peak)))
    write_csv(folder / "growth.csv", list(growth(results)))
    text = markdown(results, peak)
    (folder / "chain.md").write_text(text)
    return text


def verdict(results: dict[str, Any]) -> str:
    """Say what the chain took from import to verdict."""
    if failed := [name for name, found in results.items() if "failed" in found]:
        return f"no whole chain: {failed[0]} failed: {results[failed[0]]['failed']}"
    minutes = sum(found["seconds"] for found in results.values()) / 60
    peak = max(found["own_mib"] for found in results.values())
    held = "within" if minutes <= LIMIT_MINUTES else "over"
    return f"from import to verdict {minutes:.1f} minutes, {held} {LIMIT_MINUTES}; at most {peak:.0f} MiB of its own"


def plan(given: argparse.Namespace, folder: Path) -> Plan:
    """Return what the options ask for."""
    data = (given.data or folder / "data").absolute()
    told: dict[str, Any] = {"data": data, "whole": given.whole}
    if given.tiny:
        told |= {"sizes": (16, 32), "generators": GENERATORS[:1], "images": 16, "cases": (12, 16)}
        told |= {"settings": tuple(TINY_SETTINGS.items())}
    if given.whole:
        told |= {key: value for key, value in WHOLE.items() if not given.tiny or key in ("sizes", "preset")}
    told |= {key: value for key in ("sizes", "generators", "images", "cases") if (value := getattr(given, key))}
    return Plan(**told)


def numbers(text: str) -> tuple[int, ...]:
    """Read whole numbers with commas."""
    return tuple(int(part) for part in text.split(","))


def names(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    """Return what reads names with commas, of those known."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.split(","))
        if unknown := sorted({*found} - {*known}):
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return found

    return read


def options() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, help="a folder like lgg_tcga; default: phantoms")
    parser.add_argument("--sizes", type=numbers, help="pixels a side, with commas")
    parser.add_argument("--generators", type=names(GENERATORS), help="with commas; cohorts of the first are judged")
    parser.add_argument("--kinds", type=names(KINDS), help="of stages; what they read is run as well")
    parser.add_argument("--images", type=int, help="of a training")
    parser.add_argument("--cases", type=numbers, help="synthetic, with commas; several for growth, at the first size")
    parser.add_argument("--no-flops", action="store_true", help="count none now: half the time, no shares")
    parser.add_argument("--whole", action="store_true", help="the whole chain at 64 px, its total time")
    parser.add_argument("--tiny", action="store_true", help="to try the script")
    parser.add_argument("--count", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def main(words: list[str] | None = None, run: Run = run_process) -> int:
    """Read the command line and measure; 1 where a stage failed."""
    given = options().parse_args(words)
    if given.count:
        count(given.folder, given.count)
        return 0
    folder = given.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "key").write_text("00" * 32)  # phantoms and public data: no secret
    asked = plan(given, folder)
    if given.data is None:
        small = {"subjects": 20, "slices": 2, "side": 32} if given.tiny else {}
        write_phantoms(asked.data, lambda line: _checked(run([*UNDERSTUDY, *line], folder)), **small)
    kinds = given.kinds or (("import", *JUDGED) if given.whole else KINDS)
    begun = time.perf_counter()
    before = machine(folder, run, given.tiny)
    print(machine_line(before), flush=True)
    chain = Chain(folder, chosen(list(asked.stages()), kinds), not (given.no_flops or given.whole), run)
    chain.go()
    print(write_tables(folder, chain.asked(), machine(folder, run, given.tiny)))
    print(verdict(chain.asked()) if given.whole else f"this run: {(time.perf_counter() - begun) / 60:.1f} minutes")
    return int(any("failed" in found for found in chain.asked().values()))


def _checked(took: Took) -> None:
    if took.code:
        raise SystemExit(f"a command ended with {took.code}: {took.said}")


if __name__ == "__main__":
    sys.exit(main())
