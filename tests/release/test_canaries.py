"""Nothing of the source, string or patch, is in any byte or decoded pixel of any form; what is planted is found."""

import getpass
import gzip
import platform
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from PIL import Image

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.release.deidentify import write_deidentified
from understudy.release.disclosure import compare_with_real
from understudy.release.formats import FORMS
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.release.verify import verify_bundle

RULE = read_policy().policy.real_check
SIDE = 8
CANARIES = ("Canary", "donor-of-the-map", "synthetic-00000", "1.23697")


def contents(bundle: Path) -> Iterator[tuple[Path, bytes]]:
    for file in sorted(f for f in bundle.rglob("*") if f.is_file()):
        data = file.read_bytes()
        yield file, data + (gzip.decompress(data) if file.suffix == ".gz" else b"")


def decoded(bundle: Path) -> Iterator[np.ndarray]:
    """Every array (n, H, W) in files of the forms, read by their own libraries."""
    for file in sorted(f for f in bundle.rglob("*") if f.is_file()):
        if file.suffix == ".gz":
            yield np.asarray(nib.load(file).dataobj).T.reshape(-1, 32, 32)
        elif file.suffix == ".dcm":
            yield pydicom.dcmread(file).pixel_array.reshape(-1, 32, 32)
        elif file.suffix == ".npy":
            yield np.load(file).reshape(-1, 32, 32)
        elif file.parts[-3:-1] in (("png", "images"), ("png", "labels")):
            yield np.asarray(Image.open(file))[None]


def patches(images: np.ndarray, step: int) -> set[bytes]:
    """All patches of 8 x 8 with more than a few values, at each ``step`` of images (n, H, W)."""
    windows = np.lib.stride_tricks.sliding_window_view(images.astype(np.uint8), (SIDE, SIDE), (1, 2))[:, ::step, ::step]
    flat = windows.reshape(-1, SIDE * SIDE)
    return {one.tobytes() for one in flat[(np.sort(flat)[:, 1:] != np.sort(flat)[:, :-1]).sum(1) >= 15]}


def test_no_string_and_no_patch_of_the_source_is_in_any_form(mr_bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    own = [socket.gethostname(), str(Path.home()), getpass.getuser()]
    for variable in ("USER", "LOGNAME", "USERNAME", "HOSTNAME", "HOME"):
        monkeypatch.setenv(variable, f"/home/Canary{variable}")
    for module, name in ((socket, "gethostname"), (socket, "getfqdn"), (platform, "node"), (getpass, "getuser")):
        monkeypatch.setattr(module, name, lambda: "CanaryMachine")
    source = mr_bench.cohort(
        "CanaryFolder",
        provenance=Provenance("sample", {"generator": "diffusion", "from": "/home/Canary/run"}, 3),
        sampling={"note": "CanaryNote"},
        preprocessing={"scanner": "CanaryScanner"},
        spacing=["1.23697 1.1"] * 12,
    )
    options = {"real": mr_bench.real, "formats": list(FORMS), "licence": "CC-BY-4.0"}
    bundle = release_cohort(source, mr_bench.evidence(source), mr_bench.root / "bundle", **options)
    assert verify_bundle(bundle)
    strings = [
        *CANARIES,
        *mr_bench.names,
        str(mr_bench.root),
        mr_bench.root.name,
        *own,
    ]
    wanted = [text.encode() for text in strings if len(text) > 5]
    files = 0
    for file, data in contents(bundle):
        found = [text for text in wanted if text in data or text in str(file.relative_to(bundle)).encode()]
        assert not found, (file, found)
        files += 1
    real, mine = (np.asarray(Cohort.open(path).images)[:, 0] for path in (mr_bench.real, source))
    forbidden, seen = patches(real, 1), set[bytes]()
    assert len(forbidden) > 30_000
    for array in decoded(bundle):
        seen |= patches(array, 1)
    assert files > 150 and not forbidden & seen and patches(mine, 1) <= seen


def names_it(form: str, folder: Path, name: str) -> None:
    """Write a name into a file of a form, where that kind of file has room for it."""
    if form == "dicom":
        file = next((folder / "dicom").rglob("*.dcm"))
        dataset = pydicom.dcmread(file)
        dataset.PatientComments = name
        dataset.save_as(file)
    elif form == "png":
        file = next((folder / "png").rglob("*.png"))
        file.write_bytes(file.read_bytes() + name.encode())
    else:
        file = next((folder / form).rglob("*.nii.gz"))
        volume = nib.load(file)
        volume.header.extensions.append(nib.nifti1.Nifti1Extension("comment", name.encode()))
        nib.save(nib.Nifti1Image(np.asarray(volume.dataobj), volume.affine, volume.header), file)


@pytest.mark.parametrize("form", [name for name in FORMS if name != "folder"])
def test_a_real_patch_and_a_real_name_are_found_in_each_form(
    mr_bench: Any, smooth: Callable[..., np.ndarray], tmp_path: Path, form: str
) -> None:
    real = Cohort.open(mr_bench.real)
    images = smooth(12, 1)
    for name, planted in (("clean", False), ("planted", True)):
        if planted:
            assert real.images is not None
            images[3, 0, 5:21, 5:21] = real.images[7, 0, 8:24, 8:24]
        source, folder = Cohort.open(mr_bench.cohort(f"from-{name}", images)), tmp_path / name
        write_deidentified(source, tmp_path / f"plain-{name}", Provenance("release"))
        folder.mkdir()
        FORMS[form].write(folder, Cohort.open(tmp_path / f"plain-{name}"))
        if planted:
            with pytest.raises(UnderstudyError, match=rf"in the cohort \({form}\) hold a real patch"):
                compare_with_real(folder, [form], real, RULE)
        else:
            assert compare_with_real(folder, [form], real, RULE).pictures == 0
            names_it(form, folder, mr_bench.names[4])
            with pytest.raises(UnderstudyError, match="the pseudonym of a real subject stands in"):
                compare_with_real(folder, [form], real, RULE)
