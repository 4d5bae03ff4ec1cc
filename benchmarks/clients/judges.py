"""What the Python clients of ``check.py`` do with a bundle: ``PYTHON judges.py CLIENT BUNDLE``, in its environment.

Nothing of understudy is imported here: arrays of ``cohort/`` are the truth, read by NumPy. Prints one line that begins
with "judged:"; what does not hold is an AssertionError.
"""

import csv
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np


def truth(bundle: Path, what: str) -> np.ndarray:
    """Return the ``images`` (N, C, *S) or the ``labels`` (N, *S)."""
    return np.asarray(np.load(bundle / "cohort" / f"{what}.npy"))


def files(bundle: Path, i: int, channels: int) -> tuple[list[str], str]:
    """Return the NIfTI files of a case."""
    name = f"case-{i + 1:06d}"
    images = [str(bundle / "nifti" / "images" / f"{name}_{c:04d}.nii.gz") for c in range(channels)]
    return images, str(bundle / "nifti" / "labels" / f"{name}.nii.gz")


def reversed_axes(array: np.ndarray) -> np.ndarray:
    """Return (C, *S) as the clients hold it: (C, W, H, D), D = 1 of a picture."""
    array = np.moveaxis(array, range(1, array.ndim), range(array.ndim - 1, 0, -1))
    return array if array.ndim == 4 else array[..., None]


def monai(bundle: Path) -> str:
    """Load all cases with LoadImaged."""
    from monai.transforms import LoadImaged

    images, labels = truth(bundle, "images"), truth(bundle, "labels")
    load = LoadImaged(["image", "label"], ensure_channel_first=True)
    for i in range(len(images)):
        image, label = files(bundle, i, images.shape[1])
        case = load({"image": image, "label": label})
        whole = reversed_axes(images[i])
        assert np.array_equal(np.asarray(case["image"]).reshape(whole.shape), whole), "images differ"
        assert np.array_equal(np.asarray(case["label"]).reshape(whole.shape[1:]), reversed_axes(labels[i : i + 1])[0])
    return f"{len(images)} cases, images and label maps equal"


def torchio(bundle: Path) -> str:
    """Load all cases as Subjects."""
    import torchio as tio

    images, labels = truth(bundle, "images"), truth(bundle, "labels")
    for i in range(len(images)):
        image, label = files(bundle, i, images.shape[1])
        case = tio.Subject(image=tio.ScalarImage(image), label=tio.LabelMap(label))
        assert np.array_equal(case["image"].data.numpy(), reversed_axes(images[i])), "images differ"
        assert np.array_equal(case["label"].data.numpy()[0], reversed_axes(labels[i : i + 1])[0]), "label maps differ"
        assert case["image"].orientation == ("L", "P", "S"), case["image"].orientation
    return f"{len(images)} cases, images and label maps equal, orientation LPS"


def simpleitk(bundle: Path) -> str:
    """Compare what SimpleITK and nibabel say of the geometry of all NIfTI files."""
    import nibabel as nib
    import SimpleITK as sitk

    both = np.diag([-1.0, -1.0, 1.0])
    every = sorted((bundle / "nifti").rglob("*.nii.gz"))
    for file in every:
        ours, theirs = nib.load(file), sitk.ReadImage(str(file))
        affine = ours.affine
        sizes = np.sqrt((affine[:3, :3] ** 2).sum(0))
        directions = both @ (affine[:3, :3] / sizes)
        assert np.allclose(theirs.GetSpacing(), sizes, atol=1e-5), file
        assert np.allclose(theirs.GetOrigin(), both @ affine[:3, 3], atol=1e-4), file
        assert np.allclose(np.reshape(theirs.GetDirection(), (3, 3)), directions, atol=1e-6), file
        assert np.array_equal(sitk.GetArrayFromImage(theirs).T, np.asarray(ours.dataobj)), file
    return f"{len(every)} files: voxels, spacing, origin and direction are those of nibabel {nib.__version__}"


def highdicom(bundle: Path) -> str:
    """Open all SEGs and put their segments on the images that they were drawn on."""
    import highdicom as hd
    import pydicom

    labels = truth(bundle, "labels")
    depth = labels.shape[1] if labels.ndim == 4 else 1
    for i in range(len(labels)):
        case = bundle / "dicom" / f"case-{i + 1:06d}"
        seg = hd.seg.segread(case / "labels.dcm")
        uids = [pydicom.dcmread(case / "series-0" / f"{d + 1:06d}.dcm").SOPInstanceUID for d in range(depth)]
        found = seg.get_pixels_by_source_instance(
            uids, combine_segments=True, assert_missing_frames_are_empty=True, skip_overlap_checks=False
        )
        assert np.array_equal(found.reshape(labels[i].shape), labels[i]), case
    return f"{len(labels)} SEGs, all masks equal"


