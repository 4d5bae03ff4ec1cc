"""Nothing real in a bundle: every image in it is compared with every real one, every byte is searched for real names.

Images are those of the cohort, of the public arrays, and of every picture, also of those embedded in HTML. What is
found here is never released, whatever the reason given: a policy sets from where images count as the same, an override
does not reach this. Messages name the file of the bundle, never the real case.
**Checked** in tests/release/test_leak.py (one real thing of each kind planted, in each kind of file).
"""

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from understudy.core.cohort import PATIENTS_OWN, Cohort
from understudy.core.errors import UnderstudyError
from understudy.evaluation.guard import refuse_unfitting
from understudy.release.needles import EMBEDDED, needles_of, refuse_names
from understudy.release.pixels import RealPixels
from understudy.release.policy import RealCheck
from understudy.release.tiles import highest, open_png, tiles
from understudy.report.reading import read_arrays

KNOWN = {".json", ".csv", ".npy", ".npz", ".html", ".md", ".yaml", ".png"}


def compare_with_real(folder: Path, real: Cohort, rule: RealCheck) -> dict[str, float]:
    """Compare a bundle with the real cohort that stands behind it.

    Args:
        folder: the bundle, with ``cohort/``.
        real: the real cohort, all splits.
        rule: from where images count as the same.

    Returns:
        What was compared, as counts and the highest r, for the bundle.

    Raises:
        UsageError: cohorts of different sizes or channels, which cannot be compared.
        UnderstudyError: a real image, patch, label map, name or unkeyed hash is in the bundle, or a kind of file that
            cannot be looked into.
    """
    released, needles = Cohort.open(folder / "cohort"), needles_of(real)
    refuse_unfitting(real, released, labels=False)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    for file in files:
        if file.suffix not in KNOWN:
            raise UnderstudyError(f"release is refused: {_name(file, folder)} is of a kind that is not looked into")
    searched = refuse_names(folder, needles)
    owned = released.label_source in PATIENTS_OWN  # a policy that let these in knows whose they are
    pixels = RealPixels(real, None if owned else rule.label_voxels)
    near = _compare_cohort(released, pixels, rule)
    for file in folder.rglob("*.npz"):
        near = max(near, _compare_arrays(read_arrays(file), pixels, rule, _name(file, folder)))
    drawn, n = _compare_pictures(folder, files, real, rule)
    told = {"files": searched, "real_cases": len(real), "names_too_short": needles.short}
    return {**told, "pictures": n, "highest_r": round(near, 4), "highest_r_drawn": round(drawn, 4)}


def _compare_cohort(released: Cohort, pixels: RealPixels, rule: RealCheck) -> float:
    _refuse(pixels.same_patches_of(released), "patch", "cohort/images.npy")
    if released.labels is not None:
        _refuse(pixels.same_maps(released.labels), "label map", "cohort/labels.npy")
    return _refuse_near(pixels.nearest_of(released), rule.near, "cohort/images.npy")


def _compare_arrays(arrays: dict[str, np.ndarray], pixels: RealPixels, rule: RealCheck, where: str) -> float:
    """Compare every array of an .npz file that can hold images or label maps."""
    highest_r = -1.0
    for array in arrays.values():
        if array.dtype.kind == "f" and array.ndim >= 3:
            images = (array if array.ndim > 3 else array[:, None]) * 2 - 1
            _refuse(pixels.same_patches(images), "patch", where)
            highest_r = max(highest_r, _refuse_near(pixels.nearest_to(images), rule.near, where))
        elif array.dtype.kind in "iu" and array.ndim >= 3:
            _refuse(pixels.same_maps(array), "label map", where)
    return highest_r


def _compare_pictures(folder: Path, files: list[Path], real: Cohort, rule: RealCheck) -> tuple[float, int]:
    """Return the highest r of any tile of any picture, and the number of pictures."""
    best, n = -1.0, 0
    height, width = real.size[-2:]
    for where, data in _pictures(folder, files):
        found, n = highest(tiles(open_png(data, where), (height, width)), real), n + 1
        best = max(best, _refuse_near(found, rule.drawn, where))
    return best, n


def _pictures(folder: Path, files: list[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        if file.suffix == ".png":
            yield _name(file, folder), file.read_bytes()
        elif file.suffix == ".html":
            for i, embedded in enumerate(EMBEDDED.findall(file.read_bytes()), start=1):
                yield f"{_name(file, folder)} (picture {i})", b64decode(embedded)


def _refuse(n: int, what: str, where: str) -> None:
    if n:
        raise UnderstudyError(
            f"release is refused: {n} image(s) in {where} hold a real {what}, as it is: screen the cohort, or make "
            "that evidence again. Nothing was written"
        )


def _refuse_near(r: float, limit: float, where: str) -> float:
    if r >= limit:
        raise UnderstudyError(
            f"release is refused: an image in {where} is a real one, or as good as that (r = {r:.4f}, and the policy "
            f"says below {limit:g}): screen the cohort, or make that evidence again. Nothing was written"
        )
    return r


def _name(file: Path, folder: Path) -> str:
    return file.relative_to(folder).as_posix()
