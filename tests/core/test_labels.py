"""Label schemes: exact round trip, Akbar's levels and thresholds, refusals."""

import numpy as np
import pytest

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import ClassRecord, LabelScheme, Renumbered


def scheme(k: int) -> LabelScheme:
    return LabelScheme(tuple(f"c{i}" for i in range(k)), tuple(range(k)))


@pytest.mark.parametrize("k", [1, 2, 3, 4, 5, 9, 30])
def test_round_trip(k: int) -> None:
    labels = np.random.default_rng(0).integers(0, k, (3, 8, 7)).astype(np.uint8)
    channels = scheme(k).encode(labels)
    assert channels.dtype == np.float32 and channels.shape == (3, 1 if k <= 4 else k, 8, 7)
    assert channels.min() >= -1 and channels.max() <= 1
    assert (scheme(k).decode(channels) == labels).all()


def test_akbar_levels_and_thresholds() -> None:
    levels = (scheme(4).encode(np.arange(4)[None, None]) + 1) * 127.5
    assert np.allclose(levels.ravel(), [0, 51, 102, 204], atol=1e-4)
    values = np.array([0, 25.4, 25.6, 76.4, 76.6, 152.9, 153.1, 255])
    decoded = scheme(4).decode((values / 127.5 - 1)[None, None, None])
    assert decoded.ravel().tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_source_values() -> None:
    brats = LabelScheme.from_text("0=background,1=necrosis,2=oedema,4=enhancing")
    assert brats.from_source(np.array([[4, 0], [2, 1]])).tolist() == [[3, 0], [2, 1]]
    unordered = LabelScheme.from_text("255=background,0=tumour")
    assert unordered.from_source(np.array([0, 255])).tolist() == [1, 0]
    with pytest.raises(UnderstudyError, match=r"holds the values \[3\]"):
        brats.from_source(np.array([0, 3]))
    with pytest.raises(UnderstudyError, match="what JPEG or smooth resampling left at edges"):
        scheme(2).from_source(np.arange(9))
    with pytest.raises(UnderstudyError, match="255"):
        scheme(2).from_source(np.array([0, 255]))
    with pytest.raises(UnderstudyError):
        scheme(2).from_source(np.array([0.0, 0.5]))


@pytest.mark.parametrize(("text", "scheme"), [
    ("255=tumour,0=background", "0=background,255=tumour"),
    ("1=a, 2 = b ,7=Background,3=c", "7=Background,1=a,2=b,3=c"),
    ("0=other,255=tumour", "0=other,255=tumour"),
    ("-1=background,0=a", "-1=background,0=a"),
])  # fmt: skip
def test_the_background_is_class_0_wherever_it_stands(text: str, scheme: str) -> None:
    assert LabelScheme.from_text(text).to_text() == scheme


@pytest.mark.parametrize(("text", "says"), [
    ("255=tumour,0=other", "does not say which it is: name one class background, or put 0=other first"),
    ("1=a,2=b", "does not say which it is: name one class background$"),
    ("0=background,1=Background", "names it twice"),
])  # fmt: skip
def test_a_scheme_whose_background_is_not_known(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        LabelScheme.from_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "tumour",
        "0=",
        "a=b",
        "0=a,0=b",
        "0=a,1=a",
        "\u00b2=a",
        "--1=a",
        "1e3=a",
        f"{2**31}=a",
        "9" * 5000 + "=a",
        "0=a,,",
    ],
)
def test_bad_text(text: str) -> None:
    with pytest.raises(UsageError):
        LabelScheme.from_text(text)


def test_json() -> None:
    records = [ClassRecord(**entry) for entry in scheme(6).to_json()]
    assert LabelScheme.from_records(records) == scheme(6)


def test_only_some_classes_in_the_order_asked() -> None:
    small, becomes = scheme(5).only(["c4", "c1"])
    assert small.names == ("c0", "c4", "c1") and small.source_values == (0, 4, 1)
    labels = np.array([[0, 1], [2, 4], [3, 3]], np.uint8)
    read = Renumbered(labels, becomes)
    assert read[1:].tolist() == [[0, 1], [0, 0]] and read[np.array([0])].tolist() == [[0, 2]]
    assert read.shape == (3, 2) and len(read) == 3 and read[0].dtype == np.uint8
    for wrong in ("c0", "c9"):
        with pytest.raises(UsageError, match=f"no class '{wrong}' in x: there are c1, c2, c3, c4"):
            scheme(5).only(["c1", wrong], "x")


@pytest.mark.parametrize("name", ["tumour\n# x", "a\x00", "a\u2028b", "a\u202eb", "a\x85b"])
def test_names_are_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="names of a label scheme are one line of text"):
        LabelScheme(("background", name), (0, 1))
    assert LabelScheme(("background", "Ödem (\u03b2)"), (0, 1)).names[1] == "Ödem (\u03b2)"
