"""The four papers' studies at their true shapes and network sizes, on phantoms: seconds, FLOPs, memory, checkpoints.

    python benchmarks/full_scale.py run FOLDER [--steps 50] [--seconds 120] [--memory 20] [--only akbar2024]
    python benchmarks/full_scale.py cost FOLDER [--peak 312] [--share 0.17] [--eur 2]

``run`` writes phantom folders as the studies want them, and takes every stage of the shipped YAMLs that imports, edits,
trains or samples, and the task networks of `evaluate utility`: the commands of the studies, each in a process of its
own, with few steps, a small batch, a growing network at its full size from the start, and two of a diffusion's sampling
steps. A stage first makes two steps, whose output the next stages read; then up to ``--steps`` until ``--seconds`` are
over. What is done stands in FOLDER/results.json and is skipped when it is run again. Seconds are those of the clock,
with the load average beside them, and those of the processor, which a busy machine hardly changes. FLOPs are those of
matrix products and convolutions, two a multiplication and addition, counted while the steps are made. ``cost`` prints
the tables of docs/scale.md from them.
"""

import argparse
import functools
import json
import multiprocessing
import os
import resource
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from full_scale_cost import print_tables
from full_scale_data import write_data
from full_scale_stages import STUDIES, all_stages, changed, config_of, settings_in, stages_of, understudy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

BATCH = {"akbar2024": 2, "segal2020": 2}  # of generators; volumes one by one
TASK_BATCH = {"akbar2024": 4, "segal2020": 2}
FIRST = 2  # steps of the run that later stages read
NEVER = 10**9
NOBODY: dict[str, Callable[[Any], float]] = {"nobody": lambda _: 1.0}  # who chooses the weights of task networks
COUNTED, GRAIN = 2, 10_000  # images of a counted update; images of which it is said at which resolution they are seen


class Counter(TorchDispatchMode):
    """Count FLOPs of what torch computes inside a ``with``."""

    def __init__(self) -> None:
        """Begin at 0."""
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do what is asked for, and count it; in inference mode a convolution comes as one that is made of others."""
        kwargs = kwargs or {}
        count = flop_registry.get(func._overloadpacket)
        if count is None:
            with self:
                parts = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if parts is NotImplemented else parts
        out = func(*args, **kwargs)
        self.flops += int(count(*args, **kwargs, out_val=out))
        return out


class Enough(Exception):
    """The patience for a stage is at its end."""


class Stopwatch:
    """Ends and FLOPs of steps; ``wrapped`` measures a function, which is one step."""

    def __init__(self, seconds: float = float("inf")) -> None:
        self.ends: list[float] = []
        self.processor: list[float] = []
        self.flops: list[int] = []
        self.until = time.perf_counter() + seconds

    def wrapped(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, each call of which is a step."""

        @functools.wraps(function)
        def step(*args: Any, **kwargs: Any) -> Any:
            if len(self.ends) > FIRST and time.perf_counter() > self.until:
                raise Enough
            with Counter() as counter:
                out = function(*args, **kwargs)
            self.ended(counter.flops)
            return out

        return step

    def ended(self, flops: int) -> None:
        """Note the end of a step."""
        self.ends.append(time.perf_counter())
        self.processor.append(time.process_time())
        self.flops.append(flops)

    def measured(self, batch: int) -> dict[str, Any]:
        """Seconds from the end of the first step to that of the last, loading included; FLOPs of all steps."""
        steps = len(self.ends)
        seconds, processor = ((end[-1] - end[0]) / (steps - 1) / batch for end in (self.ends, self.processor))
        return {
            "batch": batch,
            "steps": steps,
            "seconds_an_image": round(seconds, 4),
            "processor_seconds_an_image": round(processor, 4),
            "gflop_an_image": round(sum(self.flops) / steps / batch / 1e9, 3),
        }


def size_mb(folder: Path) -> float:
    """Return the size of all files in a folder, in MiB."""
    return round(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 2**20, 2)


def measure_made(stage: Any) -> dict[str, Any]:
    """Import or edit as the study says it."""
    from understudy.core.cohort import Cohort

    start = time.perf_counter()
    understudy(list(stage.arguments))
    cohort = Cohort.open(stage.folder)
    return {
        "cases": len(cohort),
        "subjects": len(cohort.subjects()),
        "shape": [cohort.encoding.image_channels, *cohort.size],
        "seconds": round(time.perf_counter() - start, 2),
        "mb": size_mb(Path(stage.folder)),
    }


