"""Synthetic cohorts and results folders about them, written by hand: for screening, (Bench) for release, and (Released)
a signed bundle with its keys, to be tampered with.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from understudy.core.cohort import Cohort, file_hash
from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.writer import CohortWriter
from understudy.data.pseudonym import key_path, load_key
from understudy.data.seal import SEAL, cohort_seal, seal_folder
from understudy.evaluation.folder import write_curve, write_grid, write_table
from understudy.evaluation.privacy.copies.second import SECOND
from understudy.release.bundle import MANIFEST, Manifest
from understudy.release.package import release_cohort
from understudy.release.signature import SIGNATURE, new_key

SIZES = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)  # voxels of the tumour, case by case
SEEN = [{"cohort": "real0", "splits": ["train", "validation"], "subjects": ["t1", "t2", "v1"]}]
TRAINED_ON = [{"cohort": "real0", "splits": ["train"], "subjects": ["t1", "t2"]}]
Write = Callable[..., Path]


def write_cohort(out: Path, sizes: Sequence[int] = SIZES, **changes: Any) -> Path:
    """Write cases of 4 x 4 with a tumour of so many voxels, and a cyst in the even ones."""
    settings: dict[str, Any] = {
        "kind": "synthetic",
        "modality": "MR",
        "size": (4, 4),
        "channels": [Channel("a", 0, 255)],
        "dtype": "uint8",
        "scheme": LabelScheme(("background", "tumour", "small cyst"), (0, 1, 2)),
        "label_source": "sampled",
        "trained_on": TRAINED_ON,
        "classes": ["ill"],
        "columns": ["generator"],
        "provenance": Provenance("sample", {"generator": "diffusion"}, 3),
    } | changes
    with CohortWriter(out, **settings) as writer:
        writer.sampling = {"asked": len(sizes)}
        for i, size in enumerate(sizes):
            label = np.zeros(16, np.uint8)
            label[:size] = 1
            label[15] = 2 * (i % 2 == 0)
            image = np.full((1, 4, 4), i, np.uint8)
            row = {"case_id": f"case{i}", "subject_id": f"case{i}", "ill": str(int(i >= 5)), "generator": f"run{i % 2}"}
            given = [image if settings["channels"] else None, label.reshape(4, 4) if settings["scheme"] else None]
            writer.append(*given, row)
    return out


def write_consistency(
    out: Path,
    cohort: Path,
    mean: Sequence[float],
    tumour: Sequence[float] | None = None,
    quantile: float | None = 0.5,
    real: str = "real0",
    about: str | None = None,
) -> Path:
    """Write what ``evaluate consistency`` writes and screening reads."""
    out.mkdir()
    opened = Cohort.open(cohort)
    note = "" if quantile is not None else "withheld: 3 subjects stand behind it"
    results = [
        Result(f"consistency.real.segresnet.quantile{e}", quantile, note=note) for e in ("", ".tumour", ".small-cyst")
    ]
    config = {"network": "segresnet", "quantile": 0.05, "reference": "control"}
    inputs = {"real": real, "synthetic": about or f"another,{opened.id}"}
    write_results(out, results, Provenance("evaluate consistency", config, 0, inputs))
    rows = [["synthetic_cohort", "synthetic_case", "mean", "accuracy", "dice.tumour", "dice.small cyst"]]
    rows += [["another", "case0", "0", "0", "0", "0"]]
    for case, m, t in zip(opened.column("case_id"), mean, tumour or mean, strict=True):
        rows.append([opened.id, case, str(m), "1", str(t), "1"])
    with (out / "cases.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    (out / "internal").mkdir()
    (out / "internal" / "seen.json").write_text(json.dumps({"seen": SEEN, "calibrated_on": []}))
    return out


def write_privacy(out: Path, cohort: Path, flagged: Sequence[int], verdict: bool = True, real: str = "real0") -> Path:
    """Write what ``evaluate privacy`` writes and screening reads."""
    out.mkdir()
    opened = Cohort.open(cohort)
    results = [
        Result("privacy.other.copies.flagged", 0),
        Result(
            "privacy.diffusion.copies.flagged",
            len(flagged) if verdict else None,
            note="" if verdict else "withheld: few",
        ),
        Result("privacy.diffusion.copies.threshold", 0.9),
    ]
    inputs = {"real": real, "synthetic": f"another,{opened.id}"}
    write_results(out, results, Provenance("evaluate privacy", {}, 0, inputs))
    rows = [["synthetic_cohort", "synthetic_case", "real_case", "subject", "r", "nearness", "flagged"]]
    for i, case in enumerate(opened.column("case_id")):
        rows.append([opened.id, case, "patient-scan-7", "patient-7", "0.8", "0.95", str(int(i in flagged))])
    (out / "internal").mkdir()
    with (out / "internal" / "pairs.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return out


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    return write_cohort(tmp_path / "synthetic")


@pytest.fixture
def another(tmp_path: Path) -> Write:
    return lambda name, *rest, **changes: write_cohort(tmp_path / name, *rest, **changes)


@pytest.fixture
def consistency(tmp_path: Path) -> Write:
    return lambda cohort, *rest, name="consistency", **more: write_consistency(tmp_path / name, cohort, *rest, **more)


@pytest.fixture
def privacy(tmp_path: Path) -> Write:
    return lambda cohort, *rest, name="privacy", **more: write_privacy(tmp_path / name, cohort, *rest, **more)


MEMBERSHIP = ("nearest_pixels", "nearest_features", "density_ratio", "singling_out")
EVIDENCE = {
    "privacy": [
        Result("privacy.copies.flagged", 0, 0, 0, "cases", "lower", 12),
        Result("privacy.copies.expected", 0.12, 0, 1, "cases", n=12),
        Result("privacy.copies.flagged_p", 1.0),
        Result("privacy.copies.above_reference_max_p", 1.0),
        Result("privacy.copies.threshold", 0.9, 0.88, 0.92, "r", n=60),
        Result("privacy.swap.p", 0.4),
    ],
    "audit": [
        Result("privacy.audit.recall.mean", 0.97, 0.95, 0.98),
        Result("privacy.audit.recall.worst", 0.85, 0.8, 0.9),
        Result("privacy.audit.recall.rotated", 0.99, 0.97, 1),
        Result("privacy.audit.false_positive_rate", 0.012, 0.004, 0.03),
        Result("privacy.audit.false_positive_p", 0.3),
    ],
    "attacks": [
        *(Result(f"privacy.attack.{name}.auc", 0.5, 0.45, 0.56) for name in MEMBERSHIP),
        *(Result(f"privacy.attack.{name}.risk", 0.01, -0.1, 0.12) for name in MEMBERSHIP),
        *(Result(f"privacy.attack.{name}.p", 0.8) for name in MEMBERSHIP),
        Result("privacy.attack.attribute.ill.auc", 0.5, 0.44, 0.57),
        Result("privacy.attack.attribute.ill.risk", 0.02, -0.2, 0.25),
        Result("privacy.attack.attribute.ill.advantage", 0.01, -0.1, 0.12),
        Result("privacy.attack.discriminator.auc", None, note="not measured: needs the generator"),
    ],
}


def fields(n: int, seed: int, size: int = 32) -> np.ndarray:
    """Return smooth random images uint8 (n, 1, size, size)."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(n, 1, size, size)), (0, 0, 2, 2))
    low, high = noise.min((1, 2, 3), keepdims=True), noise.max((1, 2, 3), keepdims=True)
    return np.rint((noise - low) / (high - low) * 255).astype(np.uint8)


