"""Generators are trained, and drawn from. **Checked** in tests/api/test_generators.py."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from understudy.api import paths
from understudy.api.settings import CONFIGS, configure, one_of
from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.seed import derive
from understudy.generators import GENERATORS
from understudy.generators import load as load_run

if TYPE_CHECKING:
    from understudy.generators.base import Generator
    from understudy.release.weights import GeneratorWeights
    from understudy.training.settings import GeneratorConfig

WHERE = ("anywhere", "nearest")


def train(
    generator: str,
    cohort: Path | str,
    out: Path | str,
    *,
    preset: str = "auto",
    other: Path | str | None = None,
    start: Path | str | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    seed: int = 0,
    **settings: Any,
) -> Path:
    """Train a generator on a cohort's train split; the same call again resumes, and does nothing once complete.

    Args:
        generator: a name out of the menu of generators, e.g. ``diffusion``.
        cohort: the folder of a cohort with a train split.
        out: the run folder to make, which is returned.
        preset: settings to start from; ``auto`` looks at the number of training images.
        other: the folder of a second cohort: for ``diffusion`` of images alone, for ``cyclegan`` unpaired.
        start: a run to begin with the weights of.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        devices: number of processes on each node, one device each.
        nodes: number of nodes, on each of which torchrun or srun starts this call.
        seed: everything random follows from it.
        settings: changes to the preset, e.g. ``images_seen=5000``; ``understudy settings GENERATOR`` lists them.

    Raises:
        UsageError: the request cannot be right.
        UnderstudyError: nothing to train on, or the training diverged.
    """
    first = paths.folder(cohort, "cohort.json")
    second = None if other is None else paths.folder(other, "cohort.json")
    begin = None if start is None else paths.folder(start, "run.json")
    out = paths.output(out, "run.json")
    config = training_config(generator, first, preset, settings)
    from understudy.training.engine import Engine

    engine = Engine(config.precision, accelerator, devices, nodes)
    beside, method = Cohort.open(second) if second else None, GENERATORS[generator](config)
    return method.fit(Cohort.open(first), out, seed, other=beside, engine=engine, preset=preset, start=begin)


def training_config(
    generator: str, cohort: Path, preset: str = "auto", settings: Mapping[str, Any] | None = None
) -> "GeneratorConfig":
    """Return the settings that a training would have: a preset, and changes to it.

    The cohort is read for the preset ``auto`` alone.

    Raises:
        UsageError: there is no such generator, preset or setting.
    """
    method = one_of(GENERATORS, generator, "generator")
    values = one_of({"auto": {}, **method.PRESETS}, preset, f"preset of {generator}")
    if preset == "auto":
        values = method.settings_for(len(Cohort.open(cohort).rows("train")))
    return configure(method.Config, {**values, **(settings or {})}, generator)


def load(run: Path | str, snapshot: int | None = None, **settings: Any) -> "Generator":
    """Return the generator of a run folder, ready to sample: ``load(run).sample(n, seed)``.

    Args:
        run: a folder that :func:`train` made.
        snapshot: images seen; default: the last of a finished training.
        settings: other settings for sampling than those trained with.
    """
    return load_run(paths.folder(run, "run.json"), snapshot, settings=settings)


def load_generator(bundle: Path | str) -> "Generator":
    """Return the generator in a bundle that was released with its weights: ``load_generator(bundle).sample(n, seed)``.

    It draws the bits that :func:`sample` draws from its run, on the same kind of machine.

    Raises:
        UsageError: there is no bundle, or none with weights.
        UnderstudyError: the weights are damaged, were changed, or are not those of their settings.
    """
    bundle = paths.folder(bundle, "manifest.json")
    from understudy.release.weights import read_released
    from understudy.training.engine import Engine

    record, tensors = read_released(bundle)
    method = one_of(GENERATORS, record.generator, "generator")
    generator = method(configure(method.Config, record.config, record.generator))
    generator.restore(record.encoding.made(), tuple(record.size), len(record.classes), tensors, Engine())
    return generator


def weights_of(run: Path | str) -> "GeneratorWeights":
    """Return what a release takes of a run: the weights that its network samples with, and how it is made again."""
    path = paths.folder(run, "run.json")
    from understudy.core.encoding import EncodingRecord
    from understudy.release.weights import GeneratorRecord, GeneratorWeights
    from understudy.synthesis.runs import open_run
    from understudy.training.engine import Engine

    found, generator = open_run(path), load_run(path, engine=Engine("fp32", "cpu"))
    record = GeneratorRecord(
        generator=generator.name,
        config=generator.config.model_dump(mode="json", exclude={"dp"}),
        encoding=EncodingRecord.model_validate_json(json.dumps(generator.encoding.to_json())),
        size=list(generator.size),
        classes=found.record["classes"],
        modality=found.record["modality"],
        images_seen=found.images_seen,
    )
    return GeneratorWeights(record, generator.snapshot()[0], found.digest)


def sample(
    runs: Path | str | Sequence[Path | str],
    n: int,
    out: Path | str,
    *,
    classes: str | Mapping[str, float] | None = None,
    labels: Path | str | None = None,
    anatomy: Path | str | None = None,
    lesion: Sequence[str] = (),
    inside: Sequence[str] = (),
    forbidden: Sequence[str] = (),
    where: str | None = None,
    away_from: Path | str | None = None,
    snapshot: int | None = None,
    key: Path | None = None,
    accelerator: str = "auto",
    devices: int = 1,
    nodes: int = 1,
    seed: int = 0,
    **settings: Any,
) -> Cohort:
    """Draw synthetic cases; case number i is the same however many are drawn; the same call again goes on when killed.

    Args:
        runs: a folder that :func:`train` made, or several, which are mixed evenly.
        n: how many cases.
        out: the cohort folder to make.
        classes: of conditional runs: ``data`` as in training, ``balanced``, or values by name.
        labels: of translators: a cohort, or a run that draws label maps: what is rendered.
        anatomy: a cohort or such a run, into whose label maps the lesions of ``labels`` are placed.
        lesion: classes of ``labels`` that are placed; empty: all.
        inside: classes that a placed lesion may cover; empty: all.
        forbidden: classes that it may not cover.
        where: ``anywhere`` at random, or ``nearest`` to its place.
        away_from: of diffusion: the cohort that it was trained on, to whose images no case may come too near.
        snapshot: images seen; default: the last of a finished training.
        key: file of the key that seals the cohort, the pseudonyms'; default: the user's own.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        devices: number of processes on each node, one device each.
        nodes: number of nodes, on each of which torchrun or srun starts this call.
        seed: everything random follows from it.
        settings: of sampling, e.g. ``sampler_steps=32``.

    Raises:
        UsageError: the request cannot be right.
    """
    folders, out = paths.several(runs), paths.output(out, "cohort.json")
    for run in folders:
        paths.folder(run, "run.json")
    for source in (labels, anatomy):
        if source is not None:
            paths.cohort_or_run(source)
    places = placing(labels, anatomy, lesion=lesion, inside=inside, forbidden=forbidden, where=where)
    if labels is not None and classes:
        raise UsageError("a translator is given label maps, not classes: leave classes or labels out")
    from understudy.synthesis.label_maps import MapRequest
    from understudy.synthesis.render import render_cohort
    from understudy.synthesis.sample import sample_cohort
    from understudy.training.engine import Engine

    engine = Engine(accelerator=accelerator, devices=devices, nodes=nodes)
    avoided = None if away_from is None else paths.folder(away_from, "cohort.json")
    drawing: dict[str, Any] = {"snapshot": snapshot, "settings": settings, "away_from": avoided, "engine": engine}
    drawing["key"] = key
    if labels is None:
        return Cohort.open(sample_cohort(folders, n, seed, out, classes=classes, **drawing))
    maps = MapRequest(Path(labels), derive(seed, "maps"), engine=engine, **places)
    return Cohort.open(render_cohort(folders, maps, n, seed, out, **drawing))


def placing(labels: Path | str | None, anatomy: Path | str | None, **told: Any) -> dict[str, Any]:
    """Return what was said of how the lesions of label maps are placed into anatomy.

    Raises:
        UsageError: nothing is placed, or a word that is not known.
    """
    if told["where"] not in (None, *WHERE):
        raise UsageError(f"--where is {' or '.join(WHERE)}, found {told['where']!r}")
    anywhere = None if anatomy is None else Path(anatomy)
    places = {name: value for name, value in {"anatomy": anywhere, **told}.items() if value}
    if places and (labels is None or anatomy is None):
        raise UsageError(
            "--lesion, --inside, --forbidden and --where say how lesions of --labels are placed into --anatomy: "
            "name both"
        )
    return places


def classify(cohort: Path | str, out: Path | str, *, seed: int = 0, **settings: Any) -> Path:
    """Train a classifier of a cohort's class columns of 0 and 1, and return its folder.

    It learns the train split, and is chosen on the validation split. ``understudy settings classify`` lists settings.
    """
    source, out = paths.folder(cohort, "cohort.json"), paths.output(out, "classifier.json")
    from understudy.tasks.classify import make_classifier

    make_classifier(Cohort.open(source), out, seed, configure(CONFIGS["classify"], settings, "classify"))
    return out


def segment(
    labelled: Path | str,
    images: Path | str,
    out: Path | str,
    *,
    key: Path | None = None,
    seed: int = 0,
    **settings: Any,
) -> Cohort:
    """Give images the label maps that a segmenter predicts, and return them in one cohort with the labelled cases.

    Args:
        labelled: the folder of a real cohort with label maps: the segmenter learns its train split, and is chosen on
            its validation split.
        images: the folder of a real cohort of other subjects; they become training cases.
        out: the cohort folder to make.
        key: file of the pseudonym key; default: the user's own.
        seed: everything random follows from it.
        settings: of the segmenter, e.g. ``updates=500``; ``understudy settings segment`` lists them.
    """
    first, second = (paths.folder(cohort, "cohort.json") for cohort in (labelled, images))
    out, config = paths.output(out, "cohort.json"), configure(CONFIGS["segment"], settings, "segment")
    from understudy.tasks.segment import segment_cohort

    return Cohort.open(segment_cohort(Cohort.open(first), Cohort.open(second), out, seed, config, key))


def condition(
    run: Path | str,
    classifier: Path | str,
    n: int,
    out: Path | str,
    *,
    classes: str | Mapping[str, float] = "data",
    snapshot: int | None = None,
    accelerator: str = "auto",
    seed: int = 0,
    **settings: Any,
) -> Cohort:
    """Search the latents of a generator for cases to which a classifier gives wanted classes.

    Args:
        run: a folder that :func:`train` made, without ``conditional=True``.
        classifier: a folder that :func:`classify` made.
        n: how many cases are searched for.
        out: the cohort folder to make.
        classes: ``data`` as in the data, ``balanced``, or these: 1 wanted, 0 not.
        snapshot: images seen; default: the last of a finished training.
        accelerator: ``auto``, ``cpu`` or ``cuda``.
        seed: everything random follows from it.
        settings: ``understudy settings condition`` lists them.
    """
    source, judge = paths.folder(run, "run.json"), paths.folder(classifier, "classifier.json")
    out = paths.output(out, "cohort.json")
    from understudy.synthesis.conditioning.stage import condition_cohort
    from understudy.training.engine import Engine

    config, engine = configure(CONFIGS["condition"], settings, "condition"), Engine(accelerator=accelerator)
    condition_cohort(source, judge, n, seed, out, classes=classes, config=config, snapshot=snapshot, engine=engine)
    return Cohort.open(out)
