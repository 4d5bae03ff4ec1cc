"""Results folders as ``evaluate fidelity`` and ``evaluate utility`` write them, for cohorts with known numbers."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.evaluation.folder import write_table
from understudy.evaluation.guard import numbered

Cohort = tuple[str, str, float, float]  # id, generator, Frechet distance, Dice


def write_fidelity(
    folder: Path, cohorts: Sequence[Cohort], real: str = "real", n: int = 50, seed: int = 0, **config: Any
) -> Path:
    names, results = numbered([generator for _, generator, _, _ in cohorts]), []
    for name, (_, _, distance, _) in zip(names, cohorts, strict=True):
        prefix = f"fidelity.{name}" if len(cohorts) > 1 else "fidelity"
        results += [
            Result(f"{prefix}.frechet", distance, better="lower", n=n),
            Result(f"{prefix}.frechet.size_matched", distance + 1, better="lower", n=n),
            Result(f"{prefix}.frechet.baseline", 0.5, better="lower", n=n),
            Result(f"{prefix}.frechet.real", 0.4, better="lower", n=n),
            Result(f"{prefix}.coverage", 1 / (1 + distance), better="higher", n=n),
            Result(f"{prefix}.labels.disc.wasserstein", None, note="withheld"),
            Result(f"{prefix}.labels.empty", 0.1, n=n),
        ]
    _write(folder, "fidelity", cohorts, results, real, {"draws": 20, **config}, seed)
    rows = [[name, cohort[1], metric, n] for metric in ("a", "b") for name, cohort in zip(names, cohorts, strict=True)]
    write_table(folder, "fidelity", ("cohort", "generator", "metric", "n_synthetic"), rows)
    return folder


def write_utility(folder: Path, cohorts: Sequence[Cohort], real: str = "real", **config: Any) -> Path:
    settings = {"network": "unet", "updates": 9, **config}
    results = [Result(f"utility.real.{settings['network']}.dice", 0.9, better="higher", n=9)]
    for name, (_, _, _, score) in zip(numbered([generator for _, generator, _, _ in cohorts]), cohorts, strict=True):
        prefix = f"utility.synthetic.{name}" if len(cohorts) > 1 else "utility.synthetic"
        told = f"{prefix}.{settings['network']}"
        results += [
            Result(f"{told}.dice", score, score - 0.1, score + 0.1, better="higher", n=9),
            Result(f"{told}.hd95", 10 - score, better="lower", unit="mm", n=9),
            Result(f"{told}.dice.disc", None, better="higher", note="withheld: 3 subjects stand behind it"),
        ]
    return _write(folder, "utility", cohorts, results, real, settings)


def _write(
    folder: Path, kind: str, cohorts: Sequence[Cohort], results: list[Result], real: str, config: Any, seed: int = 0
) -> Path:
    folder.mkdir(parents=True)
    inputs = {"real": real, "synthetic": ",".join(cohort[0] for cohort in cohorts)}
    write_results(folder, results, Provenance(f"evaluate {kind}", config, seed, inputs))
    return folder


def study(n: int) -> list[Cohort]:
    """Return n cohorts of three generators in turn: the lower the distance, the higher the Dice."""
    generators = ("diffusion", "ProGAN", "StyleGAN 2")
    return [(f"id{i:02}", generators[i % 3], 10.0 - 0.5 * i, 0.3 + 0.04 * i) for i in range(n)]


@pytest.fixture
def fidelity() -> Callable[..., Path]:
    return write_fidelity


@pytest.fixture
def utility() -> Callable[..., Path]:
    return write_utility


@pytest.fixture
def cohorts() -> Callable[[int], list[Cohort]]:
    return study
