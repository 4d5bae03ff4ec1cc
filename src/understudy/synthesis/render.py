"""Render: label maps from anywhere on the menu -> translators -> a cohort of images with those label maps.

Map i is rendered with derive(seed, "case", i), by run i mod R where R translators are mixed. Every process draws all
maps, and renders its share of blocks; a killed rendering draws the maps again, and renders the rest. The cohort records
where the maps come from (label_source). It is synthetic only if they are fully synthetic; with patient-derived maps it
is semi-synthetic, and its cases keep the patients' pseudonyms.
**Source**: Shin et al. (2018, arXiv 1807.10225) and Platscher et al. (2020, arXiv 2010.02745): edited or placed label
maps, rendered. **Checked** in tests/synthesis/test_render.py.
"""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.errors import UsageError
from understudy.core.progress import tracked
from understudy.core.provenance import Provenance
from understudy.core.stage import finished
from understudy.data.ownership import secret
from understudy.data.seal import cohort_seal, key_at_hand
from understudy.generators import load
from understudy.synthesis.avoidance import keep_away, open_avoided
from understudy.synthesis.drawing import blocks, drawn, machine, opened
from understudy.synthesis.label_maps import Drawn, LabelMaps, MapRequest, label_maps
from understudy.synthesis.runs import Run, called, joint_inputs, joint_trained_on, member, open_runs, synthetic_writer
from understudy.training.engine import Engine


def render_cohort(
    runs: Sequence[Path],
    request: MapRequest,
    n: int,
    seed: int,
    out: Path,
    *,
    snapshot: int | None = None,
    settings: dict[str, Any] | None = None,
    away_from: Path | None = None,
    key: Path | None = None,
    engine: Engine | None = None,
) -> Path:
    """Render n label maps; a finished cohort is not made twice.

    ``runs`` are finished trainings of translators that are given label maps, mixed evenly, at ``snapshot`` images seen
    or at their last. ``seed`` is of the rendering; the maps have one of their own in the request. ``settings`` are
    those for sampling that differ from training; ``away_from`` is as in :func:`sample_cohort`; ``key`` is the file of
    the secret that keys the cohort's id where the maps are patient-derived, and else seals it (data/seal.py).

    Raises:
        UsageError: a run that is no such translator, label maps that do not fit it, or ``out`` holds something else.
        UnderstudyError: label maps could not be made as asked for.
    """
    found = open_runs(list(runs), snapshot)
    maps = label_maps(request)
    for run in found:
        _refuse_unfitting(run, maps)
    avoided = open_avoided(away_from, found) if away_from else None
    provenance = _provenance(found, request, maps, n, seed, settings)
    provenance.inputs.update({"away_from": avoided.id} if avoided else {})
    if finished(out, "cohort.json", provenance):
        return Path(out)
    generators = [load(run.path, snapshot, engine, settings) for run in found]
    away = keep_away(generators, avoided) if avoided else {}
    several, engine = len(found) > 1, generators[0].engine
    writer = synthetic_writer(
        out,
        found[0],
        provenance,
        kind=maps.kind,
        scheme=maps.scheme,
        label_source=maps.label_source,
        trained_on=joint_trained_on(*(run.record["trained_on"] for run in found), maps.trained_on),
        columns=["label_case", *(["generator"] if several else [])],
        key=secret(maps.cohorts, key, Path(out)),
        seal=cohort_seal(maps.cohorts, key_at_hand(key, Path(out))),
        machine=machine(generators),
    )
    writer.sampling = {"label_maps": maps.sampling, **away}  # which is complete when all are drawn
    with opened(writer, engine) as first:
        todo = blocks([generator.config.sample_block for generator in generators], n, first)
        window = _Window(maps.take(n), min((block.numbers[0] for block in todo), default=n))
        cases = drawn(generators, todo, first, seed, window.stack)
        for case in tracked(cases, "render", n, first, quiet=engine.rank > 0):
            label, entries = window.pop(case.number)
            if engine.rank:
                continue
            name = f"synthetic-{case.number:06d}"
            mixed = {"generator": member(found, case.number % len(found))} if several else {}
            kept = {key: text for key, text in entries.items() if key != "case_id"}
            writer.append(case.image, label, {"case_id": name, "subject_id": name} | kept | mixed)
        window.read(n)
    return Path(out)


class _Window:
    """Label maps of a stream by number, from ``first`` on: as many as blocks to come need."""

    def __init__(self, stream: Iterator[Drawn], first: int) -> None:
        self._stream, self._first, self._kept = enumerate(stream), first, dict[int, Drawn]()
        self._read = 0

    def read(self, stop: int) -> None:
        """Read the stream up to ``stop``."""
        for i, drawn_map in itertools.islice(self._stream, max(0, stop - self._read)):
            self._read = i + 1
            if i >= self._first:
                self._kept[i] = drawn_map

    def stack(self, numbers: range) -> np.ndarray:
        """Return maps (n, *S)."""
        self.read(numbers[-1] + 1)
        return np.stack([self._kept[i][0] for i in numbers])

    def pop(self, number: int) -> Drawn:
        """Return a map and its entries, which is not asked for again."""
        self.read(number + 1)
        return self._kept.pop(number)


def _refuse_unfitting(run: Run, maps: LabelMaps) -> None:
    """Refuse a run that cannot render these maps."""
    given, scheme, size = run.record.get("given"), run.encoding.scheme, tuple(run.record["size"])
    if given != "labels" or scheme is None:
        raise UsageError(
            f"the run {run.path} is not given label maps: name a translator (pix2pix, spade, cyclegan, or diffusion "
            "with labels=given), or leave --labels out"
        )
    if scheme.names != maps.scheme.names or size != maps.size:
        raise UsageError(
            f"label maps of size {size} with the classes {', '.join(scheme.names)} were expected by {run.path}, found "
            f"{maps.size} with {', '.join(maps.scheme.names)}: make them with the cohort that it was trained on"
        )


def _provenance(
    runs: Sequence[Run], request: MapRequest, maps: LabelMaps, n: int, seed: int, settings: dict[str, Any] | None
) -> Provenance:
    config: dict[str, Any] = {
        "generator": called(runs),
        "n": n,
        "images_seen": [run.images_seen for run in runs],
        "trained_as": [run.settings for run in runs],
        "training_seed": [run.record["seed"] for run in runs],
        "labels": {
            "seed": request.seed,
            "placed": request.anatomy is not None,
            "lesion": request.lesion,
            "inside": request.inside,
            "forbidden": request.forbidden,
            "minimum": request.minimum,
            "where": request.where,
            "splits": request.splits,
        },
        **({"settings": settings} if settings else {}),
    }
    inputs = {**joint_inputs(runs), **{f"labels.{role}": value for role, value in maps.inputs.items()}}
    return Provenance("sample", config, seed, inputs)
