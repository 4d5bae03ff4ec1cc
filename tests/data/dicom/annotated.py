"""Series, SEG and RTSTRUCT made on the spot. The series of a grid has one instance a slice, without pixels."""

from typing import Any

import numpy as np
from highdicom.content import PixelMeasuresSequence, PlaneOrientationSequence, PlanePositionSequence
from highdicom.seg import Segmentation, SegmentDescription
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RTStructureSetStorage

from understudy.data.dicom.grid import Grid
from understudy.data.geometry import LPS_TO_RAS

FRAME = "1.2.826.0.1.1"
SECRET = "Meyer^Anna"


def affine_of(angles: tuple[float, float, float] = (0, 0, 0), spacing: Any = (1, 1, 1), origin: Any = (0, 0, 0)) -> Any:
    """Turned about the axes by these angles."""
    affine = np.eye(4)
    for axis, angle in enumerate(angles):
        turn, (a, b) = np.eye(3), [other for other in range(3) if other != axis]
        turn[[a, a, b, b], [a, b, a, b]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        affine[:3, :3] = affine[:3, :3] @ turn
    affine[:3, :3] *= np.array(spacing)
    affine[:3, 3] = origin
    return affine


def grid_of(affine: np.ndarray, size: tuple[int, int, int]) -> Grid:
    """The grid of a series in the frame of reference FRAME."""
    return Grid(affine, size, FRAME, tuple((f"1.2.3.{k + 1}", 1) for k in range(size[2])))


def geometry(grid: Grid) -> tuple[np.ndarray, list[float], list[float]]:
    """LPS positions (K, 3), orientation (6) and pixel spacing (2: rows apart, columns apart) of slices."""
    lps = LPS_TO_RAS @ grid.affine
    positions = lps[:3, 3] + np.arange(grid.size[2])[:, None] * lps[:3, 2]
    lengths = np.linalg.norm(lps[:3, :3], axis=0)
    return positions, (lps[:3, :2] / lengths[:2]).T.ravel().tolist(), [float(lengths[1]), float(lengths[0])]


def series(grid: Grid) -> list[Dataset]:
    """CT instances of a grid, in the order of its slices."""
    positions, orientation, spacing = geometry(grid)
    made = []
    for k, (uid, _) in enumerate(grid.instances):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.SOPClassUID, image.SOPInstanceUID = CTImageStorage, uid
        image.SeriesInstanceUID, image.StudyInstanceUID = "1.2.3", "1.2"
        image.FrameOfReferenceUID, image.PatientID, image.PatientName = FRAME, "7", SECRET
        image.PatientBirthDate = image.PatientSex = image.AccessionNumber = image.StudyID = ""
        image.StudyDate = image.StudyTime = image.ReferringPhysicianName = ""
        image.Modality, image.SeriesNumber, image.InstanceNumber = "CT", 1, k + 1
        image.Rows, image.Columns = grid.size[1], grid.size[0]
        image.BitsAllocated = image.BitsStored = 16
        image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 15, 0, 1
        image.PhotometricInterpretation = "MONOCHROME2"
        image.ImagePositionPatient = [float(f"{x:.10g}") for x in positions[k]]
        image.ImageOrientationPatient = [float(f"{x:.10g}") for x in orientation]
        image.PixelSpacing = [float(f"{x:.10g}") for x in spacing]
        image.SliceThickness = 1
        made.append(image)
    return made


def seg(images: list[Dataset], pixels: np.ndarray, kind: str = "BINARY", labels: Any = None, **more: Any) -> Dataset:
    """SEG by highdicom of pixels (slices, rows, columns[, segments]) on these images."""
    count = pixels.shape[3] if pixels.ndim == 4 else int(pixels.max())
    described = [
        SegmentDescription(n, (labels or {}).get(n, f"part {n}"), codes.SCT.Tissue, codes.SCT.Liver, "MANUAL")
        for n in range(1, count + 1)
    ]
    return Segmentation(
        images, pixels, kind, described, "1.2.9", 9, "1.2.9.1", 1, "maker", "model", "1", "serial", **more
    )  # fmt: skip


def slices(array: np.ndarray) -> np.ndarray:
    """(I, J, K[, N]) as highdicom takes it: (K, J, I[, N])."""
    return np.ascontiguousarray(np.swapaxes(array, 0, 2))


def spatial(grid: Grid) -> dict[str, Any]:
    """What tells highdicom that segments lie on a grid of their own."""
    positions, orientation, spacing = geometry(grid)
    apart = float(np.linalg.norm(grid.affine[:3, 2]))
    return {
        "plane_positions": [PlanePositionSequence("PATIENT", [float(f"{x:.10g}") for x in one]) for one in positions],
        "plane_orientation": PlaneOrientationSequence("PATIENT", [float(f"{x:.10g}") for x in orientation]),
        "pixel_measures": PixelMeasuresSequence(spacing, apart, apart),
    }


def contour(points: np.ndarray, kind: str = "CLOSED_PLANAR", said: int | None = None) -> Dataset:
    """A contour of points (N, 3) in mm right, anterior, superior."""
    made = Dataset()
    made.ContourGeometricType = kind
    made.NumberOfContourPoints = len(points) if said is None else said
    made.ContourData = [f"{x:.10g}" for x in (points * [-1, -1, 1]).ravel()]
    return made


def structures(rois: dict[str, list[Dataset]], frame: str = FRAME) -> Dataset:
    """RTSTRUCT of named lists of contours."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID, made.Modality = RTStructureSetStorage, "1.2.8.1", "RTSTRUCT"
    made.PatientName, made.PatientID = SECRET, "7"
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(rois.items(), 11):
        declared, drawn = Dataset(), Dataset()
        declared.ROINumber, declared.ROIName, declared.ReferencedFrameOfReferenceUID = number, name, frame
        drawn.ReferencedROINumber, drawn.ContourSequence = number, contours
        made.StructureSetROISequence.append(declared)
        made.ROIContourSequence.append(drawn)
    return made


def outline(grid: Grid, points: Any, level: float, **more: Any) -> Dataset:
    """A contour of points (N, 2) in voxels of a grid, at a level across its slices."""
    voxels = np.column_stack([np.array(points, float), np.full(len(points), level), np.ones(len(points))])
    return contour((voxels @ grid.affine.T)[:, :3], **more)


def study(folder: Any, made: Any, n: int = 0, **own: Any) -> None:
    """Write a study of four CT slices and a SEG of two segments."""
    images = series(grid_of(affine_of(spacing=(1.5, 2, 3)), (8, 6, 4)))
    for k, image in enumerate(images):
        for keyword, value in {**own, "SeriesInstanceUID": f"1.2.3.{n}", "SOPInstanceUID": f"1.2.3.{n}.{k}"}.items():
            setattr(image, keyword, value)
        image.PixelData = np.random.default_rng(k).integers(0, 900, (6, 8)).astype(np.uint16).tobytes()
        image["PixelData"].VR = "OW"
        made.save(folder / f"{9 - k}", image)
    drawn = np.zeros((4, 6, 8), np.uint8)
    drawn[1:3, 2:4, 3:6], drawn[3, 0, 0] = 1, 2
    seg(images, drawn).save_as(folder / "seg")
