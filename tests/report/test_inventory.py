"""Inventory: counts by hand on a cohort of six cases."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.report.inventory import BINS, MOST_ROWS, Inventory, splits_of


def made(out: Path, **settings: Any) -> Cohort:
    scheme = LabelScheme(("background", "tumour", "oedema"), (0, 7, 9))
    given: dict[str, Any] = {
        "kind": "real", "modality": "MR", "size": (4, 5), "channels": [Channel("T1", 0, 60)], "dtype": "float32",
        "scheme": scheme, "label_source": "patient", "provenance": Provenance("test"), "key": b"x",
    } | settings  # fmt: skip
    affine = np.array([[0, 0, -2, 0], [0, -1, 0, 0], [3, 0, 0, 0], [0, 0, 0, 1.0]])
    known = " ".join(map(str, affine.ravel()))
    with CohortWriter(out, **given) as writer:
        for i in range(6):
            image = np.full((1, 4, 5), 0, np.float32)
            image[0, 0, 0], image[0, 0, 1] = 10 * i + 5, 100
            labels = np.zeros((4, 5), np.uint8)
            labels[0, : i // 2] = 1
            row = {
                "case_id": f"c{i}", "subject_id": f"s{i // 2}", "split": "test" if i > 3 else "train",
                "original_size": f"{8 + i} 9", "spacing": "1 2", "affine": known if i else "",
            }  # fmt: skip
            writer.append(image if given["channels"] else None, labels if given["scheme"] else None, row)
    return Cohort.open(out)


@pytest.fixture
def inventory(tmp_path: Path) -> Inventory:
    return Inventory.of(made(tmp_path / "c"))


def test_tables(inventory: Inventory) -> None:
    tables = {view.title: view.rows for view in inventory.tables()}
    assert tables["Splits"] == [["train", "4", "2"], ["test", "2", "1"]]
    assert tables["Sizes in the source"][0] == ["10 x 9", "1", "1"]
    assert tables["Spacing, as imported"] == [["1 x 2", "6", "3"]]
    assert tables["Orientation, as imported"] == [["posterior, left", "5", "3"], ["not known", "1", "1"]]
    assert tables["Intensities"] == [["T1", "arbitrary units", "0", "60", "0", "100"]]
    assert tables["Label values"] == [
        ["background", "0", "0", "114", "95 %", "6", "3"],
        ["tumour", "1", "7", "6", "5 %", "4", "2"],
        ["oedema", "2", "9", "0", "0 %", "0", "0"],
    ]
    assert all(len(view.header) == len(view.numeric) for view in inventory.tables())


def test_histograms_leave_the_lowest_value_out(inventory: Inventory) -> None:
    (panel,) = inventory.panels()
    assert [series["name"] for series in panel["series"]] == ["train", "test"]
    train, test = (series["counts"] for series in panel["series"])
    assert [i for i, count in enumerate(train) if count] == [5, 15, 25, 35, BINS - 1]
    assert (sum(train), sum(test)) == (8, 4)


def test_a_cohort_without_images_or_labels(tmp_path: Path) -> None:
    labels = Inventory.of(made(tmp_path / "l", channels=[]))
    assert labels.panels() == []
    assert "Intensities" not in {view.title for view in labels.tables()}
    images = Inventory.of(made(tmp_path / "i", scheme=None, label_source=None))
    assert "Label values" not in {view.title for view in images.tables()}


def test_splits_stand_in_the_order_of_their_use(tmp_path: Path) -> None:
    assert splits_of(made(tmp_path / "c")) == ["train", "test"]
    assert MOST_ROWS >= 6