def measure_training(stage: Any, study: str, steps: int, seconds: float) -> dict[str, Any]:
    """Train: two steps, whose run is kept, then up to ``steps`` more."""
    from understudy.generators import GENERATORS, base
    from understudy.training.run_record import read_run

    name, batch = stage.arguments[1], BATCH.get(study, 1)
    kind, base.GRID_CASES = GENERATORS[name], 1
    fields = kind.Config.model_fields
    settings: dict[str, Any] = {"batch_size": batch, "images_seen": FIRST * batch, "sample_block": 1}
    settings |= dict.fromkeys(("snapshot_every", "grid_every", "checkpoint_seconds"), NEVER)
    if "first_resolution" in fields:
        from understudy.core.cohort import Cohort

        side = Cohort.open(stage.arguments[2]).size[-1]
        settings |= {"batch_sizes": {}, "first_resolution": side, "stable_images": NEVER, "fade_images": NEVER}
    if name == "diffusion":
        settings["sampler_steps"] = 2
    update = kind.update
    watch, begun, run = Stopwatch(), time.perf_counter(), Path(stage.folder)
    kind.update = watch.wrapped(update)
    understudy(changed(stage.arguments, settings, {}))
    sizes = {f"{part}_mb": size_mb(run / f"{part}s") for part in ("snapshot", "checkpoint")}
    if steps > FIRST and watch.ends[-1] - begun < seconds:
        watch, longer = Stopwatch(seconds), run.with_name(run.name + "-longer")
        kind.update = watch.wrapped(update)
        with suppress(Enough):
            understudy(changed(stage.arguments, {**settings, "images_seen": steps * batch}, {"--out": str(longer)}))
        shutil.rmtree(longer, ignore_errors=True)
    kind.update = update
    found = {"generator": name, "shape": shape_of(read_run(run)), **watch.measured(batch), **sizes}
    if "first_resolution" in fields:
        found["by_resolution"] = by_resolution(stage, kind)
    if "r1_interval" in fields:
        found |= with_penalties(stage, kind)
    return found


def shape_of(record: dict[str, Any]) -> list[int]:
    """Return the channels, the label map's too, and the size of what a run learns."""
    from understudy.core.encoding import Encoding

    return [Encoding.from_json(record["encoding"]).n, *record["size"]]


def built(stage: Any, kind: Any) -> tuple[Any, Any, Any]:
    """Return a generator with the networks and settings of its study, its settings, and batches for it."""
    from understudy.core.cohort import Cohort
    from understudy.training.batches import BatchStream
    from understudy.training.engine import Engine

    cohort, config = Cohort.open(stage.arguments[2]), config_of(stage)
    method = kind(config)
    method.encoding, method.size, method.engine = cohort.encoding, tuple(cohort.size), Engine(config.precision)
    method.build(method.encoding, method.size)
    return method, config, BatchStream.of(config, cohort, None, 0)


def counted(method: Any, stream: Any, images_seen: int, resolution: int) -> float:
    """Return the GFLOPs that an image of one update takes."""
    x = stream.batch(images_seen, COUNTED, resolution, method.engine.device, slice(0, COUNTED))
    with Counter() as counter:
        method.update(x)
    return counter.flops / COUNTED / 1e9


