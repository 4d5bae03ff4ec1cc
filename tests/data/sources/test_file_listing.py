"""The listing of cases that are files: channels, types and schemes mean the same in every source."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data.listing import Item
from understudy.data.options import FileOptions
from understudy.data.sources import file_listing as listings
from understudy.data.sources.file_listing import Layout, chosen_channels, file_listing

SaveNifti = Callable[..., Path]
SCHEME = LabelScheme(("background", "a"), (0, 1))


@pytest.fixture
def items(tmp_path: Path, save_nifti: SaveNifti) -> list[Item]:
    """Two cases with a file of two channels (uint8, int16) and a label map."""
    out = []
    for i in range(2):
        image = np.stack([np.full((6, 5, 4), 10 * c + i, (np.uint8, np.int16)[i]) for c in range(2)], -1)
        label = save_nifti(tmp_path / f"l{i}.nii", np.full((6, 5, 4), i, np.uint8))
        out.append(Item(f"c{i}", f"s{i}", (save_nifti(tmp_path / f"i{i}.nii", image),), label))
    return out


def test_what_the_layout_says_and_what_the_options_say(tmp_path: Path, items: list[Item]) -> None:
    def go(layout: Layout, **options: Any) -> Any:
        return file_listing(tmp_path, items, layout, FileOptions(**options))

    found = go(Layout("x", modality="CT", passed_over={"a": 1}, remarks={"b": 2}, notes={"c": 3}))
    assert (found.channels, found.dtype, found.size, found.dims, found.modality) == (
        ("channel0", "channel1"), "int16", (4, 5, 6), 3, "CT")  # fmt: skip
    assert found.scheme is not None and found.scheme.names == ("background", "lesion")
    assert found.passed_over == {"a": 1} and found.remarks["b"] == 2 and any("depth" in said for said in found.remarks)
    assert found.notes == {"source": "x", "types_in_files": ["int16", "uint8"], "c": 3}
    assert go(Layout("x", channels=("A", "B"), scheme=SCHEME)).scheme.names == ("background", "a")
    told = go(Layout("x", channels=("A", "B"), scheme=SCHEME), channels=("C", "D"), label_scheme="0=b,1=c")
    assert told.channels == ("C", "D") and told.scheme.names == ("b", "c")
    swapped = go(Layout("x", channels=("A", "B"), taken=(1, 0)))
    (reading,) = swapped.read(items[0])
    assert swapped.channels == ("B", "A") and reading.image[:, 0, 0, 0].tolist() == [10, 0]


@pytest.mark.parametrize(("layout", "options", "says"), [
    (Layout("x", channels=("A",)), {}, "has 2 channel.s., and the data set says 1"),
    (Layout("x"), {"channels": ("A", "B", "C")}, "--channels names 3 channel.s., and the images have 2"),
    (Layout("x"), {"rule": "akbar"}, "--rule akbar is for brats"),
    (Layout("x"), {"label_scheme": "1=a,0=b"}, "or put 0=b first"),
])  # fmt: skip
def test_what_does_not_fit(tmp_path: Path, items: list[Item], layout: Layout, options: Any, says: str) -> None:
    with pytest.raises((UnderstudyError, UsageError), match=says):
        file_listing(tmp_path, items, layout, FileOptions(**options))


def test_palettes_are_compared_over_the_files_of_an_import(
    tmp_path: Path, items: list[Item], monkeypatch: pytest.MonkeyPatch
) -> None:
    red = iter([1, 0])
    monkeypatch.setattr(listings.Palettes, "add", lambda self, file, colours: seen.append((file.name, next(red))))
    seen: list[tuple[str, int]] = []
    found = file_listing(tmp_path, items, Layout("x", scheme=SCHEME), FileOptions())
    for item in items:
        list(found.read(item))
    assert seen == [("l0.nii", 1), ("l1.nii", 0)]


def test_channels_that_are_taken() -> None:
    assert chosen_channels(("A", "B", "C"), (), "x") == (0, 1, 2)
    assert chosen_channels(("A", "B", "C"), ("c", "A"), "x") == (2, 0)
    for named, wanted, says in (
        (("A",), ("D",), "--channels names 'D', and x has A"),
        (tuple("ABCDE"), (), "choose with"),
    ):
        with pytest.raises(UsageError, match=says):
            chosen_channels(named, wanted, "x")
