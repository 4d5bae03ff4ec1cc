"""Sections of the INTERNAL edition: the nearest pairs first, in a folder that only its owner may open."""

from collections.abc import Callable
from pathlib import Path

from understudy.report import write_report
from understudy.report.internal import internal_sections
from understudy.report.reading import read_folders

Evidence = Callable[..., list[Path]]


def test_pairs_come_before_real_cases(evidence: Evidence) -> None:
    found = internal_sections(read_folders(evidence()))
    assert [section.name for section in found] == ["pairs", "real"]
    assert len(found[0].pictures) == 1 and found[0].pictures[0].note == "3 pairs, the nearest first."
    assert found[0].tables[0].title == "The 1 nearest of 1 pairs" and "patient-of-77" in found[0].tables[0].rows[0]


def test_only_the_owner_may_open_it(evidence: Evidence, tmp_path: Path) -> None:
    write_report(evidence(), tmp_path / "report", internal=True)
    assert (tmp_path / "report" / "internal").stat().st_mode & 0o777 == 0o700
