"""Time and memory of ``import dicom`` over many single-slice files: does it grow with their number?

    python benchmarks/dicom_import.py [FILES ...]        default: 2500 5000 10000, in studies of 250 slices of 128 x 128

Each line is a process of its own: seconds of its CPU, files a second, and the peak of resident memory. Files are
written by patching the bytes of one; their names and instance numbers say nothing about their order.
"""

import resource
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from understudy.data.importing import import_cohort
from understudy.data.sources.dicom import DicomOptions

SLICES, SIDE = 250, 128
PREFIX = "1.2.826.0.1.3680043.10.1"


def template() -> bytes:
    """One slice, with marks of fixed length where files differ."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, f"{PREFIX}.1000000"
    made.Modality, made.PatientID, made.PatientName = "CT", "ID00000A", "Doe^Jane"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"{PREFIX}.2000000", f"{PREFIX}.3000000"
    made.FrameOfReferenceUID, made.StudyDate = f"{PREFIX}.4000000", "20200101"
    made.Rows = made.Columns = SIDE
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.RescaleSlope, made.RescaleIntercept = 1, -1024
    made.ImagePositionPatient, made.ImageOrientationPatient = ["0", "0", "0000.00"], [1, 0, 0, 0, 1, 0]
    made.PixelSpacing, made.SliceThickness, made.InstanceNumber = [1, 1], 2, 1
    made.PixelData = bytes(2 * SIDE * SIDE)
    made["PixelData"].VR = "OW"
    with tempfile.NamedTemporaryFile() as file:
        made.save_as(file.name, enforce_file_format=True)
        return Path(file.name).read_bytes()


def write(folder: Path, count: int) -> None:
    """Write so many files, in studies of ``SLICES``, in an order that says nothing."""
    plain, random = template(), np.random.default_rng(0)
    for n, place in enumerate(random.permutation(count).tolist()):
        study, k = divmod(place, SLICES)
        content = plain.replace(f"{PREFIX}.1000000".encode(), f"{PREFIX}.{1_000_000 + place}".encode())
        for first in (2, 3, 4):
            content = content.replace(f"{PREFIX}.{first}000000".encode(), f"{PREFIX}.{first}{study:06d}".encode())
        content = content.replace(b"ID00000A", f"ID{study:05d}A".encode())
        content = content.replace(b"0000.00", f"{2 * k:07.2f}".encode())
        pixels = random.integers(0, 4096, 64, dtype=np.uint16).repeat(SIDE * SIDE // 64)
        below = folder / f"{n // 1000:03d}"
        below.mkdir(parents=True, exist_ok=True)
        (below / f"{n:06d}").write_bytes(content[: -2 * SIDE * SIDE] + struct.pack(f"<{SIDE * SIDE}H", *pixels))


def measure(count: int) -> None:
    """Write, import, and print a row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        write(Path(scratch) / "in", count)
        options = DicomOptions(key=Path(scratch) / "key", dims=3, size=(32, 32, 32))
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        import_cohort("dicom", Path(scratch) / "in", Path(scratch) / "out", options)
        seconds = time.process_time() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(
            f"| {count:,} | {count // SLICES} | {seconds:.1f} | {count / seconds:.0f} | {before >> 10} | {peak >> 10} |"
        )


def main() -> None:
    """Measure each number of files in a process of its own."""
    if sys.argv[1:2] == ["--one"]:
        measure(int(sys.argv[2]))
        return
    print(
        "| files | subjects | CPU seconds | files a CPU second | MiB before | MiB at most |\n|---|---|---|---|---|---|",
        flush=True,
    )
    for count in sys.argv[1:] or ["2500", "5000", "10000"]:
        subprocess.run([sys.executable, __file__, "--one", count], check=True)


if __name__ == "__main__":
    main()
