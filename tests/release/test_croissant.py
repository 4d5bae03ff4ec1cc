"""croissant.json names the table, its columns and hash, and the files of each form; mlcroissant: benchmarks/clients."""

from collections.abc import Callable
from pathlib import Path

from understudy.core.cohort import Cohort, file_hash
from understudy.release.croissant import croissant
from understudy.release.formats import FORMS


def test_tables_columns_and_files(cases: Callable[..., Cohort], tmp_path: Path) -> None:
    given, forms = cases(), [name for name in FORMS if name != "folder"]
    for form in forms:
        FORMS[form].write(tmp_path, given)
        told = croissant(tmp_path, given, [form], "not stated")
        table, files = told["distribution"]
        assert table["sha256"] == file_hash(tmp_path / table["contentUrl"])
        assert len(list(tmp_path.glob(files["includes"]))) == 6
    fields = told["recordSet"][0]["field"]
    assert [(one["name"], one["dataType"]) for one in fields] == [
        ("case_id", "sc:Text"), ("subject_id", "sc:Text"), ("spacing", "sc:Text"), ("ill", "sc:Float")
    ]  # fmt: skip
    assert told["license"] == "not stated" and told["conformsTo"].endswith("croissant/1.0")
