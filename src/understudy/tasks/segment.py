"""``understudy segment``: images without label maps get those that a segmenter predicts, beside cases that have some.

One real cohort holds both: the cases with label maps as they are, in their splits, then the others as training cases.
The column ``label_map`` says of each case whose its map is, patient or predicted. No predicted map is ever validated or
tested on. The segmenter learns the training split of the labelled cases and is chosen on their validation split, whose
subjects stand in ``trained_on``. Its Dice there, in ``preprocessing``, flatters: the weights were chosen by it.

**Source**: Lee, Pseudo-Label (ICML workshop 2013): labels predicted by a network serve as if they were true ones.
**Differs**: one round, of a network that has learned the true ones alone. **Checked**: tests/tasks/test_segment.py.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.pooled import mean_interval
from understudy.core.progress import progress, tracked
from understudy.core.provenance import Provenance
from understudy.core.seed import derive
from understudy.core.stage import finished
from understudy.core.writer import CohortWriter
from understudy.data.ownership import LABEL_MAP, secret
from understudy.tasks.fitting import VOXELS_PER_BLOCK, refuse_unlearnable, seen_by_network
from understudy.tasks.segmentation import CohortCases, SegmentationConfig, Segmenter, subject_cases, train_segmenter


def segment_cohort(
    labelled: Cohort,
    images: Cohort,
    out: Path,
    seed: int,
    config: SegmentationConfig | None = None,
    key: Path | None = None,
) -> Path:
    """Make a cohort of labelled cases and of images with predicted label maps; a finished one is not made twice.

    Label maps of ``images``, if there are any, are not read; intensities are, within the ranges of the labelled cases.
    ``key`` is the file of the secret that keys the new cohort's id (default: the user's own). Returns ``out``.

    Raises:
        UsageError: cohorts that do not fit, a subject in both, a class that is not there, or ``out`` holds something
            else.
        UnderstudyError: no training or validation subjects, or no class to choose by among the latter.
    """
    config, out = config or SegmentationConfig(), Path(out)
    inputs = {"labelled": labelled.id, "images": images.id}
    provenance = Provenance("segment", config.model_dump(mode="json"), seed, inputs)
    if finished(out, "cohort.json", provenance):
        return out
    _refuse_unfitting(labelled, images)
    refuse_unlearnable(labelled, "a segmenter")
    labelled = labelled.with_classes(config.classes) if config.classes else labelled
    images = images.images_alone(labelled.encoding)
    secret_key = secret([labelled, images], key, out)
    segmenter, told = _trained(labelled, config, seed)
    columns = dict.fromkeys((*labelled.further_columns, *images.further_columns, LABEL_MAP))
    with CohortWriter.after(
        labelled,
        out,
        provenance,
        label_source="predicted",
        columns=list(columns),
        trained_on=[*seen_by_network(labelled), *images.trained_on],
        preprocessing={**labelled.preprocessing, "segmenter": {**told, "predicted_cases": len(images)}},
        key=secret_key,
    ) as writer:
        for row in range(len(labelled)):
            writer.append(labelled.images[row], labelled.labels[row], {LABEL_MAP: "patient", **_entries(labelled, row)})  # type: ignore[index]
        predicted = {"split": "train", LABEL_MAP: "predicted"}
        for row, label in enumerate(tracked(_predicted(segmenter, images), "segment", len(images))):
            writer.append(images.images[row], label, _entries(images, row) | predicted)  # type: ignore[index]
    return out


def _entries(cohort: Cohort, row: int) -> dict[str, str]:
    return {name: cohort.entry(name, row) for name in cohort.columns}


def _refuse_unfitting(labelled: Cohort, images: Cohort) -> None:
    """Refuse cohorts that cannot become one; messages count subjects and do not name them."""
    for cohort in (labelled, images):
        if cohort.kind != "real":
            raise UsageError(f"real cases were expected in {cohort.path}, and they are {cohort.kind}: name another")
    if labelled.images is None or labelled.labels is None:
        raise UsageError(f"a segmenter learns from images and label maps, and {labelled.path} lacks one: name another")
    for what in ("size", "modality", "classes"):
        expected, found = getattr(labelled, what), getattr(images, what)
        if expected != found:
            raise UsageError(
                f"cases of the {what} {expected} were expected in {images.path}, as in {labelled.path}, found "
                f"{found}: import both cohorts with the same options"
            )
    if shared := len(set(labelled.subjects()) & set(images.subjects())):
        raise UsageError(
            f"{shared} subject(s) of {images.path} are in {labelled.path} too: name images of others, as import "
            "--unlabelled-beyond makes them"
        )
    if held := len(set(images.column("subject_id")[~np.isin(images.column("split"), ("train", ""))].tolist())):
        raise UsageError(
            f"images with predicted label maps become training cases, and {held} subject(s) of {images.path} are in "
            "another split: import it with --split train=1"
        )


def _trained(labelled: Cohort, config: SegmentationConfig, seed: int) -> tuple[Segmenter, dict[str, Any]]:
    """Train the segmenter; return it with what a reader must know of it: its Dice on validation subjects, and n."""
    cases = CohortCases(labelled, labelled.rows("train"), labelled.encoding)
    validation = subject_cases(labelled, "validation")
    with progress("train", config.updates) as update:
        segmenter = train_segmenter(
            cases,
            validation.classes,
            config,
            derive(seed, "segmenter"),
            {"validation": validation.score},
            lambda: update(advance=1),
        )
    scores = validation.subject_dice(segmenter)
    dice = mean_interval(scores[None], derive(seed, "interval"))
    return segmenter, {
        "network": config.network,
        "updates_kept": segmenter.kept["validation"].updates,
        "train_subjects": len(labelled.subjects("train")),
        "validation_subjects": int(np.isfinite(scores).sum()),
        "validation_dice": {"value": dice.value, "low": dice.low, "high": dice.high},
    }


def _predicted(segmenter: Segmenter, images: Cohort) -> Iterator[np.ndarray]:
    """Yield the label map (*S) uint8 of each case, predicted in blocks."""
    block = max(1, VOXELS_PER_BLOCK // int(np.prod(images.size)))
    for start in range(0, len(images), block):
        some = images.images[start : start + block]  # type: ignore[index]
        yield from segmenter.predict(images.encoding.encode_images(some))
