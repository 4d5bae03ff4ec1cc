"""import_weights: official files become runs that sample; the same images; what is refused, by name; no half output."""

import json
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from understudy.core.cohort import Cohort, file_hash
from understudy.core.errors import UsageError
from understudy.evaluation.guard import leak_note
from understudy.generators import load
from understudy.generators.pretrained.weights import Meaning, images_seen, import_weights
from understudy.nets.case_noise import CaseNoise
from understudy.synthesis.sample import sample_cohort
from understudy.training.checkpoint import start_from

NAME = "network-snapshot-000123.pkl"


def written(folder: Path, data: bytes, name: str = NAME) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def hidden(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir() if file.name != NAME]


@pytest.mark.parametrize("clamp", [None, 256.0, 0.5])
@pytest.mark.parametrize("classes", [0, 3])
def test_the_images_are_those_of_the_network_that_was_written(
    official_layout: ModuleType, tmp_path: Path, classes: int, clamp: float | None
) -> None:
    file = written(tmp_path, official_layout.stylegan2_file(classes, clamp))
    generator: Any = load(import_weights("stylegan2", file, tmp_path / "run"))
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    condition = torch.eye(3)[[0, 1, 2, 0, 1]] if classes else None
    found = generator.generate(z, condition)
    wanted = official_layout.stylegan2_network(classes, clamp)(z, condition)
    assert found.shape == (5, 4, 16, 16) and found.dtype == torch.float32
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert float(wanted.std()) > 0.05
    if classes:
        with pytest.raises(UsageError, match="condition"):
            generator.generate(z)


@pytest.mark.parametrize("variant", ["t", "r"])
@pytest.mark.parametrize("classes", [0, 3])
def test_the_images_of_stylegan3(official_layout: ModuleType, tmp_path: Path, classes: int, variant: str) -> None:
    file = written(tmp_path, official_layout.stylegan3_file(variant, classes))
    generator: Any = load(import_weights("stylegan3", file, tmp_path / "run"))
    z = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    condition = torch.eye(3)[[0, 1, 2, 0, 1]] if classes else None
    found, wanted = (
        network(z, condition) for network in (generator.generate, official_layout.stylegan3_network(variant, classes))
    )
    assert found.shape == (5, 4, 16, 16) and found.dtype == torch.float32 and generator.config.variant == variant
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)
    assert float(wanted.std()) > 0.01


def test_the_layout_of_stylegan2_ada(official_layout: ModuleType, tmp_path: Path) -> None:
    sizes = {"z_dim": 8, "c_dim": 0, "w_dim": 12, "img_resolution": 16, "img_channels": 4}
    inner = {"channel_base": 128, "channel_max": 10, "num_fp16_res": 0, "architecture": "skip", "use_noise": True}
    settings = {**sizes, "mapping_kwargs": {"num_layers": 3, "embed_features": None}, "synthesis_kwargs": inner}
    file = written(tmp_path, official_layout.stylegan2_file(0, None, 3, G={"_init_kwargs": settings}))
    generator: Any = load(import_weights("stylegan2", file, tmp_path / "run"))
    z = torch.randn(2, 8)
    wanted = official_layout.stylegan2_network(0, None)(z)
    torch.testing.assert_close(generator.generate(z), wanted, rtol=0, atol=1e-5)


def test_the_record(official_layout: ModuleType, tmp_path: Path) -> None:
    file = written(tmp_path, official_layout.stylegan2_file(3))
    meaning = Meaning(("T1", "T2", "FLAIR"), "0=background,51=core,102=oedema,204=enhancing", ("a", "b", "c"), "MR")
    run = import_weights("stylegan2", file, tmp_path / "run", meaning)
    text = (run / "run.json").read_text()
    record = json.loads(text)
    assert record["provenance"]["inputs"] == {"weights": file_hash(file)} and str(tmp_path) not in text
    assert record["provenance"]["config"]["images_seen"] == record["config"]["images_seen"] == 123_000
    assert [p.name for p in (run / "snapshots").iterdir()] == ["000123000"]
    assert json.loads((run / "complete.json").read_text()) == {"images_seen": 123_000}
    assert record["classes"] == ["a", "b", "c"] and record["config"]["conditional"] and record["modality"] == "MR"
    cohort = Cohort.open(
        sample_cohort(run, 4, 0, tmp_path / "cohort", classes={"a": 1, "b": 0, "c": 0})
    )  # fmt: skip
    assert [c.name for c in cohort.encoding.channels] == ["T1", "T2", "FLAIR"] and cohort.encoding.dtype == "uint8"
    assert cohort.scheme is not None and cohort.scheme.names == ("background", "core", "oedema", "enhancing")
    assert cohort.images is not None and cohort.labels is not None and cohort.labels.max() > 0
    generator: Any = load(run)
    z = CaseNoise([1, 2], torch.device("cpu")).normal(8)
    drawn = generator.draw([1, 2], torch.tensor([[1.0, 0, 0]] * 2))
    assert torch.equal(drawn, generator.generate(z, torch.tensor([[1.0, 0, 0]] * 2)))
    grey = np.rint((drawn[:, :3].clamp(-1, 1).double().numpy() + 1) * 127.5)
    assert np.array_equal(generator.encoding.decode(drawn.numpy())[0], grey)