def write_images(
    out: Path, images: np.ndarray, kind: str, names: Sequence[str], owners: Sequence[str] = (), **changes: Any
) -> Path:
    """Write images (n, 1, H, W) with the brightest parts as label maps."""
    sampling, spacing = changes.pop("sampling", {}), changes.pop("spacing", [""] * len(images))
    settings: dict[str, Any] = {
        "modality": "MR",
        "size": images.shape[2:],
        "channels": [Channel("a", 0, 255)],
        "dtype": "uint8",
        "scheme": LabelScheme(("background", "tumour"), (0, 1)),
        "label_source": "patient" if kind == "real" else "sampled",
        "provenance": Provenance("sample", {"generator": "diffusion"}, 3),
        "classes": ["ill"],
        "columns": ["edited_from"],
    } | changes
    with CohortWriter(out, kind=kind, **settings) as writer:
        writer.sampling = sampling
        for i, (image, name) in enumerate(zip(images, names, strict=True)):
            row = {"case_id": name, "subject_id": owners[i] if owners else name, "ill": str(i % 2), "affine": "1 0 0"}
            row |= {"split": "train", "slice_index": "4"} if kind == "real" else {"edited_from": "donor-of-the-map"}
            row["spacing"] = spacing[i]
            label = (image[0] > 150).astype(np.uint8)
            writer.append(image if settings["channels"] else None, label if settings["scheme"] else None, row)
    return out


