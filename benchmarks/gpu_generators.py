"""Every generator on a device: trains, is resumed, samples; then task networks, fidelity and attacks on its samples.

    python benchmarks/gpu_generators.py OUT [--device cuda|cpu] [--size 256] [--steps 12] [--seconds 360]
                                            [--only A,B] [--tiny]

Cohorts are made (made_cohorts.py), 4 image channels and a label map. A row a generator in OUT/generators.csv: images a
second of the second half of the steps, cases a second of a sample, the most memory that torch held; whether the same
seed drew the same bits twice; how far the weights of a training that was stopped half-way and resumed lie from those of
one that was not (0: bit for bit). OUT/evaluations.csv: seconds of each evaluation. What failed says why in its row, and
what is not begun when ``--seconds`` are over is in OUT/skipped.csv, as gpu.sh writes it.
"""

import argparse
import csv
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from chain_stages import GENERATORS, TRANSLATORS
from chain_tables import write_csv
from made_cohorts import write_cohort

CHANNELS, SUBJECTS, NEVER = 4, 24, 10**9
GROWING = ("progan", "stylegan1")
TINY: dict[str, dict[str, Any]] = {
    "diffusion": {"channels": (8, 8), "attention_levels": (), "sampler_steps": 2},
    **dict.fromkeys(("progan", "stylegan1"), {"z_dim": 8, "channel_base": 64, "channel_max": 8}),
    **dict.fromkeys(("stylegan2", "stylegan3"), {"z_dim": 8, "w_dim": 8, "channel_base": 64, "channel_max": 8}),
    "mask_gan": {"generator_maps": 4, "critic_maps": 4, "max_maps": 8},
    "pix2pix": {"channels": 4, "channels_max": 8, "patch_channels": 4},
    "spade": {"channels": 4, "channels_max": 8, "hidden": 4, "z_dim": 4, "encoder_channels": 4, "patch_channels": 4},
    "cyclegan": {"channels": 4, "blocks": 1, "patch_channels": 4},
}
EVALUATIONS: dict[str, dict[str, Any]] = {
    "utility": {"updates": 20, "repeats": 1, "checks": 1},
    "fidelity": {"encoder_updates": 20},
    "privacy": {"updates": 20, "bootstrap": 100},
}


class Stopped(Exception):
    """The training was stopped half-way."""


def settings_of(name: str, steps: int, side: int, tiny: bool) -> dict[str, Any]:
    """Return the settings of a training of so many steps; what grows has its last size from the start."""
    batch = 4
    pace = dict.fromkeys(("images_seen", "snapshot_every", "grid_every"), steps * batch)
    whole = {"first_resolution": side, "stable_images": NEVER, "fade_images": NEVER} if name in GROWING else {}
    small = TINY[name] if tiny else {}
    return {"batch_size": batch, "sample_block": 4, "checkpoint_seconds": 0, **pace, **whole, **small}