def by_resolution(stage: Any, kind: Any) -> list[dict[str, Any]]:
    """Return how many images a growing training sees at each resolution, and the GFLOPs of one."""
    method, config, stream = built(stage, kind)
    images: dict[int, list[int]] = {}
    for seen in range(0, config.images_seen, GRAIN):
        images.setdefault(method.schedule(seen)[1], [seen, 0])[1] += GRAIN
    rows = []
    for resolution, (first, count) in images.items():
        stable = first + (count * 3 // 4 if resolution > config.first_resolution else 0)
        gflop = counted(method, stream, stable, resolution)
        rows.append({"resolution": resolution, "images": count, "gflop_an_image": gflop})
    return rows


def with_penalties(stage: Any, kind: Any) -> dict[str, float]:
    """Return the GFLOPs of an image in a step without penalties, and in the mean of steps, some of which have them."""
    method, config, stream = built(stage, kind)
    found = {}
    for steps in (1, 0, config.path_interval):  # none, both, that of path lengths
        method.steps = steps
        found[steps] = counted(method, stream, 0, method.size[-1])
    path = found[config.path_interval] - found[1]
    r1 = found[0] - found[1] - path
    mean = found[1] + r1 / config.r1_interval + path / config.path_interval
    return {"gflop_without_penalties": found[1], "mean_gflop_an_image": mean}


def measure_sampling(stage: Any) -> dict[str, Any]:
    """Sample two cases, or search for one, as the study says it but for the steps."""
    from understudy.generators import GENERATORS
    from understudy.training.run_record import read_run

    record = read_run(Path(stage.arguments[1]))
    settings: dict[str, Any] = {"sample_block": 1} if stage.verb == "sample" else {}
    if stage.verb == "condition":
        settings = {"steps": 2, "attempts": 1, "minimum_accepted": 0, "block": 2, "check_every": 2}
    kind = GENERATORS[record["generator"]]
    if stage.verb == "condition":
        start = time.perf_counter()
        with Counter() as counter:
            try:
                understudy(changed(stage.arguments, settings, {"--n": "1"}))
            except SystemExit:  # networks of two steps draw nothing that a classifier of two steps accepts
                if not counter.flops:
                    raise
        return {"steps": 2, "seconds": round(time.perf_counter() - start, 2), "gflop": round(counter.flops / 1e9, 2)}
    watch, draw = Stopwatch(), kind.draw
    kind.draw = watch.wrapped(draw)
    options: dict[str, str | None] = {"--n": "3"}
    if "--anatomy" in stage.arguments:  # masks of two steps are noise that fits nowhere
        options["--labels"] = stage.arguments[stage.arguments.index("--anatomy") + 1]
        options |= dict.fromkeys(("--anatomy", "--lesion", "--where"))
    understudy(changed(stage.arguments, settings, options))
    kind.draw = draw
    return {"generator": kind.name, "sampler_steps": record["config"].get("sampler_steps"), **watch.measured(1)}


def measure_task(stage: Any, study: str, steps: int, seconds: float) -> dict[str, Any]:
    """Train a task network on real cases, and let it predict two."""
    from understudy.api.evidence import evaluation_config
    from understudy.core.cohort import Cohort
    from understudy.tasks import classification, fitting, segmentation

    task = "classification" if "classification" in stage.arguments else None
    words = stage.arguments
    cohort = Cohort.open(words[words.index("--real") + 1] if "--real" in words else words[1])
    config: Any
    if stage.verb == "classify":
        config, task = classification.ClassificationConfig(**settings_in(words)), "classification"
    else:
        config = evaluation_config("utility", settings_in(words), task)
    batch = TASK_BATCH.get(study, 2)
    config = config.model_copy(update={"updates": steps, "batch_size": batch, "checks": 1})
    cohort = cohort.with_classes(config.classes) if config.classes and task is None else cohort
    rows, watch = cohort.rows("train"), Stopwatch(seconds)
    if task:
        cases: Any = classification.class_cases(cohort, rows, cohort.encoding, cohort.classes)
        trained: Any = classification.new_classifier(config, cases.read(rows[:1] * 0)[0].shape[1:], cohort.classes, 0,
                                                     segmentation.Engine(config.precision))  # fmt: skip
        train: Any = functools.partial(classification.train_classifier, cases, cohort.classes)
    else:
        cases = segmentation.CohortCases(cohort, rows, cohort.encoding)
        train = functools.partial(segmentation.train_segmenter, cases, len(cohort.scheme or ()))
        trained = None
    counter = Counter()

    def tick() -> None:
        watch.ended(counter.flops - sum(watch.flops))
        if len(watch.ends) > FIRST and time.perf_counter() > watch.until:
            raise Enough

    try:
        with counter:
            trained = train(config, 0, NOBODY, tick)
    except Enough:
        trained = train(config.model_copy(update={"updates": 1}), 0, NOBODY)
    images = next(fitting.image_blocks(cases, 2 * int(torch.tensor(cohort.size).prod())))
    start = time.perf_counter()
    with Counter() as predicting:
        trained.predict(images)
    return {
        "network": config.network, "channels": list(getattr(config, "channels", ())),
        "parameters": sum(p.numel() for p in trained.network.parameters()),
        "shape": [cohort.encoding.image_channels, *cohort.size], **watch.measured(batch),
        "predicted_seconds_an_image": round((time.perf_counter() - start) / len(images), 4),
        "predicted_gflop_an_image": round(predicting.flops / len(images) / 1e9, 3),
    }  # fmt: skip


def measure(
    stage: Any, study: str, folder: Path, steps: int, seconds: float, queue: Any, memory_gb: float = 20
) -> None:
    """Measure a stage in this process, which has made nothing else; what takes more memory fails, and ends no other."""
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory_gb * 2**30),) * 2)
    os.chdir(folder)
    Path(stage.folder).parent.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    if stage.verb == "train":
        found = measure_training(stage, study, steps, seconds)
    elif stage.verb in ("sample", "condition"):
        found = measure_sampling(stage)
    elif stage.verb == "evaluate":
        found = measure_task(stage, study, steps, seconds)
    elif stage.verb == "classify":
        found = measure_task(stage, study, steps, seconds)
        understudy(changed(stage.arguments, {"updates": 2, "batch_size": 2, "checks": 1}, {}))
    else:
        found = measure_made(stage)
    queue.put(found | {"peak_mb": peak_mb()})


