"""Two processes train and sample every generator of the menu; test_processes.py starts this file, once for all tests.

What one process does alone is computed by either of the two for half of the menu. Each writes what it found to a file.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parent))

from test_contract import SCHEMES, fit, make_cohort

from understudy.core.cohort import Cohort
from understudy.core.seed import derive
from understudy.generators import GENERATORS, base
from understudy.generators.base import Generator
from understudy.generators.diffusion.diffusion import Diffusion
from understudy.synthesis.label_maps import MapRequest
from understudy.synthesis.render import render_cohort
from understudy.synthesis.sample import sample_cohort
from understudy.training.batches import Batch
from understudy.training.engine import Engine

SHORT: dict[str, Any] = {
    "precision": "fp32", "images_seen": 16, "snapshot_every": 8, "grid_every": 16, "checkpoint_seconds": 0,
}  # fmt: skip
NO_NOISE = {"dropout": 0.0, "d_noise": 0.0, "jitter": 0.0}
STEPS = 20


def alike(engine: Engine, tensors: dict[str, torch.Tensor]) -> list[str]:
    """Return the names of tensors that are not the same on all processes."""
    return [
        name
        for name, tensor in sorted(tensors.items())
        if not all(torch.equal(tensor.detach(), other) for other in engine.gather(tensor.detach()[None]))
    ]


def watched(method: type[Generator], engine: Engine, steps: list[str], stop: int = 10**9) -> Any:
    """Return an update that notes whose gradients differ after each optimiser step, and is interrupted at one step."""
    update, average, calls = method.update, Engine.average_gradients, [0]

    def averaged(self: Engine, parameters: Any) -> None:
        parameters = [*parameters]
        average(self, parameters)
        gradients = {f"{i}": p.grad for i, p in enumerate(parameters) if p.grad is not None}
        steps.append(" ".join(alike(self, gradients)) if gradients else "no gradient")

    def updated(self: Generator, batch: Any) -> dict[str, Any]:
        calls[0] += 1
        if calls[0] == stop:
            raise KeyboardInterrupt
        losses = update(self, batch)
        if stop == 10**9:
            state = {key: value.float() for key, value in self.state()[0].items()}
            steps.append(" ".join(alike(engine, state)))
        return losses

    return {"update": updated, "average": averaged, "originals": (update, average)}


def train_and_sample(name: str, folder: Path, cohort: Cohort, engine: Engine) -> dict[str, Any]:
    """Train whole, then interrupted and resumed; sample."""
    method, steps = GENERATORS[name], list[str]()
    for run, stop in (("whole", 10**9), ("resumed", 3)):
        watch = watched(method, engine, steps, stop)
        method.update, Engine.average_gradients = watch["update"], watch["average"]  # type: ignore[method-assign]
        try:
            fit(name, cohort, folder / f"{name}-{run}", engine=engine, **SHORT)
        except KeyboardInterrupt:
            engine.wait()
        finally:
            method.update, Engine.average_gradients = watch["originals"]  # type: ignore[method-assign]
    fit(name, cohort, folder / f"{name}-resumed", engine=engine, **SHORT)
    draw(name, folder, cohort, engine, "joint")
    return {"differ": sorted({step for step in steps if step}), "steps": len(steps)}


def draw(name: str, folder: Path, cohort: Cohort, engine: Engine, kind: str) -> None:
    """Draw 10 cases in blocks of 4, from two runs in turns where they are not the same."""
    runs, out = [folder / f"{name}-whole"], folder / f"{name}-{kind}"
    if json.loads((runs[0] / "run.json").read_text()).get("given"):
        render_cohort(runs, MapRequest(cohort.path, seed=1), 10, 2, out, engine=engine)
    else:
        sample_cohort(runs, 10, 2, out, engine=engine)


class NoiseByCase(Diffusion):
    """Diffusion whose noise follows from the case's place in the stream, not from the process."""

    def update(self, batch: Batch) -> dict[str, Any]:
        first, losses = batch.images_seen + self.engine.rank * len(batch.x), []
        for i in range(len(batch.x)):
            torch.manual_seed(derive(0, "case", first + i))
            x, condition = self._split(Batch(batch.x[i : i + 1], None, batch.images_seen))
            losses.append(self.loss(x, condition))
        loss = torch.stack(losses).mean()
        self.adams["net"].zero_grad(set_to_none=True)
        loss.backward()
        self.engine.average_gradients(self.net.parameters())
        self.private_step(batch.images_seen)
        return {"loss": loss.detach()}


def losses_of(name: str, folder: Path, cohort: Cohort, engine: Engine) -> list[list[float]]:
    """Return the losses (steps, kinds), meaned over the processes, of 20 steps with batches of 16."""
    method, found = GENERATORS[name], list[list[float]]()
    update = NoiseByCase.update if name == "diffusion" else method.update

    def noted(self: Generator, batch: Any) -> dict[str, Any]:
        losses = update(self, batch)  # type: ignore[arg-type]
        values = torch.stack([torch.as_tensor(value, dtype=torch.float32) for value in losses.values()])
        found.append(engine.mean(values).tolist())
        return losses

    rare = {"grid_every": 1000, "snapshot_every": 1000, "checkpoint_seconds": 60}
    settings = {**SHORT, **rare, "images_seen": 16 * STEPS, "batch_size": 16}
    settings |= NO_NOISE if name != "diffusion" else {"learning_rate": 0.01, "warmup_images": 1}
    kept, method.update = method.update, noted  # type: ignore[method-assign]
    try:
        fit(name, cohort, folder / f"{name}-by-{engine.world_size}", engine=engine, **settings)
    finally:
        method.update = kept  # type: ignore[method-assign]
    return found


def main(folder: Path) -> None:
    """Compute everything, and write what was found."""
    base.GRID_CASES = 4  # as conftest.py says
    engine = Engine("fp32", "cpu", devices=2)
    if engine.rank == 0:
        make_cohort(folder / "cohort", SCHEMES["labels"])
        make_cohort(folder / "cohort-other", SCHEMES["labels"], seed=1)
    engine.wait()
    cohort = Cohort.open(folder / "cohort")
    found: dict[str, Any] = {name: train_and_sample(name, folder, cohort, engine) for name in GENERATORS}
    for name in ("pix2pix", "diffusion"):
        found[name]["losses"] = losses_of(name, folder, cohort, engine)
    alone = Engine("fp32", "cpu")
    for name in list(GENERATORS)[engine.rank :: 2]:
        draw(name, folder, cohort, alone, "alone")
    if engine.rank == 0:
        for name in ("pix2pix", "diffusion"):
            found[name]["losses alone"] = losses_of(name, folder, cohort, alone)
        (folder / "found.json").write_text(json.dumps(found))
    engine.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
