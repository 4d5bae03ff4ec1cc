"""What a study folder holds, as models; no name read from a file becomes a path unless it matched a pattern.

    study.json      what readers may know: title, questions, shape of the images, margin; no truth
    orders.json     what the server needs: for each reader the items in order, and the truth of training cases
    truth.json      real or synthetic, class, planted errors of each item; the server never opens it
    items/NAME.raw  the pixels: uint16, little-endian, then label maps (rendering.py); all of one size and one time
    answers.sqlite  the answers and the hashes of the links (store.py)

**Checked** in tests/reader/test_documents.py.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from understudy.core.documents import STRICT, read_document
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import ProvenanceRecord
from understudy.reader.plan import StudyPlan

ItemName = Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
Source = Literal["real", "synthetic"]
MADE = "make the study again with `understudy reader create`"
STUDY, ORDERS, TRUTH, ITEMS, ANSWERS = "study.json", "orders.json", "truth.json", "items", "answers.sqlite"


class LegendEntry(BaseModel):
    """A class of label maps: its name and colour."""

    model_config = STRICT

    name: str
    colour: str = Field(pattern="^#[0-9a-f]{6}$")


class StudyDocument(BaseModel):
    """study.json: all that readers may know, and what is fixed before they read.

    Attributes:
        shape: (C, D, H, W) of the pixels of one image; D is 1 in two dimensions.
        levels: the highest pixel value; 0 is the lowest.
        aspect: spacing along (D, H, W) in mm or in pixels; the same for all images, so that it tells nothing.
        colour: whether the channels are red, green and blue.
        legend: the classes of label maps, where they can be shown.
        files: SHA-256 of orders.json and truth.json.
    """

    model_config = STRICT

    plan: StudyPlan
    readers: int = Field(ge=1, le=100)
    channels: tuple[str, ...]
    shape: tuple[int, int, int, int]
    levels: int = Field(ge=1, le=65535)
    aspect: tuple[float, float, float]
    colour: bool
    legend: tuple[LegendEntry, ...]
    files: dict[str, str]

    @property
    def item_bytes(self) -> int:
        """Size of an item."""
        c, d, h, w = self.shape
        return (2 * c + (1 if self.legend else 0)) * d * h * w * (2 if self.plan.pairs else 1)


class TrainingItem(BaseModel):
    """A case shown with feedback."""

    model_config = STRICT

    item: ItemName
    truth: Literal["real", "synthetic", "left", "right"]


class OrdersDocument(BaseModel):
    """orders.json: for each reader the names of items in the order in which they are shown, training cases apart."""

    model_config = STRICT

    training: list[TrainingItem]
    orders: list[list[ItemName]]


class ItemTruth(BaseModel):
    """What an item is.

    Attributes:
        source: real or synthetic; of pairs, what stands on the left.
        generator: short name of the synthetic cohort, "" of real cases.
        stratum: the classes of the case, "" where the cohorts have none.
        cases: numbers of the rows in the cohorts, the left one first.
        wrong: whether the label map is another case's.
    """

    model_config = STRICT

    source: Source
    generator: str
    stratum: str
    cases: list[int]
    wrong: bool = False


class TruthDocument(BaseModel):
    """truth.json: what each item is, and the request that made the study."""

    model_config = STRICT

    provenance: ProvenanceRecord
    subjects: int = Field(ge=1, description="real subjects")
    items: dict[ItemName, ItemTruth]


def digest(file: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def write_document(file: Path, document: BaseModel) -> None:
    """Write a model as JSON."""
    data: Any = document.model_dump(mode="json")
    file.write_text(json.dumps(data, indent=1, allow_nan=False) + "\n")


def read_study_document(folder: Path) -> StudyDocument:
    """Read study.json.

    Raises:
        UsageError: the folder is no study.
        UnderstudyError: the file is damaged.
    """
    if not (folder / STUDY).is_file():
        raise UsageError(f"a reader study was expected at {folder}, and there is none: {MADE}")
    return read_document(folder / STUDY, StudyDocument, "a reader study", MADE)


def read_orders(folder: Path, study: StudyDocument) -> OrdersDocument:
    """Read orders.json, as it was when the study was made."""
    _refuse_changed(folder / ORDERS, study)
    orders = read_document(folder / ORDERS, OrdersDocument, "the orders of a reader study", MADE)
    if len(orders.orders) != study.readers:
        raise UnderstudyError(f"{folder / ORDERS} has {len(orders.orders)} orders for {study.readers} readers: {MADE}")
    return orders


def read_truth(file: Path, study: StudyDocument) -> TruthDocument:
    """Read truth.json, as it was when the study was made."""
    _refuse_changed(file, study, TRUTH)
    return read_document(file, TruthDocument, "the truth of a reader study", MADE)


def _refuse_changed(file: Path, study: StudyDocument, name: str = "") -> None:
    if not file.is_file():
        raise UnderstudyError(f"{file} was expected, and there is none: name the file with --truth, or {MADE}")
    if digest(file) != study.files.get(name or file.name):
        raise UnderstudyError(f"{file} was changed after the study was made: bring the file of old back, or {MADE}")
