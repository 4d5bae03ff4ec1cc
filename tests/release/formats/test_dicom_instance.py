"""An instance says that it is synthetic, and has nothing of a moment or a source; dciodvfy: benchmarks/clients."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.release.formats.dicom_instance import NO_SPACING, NO_VIEW, SyntheticSlice, instance, text, uid


@pytest.mark.parametrize(
    ("modality", "kind", "stored"), [("MR", "MR", 8), ("CT", "CT", 16), ("US", "Secondary Capture", 8)]
)
def test_kind_place_and_mark(cases: Callable[..., Cohort], modality: str, kind: str, stored: int) -> None:
    given = cases(size=(5, 12, 10), modality=modality)
    made = instance(SyntheticSlice(given, 1, 0, 3, 8, False))
    assert made.SOPClassUID.name == f"{kind} Image Storage"
    assert made.SyntheticData == "YES" and made.Modality == modality and made.BitsStored == stored
    equipment = made.ContributingEquipmentSequence[0]
    assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109100" and equipment.Manufacturer == "understudy"
    assert made.ImagePositionPatient == [0, 0, 4.5] and made.PixelSpacing == [0.9, 0.8]
    assert made.StudyDate == made.PatientBirthDate == made.AccessionNumber == ""
    assert given.images is not None and np.array_equal(made.pixel_array, given.images[1, 0, 3])


def test_a_digital_x_ray_is_for_presentation_and_has_no_plane(cases: Callable[..., Cohort]) -> None:
    given = cases(modality="DX")
    made = instance(SyntheticSlice(given, 1, 0, 0, 8, False))
    assert made.SOPClassUID.name == "Digital X-Ray Image Storage - For Presentation" and made.Modality == "DX"
    assert made.PresentationIntentType == "FOR PRESENTATION" and made.SyntheticData == "YES"
    assert made.ImagerPixelSpacing == made.PixelSpacing == [0.9, 0.8] and made.PatientOrientation == ["L", "F"]
    assert not {"ImagePositionPatient", "FrameOfReferenceUID", "Laterality", "SliceThickness"} & set(made.dir())
    assert NO_VIEW in made.DerivationDescription and made.BitsStored == made.BitsAllocated == 8
    for other, signed in ((cases("3D", size=(4, 12, 10), modality="DX"), False), (given, True)):
        assert SyntheticSlice(other, 0, 0, 0, 8, signed).kind == "SC"


def test_a_spacing_that_is_not_known_is_told(cases: Callable[..., Cohort]) -> None:
    made = instance(SyntheticSlice(cases(spacing=""), 0, 0, 0, 8, False))
    assert made.PixelSpacing == [1, 1] and NO_SPACING in made.DerivationDescription


def test_uids_follow_from_their_parts() -> None:
    assert uid("a", 1) == uid("a", 1) != uid("a1") and uid("a", 1).startswith("2.25.") and len(uid("a")) <= 64
    assert text("a\\b\n c" + "x" * 99) == ("a/b c" + "x" * 99)[:64]