def test_the_guard_does_not_take_it_for_a_clean_bill(official_layout: ModuleType, tmp_path: Path) -> None:
    file = written(tmp_path, official_layout.stylegan2_file(), "ffhq.pkl")
    run = import_weights("stylegan2", file, tmp_path / "run")
    assert [p.name for p in (run / "snapshots").iterdir()] == ["000000000"]
    cohort = Cohort.open(sample_cohort(run, 2, 0, tmp_path / "cohort"))
    assert cohort.trained_on == [{"cohort": "unknown", "splits": [], "subjects": []}]
    assert "a leak cannot be ruled out" in leak_note(cohort)
    cohort.trained_on = [*cohort.trained_on, {"cohort": "x", "splits": ["train"], "subjects": ["a"]}]
    assert "a leak cannot be ruled out" in leak_note(cohort), "trained on from unknown weights"


def test_training_can_start_from_it(official_layout: ModuleType, tmp_path: Path) -> None:
    run = import_weights("stylegan2", written(tmp_path, official_layout.stylegan2_file()), tmp_path / "run")
    network = official_layout.stylegan2_network()
    weights = {k: v.clone() for k, v in network.state_dict().items()}
    official_layout.furnish(network, 5)
    assert start_from(run, {"g": network}) == []
    assert all(torch.equal(weights[k], v) for k, v in network.state_dict().items())


@pytest.mark.parametrize("kind", ["stylegan2", "stylegan3"])
def test_the_discriminator_comes_along(
    official_layout: ModuleType, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = getattr(official_layout, f"{kind}_file")
    alone = load(import_weights(kind, written(tmp_path, make()), tmp_path / "alone"))
    assert not (tmp_path / "alone" / "checkpoints").exists()  # its D is no discriminator
    d = official_layout.furnish(alone.modules()["d"], 3)
    monkeypatch.setattr(
        official_layout, "snapshot", partial(official_layout.snapshot, D=official_layout.persistent(d, {}))
    )
    run = import_weights(kind, written(tmp_path, make()), tmp_path / "run")
    fresh = load(tmp_path / "alone")
    assert start_from(run, fresh.modules()) == []
    found = fresh.modules()["d"].state_dict()
    assert all(torch.equal(found[k], v) for k, v in d.state_dict().items())
    assert start_from(tmp_path / "alone", fresh.modules()) == ["d"]


def test_finished_is_kept_and_another_request_is_refused(official_layout: ModuleType, tmp_path: Path) -> None:
    file = written(tmp_path, official_layout.stylegan2_file())
    run = import_weights("stylegan2", file, tmp_path / "run")
    before = (run / "run.json").stat().st_mtime_ns
    assert import_weights("stylegan2", file, tmp_path / "run") == run
    assert (run / "run.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="another request"):
        import_weights("stylegan2", file, tmp_path / "run", Meaning(modality="CT"))


def test_the_other_kind(official_layout: ModuleType, tmp_path: Path) -> None:
    for data, found, asked in (
        (official_layout.stylegan2_file(), "stylegan2", "stylegan3"),
        (official_layout.stylegan3_file(), "stylegan3", "stylegan2"),
    ):
        with pytest.raises(UsageError, match=f"holds a {found} network, and {asked} was asked for"):
            import_weights(asked, written(tmp_path, data), tmp_path / "run")
    assert hidden(tmp_path) == []


@pytest.mark.parametrize(
    ("meaning", "says"),
    [
        (Meaning(("a",)), "draws 4 channels, and 1 image and 0 label channel"),
        (Meaning(("a", "b", "c", "d"), "0=background,1=tumour"), "4 image and 1 label channel"),
        (Meaning(("a", "b", "c", "a")), "each channel needs a name of its own"),
        (Meaning((), "background"), "a label scheme is written 0=background,255=tumour"),
        (Meaning((), "", ("ill",)), r"trained with 0 classes, and 1 were named \(ill\)"),
    ],
)
def test_names_that_do_not_fit(official_layout: ModuleType, tmp_path: Path, meaning: Meaning, says: str) -> None:
    file = written(tmp_path, official_layout.stylegan2_file())
    with pytest.raises(UsageError, match=says):
        import_weights("stylegan2", file, tmp_path / "run", meaning)
    assert hidden(tmp_path) == []


def test_one_hot_label_channels(official_layout: ModuleType, tmp_path: Path) -> None:
    file = written(tmp_path, official_layout.stylegan2_file())
    with pytest.raises(UsageError, match="0 image and 5 label channel"):
        import_weights("stylegan2", file, tmp_path / "run", Meaning((), "0=a,1=b,2=c,3=d,4=e"))
    run = import_weights("stylegan2", file, tmp_path / "run", Meaning((), "0=a,1=b"))
    assert [c.name for c in load(run).encoding.channels] == ["channel0", "channel1", "channel2"]


def test_names_of_files_tell_images_seen() -> None:
    assert images_seen("network-snapshot-025000.pkl") == 25_000_000 and images_seen("ffhq.pkl") == 0


def test_usage(official_layout: ModuleType, tmp_path: Path) -> None:
    file = written(tmp_path, official_layout.stylegan2_file())
    with pytest.raises(UsageError, match="official weights of stylegan2 and stylegan3, found 'stylegan1'"):
        import_weights("stylegan1", file, tmp_path / "run")
    with pytest.raises(UsageError, match="does not exist"):
        import_weights("stylegan2", file, tmp_path / "no" / "run")
    with pytest.raises(UsageError, match="found nothing"):
        import_weights("stylegan2", tmp_path / "none.pkl", tmp_path / "run")
    assert hidden(tmp_path) == []
