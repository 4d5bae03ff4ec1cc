"""The tables of a BIDS data set: class columns of subjects, names of label values, which table is whose."""

from pathlib import Path

import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.sources.bids_tables import GROUND, NO_ROW, label_scheme, label_tables, participants


def table(folder: Path, *rows: str, name: str = "participants.tsv") -> Path:
    (folder / name).write_text("\n".join(row.replace(" ", "\t") for row in rows) + "\n")
    return folder / name


def test_participants(tmp_path: Path) -> None:
    more = [f"sub-{i} 1 {sex}" for i, sex in enumerate("FMFMFMFM", start=10)]
    table(tmp_path, "participant_id age sex", "sub-1 40 F", "2 n/a M", "sub-9 1 M", *more)
    others = [f"sub-{i}" for i in range(10, 18)]
    names, entries, told = participants(tmp_path, ["sub-1", "sub-2", "sub-2", "sub-3", *others], ("age", "sex"))
    assert names == ("age", "sex=F", "sex=M") and told == {NO_ROW: 1}
    assert [tuple(entry.values()) for entry in entries[:4]] == [
        ("40", "1", "0"),
        ("", "0", "1"),
        ("", "0", "1"),
        ("", "", ""),
    ]
    assert participants(tmp_path / "none", ["sub-1"], ()) == ((), [{}], {})
    with pytest.raises(UnderstudyError, match="fewer than 5 subjects"):
        participants(tmp_path, ["sub-1", *["sub-2"] * 5, *others[:7]], ("sex",))


def test_participants_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a table was expected"):
        participants(tmp_path, ["sub-1"], ("age",))
    table(tmp_path, "participant_id age", "sub-1 4", "1 5")
    with pytest.raises(UnderstudyError, match="row 3 of .* names a subject that stands above"):
        participants(tmp_path, ["sub-1"], ("age",))
    with pytest.raises(UsageError, match="has no column 'sex'"):
        participants(tmp_path, ["sub-1"], ("sex",))


def test_the_nearest_table_of_a_label_map() -> None:
    tables = {
        path: Path(path) for path in (
            "dseg.tsv", "desc-a_dseg.tsv", "sub-1/anat/sub-1_dseg.tsv", "sub-2/anat/sub-2_desc-b_dseg.tsv", "mask.tsv")
    }  # fmt: skip

    def used(*maps: str) -> list[str]:
        return [str(file) for file in label_tables(tables, maps)]

    assert used("sub-1/anat/sub-1_dseg.nii") == ["sub-1/anat/sub-1_dseg.tsv"]
    assert used("sub-2/anat/sub-2_dseg.nii.gz", "sub-3/sub-3_dseg.nii") == ["dseg.tsv"]
    assert used("sub-3/ses-1/sub-3_ses-1_desc-a_dseg.nii") == ["desc-a_dseg.tsv"]
    assert used("sub-2/anat/sub-2_desc-b_dseg.nii") == ["sub-2/anat/sub-2_desc-b_dseg.tsv"]
    assert label_tables({}, ["sub-1_dseg.nii"]) == []


def test_a_scheme_of_tables(tmp_path: Path) -> None:
    assert label_scheme([]) == (None, {})
    first = table(tmp_path, "index name color", "2 oedema #ff", "0 ground #00", name="a.tsv")
    second = table(tmp_path, "index name", "1 core", "2 oedema", name="b.tsv")
    scheme, told = label_scheme([first, second])
    assert scheme is not None and scheme.to_text() == "0=ground,1=core,2=oedema" and told == {}
    scheme, told = label_scheme([second])
    assert scheme is not None and scheme.to_text() == "0=background,1=core,2=oedema" and told == {GROUND: 1}


@pytest.mark.parametrize(("rows", "says"), [
    (("1 a", "1 b"), "names the value 1 'b', and it is 'a'"),
    (("x a",), "should have a whole number under index"),
    (("1.5 a",), "should have a whole number under index"),
    (("99999999999 a",), "should have a whole number under index"),
    (("1 a", "2 a"), "give --label-scheme"),
    (tuple(f"{i} n{i}" for i in range(400)), "name 400 values with 400 names"),
    (("9999999999 a",), "give --label-scheme"),
])  # fmt: skip
def test_schemes_that_cannot_be(tmp_path: Path, rows: tuple[str, ...], says: str) -> None:
    with pytest.raises(UnderstudyError, match=says):
        label_scheme([table(tmp_path, "index name", *rows, name="dseg.tsv")])
