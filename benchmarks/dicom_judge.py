"""Compare our reading of DICOM with dcm2niix's, series by series: equal voxels, equal affines, or why not.

    python benchmarks/dicom_judge.py FOLDER... > table.md

Files of one folder and series are read together (alone, where several files claim one instance). Both results are
brought to the stated order of axes; pictures without a place are compared as pictures. Needs ``dcm2niix`` on the path.
"""

import shutil
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np

from understudy.core.errors import UnderstudyError
from understudy.data.dicom import kinds
from understudy.data.dicom.instance import Instance, read
from understudy.data.dicom.opening import is_dicom
from understudy.data.dicom.pixels import decoded
from understudy.data.dicom.series import volumes
from understudy.data.formats.decoded import DecodedFile
from understudy.data.geometry import turned

AFFINE = 1e-4  # mm
LOSSY = "lossy JPEG: decoders round differently; ours equals dcmtk's decoded twins, where there are any, bit for bit"
FIRST = "dcm2niix repeats the first frame; ours equals the uncompressed twin"
DECISIONS = {  # begin of a file's name -> why ours differs, after looking into it
    "SC_rgb_rle_2frame": "dcm2niix mixes up two frames of RLE; ours equals the uncompressed twin",
    "SC_rgb_small_odd_big_endian": "dcm2niix misreads an odd big-endian row; ours equals the little-endian twin",
    "SC_rgb_small_odd_jpeg": LOSSY,
    "SC_rgb_jpeg.dcm": "JPEG without a colour transform: dcm2niix applies one; ours equals dcmtk's decoded twin",
    "SC_jpeg_no_color_transform.dcm": "JPEG without a colour transform: dcm2niix applies one; ours equals dcmtk's",
    "SC_rgb_": LOSSY,
    "SC_jpeg_": LOSSY,
    "SC_ybr_full_uncompressed": "dcm2niix takes YBR for RGB; ours becomes RGB",
    "J2K_pixelrep_mismatch": "the header says signed, the JPEG 2000 stream not: ours follows the header (HU)",
    "OBXXXX1A_expb": "palette of a big-endian file: ours equals the little-endian twin",
    "OBXXXX1A_rle_2frame": "palette, two frames: ours equals the uncompressed twin",
    "emri_small_jpeg_2k_lossless.dcm": FIRST,
    "mlut_18": "modality LUT: dcm2niix does not apply it, ours does",
    "brain_001": "voxels are equal; dcm2niix takes the distance of the first two slices, whose positions are rounded "
    "to 0.1 mm, for all (7.071 mm); ours is the mean (7.001 mm): the last slice lies where its header says",
}


def groups(folder: Path) -> Iterator[tuple[str, list[Path], str]]:
    """Name, files and, where a header cannot be read, the reason, of every series below a folder."""
    together: dict[tuple[Path, str], list[Instance]] = defaultdict(list)
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or not is_dicom(file):
            continue
        name = file.relative_to(folder).as_posix()
        try:
            one = read(file, "it")
        except UnderstudyError as error:
            yield name, [file], str(error)
            continue
        if one.kind == kinds.IMAGE:
            together[file.parent, one.series or name].append(one)
        else:
            yield name, [file], f"it is one of: {one.kind}"
    for members in together.values():
        alone = len({one.sop for one in members}) < len(members) or not members[0].frames[0].placed
        for part in [[one] for one in members] if alone else [members]:
            name = part[0].file.relative_to(folder).as_posix()
            yield name + (f" and {len(part) - 1} more" if len(part) > 1 else ""), [one.file for one in part], ""


def ours(files: list[Path]) -> tuple[list[DecodedFile], str]:
    """Our volumes, in the stated order of axes, or why there are none."""
    try:
        stacks, passed = volumes([read(file, "it") for file in files])
        problems = [stack.problem for stack in stacks if stack.problem]
        if problems or not stacks:
            return [], "; ".join(problems) or ", ".join(passed)
        return [decoded(stack).turned() for stack in stacks], ""
    except UnderstudyError as error:
        return [], str(error)


