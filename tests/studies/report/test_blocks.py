"""The parts of a page."""

from understudy.studies.report.blocks import PagePart, StudyFigure, csv_row, named, valued
from understudy.studies.report.measures import Number


def test_parts() -> None:
    assert PagePart("What was not measured").anchor == "what-was-not-measured" and PagePart("x").empty
    figure = StudyFigure("n", "t", "a", png=b"\x89PNG")
    assert (
        figure.source == "data:image/png;base64,iVBORw=="
        and StudyFigure("n", "t", "a", svg=b"<svg/>").markup == "<svg/>"
    )
    assert csv_row("r", "c", "score", Number(None, note="why")) == [
        "r",
        "c",
        "score",
        None,
        None,
        None,
        None,
        "",
        "",
        "why",
    ]


def test_words() -> None:
    assert named({"progan": "Progressive GAN"}, "progan") == "Progressive GAN" and named({}, "both-25@10") == (
        "real + 25 % synthetic, 10 real subjects"
    )
    assert valued({}, "subjects", "10") == "subjects 10" and valued({"10": "ten"}, "subjects", "10") == "ten"
