"""What a DICOM file is, by its SOP class and transfer syntax: an image, a segmentation, structures, or something else.

What is no image is passed over under the kind's name. **Source**: DICOM PS3.4, table B.5-1; PS3.6, annex A.
**Checked** in tests/data/dicom/test_kinds.py.
"""

STORAGE = "1.2.840.10008.5.1.4.1.1."
IMAGE, SEGMENTATION, STRUCTURES = "images", "segmentations", "structure sets"
VIDEO, NO_PIXELS = "videos", "DICOM files without pixels"
OTHERS = {  # begin of the SOP class, after STORAGE -> kind; the first that fits counts
    "66.4": SEGMENTATION,
    "481.3": STRUCTURES,
    "481.2": "radiotherapy doses",
    "481.": "radiotherapy plans, images and records",
    "88.": "structured reports",
    "9.": "waveforms (such as ECG)",
    "11.": "presentation states",
    "104.": "encapsulated documents (such as PDF)",
    "66.1": "registrations",
    "66.3": "registrations",
    "66": "raw data, fiducials, surfaces and tracts",
    "67": "real world value mappings",
    "68.": "surfaces",
    "77.1.6": "whole-slide microscopy (tiles)",
    "77.1.1.1": VIDEO,
    "77.1.2.1": VIDEO,
    "77.1.4.1": VIDEO,
    "78.": "measurements of the eye",
    "79.": "measurements of the eye",
    "80.": "measurements of the eye",
}
DIRECTORY = "1.2.840.10008.1.3.10"
VIDEO_SYNTAXES = tuple(f"1.2.840.10008.1.2.4.10{n}" for n in range(9))


def kind(sop_class: str, transfer_syntax: str) -> str:
    """Return the kind of a file; anything unknown counts as an image, and its pixels decide."""
    if sop_class == DIRECTORY:
        return "media directories (DICOMDIR)"
    if transfer_syntax.startswith(VIDEO_SYNTAXES):
        return VIDEO
    if not sop_class.startswith(STORAGE):
        return IMAGE
    rest = sop_class.removeprefix(STORAGE)
    for start, name in OTHERS.items():
        if rest == start.rstrip(".") or rest.startswith(start if start.endswith(".") else f"{start}."):
            return name
    return IMAGE
