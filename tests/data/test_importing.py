"""import: nothing of a source's names in any byte, the same request gives the same bytes, killed or not; no space, no
trace."""

import os
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from understudy.core.cohort import Cohort
from understudy.core.errors import UsageError
from understudy.data.check import check_cohort
from understudy.data.importing import import_cohort
from understudy.data.sources import SOURCES
from understudy.data.sources.built_in import PhantomOptions
from understudy.data.sources.pairs import FolderOptions

Bring, Refused, SaveNifti = Callable[..., Cohort], Callable[..., str], Callable[..., Path]
FILES = ("cohort.json", "cases.csv", "images.npy", "labels.npy")


def contents(cohort: Cohort) -> dict[str, bytes]:
    return {name: (cohort.path / name).read_bytes() for name in FILES if (cohort.path / name).exists()}


def test_no_source_name_stands_in_what_is_written(pictures: Path, bring: Bring) -> None:
    cohort = bring(classes=("kind",), subject=None, subject_pattern=r"^(Jones-\d+)_", split_column="split")
    for name, content in contents(cohort).items():
        for secret in (b"Jones", b"Grey", b"table.csv", b"masks", str(pictures).encode(), b".png"):
            assert secret not in content, (name, secret)
    assert not {"images", "labels", "table", "subject_pattern", "key"} & set(cohort.provenance["config"])
    assert (cohort.path / "cases.csv").read_text().count("s-") == 48


def test_cases_come_in_the_order_of_pseudonyms_and_of_file_names(bring: Bring) -> None:
    cohort = bring()
    ids = cohort.column("case_id").tolist()
    assert ids == sorted(ids)
    assert all(case.startswith(subject) for case, subject in zip(ids, cohort.column("subject_id"), strict=True))
    first = np.asarray(cohort.images)[0]
    assert {case[-4:] for case in ids} == {"0001", "0002"}
    assert np.array_equal(first, np.asarray(bring(out="again").images)[0])


def test_the_same_request_gives_the_same_bytes(pictures: Path, bring: Bring) -> None:
    first = contents(bring(out="a", size=(9,), intensity="percentile"))
    assert first == contents(bring(out="b", size=(9,), intensity="percentile"))
    moved = pictures.rename(pictures.parent / "elsewhere")
    options = {"images": "images", "labels": "masks", "table": "table.csv", "subject": "subject"}
    assert first == contents(bring(moved, out="c", size=(9,), intensity="percentile", **options))
    assert first != contents(bring(moved, out="d", size=(9,), intensity="percentile", seed=1, **options))


def test_another_key_gives_other_names_and_another_id(tmp_path: Path, bring: Bring) -> None:
    first, second = bring(out="a"), bring(out="b", key=tmp_path / "other.key")
    assert first.id != second.id
    assert not set(first.subjects()) & set(second.subjects())
    assert len(first.subjects()) == len(second.subjects()) == 12
    split = {name: len(first.rows(name)) for name in ("train", "test")}
    assert split == {name: len(second.rows(name)) for name in split}


def test_a_key_inside_the_output_is_refused(tmp_path: Path, refused: Refused) -> None:
    refused("would lie inside the output", key=tmp_path / "out" / "key")


def test_what_is_made_is_not_made_again_and_nothing_is_overwritten(
    tmp_path: Path, pictures: Path, bring: Bring
) -> None:
    stamp = os.stat(bring().path / "images.npy").st_mtime_ns
    assert os.stat(bring().path / "images.npy").st_mtime_ns == stamp
    for change in ({"seed": 1}, {"size": (8,)}, {"subject": None, "subject_pattern": "^[^_]+"}):
        with pytest.raises(UsageError, match="was made by another request"):
            bring(**change)
    (pictures / "images" / "Jones-0_0.png").write_bytes((pictures / "images" / "Jones-0_1.png").read_bytes() + b" ")
    with pytest.raises(UsageError, match=r"different: inputs"):
        bring()
    (tmp_path / "full").mkdir()
    with pytest.raises(UsageError, match="exists and is not a finished output"):
        bring(out="full")
    with pytest.raises(UsageError, match="does not exist: make it first"):
        bring(out="a/b/c")