def pseudonyms(n: int) -> list[str]:
    return [f"s-{hashlib.sha256(bytes([i])).hexdigest()[:16]}" for i in range(n)]


class Bench:
    """A real cohort of 60 subjects, a synthetic one of 12 cases, and evidence that keeps the default policy."""

    def __init__(self, root: Path, channel: str = "a", real: str = "real") -> None:
        self.root, self.names, self.channels = root, pseudonyms(60), [Channel(channel, 0, 255)]
        ids = [f"{name}-0001" for name in self.names]
        self.key = load_key(key_path(None, root / "real"))
        more: dict[str, Any] = {"key": self.key, "channels": self.channels}
        self.real = write_images(root / real, fields(60, 0), "real", ids, self.names, **more)
        self.real_id = Cohort.open(self.real).id
        self.images = fields(12, 1)
        self.synthetic = self.cohort("synthetic")

    def cohort(self, name: str, images: np.ndarray | None = None, **changes: Any) -> Path:
        images = self.images if images is None else images
        seen = [{"cohort": self.real_id, "splits": ["train"], "subjects": self.names}]
        ids = [f"synthetic-{i:06d}" for i in range(len(images))]
        return write_images(self.root / name, images, changes.pop("kind", "synthetic"), ids,
                            **{"trained_on": seen, "channels": self.channels, "seal": cohort_seal([], self.key),
                               **changes})  # fmt: skip

    def evidence(self, cohort: Path | None = None, mark: str = "", **changed: list[Result] | None) -> list[Path]:
        """Write evidence of three kinds; a kind that is None is left out, given results replace those of their name."""
        opened, folders = Cohort.open(cohort or self.synthetic), []
        for kind, results in EVIDENCE.items():
            new = changed.get(kind, [])
            if new is not None:
                kept = {r.name: r for r in [*results, *new]}
                folders.append(self.results(f"{mark}{kind}", kind, list(kept.values()), opened.id))
        return folders

    def results(
        self, name: str, kind: str, results: list[Result], about: str, seed: int = 0,
        matchers: Sequence[str] = tuple(SECOND), bootstrap: int = 1000, **inputs: str,
    ) -> Path:  # fmt: skip
        folder = self.root / f"results-{name}"
        folder.mkdir()
        sides = {"real": self.real_id} | ({"synthetic": about} if about else {}) | inputs
        config = {"false_positive_rate": 0.01, "matchers": matchers, "bootstrap": bootstrap}
        write_results(folder, results, Provenance(f"evaluate {kind}", config, seed, sides))
        (folder / "internal").mkdir()
        (folder / "internal" / "pairs.csv").write_text(f"real_case\n{self.names[0]}-0001\n")
        (folder / "internal" / "INTERNAL.txt").write_text("INTERNAL")
        (folder / "cases.csv").write_text("synthetic_case\nsynthetic-000000\n")
        return self.sealed(folder)

    def judged(self, name: str, cohort: Path, flagged: Sequence[int], matchers: Sequence[str] = ("pixels",)) -> Path:
        """Write what ``evaluate privacy`` writes of a cohort, as far as screening and gate read it."""
        folder, about = write_privacy(self.root / name, cohort, flagged), Cohort.open(cohort).id
        results = [Result("privacy.copies.flagged", len(flagged)), Result("privacy.copies.expected", 0, 0, 3)]
        config = {"matchers": list(matchers), "bootstrap": 1000}
        inputs = {"real": self.real_id, "synthetic": about}
        write_results(folder, results, Provenance("evaluate privacy", config, 0, inputs))
        return self.sealed(folder)

    def sealed(self, folder: Path) -> Path:
        """Seal a results folder, as ``evaluate`` does when it has written it."""
        (folder / SEAL).unlink(missing_ok=True)
        seal_folder(folder, self.key)
        return folder

    def write(self, name: str, names: Sequence[str]) -> Path:
        """Write a real cohort of these subjects, one case each, called as they are."""
        return write_images(self.root / name, fields(len(names), 2), "real", names, key=self.key)

    def listing(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.rglob("*"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def mr_bench(tmp_path: Path) -> Bench:
    """A bench whose channel every form has a name for, and whose real cohort lies in a folder with a telling name."""
    return Bench(tmp_path, "t1", "CanaryHospital")


@pytest.fixture(scope="session")
def smooth() -> Callable[..., np.ndarray]:
    return fields


class Released:
    """A signed bundle with tables, a curve and a picture in its evidence, and the keys of its signer."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.key = bench, bench.root / "steward"
        self.digits = new_key(self.key)
        self.public = bench.root / "steward.pub"
        evidence = bench.evidence()
        write_table(evidence[0], "privacy_attacks", ["attack", "auc"], [["nearest_pixels", 0.5]])
        write_curve(evidence[0], "privacy-r", "Nearness", "r", "share", {"synthetic": ([0.0, 1.0], [0.5, 1.0])})
        source = Cohort.open(bench.synthetic)
        write_grid(evidence[0] / "images" / "first.npz", source, np.arange(3), "Synthetic cases")
        bench.sealed(evidence[0])
        self.evidence = evidence
        self.bundle = release_cohort(bench.synthetic, evidence, bench.root / "signed", real=bench.real, sign=self.key)

    def copy(self, folder: Path) -> Path:
        return Path(shutil.copytree(self.bundle, folder, symlinks=True, dirs_exist_ok=True))

    @staticmethod
    def rehash(bundle: Path, **changes: Any) -> None:
        """Write the manifest anew as a careful forger would: hashes of what is there, own digest, no signature."""
        names = {p.relative_to(bundle).as_posix() for p in bundle.rglob("*") if p.is_file()} - {MANIFEST, SIGNATURE}
        told = json.loads((bundle / MANIFEST).read_text())
        told |= {"files": {name: file_hash(bundle / name) for name in sorted(names)}, **changes}
        (bundle / MANIFEST).write_bytes(Manifest.model_validate_json(json.dumps(told)).encoded())


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    pytest.importorskip("cryptography", reason="signatures need the extra `sign`")
    return Released(Bench(tmp_path_factory.mktemp("released")))


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle without a signature; tests copy it."""
    bench = Bench(tmp_path_factory.mktemp("plain"))
    return release_cohort(bench.synthetic, bench.evidence(), bench.root / "bundle", real=bench.real)


def write_cases(
    out: Path,
    size: Sequence[int] = (12, 10),
    dtype: str = "uint8",
    bounds: tuple[int, int] = (0, 255),
    channels: Sequence[str] = ("t1",),
    n: int = 3,
    spacing: str = "1.5 0.9 0.8",
    **changes: Any,
) -> Cohort:
    """Write cases of noise; the label map of the first is empty, the class ``ill`` of the last missing."""
    draw, (low, high) = np.random.default_rng(len(size)), bounds
    settings: dict[str, Any] = {
        "kind": "synthetic",
        "modality": "MR",
        "scheme": LabelScheme(("background", "tumour", "small cyst"), (0, 1, 2)),
        "label_source": "sampled",
        "provenance": Provenance("sample", {"generator": "diffusion"}, 3),
        "classes": ["ill"],
    } | changes
    given = [Channel(name, low, high) for name in channels]
    with CohortWriter(out, size=size, channels=given, dtype=dtype, **settings) as writer:
        for i in range(n):
            values = draw.uniform(low, high, (len(channels), *size))
            image = (np.rint(values) if np.dtype(dtype).kind in "iu" else values).astype(dtype)
            label = draw.integers(0, 3, size).astype(np.uint8) * np.uint8(i > 0)
            name, ill = f"case-{i + 1:06d}", "" if i == n - 1 else str(i % 2)
            row = {"case_id": name, "subject_id": name, "ill": ill}
            row["spacing"] = " ".join(spacing.split()[-len(size) :])
            writer.append(image if channels else None, label if settings["scheme"] else None, row)
    return Cohort.open(out)


@pytest.fixture
def cases(tmp_path: Path) -> Callable[..., Cohort]:
    return lambda name="given", **changes: write_cases(tmp_path / name, **changes)
