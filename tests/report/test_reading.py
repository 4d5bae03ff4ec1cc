"""What is no results folder, or must not be published, is refused with a sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.result import Result
from understudy.report import write_report
from understudy.report.reading import cohort_ids, folder_hash, read_folders

Evidence = Callable[..., list[Path]]


def test_folders_come_in_the_order_of_the_page(evidence: Evidence) -> None:
    folders = read_folders(evidence()[::-1])
    assert [folder.section for folder in folders] == ["utility", "fidelity", "privacy"]
    assert folders[1].images["synthetic"]["images"].shape == (12, 2, 16, 16)


def test_the_main_table_comes_before_its_details(evidence: Evidence) -> None:
    folder = evidence()[0]
    (folder / "tables" / "utility-by.csv").write_text("group,dice\nsmall,0.5\n")
    assert [table.name for table in read_folders([folder])[0].tables] == ["utility", "utility-by"]


def test_what_is_no_results_folder_is_refused(evidence: Evidence, tmp_path: Path) -> None:
    folders = evidence()
    with pytest.raises(UsageError, match="at least one"):
        read_folders([])
    with pytest.raises(UsageError, match="twice"):
        read_folders([folders[0], folders[0]])
    with pytest.raises(UnderstudyError, match=r"no results\.json"):
        read_folders([tmp_path])
    (folders[0] / "results.json").write_text("{")
    with pytest.raises(UnderstudyError, match="not a results file"):
        read_folders(folders)


def change(folder: Path, command: object) -> None:
    """Put another request into a results folder."""
    data = json.loads((folder / "results.json").read_text())
    data["provenance"]["command"] = command
    (folder / "results.json").write_text(json.dumps(data))


HOSTILE = (
    "evaluate ../../x",
    "evaluate /etc/x",
    "evaluate x\0y",
    "evaluate privacy\n",
    "evaluate\nprivacy",
    "evaluate <b>x</b>",
    "evaluate before-screening",
    "evaluate Privacy",
    "evaluate .",
    "evaluate a b",
    "evaluate " + "x" * 300,
    "sample",
    "",
)


@pytest.mark.parametrize("command", HOSTILE)
def test_a_request_that_could_name_a_path_is_refused(evidence: Evidence, tmp_path: Path, command: str) -> None:
    folders = evidence()
    change(folders[0], command)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UnderstudyError, match="or `reader analyze`, that made it, found") as refused:
        write_report(folders, tmp_path / "report", internal=True)
    assert "\n" not in str(refused.value) and "\0" not in str(refused.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("results", {}),
        ("results", [1]),
        ("results", [{"name": 1, "value": 1}]),
        ("results", [{"name": "a", "value": "1"}]),
        ("results", [{"name": "a", "value": 1, "note": None}]),
        ("provenance", []),
        ("provenance", {"command": 1}),
        ("provenance", {"command": "evaluate x", "inputs": ["real"]}),
        ("provenance", {"command": "evaluate x", "inputs": {"real": 7}}),
        ("provenance", {"command": "evaluate x", "config": "none"}),
    ],
)
def test_other_types_in_results_are_refused(evidence: Evidence, path: str, value: object) -> None:
    folder = evidence()[0]
    data = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps({**data, path: value}))
    with pytest.raises(UnderstudyError, match="is not a results file that understudy wrote"):
        read_folders([folder])


@pytest.mark.parametrize("content", [b"", b"\xff\xfe,", b"a,b\n1\n", b"\n", b'a,b\n"' + b"x" * 200_000])
def test_tables_that_are_none_are_refused(evidence: Evidence, content: bytes) -> None:
    folder = evidence()[0]
    (folder / "tables" / "x.csv").write_bytes(content)
    with pytest.raises(UnderstudyError, match=r"x\.csv is not a table that understudy wrote"):
        read_folders([folder])


@pytest.mark.parametrize(
    "change_of",
    [{"title": 1}, {"series": {}}, {"series": [{"name": "a", "x": "0", "y": [1]}]}, {"vertical": [{"x": "1"}]}, []],
)
def test_other_types_in_curves_are_refused(evidence: Evidence, change_of: object) -> None:
    folder = evidence()[2]
    file = folder / "curves" / "privacy.json"
    curve = json.loads(file.read_text())
    file.write_text(json.dumps({**curve, **change_of} if isinstance(change_of, dict) else change_of))
    with pytest.raises(UnderstudyError, match=r"privacy\.json is not a curve"):
        read_folders([folder])


def test_results_that_do_not_name_their_real_cohort_are_refused(evidence: Evidence) -> None:
    with pytest.raises(UnderstudyError, match="which real cohort"):
        read_folders(evidence({"utility": {}}))


def test_the_same_number_twice_is_refused(evidence: Evidence) -> None:
    with pytest.raises(UnderstudyError, match=r"both hold the result utility\.x"):
        read_folders(evidence(utility=[Result("utility.x", 1.0)], privacy=[Result("utility.x", 2.0)]))


@pytest.mark.parametrize("column", ["subject_id", "Real_Case", "case_id"])
def test_a_public_table_with_a_row_per_case_is_refused(evidence: Evidence, column: str) -> None:
    folders = evidence()
    (folders[0] / "tables" / "leak.csv").write_text(f"{column},dice\np1,0.5\n")
    with pytest.raises(UnderstudyError, match="row per case or subject"):
        read_folders(folders)


def test_broken_files_are_refused(evidence: Evidence) -> None:
    folders = evidence()
    (folders[2] / "curves" / "broken.json").write_text(json.dumps({"title": "x"}))
    with pytest.raises(UnderstudyError, match=r"broken\.json is not a curve"):
        read_folders(folders)
    band = {"title": "x", "x_label": "", "y_label": "", "series": [{"name": "g", "x": [0, 1], "y": [0, 1], "low": [0]}]}
    (folders[2] / "curves" / "broken.json").write_text(json.dumps(band))
    with pytest.raises(UnderstudyError, match="as many x as y, low and high"):
        read_folders(folders)
    (folders[2] / "curves" / "broken.json").unlink()
    histograms = folders[2] / "histograms"
    histograms.mkdir()
    for counts, why in (([5], "a count for each bin"), ([9, 4], "fewer than 5 real cases stand in a bin")):
        panel = {"name": "volume", "x_label": "", "scale": "linear", "edges": [0, 1, 2]}
        panel["series"] = [{"name": "real", "counts": counts}]
        (histograms / "broken.json").write_text(json.dumps({"title": "x", "panels": [panel]}))
        with pytest.raises(UnderstudyError, match=rf"broken\.json is not a histogram .*{why}"):
            read_folders(folders)
    (histograms / "broken.json").unlink()
    (folders[1] / "images" / "broken.npz").write_bytes(b"PK\x03\x04 no zip")
    with pytest.raises(UnderstudyError, match=r"broken\.npz is not an image file"):
        read_folders(folders)


def test_cohort_ids_and_hashes(evidence: Evidence) -> None:
    assert cohort_ids({"inputs": {"real": "a", "synthetic.1": "c", "synthetic.0": "b"}}, "synthetic") == "b,c"
    assert cohort_ids({"inputs": {"real": "a"}}, "synthetic") == ""
    folder = evidence()[0]
    public, whole = folder_hash(folder, public=True), folder_hash(folder, public=False)
    (folder / "internal" / "per_subject.csv").write_text("changed")
    assert folder_hash(folder, public=True) == public
    assert folder_hash(folder, public=False) != whole
