"""Tables of docs/scale.md, from what full_scale.py measured: each stage; Akbar's study in GPU hours, disk and cost.

GPU hours = images x FLOPs an image / (peak of the GPU x share of it that is reached) / 3600: an estimate. The share is
held against the one published time that fits: StyleGAN3-T at 256 px takes 49.81 s for 1,000 images on one A100 (mixed
float16, NVlabs/stylegan3, docs/configs.md).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from full_scale_stages import config_of, settings_in

SUBJECTS = {"brats2020": (250, 31, 56, 369), "brats2021": (956, 119, 56, 1251)}  # train, validation, test, all
PUBLISHED_SECONDS, PUBLISHED_PEAK = 0.04981, 312  # StyleGAN3-T, an image; TFLOP/s of an A100 in 16 bits
HEADS = {
    "batch": "batch",
    "steps": "steps",
    "processor s an image": "processor_seconds_an_image",
    "clock s an image": "seconds_an_image",
    "GFLOP an image": "gflop_an_image",
}
CASE_BYTES = 5 * 256 * 256


@dataclass(frozen=True)
class Work:
    """What some stages of a study have to do."""

    name: str
    images: float
    flops: float
    read: float  # bytes
    written: float

    def hours(self, flops_a_second: float) -> float:
        """Return GPU hours."""
        return self.flops / flops_a_second / 3600


def print_tables(
    results: dict[str, Any], stages: Sequence[Any], slices: float, peak: float, share: float, eur: float
) -> None:
    """Print all tables; ``slices`` are kept of a subject."""
    print_measured(results)
    if all("gflop_an_image" in row for name, row in results.items() if "akbar2024/run" in name):
        print_published(results)
        print_study(akbar(results, stages, slices), peak, share, eur)


def print_measured(results: dict[str, Any]) -> None:
    """Print a row a stage."""
    print("| " + " | ".join(["stage", "shape", *HEADS, "peak MiB", "snapshot, checkpoint MiB"]) + " |")
    print("|" + "---|" * (len(HEADS) + 4))
    for name, row in results.items():
        if "failed" in row:
            print(f"| `{name}` | {row['failed']} |" + " |" * 7)
            continue
        shape = " x ".join(map(str, row.get("shape", ())))
        kept = f"{row['snapshot_mb']}, {row['checkpoint_mb']}" if "snapshot_mb" in row else ""
        if "mean_gflop_an_image" in row:
            row = row | {"gflop_an_image": round(row["mean_gflop_an_image"], 3)}
        cells = [row.get(key, "") for key in HEADS.values()]
        print(f"| `{name}` | {shape} | " + " | ".join(map(str, cells)) + f" | {row['peak_mb']:.0f} | {kept} |")


def print_published(results: dict[str, Any]) -> None:
    """Say which share of the peak the published time of StyleGAN3 means."""
    flops = training_gflop(results["akbar2024/run-brats2020-stylegan3"]) * 1e9
    share = flops / PUBLISHED_SECONDS / PUBLISHED_PEAK / 1e12
    print(f"\nStyleGAN3-T, {PUBLISHED_SECONDS} s an image on an A100: {share:.2f} of its peak")


def training_gflop(row: dict[str, Any]) -> float:
    """Return GFLOPs of an image, the mean over resolutions where a network grows, and over steps with penalties."""
    steps = row.get("by_resolution")
    if not steps:
        return float(row.get("mean_gflop_an_image", row["gflop_an_image"]))
    return sum(s["images"] * s["gflop_an_image"] for s in steps) / sum(s["images"] for s in steps)


def akbar(results: dict[str, Any], stages: Iterable[Any], slices: float) -> list[Work]:
    """Return the work of the stages of Akbar's study that take a GPU most."""
    return [_work(results, stage, slices) for stage in stages if stage.template in ("run", "cases", "utility")]


def _work(results: dict[str, Any], stage: Any, slices: float) -> Work:
    generator, dataset = stage.loops["generator"], stage.loops["dataset"]
    trained = results[f"akbar2024/run-brats2020-{generator}"]
    if stage.template == "run":
        images = float(config_of(stage).images_seen)
        return Work(f"train {generator}", images, images * training_gflop(trained) * 1e9, images * CASE_BYTES,
                    (trained["snapshot_mb"] * (images // 1e6 + 1) + trained["checkpoint_mb"]) * 2**20)  # fmt: skip
    if stage.template == "cases":
        n = float(stage.arguments[stage.arguments.index("--n") + 1])
        sampled = results[f"akbar2024/cases-brats2020-{generator}"]
        steps = sampled["sampler_steps"] or 1
        longer = 4000 / steps if generator == "diffusion" else 1
        return Work(f"sample {generator}", n, n * sampled["gflop_an_image"] * 1e9 * longer, 0, n * CASE_BYTES)
    settings, segmenter = settings_in(stage.arguments), stage.loops["segmenter"]
    row = next(r for name, r in results.items() if name.startswith("akbar2024/utility") and f"-{segmenter}-" in name)
    networks = (1 + len(settings["arms"])) * settings["repeats"]
    images = float(networks * settings["updates"] * settings["batch_size"])
    _, validation, test, _ = SUBJECTS[dataset]
    predicted = networks * slices * (settings["checks"] * validation + test)
    flops = (images * row["gflop_an_image"] + predicted * row["predicted_gflop_an_image"]) * 1e9
    return Work(f"utility {segmenter}", images, flops, (images + predicted) * CASE_BYTES, 0)


def print_study(work: Sequence[Work], peak: float, share: float, eur: float) -> None:
    """Print a row a kind of stage, and the sum."""
    print(f"\n{peak:g} TFLOP/s, {share:g} of it reached, {eur:g} EUR a GPU hour\n")
    heads = ("part", "stages", "images", "EFLOP", "GPU hours", "hours a stage", "EUR", "read TB", "written GB")
    print("| " + " | ".join(heads) + " |\n|" + "---|" * len(heads))
    names = list(dict.fromkeys(w.name for w in work))
    for name in (*names, "all"):
        rows = [w for w in work if name in (w.name, "all")]
        hours = sum(w.hours(peak * share * 1e12) for w in rows)
        print(
            f"| {name} | {len(rows)} | {sum(w.images for w in rows):.3g} | {sum(w.flops for w in rows) / 1e18:.2f} | "
            f"{hours:,.0f} | {hours / len(rows):,.1f} | {hours * eur:,.0f} | {sum(w.read for w in rows) / 1e12:.1f} | "
            f"{sum(w.written for w in rows) / 1e9:.0f} |"
        )
