"""The contract, once for every generator on the menu: shapes, seeds, independence, save/load, resume bit for bit,
refusals."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.seed import derive
from understudy.core.writer import CohortWriter
from understudy.generators import GENERATORS, load
from understudy.generators.base import Generator, Samples
from understudy.synthesis import inversion
from understudy.synthesis.score_query import open_run_queries
from understudy.training.engine import Engine

TINY: dict[str, dict[str, Any]] = {
    # 4 px, 8 px from 8 images (first step within the fade), 16 px from 16 images (the same).
    "progan": {"z_dim": 16, "channel_base": 128, "channel_max": 16, "growing_share": 0.8, "ema_images": 20},
    # 8 px, 16 px from 12 images, two steps within the fade.
    "stylegan1": {
        "z_dim": 16,
        "w_dim": 16,
        "channel_base": 128,
        "channel_max": 16,
        "mapping_layers": 2,
        "growing_share": 0.8,
        "ema_images": 20,
    },
    "diffusion": {
        "channels": (8, 16),
        "blocks": 1,
        "attention_levels": (1,),
        "head_channels": 8,
        "patch": 1,
        "sampler_steps": 3,
        "ema_images": 20,
        "warmup_images": 8,
    },
    "pix2pix": {
        "channels": 8,
        "channels_max": 16,
        "patch_channels": 8,
        "learning_rate": 0.01,
        "ema_images": 4,
        "jitter": 1.0,
    },
    "spade": {
        "channels": 8,
        "channels_max": 16,
        "hidden": 8,
        "z_dim": 8,
        "encoder_channels": 8,
        "patch_channels": 8,
        "learning_rate": 0.01,
        "ema_images": 4,
    },
    "cyclegan": {  # the pools are full after 2 of 6 steps
        "channels": 8,
        "blocks": 1,
        "kernel": 3,
        "patch_channels": 8,
        "pool": 6,
        "learning_rate": 0.01,
        "ema_images": 4,
    },
    "mask_gan": {
        "z_dim": 16,
        "generator_maps": 4,
        "critic_maps": 4,
        "max_maps": 16,
        "critic_steps": 2,
        "learning_rate": 0.01,
        "ema_images": 4,
    },
    "stylegan2": {
        "z_dim": 16,
        "w_dim": 16,
        "channel_base": 128,
        "channel_max": 16,
        "mapping_layers": 2,
        "ema_images": 20,
    },
    "stylegan3": {
        "z_dim": 16,
        "w_dim": 16,
        "channel_base": 128,
        "channel_max": 16,
        "num_layers": 4,
        "ema_images": 20,
    },
}
ASKED = dict.fromkeys(("progan", "stylegan1", "stylegan2", "stylegan3"), ["latent_inversion", "discriminator"])
ASKED["diffusion"] = ["denoising_loss"]  # which attacks can ask it
COMMON = {
    "batch_size": 4,
    "images_seen": 24,
    "snapshot_every": 12,
    "grid_every": 12,
    "sample_block": 4,
}
EVERY_STEP = {"checkpoint_seconds": 0}
CASES = [  # names and sizes: the volumes are those of generators that can
    *((name, (16, 16)) for name in GENERATORS),
    *((name, (8, 16, 16)) for name in ("diffusion", "mask_gan", "pix2pix", "spade", "cyclegan") if name in GENERATORS),
]
NAMES_OF_CASES = [f"{name}-{len(size)}D" for name, size in CASES]
DETERMINISTIC = {"cyclegan"}  # renders a label map in one way
SCHEMES = {
    "labels": LabelScheme(("background", "a", "b"), (0, 1, 2)),
    "onehot": LabelScheme(tuple("abcdef"), tuple(range(6))),
    "none": None,
}


def make_cohort(
    out: Path,
    scheme: LabelScheme | None,
    dtype: str = "uint8",
    channels: int = 2,
    size: tuple[int, ...] = (16, 16),
    seed: int = 0,
) -> Cohort:
    random = np.random.default_rng(seed)
    high = 200 if dtype == "uint8" else 3000
    with CohortWriter(
        out,
        kind="real",
        modality="MR",
        size=size,
        channels=[Channel(f"c{i}", 0, high) for i in range(channels)],
        dtype=dtype,
        scheme=scheme,
        label_source="patient" if scheme else None,
        classes=["ill"],
        provenance=Provenance("test"),
        key=b"k",
    ) as writer:
        for i in range(10):
            image = (random.random((channels, *size)) * high).astype(dtype)
            label = random.integers(0, len(scheme), size).astype(np.uint8) if scheme else None
            writer.append(
                image,
                label,
                {"case_id": f"{i}", "subject_id": f"s{i}", "split": "train" if i < 9 else "test", "ill": str(i % 2)},
            )
    return Cohort.open(out)


def make(name: str, **changes: Any) -> Generator:
    return GENERATORS[name](GENERATORS[name].Config(**{**COMMON, **TINY[name], **changes}))


def fit(
    name: str,
    cohort: Cohort,
    out: Path,
    seed: int = 5,
    start: Path | None = None,
    engine: Engine | None = None,
    **changes: Any,
) -> Path:
    """Train, with a second cohort beside the first where the generator takes one."""
    generator, other = make(name, **changes), None
    if generator.OTHER == "unpaired":
        path, e = cohort.path.parent / f"{cohort.path.name}-other", cohort.encoding
        there = path.is_dir()
        other = Cohort.open(path) if there else make_cohort(path, e.scheme, e.dtype, e.image_channels, cohort.size, 1)
    return generator.fit(cohort, out, seed=seed, other=other, start=start, engine=engine)


def told(generator: Generator, cohort: Cohort, numbers: Sequence[int]) -> np.ndarray | None:
    """What a translator is given of these cases; nothing for others."""
    return generator.condition_of(cohort, np.asarray(numbers) % len(cohort))


def sample(generator: Generator, cohort: Cohort, n: int, seed: int) -> Samples:
    return generator.sample(n, seed, told(generator, cohort, range(n)))


def seen(samples: Samples) -> np.ndarray:
    """Images, or label maps where there are no images."""
    return samples.labels if samples.images is None else samples.images


def draw(generator: Generator, cohort: Cohort, seeds: list[int]) -> torch.Tensor:
    condition = told(generator, cohort, seeds)
    with torch.no_grad():
        return generator.draw(seeds, None if condition is None else generator._as_tensor(condition))


@pytest.fixture(scope="module", params=CASES, ids=NAMES_OF_CASES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Cohort, Path]:
    name, size = request.param
    folder = tmp_path_factory.mktemp(name)
    cohort = make_cohort(folder / "cohort", SCHEMES["labels"], size=size)
    return name, cohort, fit(name, cohort, folder / "run")


@pytest.fixture(scope="module")
def short(trained: tuple[str, Cohort, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one step, with another seed."""
    name, cohort, _ = trained
    return fit(name, cohort, tmp_path_factory.mktemp(name) / "short", seed=6, images_seen=4)