def test_progress_is_told(pictures: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    options = FolderOptions(images="images", one_image_per_subject=True)
    import_cohort("folder", pictures, tmp_path / "out", options, lambda done, total: told.append((done, total)))
    assert told == [(i, 24) for i in range(1, 25)]


def test_images_of_another_generator_are_synthetic(bring: Bring) -> None:
    cohort = bring(synthetic=True)
    assert cohort.kind == "synthetic" and cohort.label_source == "sampled" and cohort.trained_on == []
    assert (cohort.path / "seal.json").is_file()
    real = bring(out="real")
    assert real.kind == "real" and not (real.path / "seal.json").exists()


def test_every_step_stands_in_the_manifest(bring: Bring) -> None:
    steps = bring(size=(8,), intensity="minmax").preprocessing
    assert steps["size"] == [8, 8]
    assert steps["fit"].startswith("resize: resampled; images by area average")
    assert (steps["intensity"], steps["stored_as"], steps["intensity_range_measured_on"]) == (
        "minmax",
        "uint8",
        "train",
    )


def test_unknown_sources_and_paths(tmp_path: Path) -> None:
    for source, path, options, says in (
        (
            "scans",
            tmp_path,
            FolderOptions,
            "there is no source 'scans'; there are folder, dicom, brats, nnunet, msd, bids, isles, chestxray14, ",
        ),
        ("folder", None, FolderOptions, "needs the PATH"),
        ("folder", tmp_path, PhantomOptions, "import folder takes FolderOptions, found PhantomOptions"),
        ("phantom", tmp_path, PhantomOptions, "needs no PATH"),
    ):
        with pytest.raises(UsageError, match=says):
            import_cohort(source, path, tmp_path / "out", options())


def test_a_fold_is_the_test_split_and_the_others_share_the_rest(bring: Bring, refused: Refused) -> None:
    told: dict[str, Any] = {"source": "phantom", "subjects": 11, "slices": 1, "size": 16, "seed": 2}
    folds = [bring(out=f"fold{k}", fold=f"{k}/3", **told) for k in (1, 2, 3)]
    assert sorted(len(cohort.subjects("test")) for cohort in folds) == [3, 4, 4]
    assert len({subject for cohort in folds for subject in cohort.subjects("test")}) == 11
    assert all(cohort.subjects(split) for cohort in folds for split in ("train", "validation", "control"))
    for wrong in ("0/3", "4/3", "1/1", "1", "a/b", "1/2/3"):
        with pytest.raises(ValidationError, match="fold is K/N"):
            bring(fold=wrong, **told)
    refused("--fold says who is tested on, and the source says it, too", fold="1/3", split_column="split")


def test_sizes_that_cannot_be(refused: Refused) -> None:
    refused("names 3 axes, and the cases have 2", size=(8, 8, 8))
    refused("--dims 3 needs volumes", dims=3)


@pytest.mark.parametrize(("source", "wrong"), [
    ("phantom", {"table": "a.csv"}), ("phantom", {"fit": "crop"}), ("brats", {"table": "a.csv"}),
    ("brats", {"split_column": "b"}), ("brats", {"slices": 3}), ("folder", {"subjects": 5}),
])  # fmt: skip
def test_an_option_of_another_source(source: str, wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        SOURCES[source].options.model_validate(wrong)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond a size: what a full disk does, by the kernel."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [100, 1000, 10_000])
def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path, bring: Bring, room: int) -> None:
    bring(out="whole")
    before = sorted(os.listdir(tmp_path))
    with room_for(room), pytest.raises(OSError, match="File too large"):
        bring()
    assert sorted(os.listdir(tmp_path)) == before
    assert contents(bring())["images.npy"] == (tmp_path / "whole" / "images.npy").read_bytes()


def test_killed_and_run_again_it_makes_the_same_bytes(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    random = np.random.default_rng(0)
    for i in range(30):
        save_nifti(tmp_path / "v" / f"{i}.nii.gz", random.integers(0, 99, (60, 60, 30)).astype(np.int16))
    program = (
        "import sys; from pathlib import Path; from understudy.data.importing import import_cohort\n"
        "from understudy.data.sources.pairs import FolderOptions\n"
        "options = FolderOptions(images='.', one_image_per_subject=True, size=(20,))\n"
        "print('start', flush=True)\n"
        "import_cohort('folder', Path(sys.argv[1]), Path(sys.argv[2]), options)"
    )
    whole = bring(tmp_path / "v", out="whole", images=".", one_image_per_subject=True, size=(20,))
    killed = 0
    for pause in (0, 0.02, 0.1, 0.3, 0.6):  # the first always hits: nothing can be written in no time
        command = [sys.executable, "-c", program, str(tmp_path / "v"), str(tmp_path / "out")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        assert not (tmp_path / "out").exists() or contents(Cohort.open(tmp_path / "out")) == contents(whole)
    assert killed
    again = bring(tmp_path / "v", images=".", one_image_per_subject=True, size=(20,))
    assert contents(again) == contents(whole)
    assert sorted(name for name in os.listdir(tmp_path) if "partial" in name) == []


def test_memory_does_not_grow_with_the_number_of_cases(tmp_path: Path, bring: Bring, save_nifti: SaveNifti) -> None:
    peaks = {}
    for n in (3, 3, 12):  # the first run fills caches
        root = tmp_path / f"v{n}"
        for i in range(n):
            save_nifti(root / f"{i}.nii", np.random.default_rng(i).normal(size=(64, 64, 64)).astype(np.float32))
        tracemalloc.start()
        bring(root, images=".", one_image_per_subject=True, split="train=1", out=f"out{len(peaks)}_{n}")
        peaks[n] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[12] < peaks[3] + 200_000  # a case is 1,048,576 bytes


def test_lgg_tcga(real_data: Path, bring: Bring) -> None:
    options = {
        "images": "images128",
        "labels": "masks128",
        "table": "manifest.csv",
        "subject": "subject",
        "size": (64,),
    }
    start = time.perf_counter()
    cohort = bring(real_data / "lgg_tcga", **options)
    assert time.perf_counter() - start < 60  # 4 s alone; the machine may be busy
    assert (len(cohort), len(cohort.subjects()), cohort.size) == (1119, 80, (64, 64))
    assert [len(cohort.subjects(s)) for s in ("train", "validation", "control", "test")] == [48, 8, 8, 16]
    assert b"TCGA" not in b"".join(contents(cohort).values())
    assert "error" not in [finding.level for finding in check_cohort(cohort.path, planned=40)]


def test_msd_hippocampus_and_brats2015(real_data: Path, bring: Bring) -> None:
    options = {"images": "images", "labels": "labels", "one_image_per_subject": True, "size": (24,)}
    volumes = bring(real_data / "msd_hippocampus", intensity="volume-percentile", out="hippocampus", **options)
    assert (len(volumes), volumes.size, volumes.encoding.dtype) == (100, (24, 24, 24), "uint8")
    assert np.unique(volumes.labels).tolist() == [0, 1, 2]
    tumours = bring(real_data / "brats2015", "brats", dims=3, size=(24,), split="train=0.5,test=0.5", out="brats")
    assert [c.name for c in tumours.encoding.channels] == ["T1c", "FLAIR"]
    assert tumours.scheme is not None
    assert tumours.scheme.names == ("background", "necrosis", "oedema", "non-enhancing", "enhancing")


def test_cxr_kermany(real_data: Path, bring: Bring) -> None:
    options = {"images": ".", "table": "manifest.csv", "subject": "group", "classes": ("label", "subtype")}
    cohort = bring(real_data / "cxr_kermany", size=(32,), channels=("xray",), **options)
    assert cohort.classes == ("label=NORMAL", "label=PNEUMONIA", "subtype=bacteria", "subtype=virus")
    assert np.isnan(cohort.class_matrix()[:, 2]).sum() == cohort.class_matrix()[:, 0].sum()
    copies = [finding.sentence for finding in check_cohort(cohort.path) if "exact copies" in finding.sentence]
    assert len(copies) == 2  # SOURCE.md: 11 pairs of identical files, one of them under two names


def test_slices_with_labels_need_label_maps(tmp_path: Path, refused: Refused, save_nifti: Callable[..., Path]) -> None:
    for number in range(4):
        save_nifti(tmp_path / "v" / "im" / f"{number}.nii", np.ones((5, 6, 4), np.int16) * number)
    options: dict[str, Any] = {"images": "im", "one_image_per_subject": True, "dims": 2, "rule": "tumour"}
    refused("there are no label maps: give --labels", tmp_path / "v", split="train=1", **options)


def test_few_labelled_subjects_and_the_images_of_the_others(pictures: Path, bring: Bring, refused: Refused) -> None:
    """Two imports of one draw share the training subjects out; label maps of the second are not even opened."""
    plain = {"split": "train=0.75,test=0.25", "draw": 3, "label_scheme": "0=background,1=lesion", "classes": ("grade",)}
    whole = bring(out="whole", **plain | {"draw": 0})
    few = bring(out="few", train_subjects=2, **plain)
    for file in (pictures / "masks").iterdir():
        content = file.read_bytes()  # the pixels' checksum is wrong then, and the header is not
        file.write_bytes(content[:-17] + bytes([content[-17] ^ 255]) + content[-16:])
    many = bring(out="many", unlabelled_beyond=2, **plain)
    assert many.labels is None and many.scheme is None and few.labels is not None
    train = {split: set(whole.column("subject_id")[whole.column("split") == split]) for split in ("train", "test")}
    assert len(train["train"]) == 9 and set(many.column("split")) == {"train"}
    assert set(many.subjects()) | set(few.subjects()) == train["train"] | train["test"]
    assert not set(many.subjects()) & set(few.subjects()) and len(many.subjects()) == 7
    of_case = dict(zip(whole.column("case_id"), np.asarray(whole.images), strict=True))
    for case, image in zip(many.column("case_id"), np.asarray(many.images), strict=True):
        assert np.array_equal(image, of_case[case])
    assert many.classes == whole.classes and many.preprocessing["files_read"] == 14
    assert sum(many.preprocessing["passed_over"].values()) == 10
    refused("wrong checksum", out="none", train_subjects=2, **plain)
    refused("there are 9 training subjects, and none beyond them", unlabelled_beyond=9, out="none", **plain)
    maps = {"labels": "masks", "subject_pattern": "^[^_]+", "label_scheme": "0=background,1=lesion"}
    refused("keeps images alone, and there are none", pictures, out="none", unlabelled_beyond=2, **maps)


def test_the_unlabelled_phantom_is_the_same_without_label_maps(bring: Bring) -> None:
    plain = {"source": "phantom", "subjects": 2, "slices": 2, "size": (16,), "split": "train=1"}
    whole, many = bring(out="whole", **plain), bring(out="many", unlabelled_beyond=1, **plain)
    rows = np.isin(whole.column("case_id"), many.column("case_id"))
    assert rows.sum() == 2 and many.labels is None and not (many.path / "labels.npy").exists()
    assert np.array_equal(np.asarray(whole.images)[rows], np.asarray(many.images))
