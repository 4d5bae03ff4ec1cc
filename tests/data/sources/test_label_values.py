"""What the numbers in label maps are: any integer type, and one palette over all files."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError
from understudy.core.labels import LabelScheme
from understudy.data import formats
from understudy.data.formats.decoded import DecodedFile
from understudy.data.sources import label_values
from understudy.data.sources.label_values import Palettes, distinct, inferred_scheme, mapped

RED, GREEN, BLACK = (255, 0, 0), (0, 255, 0), (0, 0, 0)


@pytest.mark.parametrize(
    "values",
    [
        np.array([[-(2**63), 0, 1]], np.int64),  # what NaN becomes
        np.array([[0, 2**63]], np.uint64),
        np.array([[2**64 - 1, 2**64 - 2]], np.uint64),
        np.array([[0, 70_000]], np.uint32),
    ],
)
def test_values_of_any_width_are_named_and_refused(values: np.ndarray) -> None:
    assert distinct(values).tolist() == sorted({int(v) for v in values.flat})
    with pytest.raises(UnderstudyError, match=re.escape(str(max(map(int, values.flat), key=abs)))):
        mapped(LabelScheme(("background", "lesion"), (0, 1)), values, "a file")


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_labels_of_any_integer_type(dtype: type) -> None:
    values = np.array([[0, 3], [7, 0]], dtype)
    scheme = LabelScheme(("background", "a", "b"), (0, 3, 7))
    assert mapped(scheme, values, "a file").tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, np.dtype(">i2"), np.dtype(">i8")])
def test_negative_values_and_either_byte_order(dtype: type) -> None:
    values = np.array([[-5, 0, 7], [0, 7, -5]], dtype)
    assert distinct(values).tolist() == [-5, 0, 7]
    scheme = LabelScheme(("background", "a", "b"), (0, -5, 7))
    assert mapped(scheme, values, "a file").tolist() == [[1, 0, 2], [0, 2, 1]]


def test_the_widest_values_there_are() -> None:
    low, high = np.array([-(2**63), -(2**63) + 2], np.int64), np.array([2**63 - 1, 2**63 - 3], np.int64)
    assert distinct(low).tolist() == [-(2**63), -(2**63) + 2]
    assert distinct(high).tolist() == [2**63 - 3, 2**63 - 1]
    assert distinct(np.array([2**63 - 1, 2**63], np.uint64)).tolist() == [2**63 - 1, 2**63]
    assert distinct(np.array([True, False])).tolist() == [0, 1]


def test_large_maps_are_counted_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).integers(-3, 4, (5, 7, 11)).astype(np.int16)
    whole = LabelScheme(tuple("abcdefg"), (0, -3, -2, -1, 1, 2, 3))
    expected = mapped(whole, values, "")
    monkeypatch.setattr(label_values, "BLOCK", 10)
    assert np.array_equal(mapped(whole, values, ""), expected)
    assert np.array_equal(mapped(whole, values.transpose(2, 0, 1), ""), expected.transpose(2, 0, 1))
    assert distinct(values).tolist() == list(range(-3, 4))


def test_one_palette_over_all_files() -> None:
    palettes = Palettes()
    for colours in ({0: BLACK, 1: RED}, {0: BLACK, 1: RED, 2: GREEN}, None, {2: GREEN}):
        palettes.add(Path("a.png"), colours)
    assert palettes.value == {BLACK: 0, RED: 1, GREEN: 2}


@pytest.mark.parametrize("other", [{0: BLACK, 2: RED}, {0: BLACK, 1: GREEN}, {0: RED, 1: BLACK}])
def test_palettes_that_differ_are_refused(other: dict[int, tuple[int, int, int]]) -> None:
    palettes = Palettes()
    palettes.add(Path("a.png"), {0: BLACK, 1: RED})
    with pytest.raises(UnderstudyError, match=r"the palette of b.png differs .*#[0-9a-f]{6}.*in another file"):
        palettes.add(Path("b.png"), other)


def test_a_colour_of_several_values_says_nothing() -> None:
    palettes = Palettes()
    palettes.add(Path("a.png"), {0: BLACK, 1: BLACK, 2: BLACK})  # a palette that nobody filled in
    palettes.add(Path("b.png"), {0: BLACK, 3: BLACK})
    assert palettes.value == {}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Path]]:
    """Label maps that need no files."""

    def go(*maps: tuple[list[int], dict[int, tuple[int, int, int]] | None]) -> list[Path]:
        files = {Path(f"{n}.png"): DecodedFile(np.array([values]), colours=c) for n, (values, c) in enumerate(maps)}
        monkeypatch.setattr(formats, "stored_labels", files.__getitem__)
        return list(files)

    return go


def test_a_scheme_is_inferred_where_nothing_is_to_be_guessed(drawn: Callable[..., list[Path]]) -> None:
    assert inferred_scheme(drawn(([0, 1], None))).names == ("background", "lesion")
    assert inferred_scheme(drawn(([0], None), ([2, 1], None))).names == ("background", "class1", "class2")
    colours = {0: BLACK, 1: RED}
    assert inferred_scheme(drawn(([0, 1], colours), ([0], {0: BLACK}))).names == ("background", "lesion")
    assert inferred_scheme(drawn(([0, 1], {0: RED, 1: GREEN}))).names == ("background", "lesion")


@pytest.mark.parametrize(("maps", "says"), [
    ([([0, 255], None)], "hold the values 0, 255, .* --label-scheme 0=background,255=class1"),
    ([([1, 2], None)], "hold the values 1, 2, .* --label-scheme 0=background,1=class1,2=class2"),
    ([(list(range(70)), None)], "hold more than 16 values"),
    ([([0, 1], {0: BLACK, 1: RED}), ([0, 1], {0: RED, 1: BLACK})], "the palette of 1.png differs"),
    ([([0, 1], {0: RED, 1: BLACK})], "black is value 1, .* --label-scheme 0=class0,1=background"),
])  # fmt: skip
def test_what_is_not_inferred(
    drawn: Callable[..., list[Path]], maps: list[tuple[list[int], dict[int, tuple[int, int, int]] | None]], says: str
) -> None:
    with pytest.raises(UnderstudyError, match=says):
        inferred_scheme(drawn(*maps))