def weights(run: Path) -> bytes:
    return (sorted((run / "snapshots").iterdir())[-1] / "tensors.safetensors").read_bytes()


@pytest.mark.parametrize("name", list(GENERATORS))
def test_every_generator_has_a_tiny_configuration(name: str) -> None:
    assert name in TINY and GENERATORS[name].name == name and "demo" in GENERATORS[name].PRESETS
    for preset in GENERATORS[name].PRESETS.values():
        GENERATORS[name].Config(**preset)
    for images in (1, 1_000, 50_000, 10**6):
        GENERATORS[name].Config(**GENERATORS[name].settings_for(images))


@pytest.mark.parametrize(("name", "size"), CASES, ids=NAMES_OF_CASES)
@pytest.mark.parametrize(
    ("scheme", "dtype", "channels"), [("onehot", "uint16", 1), ("none", "float32", 3), ("labels", "int16", 2)]
)
def test_shapes_and_types(
    name: str, size: tuple[int, ...], scheme: str, dtype: str, channels: int, tmp_path: Path
) -> None:
    cohort, method = make_cohort(tmp_path / "cohort", SCHEMES[scheme], dtype, channels, size), GENERATORS[name]
    if scheme == "none" and (method.LABELS_ONLY or make(name).given):
        with pytest.raises(UsageError, match="label maps"):
            fit(name, cohort, tmp_path / "run")
        return
    generator = load(fit(name, cohort, tmp_path / "run", seed=0, images_seen=4))
    samples = sample(generator, cohort, 3, seed=1)
    assert (samples.images is None) == method.LABELS_ONLY and (samples.labels is None) == (scheme == "none")
    if samples.images is not None:
        assert samples.images.shape == (3, channels, *size) and samples.images.dtype == dtype
    if samples.labels is not None:
        assert samples.labels.shape == (3, *size) and samples.labels.max() < len(SCHEMES[scheme] or ())
    if generator.given == "labels":
        np.testing.assert_array_equal(samples.labels, cohort.labels[:3])


