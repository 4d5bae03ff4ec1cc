"""What a study's page is made of: tables and figures that are also files, in blocks with a title.

**Checked** in tests/studies/report/test_blocks.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from understudy.evaluation.guard import slug
from understudy.report.figures import data_uri
from understudy.report.tables import NUMBER, View, words
from understudy.studies.report.measures import Number

CSV = ("row", "class", "measure", "value", "low", "high", "n", "unit", "behind", "note")


@dataclass(frozen=True)
class StudyTable:
    """A table of the page, and tables/NAME.csv with all digits; ``grey`` are the rows that are not comparable."""

    name: str
    view: View
    rows: list[list[Any]] = field(default_factory=list)
    header: tuple[str, ...] = CSV
    grey: frozenset[int] = frozenset()


@dataclass(frozen=True)
class StudyFigure:
    """A figure of the page, and figures/NAME.svg (or .png for pictures of cases); ``alt`` says what it shows."""

    name: str
    title: str
    alt: str
    svg: bytes = b""
    png: bytes = b""
    note: str = ""
    legend: Sequence[tuple[str, str]] = ()

    @property
    def markup(self) -> str:
        """The SVG as text, to stand in the page."""
        return self.svg.decode()

    @property
    def source(self) -> str:
        """The PNG as a data URI."""
        return data_uri(self.png)


@dataclass(frozen=True)
class PagePart:
    """A part of the page under one heading: a text, sentences, figures, tables."""

    title: str
    text: str = ""
    sentences: Sequence[str] = ()
    figures: Sequence[StudyFigure] = ()
    tables: Sequence[StudyTable] = ()

    @property
    def anchor(self) -> str:
        """What links to it."""
        return slug(self.title)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to show."""
        return not (self.sentences or self.figures or self.tables)


def csv_row(row: str, name: str, measure: str, number: Number) -> list[Any]:
    """Return a number as a row of a table's CSV file."""
    ends = (number.value, number.low, number.high)
    return [row, name, measure, *ends, number.n or None, number.unit, number.behind, number.note]


def told_where(names: dict[str, str], where: Mapping[str, str]) -> str:
    """Write in words what a selection is confined to, after a comma; "" where it is to nothing."""
    return "".join(f", {valued(names, loop, value)}" for loop, value in where.items())


def valued(names: dict[str, str], loop: str, value: str) -> str:
    """Write a value of a loop in words, a plain number after the loop's name."""
    return f"{named(names, loop)} {value}" if NUMBER.match(value) and value not in names else named(names, value)


def named(names: dict[str, str], text: str) -> str:
    """Write a loop, a value of it, a stage or a class in words: those of the YAML, or its own."""
    return names.get(text) or words(text)
