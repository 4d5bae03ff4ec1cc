"""Weights leave with a cohort only when asked, behind limits of their own; they are a sampler's and nothing else."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file, save, save_file

import understudy as us
from understudy.api.generators import weights_of
from understudy.core.cohort import Cohort, file_hash
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import Provenance
from understudy.core.result import Result
from understudy.evaluation.privacy.attacks.report import attack_all, attack_results
from understudy.evaluation.privacy.attacks.setup import AttackSetup, ScoreQuery
from understudy.generators.diffusion.diffusion import Diffusion, DiffusionConfig
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.release.verify import verify_bundle
from understudy.release.weights import FILES, RECORD, TENSORS, AskedWeights, GeneratorWeights, write_weights
from understudy.synthesis import score_query

TINY = {"channels": (8, 8), "attention_levels": (), "patch": 1, "images_seen": 4, "batch_size": 4, "sampler_steps": 2,
        "sample_block": 2, "snapshot_every": 4, "grid_every": 4, "ema_images": 2, "warmup_images": 1}  # fmt: skip
ATTACK = "privacy.attack.denoising_loss"
HELD = [Result(f"{ATTACK}.auc", 0.5, 0.4, 0.6), Result(f"{ATTACK}.risk", 0.0, -0.1, 0.1), Result(f"{ATTACK}.p", 0.6)]
FRESH = [
    Result("privacy.copies.flagged", 4, n=1000),
    Result("privacy.copies.flagged_p", 0.9),
    Result("privacy.copies.above_reference_max_p", 1.0),
    Result("privacy.swap.p", 0.5),
    Result("privacy.audit.recall.mean", 0.95),
]


class Asked:
    """A run of a tiny generator on a bench's real cohort, cohorts that it drew, and evidence that keeps the limits."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.run = Diffusion(DiffusionConfig(**TINY)).fit(Cohort.open(bench.real), bench.root / "run", 0)
        self.weights = weights_of(self.run)
        self.digest = self.weights.digest
        self.source, self.fresh = self.drawn("drawn", 3), self.drawn("fresh", 4)
        self.evidence = [*bench.evidence(self.source, mark="drawn-"), self.attacked("attacked", self.source)]
        self.anew = self.judged("fresh", self.fresh)

    def drawn(self, name: str, seed: int, settings: Any = None, **inputs: str) -> Path:
        """Write a cohort as ``sample`` does of the run, of this bench's smooth images."""
        config = {"generator": "diffusion"} | ({"settings": settings} if settings else {})
        made = Provenance("sample", config, seed, {"run": self.digest} | inputs)
        return self.bench.cohort(name, provenance=made)  # type: ignore[no-any-return]

    def attacked(self, name: str, cohort: Path, results: list[Result] = HELD, digest: str = "") -> Path:
        """Write what an evaluation says of the attack on the weights."""
        queried = {"score_query.denoising_loss": f"{digest or self.digest}.0"}
        about = Cohort.open(cohort).id
        return self.bench.results(name, "privacy", results, about, **queried)  # type: ignore[no-any-return]

    def judged(self, name: str, cohort: Path, *changed: Result) -> Path:
        """Write what an evaluation says of fresh samples."""
        results = list({r.name: r for r in [*FRESH, *changed]}.values())
        return self.bench.results(f"judged-{name}", "privacy", results, Cohort.open(cohort).id)  # type: ignore[no-any-return]

    def release(self, out: str, evidence: list[Path] | None = None, **changes: Any) -> Path:
        """Release cohort and weights."""
        given = {"weights": AskedWeights(self.weights, Cohort.open(self.fresh)), "real": self.bench.real, **changes}
        folders = [*self.evidence, self.anew] if evidence is None else evidence
        return release_cohort(self.source, folders, self.bench.root / out, **given)


@pytest.fixture(scope="module")
def asked(released: Any, tmp_path_factory: pytest.TempPathFactory) -> Asked:
    return Asked(type(released.bench)(tmp_path_factory.mktemp("weights")))


@pytest.fixture(scope="module")
def bundle(asked: Asked) -> Path:
    return asked.release("bundle")