def test_same_seed_same_sample_whatever_n(trained: tuple[str, Cohort, Path]) -> None:
    name, cohort, run = trained
    generator = load(run)
    five, two = sample(generator, cohort, 5, seed=3), sample(load(run), cohort, 2, seed=3)
    assert (seen(five)[:2] == seen(two)).all() and (five.labels[:2] == two.labels).all()
    another = sample(generator, cohort, 2, seed=4)
    assert (seen(five)[0] != seen(five)[1]).any()
    assert (seen(another) != seen(two)).any() == (name not in DETERMINISTIC)


def test_a_case_does_not_depend_on_its_neighbours(trained: tuple[str, Cohort, Path]) -> None:
    _, cohort, run = trained
    generator = load(run)
    a, b = draw(generator, cohort, [1, 2, 3, 4]), draw(generator, cohort, [9, 2, 8, 7])
    alone = draw(generator, cohort, [2])
    assert torch.equal(a[1], b[1])
    assert torch.allclose(a[1], alone[0], atol=1e-4 if generator.engine.precision == "fp32" else 5e-2)


def test_across_block_sizes_in_fp32(trained: tuple[str, Cohort, Path]) -> None:
    _, cohort, run = trained
    generator = load(run, engine=Engine("fp32", "cpu"))
    assert torch.allclose(draw(generator, cohort, [1, 2, 3, 4])[1], draw(generator, cohort, [2])[0], atol=1e-4)


def test_same_seed_same_weights_and_another_seed_others(
    trained: tuple[str, Cohort, Path], short: Path, tmp_path: Path
) -> None:
    name, cohort, run = trained
    assert weights(fit(name, cohort, tmp_path / "same")) == weights(run)
    assert weights(fit(name, cohort, tmp_path / "other", images_seen=4)) != weights(short)


