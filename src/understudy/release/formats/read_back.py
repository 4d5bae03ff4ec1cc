"""What the forms with a file a case share: the description beside the files, and how both become the cohort again.

The description is the cohort's own cohort.json and cases.csv. Files are found by the number of their case, never by a
name that stands in a file. Arrays are decoded one case after the other into a file that has no name any more, so that
memory does not grow with the number of cases.
**Checked** in tests/release/formats/test_read_back.py, and with every form in tests/release/test_formats.py.
"""

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.manifest import CohortManifest, read_cases, read_manifest
from understudy.data.formats import image as read_image
from understudy.data.formats import labels as read_labels
from understudy.data.formats.decoded import storable

DESCRIPTION = ("cohort.json", "cases.csv")
TABLE = "table.csv"  # the case table as `understudy import` takes one, beside the files
BLOCK = 64  # cases looked at at once
ADVICE = "get the bundle again from who released it"


class CaseFiles(NamedTuple):
    """Where the files of a case lie: of its images, channel by channel, and of its label map."""

    images: list[Path]
    label: Path


def case_name(i: int) -> str:
    """Return what the files of the case in row i are called."""
    return f"case-{i + 1:06d}"


def numbered_files(images: Path, labels: Path, ending: str, channels: Sequence[str], i: int) -> CaseFiles:
    """Return the files of a case as nnU-Net calls them: CASE_0000, CASE_0001 ... among images, CASE among labels."""
    name = case_name(i)
    return CaseFiles([images / f"{name}_{c:04d}{ending}" for c in range(len(channels))], labels / f"{name}{ending}")


def case_names(files: Callable[[Path, Sequence[str], int], CaseFiles], cohort: Cohort) -> set[str]:
    """Return the names, below the bundle, of the files of all cases of a cohort, where a form has ``files`` of them."""
    channels, names = [channel.name for channel in cohort.encoding.channels], set[str]()
    for i in range(len(cohort)):
        found = files(Path(), channels, i)
        names |= {file.as_posix() for file in found.images}
        names |= {found.label.as_posix()} if cohort.labels is not None else set()
    return names


def write_description(cohort: Cohort, folder: Path) -> None:
    """Copy what describes a cohort into a folder, which is made."""
    folder.mkdir(parents=True)
    for name in DESCRIPTION:
        shutil.copyfile(cohort.path / name, folder / name)


def first_files(cohort: Cohort, ending: str) -> list[str]:
    """Return the name of each case's first file below images, or below labels without images."""
    first = "_0000" if cohort.images is not None else ""
    return [f"{case_name(i)}{first}{ending}" for i in range(len(cohort))]


def write_table(cohort: Cohort, folder: Path, column: str, names: Sequence[str]) -> None:
    """Write the case table, each row with the name by which an import finds the case, in a column of its own."""
    told = ("case_id", "subject_id", "spacing", *cohort.classes)
    with (folder / TABLE).open("w", newline="", encoding="utf-8") as handle:
        rows = csv.writer(handle, lineterminator="\n")
        rows.writerow([column, *told])
        rows.writerows([name, *(cohort.entry(one, i) for one in told)] for i, name in enumerate(names))


def read_back(
    folder: Path,
    image: Callable[[CohortManifest, int, int], np.ndarray],
    label: Callable[[CohortManifest, int], np.ndarray],
) -> Cohort:
    """Return the cohort that a folder describes, with the images (*S) of a case and channel, and label maps (*S).

    Raises:
        UnderstudyError: a file is missing, damaged, or of another size; or values are not those that were written.
    """
    manifest = _described(folder)
    with TemporaryDirectory() as scratch:
        for name in DESCRIPTION:
            shutil.copyfile(folder / name, Path(scratch) / name)
        if manifest.hashes.images is not None:
            channels, dtype = range(len(manifest.encoding.channels)), np.dtype(manifest.encoding.dtype)
            cases = (np.stack([_sized(manifest, image, i, c) for c in channels]) for i in range(manifest.n))
            _write_array(Path(scratch) / "images.npy", (manifest.n, len(channels), *manifest.size), dtype, cases)
        if manifest.hashes.labels is not None:
            maps = (_sized(manifest, label, i) for i in range(manifest.n))
            _write_array(Path(scratch) / "labels.npy", (manifest.n, *manifest.size), np.dtype("uint8"), maps)
        cohort = Cohort.open(scratch)
    cohort.path = folder  # its arrays stay open, and their files go when they are closed
    cohort.verify()
    return cohort


def read_files(folder: Path, files: Callable[[Sequence[str], int], CaseFiles]) -> Cohort:
    """Return the cohort that a folder describes, whose cases are in files of their own."""

    def image(manifest: CohortManifest, i: int, c: int) -> np.ndarray:
        channels = [channel.name for channel in manifest.encoding.channels]
        return read_image(files(channels, i).images[c]).array[0]

    def label(manifest: CohortManifest, i: int) -> np.ndarray:
        channels = [channel.name for channel in manifest.encoding.channels]
        return read_labels(files(channels, i).label).array

    return read_back(folder, image, label)


def _described(folder: Path) -> CohortManifest:
    if not folder.is_dir():
        raise UnderstudyError(f"a cohort was expected in {folder}, and there is none: {ADVICE}")
    manifest = read_manifest(folder)
    read_cases(folder, manifest)
    return manifest


def _sized(manifest: CohortManifest, read: Callable[..., np.ndarray], i: int, *more: int) -> np.ndarray:
    """Read one array of a case and check its size."""
    try:
        array = read(manifest, i, *more)
    except OSError as error:
        raise UnderstudyError(f"a file of the case {case_name(i)} cannot be read ({error}): {ADVICE}") from error
    if array.shape != manifest.size:
        raise UnderstudyError(
            f"{case_name(i)} should be of the size {manifest.size}, and a file of it is {array.shape}: {ADVICE}"
        )
    return array


def _write_array(file: Path, shape: tuple[int, ...], dtype: np.dtype, cases: Iterator[np.ndarray]) -> None:
    """Stream cases into a .npy file; what a type does not hold becomes another value, which the hash tells."""
    with file.open("wb") as handle:
        header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(handle, header)
        with np.errstate(invalid="ignore", over="ignore"):
            for case in cases:
                handle.write(np.ascontiguousarray(case.astype(dtype)).tobytes())


def stored_type(cohort: Cohort, form: str) -> np.dtype:
    """Return the type in which medical files hold the images: uint8, int16, uint16 or float32.

    Raises:
        UsageError: values would change.
    """
    kept = np.dtype(storable(np.dtype(cohort.encoding.dtype)))
    for block in _blocks(cohort):
        with np.errstate(over="ignore"):
            changed = not (np.isfinite(block).all() and np.array_equal(block.astype(kept), block))
        if changed:
            raise UsageError(
                f"--format {form} holds finite numbers as {kept}, and values of {cohort.path.name}, "
                f"{cohort.encoding.dtype}, are none or would change: choose --format folder"
            )
    return kept


def whole_range(cohort: Cohort) -> tuple[int, int] | None:
    """Return the lowest and the highest value of the images, or None where one is no whole number."""
    low, high = 0, 0
    for block in _blocks(cohort):
        if block.dtype.kind == "f" and not (np.isfinite(block).all() and np.array_equal(np.rint(block), block)):
            return None
        low, high = min(low, int(block.min())), max(high, int(block.max()))
    return low, high


def _blocks(cohort: Cohort) -> Iterator[np.ndarray]:
    for start in range(0, len(cohort) if cohort.images is not None else 0, BLOCK):
        assert cohort.images is not None
        yield np.asarray(cohort.images[start : start + BLOCK])
