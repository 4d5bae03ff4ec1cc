"""Diffusion that is given label maps: what it draws, what it sees, hiding, guidance, refusals, volumes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.generators import load
from understudy.generators.diffusion.diffusion import Diffusion, DiffusionConfig
from understudy.nets.label_maps import encoded
from understudy.training.engine import Engine
from understudy.training.feed import Batch

TINY: dict[str, Any] = {
    "channels": (8, 16), "patch": 1, "attention_levels": (), "precision": "fp32", "sampler_steps": 3, "labels": "given",
}  # fmt: skip
SCHEME = LabelScheme(("background", "a", "b"), (0, 1, 2))
MANY = LabelScheme(tuple(f"c{i}" for i in range(30)), tuple(range(30)))


def made(scheme: LabelScheme = SCHEME, size: tuple[int, ...] = (8, 8), **changes: Any) -> Diffusion:
    generator = Diffusion(DiffusionConfig(**{**TINY, **changes}))
    encoding = Encoding((Channel("x", 0, 1), Channel("y", 0, 1)), "float32", scheme)
    generator._start(encoding, size, 0, 0, Engine("fp32"))
    for net in (generator.net, generator.ema):
        torch.manual_seed(1)
        net.conv_out_gain.data.fill_(1)  # an untrained network says nothing
    return generator


def maps(scheme: LabelScheme, size: tuple[int, ...], n: int = 3) -> Tensor:
    return torch.randint(len(scheme), (n, *size), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize(("scheme", "size"), [(SCHEME, (8, 8)), (MANY, (8, 16)), (SCHEME, (4, 8, 8))])
def test_images_are_drawn_and_the_label_maps_come_back(scheme: LabelScheme, size: tuple[int, ...]) -> None:
    generator, labels = made(scheme, size), maps(scheme, size)
    assert generator.given == "labels"
    with torch.no_grad():
        x = generator.draw([1, 2, 3], labels)
        other = generator.draw([1, 2, 3], labels.flip(0))
    assert x.shape == (3, 2 + scheme.encoded_channels, *size)
    assert torch.equal(x[:, 2:], encoded(labels, scheme))
    assert torch.allclose(x[1], other[1], atol=1e-5) and not torch.allclose(x[0, :2], other[0, :2], atol=1e-3)


def test_only_images_are_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    generator, labels = made(condition_dropout=0.0), maps(SCHEME, (8, 8))
    x = torch.cat([torch.rand(3, 2, 8, 8) * 2 - 1, encoded(labels, SCHEME)], dim=1)
    seen: list[Tensor] = []
    forward = generator.net.forward
    monkeypatch.setattr(generator.net, "forward", lambda *a: seen.append(a[0]) or forward(*a))
    y, told = generator._split(Batch(x, None, 0))
    assert torch.equal(y, x[:, :2]) and told is not None and told.shape == (3, 3, 8, 8)
    generator.loss(y, told).backward()
    assert seen[0].shape == (3, 2 + 3, 8, 8) and torch.equal(seen[0][:, 2:].argmax(dim=1), labels)
    assert generator.scale.mean.numel() == 2


def test_hidden_maps_have_no_class_anywhere_and_guidance_weighs() -> None:
    torch.manual_seed(0)
    labels = maps(SCHEME, (8, 8), 400)
    x = torch.cat([torch.zeros(400, 2, 8, 8), encoded(labels, SCHEME)], dim=1)
    _, told = made(condition_dropout=0.25)._split(Batch(x, None, 0))
    assert told is not None
    share = float(told.isnan().flatten(1).all(dim=1).float().mean())
    assert share == float(told.isnan().flatten(1).any(dim=1).float().mean()) and 0.18 < share < 0.32
    draws = {}
    for guidance in (0.0, 1.0, 4.0):
        with torch.no_grad():
            draws[guidance] = made(guidance=guidance).draw([1, 2, 3], maps(SCHEME, (8, 8)))[:, :2]
            if not guidance:  # then label maps do not matter
                assert torch.equal(draws[0.0], made(guidance=0.0).draw([1, 2, 3], maps(SCHEME, (8, 8)).flip(0))[:, :2])
    assert not torch.allclose(draws[1.0], draws[4.0], atol=1e-3)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="found none: name --labels"):
        made().draw([1])
    with pytest.raises(UsageError, match=r"1 label maps of \(8, 8\) were expected"):
        made().draw([1], torch.zeros(1, 4, 8, dtype=torch.int64))
    with pytest.raises(ValueError, match="not both"):
        DiffusionConfig(labels="given", conditional=True)


@pytest.mark.parametrize("size", [(16, 16), (8, 16, 16)])
def test_a_whole_training(size: tuple[int, ...], tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    channels = [Channel("x", 0, 3000), Channel("y", 0, 3000)]
    with CohortWriter(
        tmp_path / "c", kind="real", modality="MR", size=size, channels=channels, dtype="int16", scheme=SCHEME,
        label_source="patient", provenance=Provenance("test"), key=b"k",
    ) as writer:  # fmt: skip
        for i in range(6):
            image, label = random.integers(0, 3000, (2, *size), np.int16), random.integers(0, 3, size, np.uint8)
            writer.append(image, label, {"case_id": f"{i}", "subject_id": f"s{i}", "split": "train"})
    cohort = Cohort.open(tmp_path / "c")
    assert cohort.labels is not None
    run = Diffusion(DiffusionConfig(**{**TINY, "batch_size": 4, "images_seen": 8, "sample_block": 4})).fit(
        cohort, tmp_path / "run", 0
    )
    samples = load(run).sample(3, 1, np.asarray(cohort.labels[:3]))
    assert samples.images is not None and samples.images.shape == (3, 2, *size) and samples.images.dtype == "int16"
    np.testing.assert_array_equal(samples.labels, cohort.labels[:3])
    two = load(run).sample(2, 1, np.asarray(cohort.labels[:2])).images
    np.testing.assert_array_equal(two, samples.images[:2])