def theirs(files: list[Path]) -> list[DecodedFile]:
    """dcm2niix's volumes, in the stated order of axes."""
    with tempfile.TemporaryDirectory() as scratch:
        source, out = Path(scratch) / "in", Path(scratch) / "out"
        source.mkdir(), out.mkdir()
        for n, file in enumerate(files):
            shutil.copy(file, source / f"{n:04d}.dcm")
        command = ["dcm2niix", "-b", "n", "-z", "n", "-m", "n", "-f", "x", "-o", str(out), str(source)]
        subprocess.run(command, capture_output=True, check=False, timeout=300)
        found = []
        for file in sorted(out.glob("*.nii")):
            image = nib.load(file)
            voxels = np.asanyarray(image.dataobj)
            if voxels.dtype.fields:
                voxels = np.moveaxis(voxels.view((np.uint8, 3)), -1, 0)
            else:
                voxels = voxels[None]
            while voxels.ndim < 4:
                voxels = voxels[..., None]
            for t in range(voxels.shape[4] if voxels.ndim == 5 else 1):
                one = voxels[..., t] if voxels.ndim == 5 else voxels
                array, affine, spacing = turned(one, image.affine)
                found.append(DecodedFile(array, spacing, affine))
        return found


def as_stored(files: list[Path]) -> list[DecodedFile]:
    """Our volumes with neither MONOCHROME1 turned over nor palettes applied."""
    stacks, _ = volumes([read(file, "it") for file in files])
    return [decoded(stack, as_labels=True).turned() for stack in stacks]


def compare(mine: DecodedFile, other: DecodedFile) -> str:
    """How one volume differs from another; blank where it does not."""
    a, b = mine.array, other.array
    if mine.affine is None:  # dcm2niix gives pictures without a place one: rows upwards, as NIfTI stores them
        orders = [b, b[..., ::-1, :], b[..., ::-1], b[..., ::-1, ::-1]]
        near = min(orders, key=lambda o: np.abs(a.astype(float) - o).mean() if a.shape == o.shape else np.inf)
        return _voxels(a, near) if a.shape != b.shape or not np.allclose(a, near, rtol=1e-6) else ""
    if a.shape != b.shape or not np.allclose(a, b, rtol=1e-6, atol=1e-6):
        return _voxels(a, b)
    assert other.affine is not None
    away = float(np.abs(mine.affine - other.affine).max())
    return f"affine by {away:.2g} mm" if away > AFFINE else ""


def _voxels(a: np.ndarray, b: np.ndarray) -> str:
    if a.shape != b.shape:
        return f"shape {a.shape}, dcm2niix {b.shape}"
    off = np.abs(a.astype(float) - b)
    return (
        f"voxels by up to {off.max():.4g} in {(off > 1e-6).mean():.1%}; ours {a.min()}..{a.max()}, {b.min()}..{b.max()}"
    )


def verdict(files: list[Path], refused: str) -> tuple[str, str]:
    """One row: a word, and what is to say."""
    mine, why = ([], refused) if refused else ours(files)
    other = theirs(files)
    if not mine:
        return ("both refuse" if not other else "ours refuses"), why
    if not other:
        return "dcm2niix refuses", ""
    left = list(other)
    notes = []
    for one in mine:
        found = [compare(one, candidate) for candidate in left]
        if "" in found:
            left.pop(found.index(""))
        else:
            notes.append(min(found, key=len) if found else "dcm2niix has fewer volumes")
    if notes and all(any(not compare(one, b) for b in other) for one in as_stored(files)):
        return "differs", "as stored both are equal: ours turns MONOCHROME1 over, or applies the palette"
    if notes:
        return "differs", "; ".join(dict.fromkeys(notes))
    return "equal", f"{len(mine)} volumes" if len(mine) > 1 else f"dcm2niix has {len(left)} more" if left else ""


def main() -> None:
    """Print the table."""
    rows = []
    for folder in map(Path, sys.argv[1:]):
        for name, files, refused in groups(folder):
            word, remark = verdict(files, refused)
            known = next((why for start, why in DECISIONS.items() if files[0].name.startswith(start)), "")
            rows.append((word, (known or remark) if word == "differs" else remark, name))
    together: dict[tuple[str, str], list[str]] = defaultdict(list)
    for word, remark, name in rows:
        together[word, remark].append(name)
    counts = Counter(word for word, _, _ in rows)
    print(", ".join(f"{n} {word}" for word, n in counts.most_common()) + "\n")
    print("| verdict | why | files or series |\n|---|---|---|")
    for (word, remark), names in sorted(together.items(), key=lambda pair: (pair[0][0], -len(pair[1]))):
        print(f"| {word} | {remark} | {', '.join(names)} |")


if __name__ == "__main__":
    main()