class Trial:
    """A generator on a device.

    Args:
        name: of the generator.
        folder: where its runs lie.
        device: cuda or cpu.
        steps: of a training.
        tiny: with tiny networks.
    """

    def __init__(self, name: str, folder: Path, device: str, steps: int, tiny: bool) -> None:
        from understudy.core.cohort import Cohort
        from understudy.generators import GENERATORS as MENU

        self.name, self.folder, self.device, self.steps = name, folder, device, steps
        self.kind: Any = MENU[name]
        self.cohort = Cohort.open(folder / "real")
        self.settings = settings_of(name, steps, self.cohort.size[-1], tiny)
        self.preset = {} if tiny else self.kind.PRESETS.get("short", {})

    def measured(self) -> dict[str, Any]:
        """Train, stop and resume, sample twice."""
        if self.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        whole, ends = self._train("whole")
        with_stop = self._stopped_and_resumed()
        generator = self._loaded(whole)
        rows = self.cohort.rows("train")[:8]
        condition = generator.condition_of(self.cohort, rows) if self.name in TRANSLATORS else None
        generator.sample(4, 1, None if condition is None else condition[:4])  # to warm up
        start = time.perf_counter()
        first = generator.sample(8, 0, condition)
        seconds = time.perf_counter() - start
        again = generator.sample(8, 0, condition)
        same = all((a is b) or (a == b).all() for a, b in ((first.images, again.images), (first.labels, again.labels)))
        half = len(ends) // 2
        batch = self.settings["batch_size"]
        return {
            "train_images_per_s": round(batch * (len(ends) - 1 - half) / (ends[-1] - ends[half]), 3),
            "sample_cases_per_s": round(8 / seconds, 3),
            "peak_gb": round(torch.cuda.max_memory_allocated() / 1e9, 3) if self.device == "cuda" else "",
            "same_sample_twice": same,
            "resumed_differs_by": difference(whole, with_stop),
        }

    def _method(self) -> Any:
        return self.kind(self.kind.Config(**{**self.preset, **self.settings}))

    def _engine(self) -> Any:
        from understudy.training.engine import Engine

        return Engine("auto", self.device)

    def _train(self, folder: str, stop: int = 0) -> tuple[Path, list[float]]:
        """Train into a folder, until ``stop`` steps are over if that is given; return when steps ended."""
        method, ends = self._method(), []
        update: Callable[[Any], Any] = method.update

        def step(batch: Any) -> Any:
            if stop and len(ends) == stop:
                raise Stopped
            losses = update(batch)
            if self.device == "cuda":
                torch.cuda.synchronize()
            ends.append(time.perf_counter())
            return losses

        method.update = step
        other = self.cohort if self.name == "cyclegan" else None
        return method.fit(self.cohort, self.folder / f"{self.name}-{folder}", 0, other, self._engine()), ends

    def _stopped_and_resumed(self) -> Path:
        try:
            self._train("stopped", self.steps // 2)
        except Stopped:
            return self._train("stopped")[0]
        raise AssertionError("the training was to be stopped, and was not")

    def _loaded(self, run: Path) -> Any:
        from understudy.generators import load

        return load(run, engine=self._engine())


def difference(one: Path, other: Path) -> float:
    """Return the largest difference of weights between the snapshots of two runs."""
    from safetensors.torch import load_file

    a, b = (load_file(next(run.glob("snapshots/*/tensors.safetensors"))) for run in (one, other))
    return max(float((a[key].double() - b[key].double()).abs().max()) for key in a)


def evaluations(folder: Path, device: str, generator: str, n: int) -> list[dict[str, Any]]:
    """Sample n cases of a run, and let each evaluation judge them on the device; a row each."""
    import understudy as us

    real, run = folder / "real", folder / f"{generator}-whole"
    us.sample([run], n, folder / "cases", accelerator=device)
    rows = []
    for kind, settings in EVALUATIONS.items():
        start, row = time.perf_counter(), {"evaluation": kind, "device": device, "cases": n}
        try:
            us.evaluate(kind, real=real, synthetic=[folder / "cases"], out=folder / kind, **settings)
            rows.append(row | {"seconds": round(time.perf_counter() - start, 2)})
        except Exception as error:  # noqa: BLE001  one that fails is a row of the table
            rows.append(row | {"failed": said(error)})
    return rows


def said(error: BaseException) -> str:
    """Return what an exception says, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def skip(out: Path, what: str, why: str) -> None:
    """Note what is skipped."""
    print(f"skipped {what}: {why}", flush=True)
    with (out / "skipped.csv").open("a", newline="") as file:
        csv.writer(file).writerow([what, why])


def main(words: list[str] | None = None) -> int:
    """Read the command line; 1 where something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=360)
    parser.add_argument("--only", default=",".join(GENERATORS))
    parser.add_argument("--tiny", action="store_true")
    given = parser.parse_args(words)
    start, rows, folder = time.perf_counter(), [], given.out / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_cohort(folder / "real", SUBJECTS * (2 if given.tiny else 4), CHANNELS, given.size, per_subject=2)
    names = given.only.split(",")
    for name in names:
        if time.perf_counter() - start > given.seconds:
            skip(given.out, name, f"{given.seconds:g} seconds are over")
            continue
        row = {"generator": name, "device": given.device, "size": given.size, "steps": given.steps}
        try:
            row |= Trial(name, folder, given.device, given.steps, given.tiny).measured()
        except Exception as error:  # noqa: BLE001  one that fails is a row of the table
            row["failed"] = said(error)
        print(row, flush=True)
        rows.append(row)
        write_csv(given.out / "generators.csv", rows)
    if time.perf_counter() - start > given.seconds:
        skip(given.out, "evaluations", f"{given.seconds:g} seconds are over")
        judged = []
    elif (folder / f"{names[0]}-whole" / "complete.json").is_file():
        judged = evaluations(folder, given.device, names[0], 12 if given.tiny else 64)
        print(*judged, sep="\n", flush=True)
        write_csv(given.out / "evaluations.csv", judged)
    else:
        judged = [{"failed": "no run to sample from"}]
    return int(any("failed" in row for row in [*rows, *judged]))


if __name__ == "__main__":
    raise SystemExit(main())
