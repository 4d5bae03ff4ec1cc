"""Phantom folders in the layouts and shapes that the shipped studies read: BraTS, ADNI-like, ISLES 2022, ChestX-ray14.

One head of 155 x 240 x 240 voxels is made (a minute); subjects are that head, shifted and scaled in brightness: enough
for shapes, memory and rates, and for nothing else.
"""

import csv
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image

from understudy.data.phantom.phantom import phantom_subject

HEAD = (155, 240, 240)
BRATS_VALUES = np.array([0, 1, 2, 4], np.uint8)  # of necrosis, oedema, enhancing
XRAYS = 20


def write_data(study: str, folder: Path) -> None:
    """Write what a study reads, unless it is there."""
    if folder.is_dir():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    WRITERS[study](partial)
    partial.rename(folder)


def head(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return volumes (4, D, H, W) float32 and the label map of the one head, kept beside the folders."""
    file = folder.parent / "head.npz"
    if not file.is_file():
        volumes, labels = phantom_subject(0, 0, HEAD)
        np.savez(file, volumes=volumes.astype(np.float16), labels=labels)
    kept = np.load(file)
    return kept["volumes"].astype(np.float32), kept["labels"]


def subject(volumes: np.ndarray, labels: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the head shifted by ``number`` voxels, brighter by some percent."""
    return np.roll(volumes, number, (-2, -1)) * (1 + 0.02 * number), np.roll(labels, number, (-2, -1))


def write_volume(file: Path, array: np.ndarray) -> None:
    """Write an array (D, H, W) as NIfTI of 1 mm; x to the left, y to the back."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(np.ascontiguousarray(array.transpose(2, 1, 0)), np.diag([-1.0, -1.0, 1.0, 1.0]))
    nib.save(image, file)


def write_brats(folder: Path, names: list[str], contrasts: tuple[str, ...], values: np.ndarray) -> None:
    """Write cases of BraTS; contrasts as the year calls T1, T1c, T2, FLAIR."""
    volumes, labels = head(folder.parent)
    for number, name in enumerate(names):
        images, maps = subject(volumes, labels, number)
        prefix = f"{name}_" if name.startswith("BraTS") else ""
        for contrast, image in zip(contrasts, images, strict=True):
            write_volume(folder / name / f"{prefix}{contrast}.nii", (image * 1000).astype(np.int16))
        write_volume(folder / name / f"{prefix}seg.nii", values[maps])


def akbar(folder: Path) -> None:
    """Write BraTS 2020 with six subjects."""
    names = [f"BraTS20_Training_{i:03d}" for i in range(1, 7)]
    write_brats(folder / "brats2020", names, ("t1", "t1ce", "t2", "flair"), BRATS_VALUES)


def shin(folder: Path) -> None:
    """Write BraTS 2015 with six subjects, and six heads with T1 and tissues by brightness."""
    names = [f"brats_tcia_pat{i:03d}_1" for i in range(1, 7)]
    write_brats(folder / "brats2015", names, ("t1", "t1c", "t2", "flair"), np.array([0, 1, 2, 4], np.uint8))
    volumes, labels = head(folder)
    edges = np.quantile(volumes[0][volumes[0] > 0.1], (1 / 3, 2 / 3))
    for number in range(6):
        images, _ = subject(volumes, labels, number)
        tissues = (1 + np.digitize(images[0], edges)) * (images[0] > 0.1)
        name = f"{number:03d}_S_{number:04d}.nii"
        write_volume(folder / "adni" / "t1" / name, (images[0] * 1000).astype(np.int16))
        write_volume(folder / "adni" / "tissues" / name, tissues.astype(np.uint8))


def platscher(folder: Path) -> None:
    """Write ISLES 2022 with six patients of 112 x 112 x 73."""
    volumes, labels = head(folder)
    for number in range(6):
        images, maps = subject(volumes[:1, ::2, 8:232:2, 8:232:2][:, :73], labels[::2, 8:232:2, 8:232:2][:73], number)
        case, session = f"sub-strokecase{number + 1:04d}", "ses-0001"
        name = f"{case}_{session}"
        for kind in ("dwi", "adc"):
            write_volume(folder / case / session / "dwi" / f"{name}_{kind}.nii.gz", images[0].astype(np.float32))
        write_volume(folder / "derivatives" / case / session / f"{name}_msk.nii.gz", (maps > 0).astype(np.uint8))


def segal(folder: Path) -> None:
    """Write ChestX-ray14 with twenty pictures of 1,024 pixels, of as many patients; classes are told that five have."""
    volumes, _ = head(folder)
    (folder / "images_001" / "images").mkdir(parents=True)
    lists: dict[str, list[str]] = {"train_val_list.txt": [], "test_list.txt": []}
    rows = []
    for number in range(XRAYS):
        picture = np.kron(volumes[0, 40 + 2 * number][:205, :205], np.ones((5, 5)))[:1024, :1024]
        name = f"{number + 1:08d}_000.png"
        Image.fromarray((255 * np.clip(picture, 0, 1)).astype(np.uint8)).save(folder / "images_001" / "images" / name)
        lists["test_list.txt" if number % 5 == 4 else "train_val_list.txt"].append(name)
        rows.append([name, ("Effusion|Mass", "No Finding")[number % 2], number + 1])
    for list_name, names in lists.items():
        (folder / list_name).write_text("\n".join(names) + "\n")
    with (folder / "Data_Entry_2017.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([["Image Index", "Finding Labels", "Patient ID"], *rows])


WRITERS = {"akbar2024": akbar, "shin2018": shin, "platscher2021": platscher, "segal2020": segal}
