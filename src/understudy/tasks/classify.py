"""``understudy classify``: a classifier of a cohort's class columns as a folder, and the way back.

    classifier/
      classifier.json   provenance, config, classes, combinations of classes, encoding, size, trained_on, the validation
                        curve and which check was kept
      weights/          tensors.safetensors

It learns the training split and is chosen on the validation split, so the subjects of both stand in ``trained_on``:
what is made with the classifier has seen them. **Checked**: tests/tasks/test_classify.py.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field

from understudy.core.classes import class_combinations
from understudy.core.cohort import Cohort, file_hash
from understudy.core.documents import STRICT, mistakes, read_document
from understudy.core.encoding import Encoding, EncodingRecord
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.manifest import SeenData
from understudy.core.provenance import Provenance, ProvenanceRecord
from understudy.core.seed import derive
from understudy.core.stage import finished, output_folder
from understudy.tasks.classification import (
    ClassificationConfig,
    Classifier,
    chosen_classes,
    class_cases,
    new_classifier,
    train_classifier,
    validation_score,
)
from understudy.tasks.fitting import LEARNED, refuse_unlearnable, seen_by_network
from understudy.training.checkpoint import read_state, write_state
from understudy.training.engine import Engine

SCHEMA = 1


class ClassifierRecord(BaseModel):
    """The content of classifier.json."""

    model_config = STRICT

    version: Literal[1] = Field(alias="schema")
    classes: tuple[str, ...]
    combinations: list[dict[str, Any]]
    encoding: EncodingRecord
    size: Annotated[tuple[Annotated[int, Field(gt=0)], ...], Field(min_length=2, max_length=3)]
    modality: str
    trained_on: list[SeenData]
    validation_auc: list[tuple[int, Annotated[float, Field(allow_inf_nan=True)]]]  # NaN: no score at this check
    updates_kept: int
    provenance: ProvenanceRecord


@dataclass(frozen=True)
class Trained:
    """A classifier folder, opened."""

    classifier: Classifier
    encoding: Encoding  # of the images that it was trained on
    size: tuple[int, ...]  # their spatial size
    combinations: list[dict[str, Any]]  # of classes, of its training subjects (core/classes.py)
    trained_on: list[dict[str, Any]]  # what it saw, as in a cohort
    id: str  # hash of the weights
    config: ClassificationConfig  # how it was trained

    def refuse_unfitting(self, what: str, encoding: Encoding, size: tuple[int, ...]) -> None:
        """Refuse images that the classifier was not made for; ``what`` says where they come from.

        Raises:
            UsageError: size or channels differ.
        """
        channels = [[(c.name, c.low, c.high) for c in e.channels] for e in (self.encoding, encoding)]
        for name, expected, found in (("size", self.size, tuple(size)), ("channels", *channels)):
            if expected != found:
                raise UsageError(
                    f"the classifier does not fit {what}: the {name} it was trained with is {expected}, found {found}: "
                    "train it on the cohort that the generator was trained on"
                )


def make_classifier(cohort: Cohort, out: Path, seed: int, config: ClassificationConfig | None = None) -> Path:
    """Train a classifier on a cohort's training split, chosen on its validation split; a finished one is kept.

    Returns ``out``, the folder that is made.

    Raises:
        UsageError: no class columns, or the folder holds something else.
        UnderstudyError: no training or validation subjects, or no class to choose by among the latter.
    """
    config = config or ClassificationConfig()
    provenance = Provenance("classify", config.model_dump(mode="json"), seed, {"cohort": cohort.id})
    if finished(out, "classifier.json", provenance):
        return Path(out)
    names = chosen_classes(cohort, config)
    refuse_unlearnable(cohort, "a classifier")
    training, validation = (class_cases(cohort, cohort.rows(split), cohort.encoding, names) for split in LEARNED)
    with output_folder(out) as folder:
        made = train_classifier(
            training, names, config, derive(seed, "classifier"), {"validation": validation_score(validation)}
        )
        write_state(folder / "weights", dict(made.network.state_dict()), {})
        record = {
            "schema": SCHEMA,
            "classes": names,
            "combinations": class_combinations(cohort, names),
            "encoding": cohort.encoding.to_json(),
            "size": cohort.size,
            "modality": cohort.modality,
            "trained_on": seen_by_network(cohort),
            "validation_auc": made.curves["validation"],
            "updates_kept": made.kept["validation"].updates,
            "provenance": provenance.to_json(),
        }
        (folder / "classifier.json").write_text(json.dumps(record, indent=1) + "\n")
    return Path(out)


def open_classifier(folder: Path, engine: Engine | None = None) -> Trained:
    """Open a folder that :func:`make_classifier` made, on the best device here unless an engine is given.

    Raises:
        UsageError: the folder is none.
        UnderstudyError: it is damaged.
    """
    folder = Path(folder)
    if not (folder / "classifier.json").is_file():
        raise UsageError(
            f"{folder} is not a classifier (no classifier.json in it): name a folder that `understudy classify` made"
        )
    try:
        record = read_document(
            folder / "classifier.json", ClassifierRecord, "the record of a classifier", "make it anew"
        )
        config, encoding = ClassificationConfig(**record.provenance.config), record.encoding.made()
        tensors, _ = read_state(folder / "weights")
        shape = (encoding.image_channels, *record.size)
        classifier = new_classifier(config, shape, record.classes, 0, engine or Engine(config.precision))
        classifier.network.load_state_dict(tensors)
        digest = file_hash(folder / "weights" / "tensors.safetensors")[:16]
    except (UnderstudyError, ValueError, RuntimeError) as error:
        raise UnderstudyError(
            f"the classifier {folder} is damaged ({mistakes(error)}): make it again with `understudy classify`"
        ) from error
    classifier.network.requires_grad_(False)
    seen = cast(list[dict[str, Any]], record.trained_on)
    return Trained(classifier, encoding, record.size, record.combinations, seen, digest, config)
