"""A phantom cohort, and cohorts made of its cases after something was done to them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.data.importing import import_cohort
from understudy.data.sources import SOURCES

Remade = Callable[..., Cohort]


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    out = tmp_path_factory.mktemp("checks") / "phantom"
    options = SOURCES["phantom"].options.model_validate({"subjects": 20, "slices": 4, "size": 64})
    return Cohort.open(import_cohort("phantom", None, out, options))


@pytest.fixture
def remade(phantom: Cohort, tmp_path: Path) -> Remade:
    """Write the phantom's cases again, with some arrays, table rows or settings changed."""

    def remade(
        images: np.ndarray | None = None, labels: np.ndarray | None = None, rows: list[dict[str, str]] | None = None,
        names: tuple[str, ...] | None = None, **settings: Any,
    ) -> Cohort:  # fmt: skip
        images = np.asarray(phantom.images) if images is None else images
        labels = np.asarray(phantom.labels) if labels is None else labels
        rows = table(phantom) if rows is None else rows
        scheme = LabelScheme(names, tuple(range(len(names)))) if names else phantom.scheme
        out = tmp_path / f"remade{len(list(tmp_path.iterdir()))}"
        given = {
            "provenance": Provenance("test"),
            "modality": "MR",
            "size": images.shape[2:],
            "scheme": scheme,
        } | settings
        with CohortWriter(
            out, kind="real", dtype=images.dtype.name, label_source="patient",
            key=b"secret", **({"channels": phantom.encoding.channels} | given),
        ) as writer:  # fmt: skip
            for image, one, row in zip(images, labels, rows, strict=True):
                writer.append(image, one, row)
        return Cohort.open(out)

    return remade


def table(cohort: Cohort) -> list[dict[str, str]]:
    return [{name: cohort.entry(name, row) for name in cohort.columns} for row in range(len(cohort))]