def test_resume_is_bit_identical(
    trained: tuple[str, Cohort, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, cohort, run = trained
    method, steps = GENERATORS[name], 0
    update = method.update

    def interrupted(self: Generator, batch: Any) -> dict[str, Any]:
        nonlocal steps
        steps += 1
        if steps in (3, 6):
            raise KeyboardInterrupt
        return update(self, batch)

    monkeypatch.setattr(method, "update", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            fit(name, cohort, tmp_path / "run", **EVERY_STEP)
        with pytest.raises(UsageError, match="has not ended"):
            load(tmp_path / "run")
    fit(name, cohort, tmp_path / "run", **EVERY_STEP)
    assert steps > 6 and weights(tmp_path / "run") == weights(run)
    for part in ("checkpoints",):
        ours, theirs = (sorted((r / part).iterdir())[-1] for r in (tmp_path / "run", run))
        assert (ours / "tensors.safetensors").read_bytes() == (theirs / "tensors.safetensors").read_bytes()
        assert json.loads((ours / "scalars.json").read_text()) == json.loads((theirs / "scalars.json").read_text())


def test_a_finished_run_is_not_trained_again(
    trained: tuple[str, Cohort, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, cohort, run = trained
    monkeypatch.setattr(GENERATORS[name], "update", lambda *_: pytest.fail("trained again"))
    fit(name, cohort, run)
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["images_seen"] == 24 and len(list((run / "snapshots").iterdir())) == 2
    assert len(list((run / "grids").glob("*.png"))) == 2 and len(list((run / "checkpoints").iterdir())) == 1


def test_weights_change_with_training(trained: tuple[str, Cohort, Path]) -> None:
    _, cohort, run = trained
    first, last = (seen(sample(load(run, n), cohort, 1, seed=0)) for n in (12, 24))
    assert (first != last).any()


def test_conditional(trained: tuple[str, Cohort, Path], tmp_path: Path) -> None:
    name, cohort, _ = trained
    if make(name).given:
        with pytest.raises(ValidationError, match="not class columns"):
            make(name, conditional=True)
        pytest.skip("a translator is told a label map or an image, and refuses class columns")
    run = fit(name, cohort, tmp_path / "run", seed=0, conditional=True, images_seen=8)
    generator = load(run)
    assert len(seen(generator.sample(2, 0, np.ones((2, 1), np.float32)))) == 2


def test_a_training_starts_from_another_run(trained: tuple[str, Cohort, Path], short: Path, tmp_path: Path) -> None:
    name, cohort, first = trained
    run = fit(name, cohort, tmp_path / "run", seed=6, start=first, images_seen=4)
    record = json.loads((run / "run.json").read_text())
    assert (
        len(record["trained_on"]) == (4 if GENERATORS[name].OTHER == "unpaired" else 2)
        and "start" in record["provenance"]["inputs"]
    )
    ours, theirs, start = (load(r).snapshot()[0] for r in (run, short, first))

    def distance(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
        return sum(float((a[k] - b[k]).abs().sum()) for k in a)

    assert distance(ours, start) < distance(theirs, start)


def test_refusals(trained: tuple[str, Cohort, Path], tmp_path: Path) -> None:
    name, cohort, run = trained
    with pytest.raises(ValidationError):
        make(name, no_such_key=1)
    with pytest.raises(ValidationError):
        make(name, batch_size="many")
    with pytest.raises(UsageError, match="another run|different"):
        fit(name, cohort, run, batch_size=2)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="is not a run"):
        fit(name, cohort, tmp_path / "full")
    with pytest.raises(UsageError, match="import with"):
        fit(name, make_cohort(tmp_path / "odd", SCHEMES["labels"], size=(15,) * len(cohort.size)), tmp_path / "odd-run")
    assert not (tmp_path / "odd-run").exists()
    with pytest.raises(UsageError, match="no snapshot"):
        load(run, 13)
    with pytest.raises(UsageError, match="not a training run"):
        load(tmp_path)


def test_a_snapshot_of_another_generator_is_refused(short: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(short, tmp_path / "run"))
    file = sorted((run / "snapshots").iterdir())[-1] / "scalars.json"
    file.write_text(json.dumps({"generator": "another"}))
    with pytest.raises(UnderstudyError, match="snapshot of another"):
        load(run)


def test_it_answers_about_cases_or_is_refused(
    trained: tuple[str, Cohort, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inversion, "STARTS", 2)
    monkeypatch.setattr(inversion, "STEPS", 2)
    name, cohort, run = trained
    if name not in ASKED:
        with pytest.raises(UsageError, match="leave --generator out"):
            open_run_queries(run, [], 0)
        return
    asked, again = open_run_queries(run, [], 0), open_run_queries(run, [], 0)
    assert [(one.attack, one.identity) for one in asked] == [(one.attack, one.identity) for one in again]
    assert [one.attack for one in asked] == ASKED[name]
    informant, again_asked = asked[-1], again[-1]
    answers = informant.score(cohort, np.arange(10))
    assert answers.shape == (10,) and np.isfinite(answers).all() and len(np.unique(answers)) == 10
    assert np.array_equal(again_asked.score(cohort, np.arange(10)), answers)
    assert informant.score(cohort, np.array([7])) == pytest.approx(answers[7], rel=1e-3)
    if len(asked) > 1:
        near = asked[0].score(cohort, np.arange(4))
        assert (near > 0).all() and len(np.unique(near)) == 4


def test_case_seeds_are_derived() -> None:
    assert derive(3, "case", 0) != derive(3, "case", 1)
