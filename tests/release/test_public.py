"""The public edition holds what is named and nothing else; sizes have bounds; pictures are those of the cohort."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.result import Result
from understudy.evaluation.folder import write_curve, write_grid, write_histograms, write_table
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.release.public import MAX_NUMBERS, write_public
from understudy.report.reading import read_folders

HISTOGRAMS = {
    "title": "t",
    "panels": [
        {"name": "a", "x_label": "x", "scale": "linear", "edges": [0, 1], "series": [{"name": "s", "counts": [7]}]}
    ],
}


@pytest.fixture
def results(bench: Any) -> Path:
    """Return a results folder of ``evaluate fidelity`` with a file of each kind."""
    source = Cohort.open(bench.synthetic)
    folder: Path = bench.results("fidelity", "fidelity", [Result("fidelity.fid", 1.5)], source.id)
    write_table(folder, "fidelity", ["metric", "value"], [["fid", 1.5]])
    write_curve(folder, "intensity-a", "t", "x", "y", {"real": ([0, 1], [1, 2])}, vertical=[{"x": 0.5, "name": "v"}])
    write_histograms(folder, "01-tumour", HISTOGRAMS)
    write_grid(folder / "images" / "diffusion.npz", source, np.array([3, 7, 1]), "diffusion")
    return folder


def public(bench: Any, results: Path) -> Path:
    (folder,) = read_folders([results])
    out: Path = bench.root / "public"
    write_public(folder, out, Cohort.open(bench.synthetic))
    return out


def test_what_an_evaluation_writes_comes_out_as_it_is(bench: Any, results: Path) -> None:
    out = public(bench, results)
    names = sorted(file.relative_to(out).as_posix() for file in out.rglob("*") if file.is_file())
    assert names == [
        "curves/intensity-a.json", "histograms/01-tumour.json", "images/diffusion.npz", "results.json",
        "tables/fidelity.csv",
    ]  # fmt: skip
    for name in names:
        assert (out / name).read_bytes() == (results / name).read_bytes() or name.startswith("histograms"), name
    (ours,), (theirs,) = (read_folders([folder]) for folder in (out, results))
    assert ours.histograms == theirs.histograms and ours.results == theirs.results


def test_a_file_or_field_without_a_name_stays_inside(bench: Any, results: Path) -> None:
    write_table(results, "pixels", ["a"], [[1]])
    write_curve(results, "pixels", "t", "x", "y", {"real": ([0], [1])})
    (results / "histograms" / "P x.json").write_text(json.dumps(HISTOGRAMS))
    curve = json.loads((results / "curves" / "intensity-a.json").read_text())
    curve["pixels"] = curve["series"][0]["pixels"] = [1, 2, 3]
    (results / "curves" / "intensity-a.json").write_text(json.dumps(curve))
    arrays = dict(np.load(results / "images" / "diffusion.npz"))
    np.savez(results / "images" / "diffusion.npz", **arrays, pixels=np.ones((64, 64), np.uint16))
    out = public(bench, results)
    assert len([file for file in out.rglob("*") if file.is_file()]) == 5
    assert "pixels" not in (out / "curves" / "intensity-a.json").read_text()
    assert sorted(np.load(out / "images" / "diffusion.npz")) == sorted(arrays)


def test_a_picture_of_another_cohort_is_refused(bench: Any, results: Path) -> None:
    real = Cohort.open(bench.real)
    for images, labels in ((real.images, None), (Cohort.open(bench.synthetic).images, real.labels)):
        assert images is not None
        arrays = {"images": np.asarray(images[:3], np.float32) / 255}
        arrays |= {} if labels is None else {"labels": np.asarray(labels[:3])}
        np.savez(results / "images" / "diffusion.npz", **arrays)
        with pytest.raises(UnderstudyError, match=r"diffusion.npz shows a picture .number 1. that is no case of synth"):
            public(bench, results)
        (bench.root / "public" / "results.json").unlink()
        for file in sorted((bench.root / "public").rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        (bench.root / "public").rmdir()


@pytest.mark.parametrize("shape", [(3, 32, 32), (32, 32), (3, 32, 32, 1), (), (3, 1, 16, 16)])
def test_arrays_of_other_shapes_are_no_pictures(bench: Any, results: Path, shape: tuple[int, ...]) -> None:
    np.savez(results / "images" / "diffusion.npz", images=np.full(shape, 0.5, np.float32))
    with pytest.raises(UnderstudyError, match="no case of synthetic|images.*diffusion.npz"):
        public(bench, results)


def test_sizes_have_bounds(bench: Any, results: Path) -> None:
    many = list(np.linspace(0, 1, MAX_NUMBERS))

    def request(**config: Any) -> str:
        data = json.loads((results / "results.json").read_text())
        data["provenance"]["config"] |= config
        return json.dumps(data)

    files = {
        "tables/fidelity.csv": "a\n" + "1\n" * 501,
        "curves/intensity-a.json": json.dumps(
            {"title": "t", "x_label": "", "y_label": "", "series": [{"name": "a", "x": many, "y": many}]}
        ),
        "results.json": request(pixels=[7] * 65),
    }
    for name, text in files.items():
        before = (results / name).read_text()
        (results / name).write_text(text)
        with pytest.raises(UnderstudyError, match=f"{name} holds .* and a public file may hold"):
            public(bench, results)
        (results / name).write_text(before)
        for file in sorted((bench.root / "public").rglob("*"), reverse=True):
            file.unlink() if file.is_file() else file.rmdir()
        (bench.root / "public").rmdir()
    recipes = PrivacyConfig.model_validate({"audit_transformations": [{"name": "mine", "steps": [{"turn": 90}]}]})
    before = (results / "results.json").read_text()
    (results / "results.json").write_text(request(**json.loads(recipes.model_dump_json())))
    public(bench, results)  # a steward's own transformations are words
    shutil.rmtree(bench.root / "public")
    (results / "results.json").write_text(before)
    (results / "results.json").write_text(request(pixels=[[1, 2], [3, 4]]))
    with pytest.raises(UnderstudyError, match="settings that are numbers, words or lists of such"):
        public(bench, results)
