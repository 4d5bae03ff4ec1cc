"""The label map of a synthetic case as a binary DICOM SEG, drawn on the slices of its first series, through highdicom.

A segment has the name of its class; its category and type say "tissue", since a class may be anything. What highdicom
draws at random or takes from the clock is set anew, so that the same cohort gives the same bytes.
**Source**: DICOM PS3.3, A.51 and C.8.20. **Checked** in tests/release/formats/test_dicom_seg.py.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.core.provenance import code_version
from understudy.data.dicom.opening import quiet
from understudy.release.formats.dicom_instance import MADE_BY, mark_synthetic, text, uid

DATE, TIME = "19700101", "000000"  # a SEG must have one, and a bundle holds none


def highdicom() -> Any:
    """Return highdicom; UsageError where it is not installed."""
    try:
        import highdicom as module
        import highdicom.seg
    except ImportError as error:
        raise UsageError(
            "a DICOM SEG needs packages that are not installed: pip install 'understudy[dicom]'"
        ) from error
    return module


def segmentation(cohort: Cohort, i: int, drawn_on: Sequence[Any]) -> Any:
    """Return the SEG of case i, drawn on the data sets of the slices of its first channel."""
    assert cohort.labels is not None
    labels = np.asarray(cohort.labels[i])
    module = highdicom()
    with quiet():
        made = module.seg.Segmentation(
            source_images=drawn_on,
            pixel_array=labels if labels.ndim == 3 else labels[None],
            segmentation_type=module.seg.SegmentationTypeValues.BINARY,
            segment_descriptions=_segments(module, cohort),
            series_instance_uid=uid(cohort.id, "series", i, "labels"),
            series_number=cohort.encoding.image_channels + 1,
            sop_instance_uid=uid(cohort.id, "instance", i, "labels"),
            instance_number=1,
            manufacturer=MADE_BY,
            manufacturer_model_name=MADE_BY,
            software_versions=text(code_version()),
            device_serial_number="0",
            series_description="synthetic label map",
            content_label="LABELS",
            omit_empty_frames=bool(labels.any()),
        )
    _set_anew(made, uid(cohort.id, "dimensions", i))
    if "ImagePositionPatient" not in drawn_on[0]:  # a projection: highdicom leaves a spacing without a thickness
        made.PatientOrientation = drawn_on[0].PatientOrientation
        del made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    mark_synthetic(made)
    return made


def _segments(module: Any, cohort: Cohort) -> list[Any]:
    """One segment a class but the background."""
    assert cohort.scheme is not None
    codes = module.sr.CodedConcept
    tissue = codes("85756007", "SCT", "Tissue")
    by = module.AlgorithmIdentificationSequence(
        name=MADE_BY, family=codes("123110", "DCM", "Artificial Intelligence"), version=text(code_version())
    )
    return [
        module.seg.SegmentDescription(
            k, text(name), tissue, tissue, module.seg.SegmentAlgorithmTypeValues.AUTOMATIC, algorithm_identification=by
        )
        for k, name in enumerate(cohort.scheme.names)
        if k
    ]


def _set_anew(made: Any, dimensions: str) -> None:
    """Set what is of a moment or random."""
    made.ContentDate = made.SeriesDate = DATE
    made.ContentTime = made.SeriesTime = TIME
    del made.InstanceCreationDate, made.InstanceCreationTime
    for sequence in (made.DimensionOrganizationSequence, made.DimensionIndexSequence):
        for item in sequence:
            item.DimensionOrganizationUID = dimensions
    made.file_meta.ImplementationClassUID = uid(MADE_BY)
    made.file_meta.ImplementationVersionName = MADE_BY