def dcm2niix(bundle: Path) -> str:
    """Compare what dcm2niix made of the first series of each case, NAME.nii in a folder, with the NIfTI form.

    A digital x-ray has no place in the patient, and dcm2niix puts its middle at 0: the place is not compared.
    """
    import nibabel as nib

    images = truth(bundle, "images")
    for i in range(len(images)):
        ours = nib.as_closest_canonical(nib.load(files(bundle, i, 1)[0][0]))
        theirs = nib.as_closest_canonical(nib.load(bundle.with_name(f"{bundle.name}-dcm2niix") / f"{i}.nii"))
        assert np.array_equal(np.asarray(ours.dataobj), np.asarray(theirs.dataobj)), f"case {i}: voxels"
        columns = 3 if is_projection(bundle) else 4
        same = np.allclose(ours.affine[:, :columns], theirs.affine[:, :columns], atol=1e-4)
        assert same, f"case {i}: {ours.affine} {theirs.affine}"
    what = "affines but for their origin" if is_projection(bundle) else "affines (1e-4 mm)"
    return f"{len(images)} series, voxels and {what} are those of the NIfTI form"


def is_projection(bundle: Path) -> bool:
    """Tell whether the cases are digital x-rays."""
    return json.loads((bundle / "cohort" / "cohort.json").read_text())["modality"] == "DX"


def orthanc(bundle: Path) -> str:
    """Compare what came back from Orthanc with what was sent, data set by data set."""
    import pydicom

    sent = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, sorted((bundle / "dicom").rglob("*.dcm")))}
    back = bundle.with_name(f"{bundle.name}-orthanc") / "got"
    got = {one.SOPInstanceUID: one for one in map(pydicom.dcmread, sorted(f for f in back.iterdir() if f.is_file()))}
    assert sent.keys() == got.keys(), f"{len(sent)} were sent, {len(got)} came back"
    for uid, one in got.items():
        one.pop(0xFFFCFFFC, None)  # padding at the end of the file
        assert one == sent[uid], f"{uid} differs"
    told = json.loads((back.parent / "server" / "system.json").read_text())
    return f"Orthanc {told['Version']}: {len(got)} instances stored and fetched (C-GET), data sets equal"


def mlcroissant(bundle: Path) -> str:
    """Validate croissant.json and load the case table."""
    import mlcroissant as mlc

    dataset = mlc.Dataset(jsonld=str(bundle / "croissant.json"))
    with (bundle / "cohort" / "cases.csv").open(newline="") as handle:
        wanted = [row["case_id"] for row in csv.DictReader(handle)]
    found = [record["cases/case_id"].decode() for record in dataset.records("cases")]
    assert found == wanted, found
    issues = dataset.metadata.ctx.issues
    assert not issues.errors, issues.report()
    return f"valid, {len(issues.warnings)} warning(s), {len(found)} records"


def nnunet(bundle: Path) -> str:
    """Run nnU-Net's own check of a raw data set."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            os.environ[name] = folder
        from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

        verify_dataset_integrity(str(bundle / "nnunet" / "Dataset001_Synthetic"), 1)
    return "verify_dataset_integrity passes"


def bids(bundle: Path) -> str:
    """Read what the validator wrote of the raw and the derivative data set: no error."""
    told = []
    for part in ("raw", "derivative"):
        found = json.loads(bundle.with_name(f"{bundle.name}-bids-{part}.json").read_text())
        issues = found["issues"]["issues"]
        errors = [issue for issue in issues if issue["severity"] == "error"]
        assert not errors, errors[:3]
        told.append(f"{part}: 0 errors, {len(issues)} warnings")
    return f"schema {found['summary']['schemaVersion']}; {'; '.join(told)}"


def dicomqc(bundle: Path) -> str:
    """Read what dicomqc wrote: no error."""
    found = json.loads(bundle.with_name(f"{bundle.name}-dicomqc.json").read_text())
    levels = [item["severity"].lower() for item in findings(found)]
    assert "error" not in levels, [item for item in findings(found) if item["severity"].lower() == "error"][:3]
    return f"0 errors, {levels.count('warning')} warnings"


def findings(node: object) -> list[dict[str, str]]:
    """Return all entries with a severity, wherever they stand."""
    if isinstance(node, dict):
        own = [node] if isinstance(node.get("severity"), str) else []
        return own + [one for value in node.values() for one in findings(value)]
    return [one for value in node for one in findings(value)] if isinstance(node, list) else []


if __name__ == "__main__":
    print("judged:", globals()[sys.argv[1]](Path(sys.argv[2]).absolute()))
