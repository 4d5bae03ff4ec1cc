"""Anatomy where a cohort has none: its label maps become anatomy with the cohort's own classes laid over it.

The anatomy is found by a mixture model (tissues.py), or by a trained translator from images to label maps. Images,
cases, subjects and splits stay, and so does the kind of the cohort. The two label schemes are joined into one: the
anatomy's classes, then the lesion's.
**Source**: Shin et al. (2018, arXiv 1807.10225): a translator trained on one data set with anatomy segments another
without, and the lesion is laid over the result; one that reads T1 alone takes it from a cohort of more contrasts.
Platscher et al. (2020, arXiv 2010.02745, official code): background, 27 anatomical structures and stroke as 29 classes,
the lesion last.
**Checked** in tests/synthesis/editing/test_anatomy.py.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.seed import derive
from understudy.core.stage import finished
from understudy.core.writer import CohortWriter
from understudy.data.ownership import kept_sampling, secret
from understudy.data.seal import cohort_seal, key_at_hand
from understudy.generators import load
from understudy.synthesis.editing.lesions import Rules, cut, removed
from understudy.synthesis.editing.tissues import Mixture, Tissues, images_of
from understudy.synthesis.runs import Run, joint_inputs, joint_trained_on, open_run
from understudy.training.engine import Engine


@dataclass(frozen=True)
class Joining:
    """Two schemes made one."""

    scheme: LabelScheme  # the anatomy's classes, then the lesion's
    anatomy: np.ndarray  # uint8 (K of the anatomy,), the joint class of each of its classes
    lesion: np.ndarray  # uint8 (K of the lesion's scheme,), the joint class of each class; 0 where it is no lesion


def joining(anatomy: LabelScheme, lesion: LabelScheme, names: Sequence[str]) -> Joining:
    """Join two label schemes; ``names`` are the classes that form the lesion.

    The anatomy's classes come first; one that is also named as lesion is lesion. If it has all classes of the lesion,
    the joint scheme is the anatomy's as it is. Other classes of the lesion's scheme are left out. Raises UsageError for
    a name that neither scheme has, none at all, or the background among them.
    """
    for name in names:
        if name not in lesion.names + anatomy.names:
            raise UsageError(f"there is no class {name!r}: there are {', '.join((*anatomy.names, *lesion.names[1:]))}")
    if not names or lesion.names[0] in names or anatomy.names[0] in names:
        raise UsageError(f"name the classes that form the lesion, out of {', '.join(lesion.names[1:])}")
    first = [name for name in anatomy.names if name not in names]
    last = [name for name in dict.fromkeys((*lesion.names, *anatomy.names)) if name in names]
    joint = anatomy.names if set(names) <= set(anatomy.names) else (*first, *last)
    values = dict(zip(anatomy.names, anatomy.source_values, strict=True))
    for name, value in zip(lesion.names, lesion.source_values, strict=True):
        if name in last and name not in values:
            values[name] = value if value not in values.values() else max((*values.values(), *lesion.source_values)) + 1
    return Joining(
        LabelScheme(joint, tuple(values[name] for name in joint)),
        np.array([joint.index(name) for name in anatomy.names], np.uint8),
        np.array([joint.index(name) if name in last else 0 for name in lesion.names], np.uint8),
    )


def merge(anatomy: np.ndarray, lesion: np.ndarray, both: Joining) -> np.ndarray:
    """Lay a lesion over anatomy, label maps (*S) in the schemes joined; return uint8 (*S) in the joint one."""
    over = both.lesion[lesion]
    return np.where(over > 0, over, both.anatomy[anatomy]).astype(np.uint8)


Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Source:
    """Where anatomy comes from: its scheme, its maps (n, *S) in the order of the cases, and what it was made of."""

    scheme: LabelScheme
    maps: Callable[[], Iterator[np.ndarray]]
    config: dict[str, Any]
    inputs: dict[str, str] = field(default_factory=dict)
    trained_on: list[dict[str, Any]] = field(default_factory=list)


def anatomy_cohort(
    path: Path,
    out: Path,
    source: Mixture | Path,
    seed: int,
    *,
    key: Path | None = None,
    engine: Engine | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make a cohort whose label maps hold anatomy as well; a finished one is not made twice.

    The label maps of the cohort at ``path``, if it has any, are laid over the anatomy, lesion last. ``source`` is a
    mixture model or the run of a translator from images to label maps; ``key`` the file of the secret that keys the id
    of a patient-derived cohort (default: the user's own). ``progress`` is called with (cases done, cases in all).

    Raises:
        UsageError: no such cohort or run, a translator that does not fit, or ``out`` holds something else.
        UnderstudyError: no images, or fewer different values than tissue classes.
    """
    out, cohort = Path(out), Cohort.open(path)
    images_of(cohort, 0)
    made = _by_mixture(cohort, source, seed) if isinstance(source, Mixture) else _by_run(cohort, source, seed, engine)
    provenance = Provenance("edit", {"anatomy": made.config}, seed, {"cohort": cohort.id, **made.inputs})
    if finished(out, "cohort.json", provenance):
        return out
    both = _joined(cohort, made.scheme)
    with CohortWriter(
        out,
        kind=cohort.kind,
        modality=cohort.modality,
        size=cohort.size,
        channels=cohort.encoding.channels,
        dtype=cohort.encoding.dtype,
        scheme=both.scheme if both else made.scheme,
        label_source=cohort.label_source or ("sampled" if cohort.kind == "synthetic" else "patient"),
        trained_on=joint_trained_on(cohort.trained_on, made.trained_on),
        classes=cohort.classes,
        columns=cohort.further_columns,
        provenance=provenance,
        preprocessing={**cohort.preprocessing, "anatomy": made.config},
        key=secret([cohort], key, out),
        seal=cohort_seal([cohort], key_at_hand(key, out)),
    ) as writer:
        writer.sampling = kept_sampling([cohort], others_seen=bool(made.trained_on))
        for row, anatomy in enumerate(made.maps()):
            labels = _merged(anatomy, cohort, row, both)
            entries = {name: cohort.entry(name, row) for name in cohort.columns}
            writer.append(cohort.images[row], labels, entries)  # type: ignore[index]
            if progress:
                progress(row + 1, len(cohort))
    return out


