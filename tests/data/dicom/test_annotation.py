"""Names and references without pixels; classes by name; what overlaps; files that end early."""

from types import ModuleType

import numpy as np
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.data.dicom.annotation import (
    OVERLAPPED,
    SAME_NAME,
    UNNAMED,
    Canvas,
    chosen,
    classes_of,
    instances,
    items,
    labels_of,
    refers_to,
    refuse_cut,
    spelled,
)
from understudy.data.dicom.grid import Grid

GRID = Grid(np.eye(4), (3, 4, 5), "1.2", ())


def test_labels_and_references_of_a_seg(annotated: ModuleType) -> None:
    grid = annotated.grid_of(np.eye(4), (4, 5, 3))
    labels = np.zeros((4, 5, 3), np.uint8)
    labels[1, 1, 1], labels[2, 2] = 1, 2
    file = annotated.seg(annotated.series(grid), annotated.slices(labels), labels={1: "b", 2: "a"})
    assert labels_of(file) == ["b", "a"]
    assert refers_to(file) == {"1.2.3", "1.2.3.1", "1.2.3.2", "1.2.3.3"}
    del file.ReferencedSeriesSequence
    assert refers_to(file) == {"1.2.3.1", "1.2.3.2", "1.2.3.3"}  # from the frames


def nested(*keywords: str, **values: str) -> Dataset:
    made = inner = Dataset()
    for keyword in keywords:
        item = Dataset()
        setattr(inner, keyword, [item])
        inner = item
    for keyword, value in values.items():
        setattr(inner, keyword, value)
    return made


def test_labels_and_references_of_structures(annotated: ModuleType) -> None:
    file = annotated.structures({"b": [], "": []})
    assert labels_of(file) == ["b", ""] and refers_to(file) == set()
    path = ("ReferencedFrameOfReferenceSequence", "RTReferencedStudySequence", "RTReferencedSeriesSequence")
    series = nested(*path, SeriesInstanceUID="1.5")
    image = nested(*path, "ContourImageSequence", ReferencedSOPInstanceUID="1.6")
    file.ReferencedFrameOfReferenceSequence = [
        *series.ReferencedFrameOfReferenceSequence,
        *image.ReferencedFrameOfReferenceSequence,
    ]
    contour = nested("ContourSequence", "ContourImageSequence", ReferencedSOPInstanceUID="1.7")
    file.ROIContourSequence[0].ContourSequence = contour.ContourSequence
    assert refers_to(file) == {"1.5", "1.6", "1.7"}


def test_what_is_missing_is_nothing() -> None:
    assert labels_of(Dataset()) == [] and refers_to(Dataset()) == set() and items(Dataset(), "SegmentSequence") == []
    assert instances(nested("SourceImageSequence"), "SourceImageSequence") == set()


def test_labels_are_compared_without_case_and_blanks() -> None:
    assert spelled(" GTV_1\0") == spelled("gtv  1") == spelled("ＧＴＶ 1") == "gtv 1"


def test_classes_are_numbered_in_the_order_of_names() -> None:
    scheme, values = classes_of(["Liver", "GTV_1", "liver ", "gtv 1"], None)
    assert scheme.names == ("background", "class1", "class2") and scheme.source_values == (0, 1, 2)
    assert values == {"gtv 1": 1, "liver": 2}
    for labels in ([], [str(n) for n in range(255)]):
        with pytest.raises(UnderstudyError, match=r"--label-scheme 0=background,1=liver"):
            classes_of(labels, None)


def test_classes_that_the_user_names() -> None:
    given = LabelScheme.from_text("0=background,3=gtv 1,2=Liver")
    assert classes_of(["Liver", "GTV_1", "Anna Meyer"], given) == (given, {"gtv 1": 3, "liver": 2})


@pytest.mark.parametrize(("text", "says"), [
    ("0=background,1=spleen", "names spleen, and no segment .* --show-descriptions lists them on your screen"),
    ("1=background,2=liver", "begins with 0=background"),
    ("0=background,300=liver", "numbers go to 254"),
    ("0=background,1=liver,2=LIVER", "differ in case or blanks only"),
])  # fmt: skip
def test_classes_that_cannot_be(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        classes_of(["liver", "Anna Meyer"], LabelScheme.from_text(text))
    assert "Anna" not in str(caught.value)


def test_names_are_listed_on_request_only() -> None:
    with pytest.raises(UsageError, match="there are anna meyer, liver"):
        classes_of(["liver", "Anna Meyer"], LabelScheme.from_text("0=background,1=?"), shown=True)


def test_chosen() -> None:
    labels = {4: "Liver", 5: "liver", 6: "", 7: "x"}
    assert chosen(labels, None).values == {4: 4, 5: 5, 6: 6, 7: 7}
    taken = chosen(labels, {"liver": 2, "x": 9})
    assert taken.values == {4: 2, 5: 2, 7: 9} and taken.names == {2: "Liver", 9: "x"}
    assert taken.remarks == (UNNAMED, SAME_NAME)


@pytest.mark.parametrize(("overlap", "kept"), [("first", 2), ("last", 5)])
@pytest.mark.parametrize("order", [(2, 5), (5, 2)])
def test_overlaps_are_decided_by_value_not_by_order(overlap: str, kept: int, order: tuple[int, int]) -> None:
    canvas = Canvas(GRID, [2, 5], overlap)
    masks = {2: np.array([True, True, False]), 5: np.array([False, True, True])}
    for value in order:
        canvas.lay(value, masks[value], (slice(None), 1, 2))
        canvas.lay(value, masks[value], (slice(None), 1, 2))  # the same again is no overlap
    found = canvas.annotation(chosen({2: "a", 5: "b"}, None), ["said", "said"])
    assert found.array[0, :, 1, 2].tolist() == [2, kept, 5] and found.array.sum() == 7 + kept
    assert found.remarks == ("said", OVERLAPPED) and found.array.dtype == np.uint8
    assert Canvas(GRID, [256], "refuse").array.dtype == np.uint16


def test_overlaps_are_refused() -> None:
    canvas = Canvas(GRID, [1, 2], "refuse")
    canvas.lay(1, np.ones((3, 4, 5), bool))
    with pytest.raises(UnderstudyError, match="overlap .* 60 voxels .* --overlap first .* --overlap last"):
        canvas.lay(2, np.ones((3, 4, 5), bool))


def test_a_file_that_ends_within_an_element_is_refused() -> None:
    file = Dataset()
    file[0x00100010] = RawDataElement(Tag(0x00100010), "PN", 10, b"Meyer", 0, False, True)
    with pytest.raises(UnderstudyError, match="ends early"):
        refuse_cut(file, "a SEG")
    file[0x00100010] = RawDataElement(Tag(0x00100010), "PN", 5, b"Meyer", 0, False, True)
    refuse_cut(file, "a SEG")
