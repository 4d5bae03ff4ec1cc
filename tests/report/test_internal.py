"""What the internal edition shows beside: the nearest pairs first, real cases, and nothing where a folder has none."""

from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.report import internal, write_report
from understudy.report.internal import internal_sections
from understudy.report.reading import read_folders

Evidence = Callable[..., list[Path]]


def test_pairs_and_real_cases_are_shown(evidence: Evidence) -> None:
    pairs, real = internal_sections(read_folders(evidence()))
    assert [section.name for section in (pairs, real)] == ["pairs", "real"]
    assert "3 pairs, the nearest first" in pairs.pictures[0].note
    assert len(real.pictures) == 1


def test_the_table_has_the_nearest_pairs_first(evidence: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = evidence()
    lines = ["synthetic_case,r", *(f"s{i},{r}" for i, r in enumerate((0.1, 0.9, 0.5, 0.7)))]
    (folders[2] / "internal" / "pairs.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(internal, "WORST_ROWS", 2)
    (view,) = internal_sections(read_folders(folders))[0].tables
    assert view.title == "The 2 nearest of 4 pairs"
    assert [row[0] for row in view.rows] == ["s1", "s3"]


def test_folders_without_an_internal_part_give_none(evidence: Evidence) -> None:
    folders = evidence()
    for file in [file for folder in folders for file in (folder / "internal").glob("*")]:
        file.unlink()
    assert internal_sections(read_folders(folders)) == []


def test_only_the_owner_may_open_it(evidence: Evidence, tmp_path: Path) -> None:
    write_report(evidence(), tmp_path / "report", internal=True)
    assert (tmp_path / "report" / "internal").stat().st_mode & 0o777 == 0o700
