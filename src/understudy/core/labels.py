"""LabelScheme: integer <-> name <-> colour, and the encoding of label maps as image channels and back.

**Source** for the single-level code: Akbar et al., Sci Data 11:259 (2024), official code: four classes are stored as
grey levels 0, 51, 102, 204 of 0..255 and a generated level v is read with the thresholds 25.5, 76.5, 153.
**Differs**: two and three classes use the whole range (0/255 and 0/127.5/255), since a generator's error is spread
over it; the thresholds are the midpoints, as Akbar's are. More than four classes are one-hot.
**Checked** in tests/core/test_labels.py (exact round trip on every class, Akbar's thresholds).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import BaseModel, Field

from understudy.core.documents import STRICT
from understudy.core.errors import UnderstudyError, UsageError

LEVELS = {1: (0.0,), 2: (0.0, 255.0), 3: (0.0, 127.5, 255.0), 4: (0.0, 51.0, 102.0, 204.0)}  # of 0..255, by K
BACKGROUND = "background"
LOSSY = (
    " if they are classes; that many are rather what JPEG or smooth resampling left at edges, and then the label map "
    "from before is needed"
)
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")  # line breaks, direction marks, too
INTEGER = re.compile(r"-?[0-9]{1,10}")
PALETTE = ("#000000", "#e4572e", "#4c9f70", "#f3c13a", "#4d7ea8", "#9b5de5", "#00bbf9", "#ff8fab", "#8d6e63", "#c0ca33")


@dataclass(frozen=True)
class LabelScheme:
    """What the integers of a label map mean. In a cohort they are always 0..K-1, and class 0 is the background.

    ``source_values`` are the K integers that the classes had in the source files.
    """

    names: tuple[str, ...]
    source_values: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse schemes that cannot be read back."""
        if not 1 <= len(self.names) <= 255 or len(self.names) != len(self.source_values):
            raise UsageError(
                f"a label scheme needs 1 to 255 pairs value=name, found {len(self.names)} names and "
                f"{len(self.source_values)} values"
            )
        for what, items in (("name", self.names), ("value", self.source_values)):
            if len(set(items)) != len(items):
                raise UsageError(f"each {what} of a label scheme may stand once, found {items}")
        for name in self.names:
            if CONTROL.search(name):
                raise UsageError(
                    f"names of a label scheme are one line of text, and {name[:80]!r} holds a line break or another "
                    "control character: correct it"
                )

    def __len__(self) -> int:
        """Return K, the number of classes with the background."""
        return len(self.names)

    @property
    def colours(self) -> tuple[str, ...]:
        """K colours as #rrggbb, for figures; the background is black."""
        return tuple(PALETTE[0] if k == 0 else PALETTE[1 + (k - 1) % (len(PALETTE) - 1)] for k in range(len(self)))

    @property
    def encoded_channels(self) -> int:
        """Number L of image channels that carry a label map: 1 up to four classes, K beyond."""
        return 1 if len(self) <= 4 else len(self)

    def only(self, names: Sequence[str], where: str = "these label maps") -> "tuple[LabelScheme, np.ndarray]":
        """Return the scheme of the background and these classes, and which of them each class becomes, uint8 (K,).

        Raises:
            UsageError: there is no such class, or the background is named.
        """
        if wrong := [name for name in names if name not in self.names[1:]]:
            raise UsageError(f"there is no class {wrong[0]!r} in {where}: there are {', '.join(self.names[1:])}")
        kept = [0, *(self.names.index(name) for name in names)]
        becomes = np.zeros(len(self), np.uint8)
        becomes[kept] = np.arange(len(kept))
        return LabelScheme(tuple(self.names[k] for k in kept), tuple(self.source_values[k] for k in kept)), becomes

    @classmethod
    def from_text(cls, text: str) -> "LabelScheme":
        """Read ``0=background,255=tumour``.

        The class named background, in any letters, becomes class 0 wherever it stands; where none is, the first class
        does, and it must have the value 0.

        Raises:
            UsageError: a part is not ``integer=name``, or which class is the background is not said.
        """
        pairs = [part.strip().partition("=") for part in text.split(",")]
        for value, _, name in pairs:
            if not INTEGER.fullmatch(value.strip()) or not name.strip() or abs(int(value)) >= 2**31:
                raise UsageError(f"a label scheme is written 0=background,255=tumour; found {text[:200]!r}")
        classes = [(int(value), name.strip()) for value, _, name in pairs]
        ground = [k for k, (_, name) in enumerate(classes) if name.casefold() == BACKGROUND]
        if len(ground) > 1 or (not ground and classes[0][0] != 0):
            zero = next((f", or put 0={name} first" for value, name in classes if value == 0), "")
            raise UsageError(
                f"class 0 of a label scheme is the background, and {text[:200]!r} "
                f"{'names it twice' if ground else 'does not say which it is'}: name one class background{zero}"
            )
        classes.insert(0, classes.pop(ground[0] if ground else 0))
        return cls(tuple(name for _, name in classes), tuple(value for value, _ in classes))

    def from_source(self, values: np.ndarray, where: str = "a label map") -> np.ndarray:
        """Map numbers as a file holds them to 0..K-1, uint8 of the same shape; UnderstudyError for others."""
        order = np.argsort(self.source_values)
        known = np.asarray(self.source_values)[order]
        found = np.minimum(np.searchsorted(known, values), len(known) - 1)
        wrong = known[found] != values
        if wrong.any():
            extra = np.unique(np.asarray(values)[wrong])[:8].tolist()
            raise UnderstudyError(
                f"{where} holds the values {extra}, which the label scheme "
                f"({self.to_text()}) does not name: add them with --label-scheme{LOSSY if len(extra) > 3 else ''}"
            )
        return order.astype(np.uint8)[found]

    def to_text(self) -> str:
        """Write the scheme as ``0=background,255=tumour``."""
        return ",".join(f"{value}={name}" for value, name in zip(self.source_values, self.names, strict=True))

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Write label maps (N, *S) of integers 0..K-1 as image channels float32 (N, L, *S) in [-1, 1]."""
        if len(self) <= 4:
            table = np.asarray(LEVELS[len(self)], np.float32) / 127.5 - 1
            return table[labels][:, None]
        return np.moveaxis(np.eye(len(self), dtype=np.float32)[labels], -1, 1) * 2 - 1

    def decode(self, channels: np.ndarray) -> np.ndarray:
        """Read label maps uint8 (N, *S), 0..K-1, from image channels (N, L, *S) of any values, [-1, 1] expected.

        A class is the level between whose midpoints a value lies (a value on a midpoint goes down, as Akbar's
        ``v > 25.5``), or the largest channel.
        """
        if channels.ndim < 3 or channels.shape[1] != self.encoded_channels:
            raise UsageError(
                f"label channels of shape (N, {self.encoded_channels}, ...) were expected, found {channels.shape}"
            )
        if len(self) <= 4:
            levels = np.asarray(LEVELS[len(self)])
            thresholds, found = (levels[1:] + levels[:-1]) / 2, (channels[:, 0].astype(np.float64) + 1) * 127.5
            return np.searchsorted(thresholds, found, side="left").astype(np.uint8)
        return channels.argmax(1).astype(np.uint8)

    def to_json(self) -> list[dict[str, Any]]:
        """Return the scheme as a list of {label, name, source_value, colour}."""
        return [
            {"label": k, "name": name, "source_value": value, "colour": colour}
            for k, (name, value, colour) in enumerate(zip(self.names, self.source_values, self.colours, strict=True))
        ]

    @classmethod
    def from_records(cls, records: "Sequence[ClassRecord]") -> "LabelScheme":
        """Make the scheme whose :meth:`to_json` these are; UsageError where labels are not 0..K-1, or a name twice."""
        if [record.label for record in records] != list(range(len(records))):
            raise UsageError(f"the labels of a scheme are 0..K-1, found {[record.label for record in records]}")
        return cls(tuple(record.name for record in records), tuple(record.source_value for record in records))


class ClassRecord(BaseModel):
    """A class of a label scheme in a JSON file on disk."""

    model_config = STRICT

    label: int
    name: str
    source_value: int = Field(ge=-(2**31), lt=2**31)
    colour: str = ""


class LabelArray(np.memmap[Any, np.dtype[np.uint8]]):
    """Label maps (N, *S) in a file. To read one that holds a value above the scheme's is refused."""

    classes = 256  # K

    @classmethod
    def of(cls, array: np.memmap, classes: int) -> "LabelArray":
        """Return the same label maps, of which those with a value above K - 1 are refused when they are read."""
        maps = array.view(cls)
        maps.classes = classes
        return maps

    def __getitem__(self, rows: Any) -> Any:
        """Return some of the label maps as a plain array; UnderstudyError where a value is above K - 1."""
        found = super().__getitem__(rows)
        if isinstance(found, np.ndarray):
            found = found.view(np.ndarray)
        if found.size and int(found.max()) >= self.classes:
            raise UnderstudyError(
                f"{self.filename} should hold labels from 0 to {self.classes - 1}, and holds {int(found.max())}, which "
                "the label scheme does not name: see `understudy check`, and make the cohort again"
            )
        return found


@dataclass(frozen=True)
class Renumbered:
    """Label maps (N, *S) whose classes are renumbered as they are read: value k becomes ``becomes[k]``."""

    labels: np.ndarray
    becomes: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the label maps."""
        return tuple(self.labels.shape)

    def __len__(self) -> int:
        """Return N."""
        return len(self.labels)

    def __getitem__(self, rows: Any) -> np.ndarray:
        """Return some of the label maps, renumbered."""
        return np.asarray(self.becomes[self.labels[rows]])