def test_nothing_but_the_sampler_is_inside(asked: Asked, bundle: Path) -> None:
    assert sorted(p.name for p in (bundle / "weights").iterdir()) == ["generator.json", "generator.safetensors"]
    found, ours = load_file(bundle / TENSORS), asked.weights.tensors
    assert found.keys() == ours.keys() and all(torch.equal(found[name], ours[name]) for name in found)
    assert {name.partition(".")[0] for name in found} == {"ema", "scale"}  # the checkpoint has net and optimizer, too
    assert (bundle / TENSORS).read_bytes() == next(asked.run.glob("snapshots/*/tensors.safetensors")).read_bytes()
    told = (bundle / RECORD).read_text()
    assert not any(word in told for word in ("trained_on", "subjects", "provenance", *asked.bench.names))
    assert json.loads((bundle / "manifest.json").read_text())["files"][TENSORS] == file_hash(bundle / TENSORS)
    card, readme = (bundle / "card.md").read_text(), (bundle / "README.md").read_text()
    assert f"(SHA-256 begins {asked.digest})" in card and "1,000 fresh samples" in card
    assert "Weights cannot be called back." in card and "They say nothing of the generator, its weights" not in card
    assert "us.load_generator(" in readme and "no discriminator, optimiser or encoder" in card
    assert "fresh-samples" not in (bundle / "report" / "report.html").read_text()
    assert sorted(p.name for p in (bundle / "evidence/fresh-samples/privacy").iterdir()) == ["results.json"]


def test_verify_judges_the_weights_again(asked: Asked, bundle: Path, released: Any, tmp_path: Path) -> None:
    assert f"It holds the weights of its generator ({asked.digest}): of a sampler alone." in verify_bundle(bundle)
    assert "no real image, patch, label map, number or name" in verify_bundle(bundle, against=asked.bench.real)

    def forged(change: Callable[[Path], None], says: str, **manifest: Any) -> None:
        copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
        change(copy)
        released.rehash(copy, **manifest)
        with pytest.raises(UnderstudyError, match=says) as error:
            verify_bundle(copy)
        assert "\n" not in str(error.value)
        shutil.rmtree(copy)

    def more(name: str, **beside: Any) -> Callable[[Path], None]:
        def change(copy: Path) -> None:
            tensors = load_file(copy / TENSORS)
            save_file(tensors | ({name: torch.zeros(2)} if name else {}), copy / TENSORS, **beside)

        return change

    forged(more("d.weight"), "holds 'd.weight', which no sampler needs")
    forged(more("optimizer.net.0.exp_avg"), "which no sampler needs")
    forged(more("ema.further"), "the weights are not those that the evidence is about")
    forged(more("", metadata={"patients": "secret"}), "holds text beside its tensors")
    forged(lambda copy: (copy / TENSORS).write_bytes(b"x"), "is no whole file of weights")
    forged(lambda copy: (copy / TENSORS).unlink(), "holds no weights of a generator")
    forged(lambda copy: (copy / "weights/encoder.safetensors").write_bytes(b"x"), "nothing that a release writes")
    forged(lambda copy: edited(copy / RECORD, size=[16, 16]), "weights and cohort are of different cases")
    forged(lambda copy: edited(copy / RECORD, more=1), "is not the record of a released generator")
    fresh = "evidence/fresh-samples"
    forged(lambda copy: shutil.rmtree(copy / fresh), "fresh samples is about another cohort|another number of seals")
    forged(lambda copy: shutil.copytree(copy / "evidence/privacy", copy / fresh / "x"), "results of another cohort")
    request = json.loads((bundle / "manifest.json").read_text())["provenance"]
    request["config"].pop("weights")
    forged(lambda copy: None, "weights.generator.json is nothing that a release writes", provenance=request)


