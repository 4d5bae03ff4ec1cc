"""The menu of generators: one line each, imported when asked for. ``load(run)`` gives a trained one back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from understudy.core.errors import UsageError
from understudy.core.menu import Menu
from understudy.training.run_record import read_run

if TYPE_CHECKING:
    from understudy.generators.base import Generator
    from understudy.training.engine import Engine

GENERATORS: Menu[type[Generator]] = Menu(
    "understudy.generators",
    progan="gan.progan:ProGAN",
    stylegan1="gan.stylegan1:StyleGAN1",
    stylegan2="gan.stylegan2:StyleGAN2",
    stylegan3="gan.stylegan3:StyleGAN3",
    diffusion="diffusion.diffusion:Diffusion",
    pix2pix="translation.pix2pix:Pix2Pix",
    spade="translation.spade:SPADE",
    cyclegan="translation.cyclegan:CycleGAN",
    mask_gan="masks.mask_gan:MaskGAN",
)


def load(
    run: Path | str,
    images_seen: int | None = None,
    engine: Engine | None = None,
    settings: dict[str, Any] | None = None,
) -> Generator:
    """Load the generator of a folder that ``understudy train`` made, with its EMA weights, ready to sample.

    By default it is the last snapshot of a finished training, on the best device here. ``settings`` are others for
    sampling than those trained with, of the generator's ``SAMPLING``.

    Raises:
        UsageError: the folder is no run, has no such snapshot, its training has not ended, or a setting is wrong.
        UnderstudyError: the snapshot is damaged.
    """
    run = Path(run)
    snapshot = find_snapshot(run, images_seen)
    record = read_run(run)
    if record["generator"] not in GENERATORS:
        raise UsageError(
            f"{run} was trained with {record['generator']!r}, which this understudy does not know "
            f"({', '.join(GENERATORS)})"
        )
    method = GENERATORS[record["generator"]]
    for name in settings or {}:
        if name not in method.SAMPLING:
            raise UsageError(
                f"{name!r} of {method.name} cannot be set for sampling: {', '.join(method.SAMPLING)} can be"
            )
    try:
        config = method.Config(**{**record["config"], **(settings or {})})
    except ValidationError as error:
        problems = (
            f"{'.'.join(map(str, item['loc'])) or 'settings'}: {item['msg']}, found {item['input']!r}"
            for item in error.errors()
        )
        raise UsageError(f"settings of {method.name} that cannot be: {'; '.join(problems)}") from error
    generator = method(config)
    generator.load(run, snapshot, engine)
    return generator


def find_snapshot(run: Path, images_seen: int | None = None) -> Path:
    """Return the folder of a run's snapshot, unread; default: the last of a finished training.

    Raises:
        UsageError: the folder is no run, has no such snapshot, or its training has not ended.
    """
    if not (run / "run.json").is_file():
        raise UsageError(f"{run} is not a training run (no run.json in it): name a folder that `understudy train` made")
    if images_seen is None and not (run / "complete.json").is_file():
        raise UsageError(
            f"the training of {run} has not ended: run train again to finish it, or name a snapshot with --snapshot"
        )
    there = sorted(p for p in (run / "snapshots").glob("[0-9]*") if p.is_dir())
    snapshot = there[-1] if images_seen is None and there else run / "snapshots" / f"{images_seen or 0:09d}"
    if snapshot not in there:
        known = ", ".join(str(int(p.name)) for p in there) or "none"
        raise UsageError(f"{run} has no snapshot at {images_seen} images; it has {known}")
    return snapshot
