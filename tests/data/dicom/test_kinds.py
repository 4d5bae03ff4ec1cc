"""Kinds: what is no image is called by its kind; pydicom's list of SOP classes has nothing in between."""

import pytest
from pydicom.uid import UID_dictionary

from understudy.data.dicom.kinds import IMAGE, OTHERS, SEGMENTATION, STORAGE, STRUCTURES, VIDEO, kind

BARE = "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(("sop_class", "expected"), [
    (STORAGE + "2", IMAGE), (STORAGE + "66.4", SEGMENTATION), (STORAGE + "481.3", STRUCTURES), ("", IMAGE),
    (STORAGE + "88.11", "structured reports"), (STORAGE + "9.1.1", "waveforms (such as ECG)"), ("1.3.6.1.4", IMAGE),
    (STORAGE + "481.2", "radiotherapy doses"), (STORAGE + "481.5", "radiotherapy plans, images and records"),
    ("1.2.840.10008.1.3.10", "media directories (DICOMDIR)"), (STORAGE + "77.1.4.1", VIDEO),
    (STORAGE + "77.1.4", IMAGE), (STORAGE + "7.4", IMAGE),
    (STORAGE + "66.40", "raw data, fiducials, surfaces and tracts"),
])  # fmt: skip
def test_by_sop_class(sop_class: str, expected: str) -> None:
    assert kind(sop_class, BARE) == expected


def test_by_transfer_syntax() -> None:
    assert kind(STORAGE + "7", "1.2.840.10008.1.2.4.100") == VIDEO
    assert kind(STORAGE + "7", "1.2.840.10008.1.2.4.102.1") == VIDEO
    assert kind(STORAGE + "7", "1.2.840.10008.1.2.4.90") == IMAGE


def test_names_in_the_standard_agree() -> None:
    storage = {uid: entry[0] for uid, entry in UID_dictionary.items() if uid.startswith(STORAGE)}
    images = [name for uid, name in storage.items() if kind(uid, BARE) == IMAGE]
    assert not [
        name for name in images if any(word in name for word in ("SR Storage", "Waveform", "Presentation State", "RT "))
    ]
    others = [name for uid, name in storage.items() if kind(uid, BARE) != IMAGE]
    wrong = [name for name in others if name.endswith("Image Storage") and "Video" not in name and "Micro" not in name]
    assert wrong == ["RT Image Storage"] or all("RT" in name for name in wrong)
    assert len(set(OTHERS.values())) > 10