def peak_mb() -> float:
    """Return the most memory that this process has held, in MiB; getrusage would count that of its parent, too."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return round(int(line.split()[1]) / 1024, 1)


def measured_apart(
    stage: Any, study: str, folder: Path, steps: int, seconds: float, memory_gb: float
) -> dict[str, Any]:
    """Measure a stage in a process of its own; without a result, say how it ended."""
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=measure, args=(stage, study, folder, steps, seconds, queue, memory_gb))
    before, start = os.getloadavg()[0], time.time()
    process.start()
    process.join()
    found = {"failed": f"exit code {process.exitcode}"} if queue.empty() else queue.get()
    load = [round(before, 1), round(os.getloadavg()[0], 1)]
    return {**found, "verb": stage.verb, "wall_seconds": round(time.time() - start, 1), "load": load}


def jobs(data: Path, only: str | None) -> Iterator[tuple[str, Any]]:
    """Yield all stages with their studies, each after those that it reads."""
    for study in STUDIES:
        if only in (None, study):
            yield from ((study, stage) for stage in stages_of(study, data))


def run(folder: Path, steps: int, seconds: float, memory_gb: float, only: str | None) -> None:
    """Measure what results.json does not have yet, and write it after each stage."""
    folder.mkdir(parents=True, exist_ok=True)
    file, data = folder / "results.json", folder / "data"
    results = json.loads(file.read_text()) if file.is_file() else {}
    asked = {
        "steps": steps,
        "seconds": seconds,
        "memory_gb": memory_gb,
        "threads": os.environ.get("OMP_NUM_THREADS", "1"),
    }
    for study, stage in jobs(data, only):
        name = f"{study}/{stage.name}"
        old = results.get(name, {})
        if "failed" not in old and old.get("asked", {}).get("steps", 0) >= steps:
            continue
        write_data(study, data / study)
        out = folder / study / stage.folder
        if out.exists():
            shutil.rmtree(out)
        found = measured_apart(stage, study, _made(folder / study), steps, seconds, memory_gb)
        results[name] = {**found, "asked": asked, "torch": torch.__version__}
        print(name, {k: v for k, v in found.items() if k not in ("by_resolution", "verb")}, flush=True)
        partial = file.with_suffix(f".{zlib.crc32(name.encode())}")
        partial.write_text(json.dumps(results, indent=1) + "\n")
        partial.replace(file)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, dest="verb")
    running = verbs.add_parser("run")
    running.add_argument("--steps", type=int, default=50)
    running.add_argument("--seconds", type=float, default=120, help="patience for a stage")
    running.add_argument("--memory", type=float, default=20, help="GiB of a stage, above which it fails")
    running.add_argument("--only", choices=STUDIES)
    costing = verbs.add_parser("cost")
    costing.add_argument("--peak", type=float, default=312, help="TFLOP/s of the GPU")
    costing.add_argument("--share", type=float, default=0.17, help="of the peak that a training reaches")
    costing.add_argument("--slices", type=float, default=70, help="that the 15 %% rule keeps of a subject")
    costing.add_argument("--eur", type=float, default=2, help="EUR a GPU hour")
    for verb in (running, costing):
        verb.add_argument("folder", type=Path)
    given = parser.parse_args()
    if given.verb == "run":
        run(given.folder.absolute(), given.steps, given.seconds, given.memory, given.only)
    else:
        results = json.loads((given.folder / "results.json").read_text())
        stages = all_stages("akbar2024", given.folder)
        print_tables(results, stages, given.slices, given.peak, given.share, given.eur)


if __name__ == "__main__":
    main()