def _joined(cohort: Cohort, anatomy: LabelScheme) -> Joining | None:
    """Join the anatomy's classes with the cohort's own, if it has any; refuse one that has all of this anatomy."""
    own = cohort.scheme
    if own is not None and set(anatomy.names) <= set(own.names):
        raise UsageError(
            f"the label maps of {cohort.path} have {', '.join(anatomy.names[1:])} already, so nothing would change: "
            "name a cohort without this anatomy"
        )
    return joining(anatomy, own, own.names[1:]) if own is not None and len(own) > 1 else None


def _merged(anatomy: np.ndarray, cohort: Cohort, row: int, both: Joining | None) -> np.ndarray:
    """Lay a case's own classes over its anatomy; where the anatomy itself claims one of them, it is filled."""
    if both is None or cohort.labels is None or cohort.scheme is None:
        return anatomy
    joint = both.anatomy[anatomy]
    rules = Rules.named(both.scheme, cohort.scheme.names[1:])
    if np.isin(joint, rules.lesion).any():
        joint = removed(joint, cut(joint, rules, cohort.spacing_mm(row)), rules)
    plain = Joining(both.scheme, np.arange(len(both.scheme), dtype=np.uint8), both.lesion)
    return merge(joint, np.asarray(cohort.labels[row]), plain)


def _by_mixture(cohort: Cohort, config: Mixture, seed: int) -> _Source:
    """Fit on the training split; a synthetic cohort has none, and is fitted on as a whole."""
    rows = cohort.rows("train") if cohort.kind == "real" or len(cohort.rows("train")) else cohort.rows()
    if not len(rows):
        raise UsageError(f"tissue classes are learned from training cases, and {cohort.path} has none")

    def maps() -> Iterator[np.ndarray]:
        tissues = Tissues(cohort, rows, config, seed)
        yield from (tissues.read(row) for row in range(len(cohort)))

    names = ("background", *(f"tissue{k}" for k in range(1, config.tissues + 1)))
    return _Source(LabelScheme(names, tuple(range(len(names)))), maps, {"by": "mixture", **vars(config)})


def _by_run(cohort: Cohort, path: Path, seed: int, engine: Engine | None) -> _Source:
    """Segment every case with a translator."""
    run = open_run(path)
    read = _channels_read(cohort, run)

    def maps() -> Iterator[np.ndarray]:
        translator = load(path, None, engine)
        block = translator.config.sample_block
        for start in range(0, len(cohort), block):
            rows = range(start, min(start + block, len(cohort)))
            seeds = [derive(seed, "case", row) for row in rows]
            images = cohort.images[rows.start : rows.stop][:, read]  # type: ignore[index]
            for samples in translator.sample_blocks(seeds, images):
                yield from samples.labels  # type: ignore[misc]

    config = {"by": run.generator, "images_seen": run.images_seen, "training_seed": run.record["seed"]}
    scheme = run.encoding.scheme
    assert scheme is not None
    made_of = {"translator": joint_inputs([run])["run"]}
    return _Source(scheme, maps, config, made_of, run.record["trained_on"])


def _channels_read(cohort: Cohort, run: Run) -> list[int]:
    """Return which channels of the cohort a run reads, by name, or refuse a run that does not fit, and say why."""
    if run.record.get("given") != "images" or run.encoding.scheme is None:
        raise UsageError(
            f"the run {run.path} makes no label maps from images: train one that does, such as pix2pix with "
            "--set direction=images_to_labels, or give a number of tissue classes"
        )
    expected, found = ([(c.name, c.low, c.high) for c in e.channels] for e in (run.encoding, cohort.encoding))
    fit, sizes = set(expected) <= set(found), (tuple(run.record["size"]), cohort.size)
    for what, fits, pair in (("channels", fit, (expected, found)), ("size", sizes[0] == sizes[1], sizes)):
        if not fits:
            raise UsageError(
                f"the run {run.path} does not fit {cohort.path}: its {what} are {pair[0]}, and the cohort's {pair[1]}"
            )
    return [found.index(channel) for channel in expected]