def test_weights_without_an_end_are_not_read(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    os.truncate(copy / TENSORS, 2**43)  # holes, which take no room
    with pytest.raises(UnderstudyError, match="no whole file of weights .*found more than 17,179,869,184 bytes"):
        us.load_generator(copy)


def edited(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_without_their_evidence_no_weights_leave(asked: Asked) -> None:
    before = asked.bench.listing()
    evidence = asked.evidence[:-1]

    def refused(says: str, folders: list[Path], kind: type[Exception] = UnderstudyError, **changes: Any) -> None:
        with pytest.raises(kind, match=says) as error:
            asked.release("no", folders, **changes)
        assert "\n" not in str(error.value) and not (asked.bench.root / "no").exists()

    refused(r"no evidence: weights.white_box.p was not measured", [*evidence, asked.anew])
    refused(r"privacy.copies.flagged_p was not measured of fresh samples", asked.evidence)
    others = asked.attacked("others", asked.source, digest="0" * 16)
    refused("weights.white_box.auc was not measured", [*evidence, others, asked.anew])
    few = asked.judged("few", asked.fresh, Result("privacy.copies.flagged", 0, n=999))
    refused("n of privacy.copies.flagged at least 1000", [*asked.evidence, few])
    refused("lets no weights out", [*asked.evidence, asked.anew], UsageError, override="because")
    mild = yaml.safe_load(read_policy().content)
    del mild["weights"]
    (asked.bench.root / "mild.yaml").write_text(yaml.safe_dump(mild))
    refused("none: it lets no weights out", [*asked.evidence, asked.anew], policy=asked.bench.root / "mild.yaml")
    assert set(asked.bench.listing()) - set(before) < {
        "mild.yaml", *(name for name in asked.bench.listing() if name.startswith("results-"))
    }  # fmt: skip


def test_only_the_generator_of_the_cohort_and_fresh_samples_of_its_own_seed(asked: Asked) -> None:
    def refused(says: str, fresh: Path | None = None, **weights: Any) -> None:
        given = AskedWeights(replace(asked.weights, **weights), Cohort.open(fresh or asked.fresh))
        with pytest.raises((UsageError, UnderstudyError), match=says) as error:
            asked.release("no", weights=given)
        assert "\n" not in str(error.value) and not (asked.bench.root / "no").exists()

    refused("was not sampled from the weights 0000", digest="0" * 16)
    refused("has the seed of drawn", asked.drawn("same-seed", 3))
    refused("was kept away from training images", asked.drawn("away", 5, away_from="x"))
    refused("with other settings than the run's", asked.drawn("guided", 5, settings={"guidance": 2}))
    refused("was not sampled from these weights", asked.drawn("others", 5, run="1" * 16))
    refused("which no sampler needs", tensors={**asked.weights.tensors, "d.out": torch.zeros(1)})
    refused("holds something else than the weights of its sampler",
            tensors={**asked.weights.tensors, "ema.image": torch.zeros(9)})  # fmt: skip


def test_a_real_image_among_the_weights_is_found(asked: Asked) -> None:
    real = Cohort.open(asked.bench.real)
    assert real.images is not None
    tensors = {**asked.weights.tensors, "ema.more": torch.from_numpy(real.images[3] * np.float32(0.01) - 1)}
    digest = hashlib.sha256(save({name: t.contiguous() for name, t in tensors.items()})).hexdigest()[:16]
    source, fresh = (asked.drawn(name, seed, run=digest) for name, seed in (("hidden", 3), ("hidden-fresh", 4)))
    evidence = [*asked.bench.evidence(source, mark="hidden-"), asked.attacked("hidden", source, digest=digest)]
    weights = AskedWeights(GeneratorWeights(asked.weights.record, tensors, digest), Cohort.open(fresh))
    with pytest.raises(
        UnderstudyError, match=r"1 image\(s\) in weights/generator.safetensors .* hold a real row of pixels"
    ):
        release_cohort(source, [*evidence, asked.judged("hidden", fresh)], asked.bench.root / "no",
                       real=asked.bench.real, weights=weights)  # fmt: skip
    assert not (asked.bench.root / "no").exists()


def test_a_memoriser_is_refused(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight subjects, learned by heart: the attack, carried out by its own code, tells them from eight others."""
    real, members = Cohort.open(asked.bench.real), np.arange(8)

    def memorised(self: Any, net: Any, x: torch.Tensor, sigma: torch.Tensor, condition: Any) -> torch.Tensor:
        known = torch.from_numpy(real.encoded(members))
        known = (known - self.scale.mean) / self.scale.std * self.noise.sigma_data
        return known[torch.cdist(x.flatten(1), known.flatten(1)).argmin(1)]

    monkeypatch.setattr(Diffusion, "denoise", memorised)
    (one,) = score_query.open_run_queries(asked.run, [], 0)
    query = {one.attack: ScoreQuery(one.identity, one.score)}
    setup = AttackSetup(real, Cohort.open(asked.source), members, np.arange(8, 16), 0, score_queries=query)
    found = attack_results("privacy.", attack_all(setup, ["denoising_loss"], 100), 0)
    attacked = asked.attacked("memoriser", asked.source, found)
    assert one.identity.startswith(asked.digest)
    with pytest.raises(UnderstudyError, match="weights, white-box attack found: asked weights.white_box.p at least"):
        asked.release("no", [*asked.evidence[:-1], attacked, asked.anew])
    copies = asked.judged("copies", asked.fresh, Result("privacy.copies.flagged_p", 0.0002))
    with pytest.raises(UnderstudyError, match="weights, flags among fresh samples"):
        asked.release("no", [*asked.evidence, copies])


def test_the_weights_draw_what_sample_draws(asked: Asked, bundle: Path, tmp_path: Path) -> None:
    made = us.load_generator(bundle).sample(5, seed=7)
    drawn = us.sample(asked.run, 5, tmp_path / "drawn", seed=7)
    assert made.images is not None and made.labels is not None and drawn.images is not None
    assert np.array_equal(made.images, drawn.images) and np.array_equal(made.labels, np.asarray(drawn.labels))
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    edited(copy / RECORD, modality="CT")
    with pytest.raises(UnderstudyError, match=r"generator.json does not have the hash in manifest.json"):
        us.load_generator(copy)
    for name in FILES:
        (copy / name).unlink()
    with pytest.raises(UsageError, match="holds no weights of a generator"):
        us.load_generator(copy)


def test_files_are_the_same_each_time(asked: Asked, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        write_weights(tmp_path / name, weights_of(asked.run))
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes() for name in FILES)
