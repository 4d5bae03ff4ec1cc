"""Cohort and CohortWriter: what is written is read; an exception leaves nothing; damage is noticed."""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme

SCHEME = LabelScheme(("background", "tumour"), (0, 255))
Write = Callable[..., np.ndarray]


def test_what_is_written_is_read(tmp_path: Path, write: Write) -> None:
    images = write(tmp_path / "c")
    cohort = Cohort.open(tmp_path / "c")
    assert len(cohort) == 5 and cohort.size == (8, 6) and cohort.scheme == SCHEME and cohort.label_source == "patient"
    assert cohort.images is not None and (cohort.images == images).all()
    assert cohort.labels is not None and (cohort.labels == (images[:, 0] > 128)).all()
    assert cohort.subjects("train") == ["s0", "s2"] and cohort.rows("test").tolist() == [2, 3]
    assert cohort.spacing_mm(0) == (1.0, 2.0) and cohort.entry("spacing", 0) == cohort.column("spacing")[0]
    assert np.array_equal(cohort.class_matrix()[:, 0], [np.nan, 1, 0, 1, 0], equal_nan=True)
    assert cohort.encoded(np.array([0])).shape == (1, 3, 8, 6)
    cohort.verify()
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_images_alone_are_encoded_as_those_of_another_cohort(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "c")
    cohort = Cohort.open(tmp_path / "c")
    first, second = cohort.encoding.channels
    wider = replace(cohort.encoding, channels=(replace(first, high=510), second))
    alone, rows = cohort.images_alone(wider), np.arange(5)
    assert alone.labels is None and alone.scheme is None and cohort.labels is not None
    assert np.allclose(alone.encoded(rows)[:, 0] + 1, (cohort.encoded(rows)[:, 0] + 1) / 2, atol=1e-6)
    for other in (replace(wider, dtype="int16"), replace(wider, channels=(first,))):
        with pytest.raises(UsageError, match="import both cohorts with the same options"):
            cohort.images_alone(other)
    with pytest.raises(UsageError, match="found none"):
        cohort.without_images().images_alone(wider)


def test_all_synthetic_cases_may_be_learned(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "c", kind="synthetic", label_source="sampled", splits=("",))
    assert Cohort.open(tmp_path / "c").rows("train").tolist() == [0, 1, 2, 3, 4]
    assert not len(Cohort.open(tmp_path / "c").rows("test"))
    write(tmp_path / "split", kind="synthetic", label_source="sampled")
    assert Cohort.open(tmp_path / "split").rows("train").tolist() == [0, 1, 4]


@pytest.mark.parametrize("damage", ["images", "labels", "cases", "manifest", "json", "split"])
def test_damage_is_noticed(tmp_path: Path, damage: str, write: Write) -> None:
    write(tmp_path / "c")
    folder = tmp_path / "c"
    if damage in ("images", "labels"):
        data = (folder / f"{damage}.npy").read_bytes()
        (folder / f"{damage}.npy").write_bytes(data[:-7])
    elif damage == "cases":
        lines = (folder / "cases.csv").read_text().splitlines()
        (folder / "cases.csv").write_text("\n".join(lines[:-1]))
    elif damage == "manifest":
        (folder / "cohort.json").unlink()
    elif damage == "json":
        (folder / "cohort.json").write_text("{")
    else:
        with (folder / "cases.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        rows[0]["split"] = "test"
        with (folder / "cases.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    with pytest.raises(UnderstudyError):
        Cohort.open(folder)


def test_changed_values_are_noticed(tmp_path: Path, write: Write) -> None:
    write(tmp_path / "c")
    array = np.load(tmp_path / "c" / "images.npy")
    array[0, 0, 0, 0] ^= 1
    np.save(tmp_path / "c" / "images.npy", array)
    with pytest.raises(UnderstudyError, match="hash"):
        Cohort.open(tmp_path / "c").verify()
