"""Generator weights in a release: what ``sample`` needs and nothing else, only when asked, behind limits of their own.

    weights/generator.safetensors   the averaged weights that `sample` uses; byte for byte the run's last snapshot
    weights/generator.json          the settings of its network and sampler, and what its channels and classes are

Weights are those of the run that the released cohort was sampled from. Asked for beside a cohort's evidence are a
white-box attack on exactly these weights (by their SHA-256, in ``evaluate privacy --generator``), and the search for
copies in a **fresh** cohort: drawn from the same weights with another seed, with nothing screened out or kept away. No
override lets weights out. The tensors come from the network that the settings make, so that no discriminator,
optimiser, checkpoint, encoder or training case can be among them; where the run's file holds anything else its hash is
another one, and it is refused.
**Not covered**: whoever holds weights can draw without end, go on training them, search their latents for what was
never looked for here, and draw again what screening removed.
**Checked** in tests/release/test_weights.py.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel

from understudy.core.cohort import Cohort, file_hash
from understudy.core.documents import STRICT, read_document
from understudy.core.encoding import EncodingRecord
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.provenance import ProvenanceRecord
from understudy.core.regular_file import read_regular
from understudy.release.screening_log import screenings

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "weights"
TENSORS, RECORD = f"{FOLDER}/generator.safetensors", f"{FOLDER}/generator.json"
FILES = (TENSORS, RECORD)
FRESH = "fresh-samples"  # a folder of evidence
MOST_BYTES = 2**34  # of weights: 4 thousand million of float32
DIGITS = 16  # of the SHA-256 by which evidence names weights
NAME = re.compile(r"(ema|scale)(\.[A-Za-z0-9_]{1,80}){1,20}")  # of a tensor: of the averaged network, or of its scale
PIECE, OVERLAP = 2**18, 256  # numbers of a tensor that are searched at once
ADVICE = "get the bundle again from who released it"
Value = bool | int | float | str | None


class _Files(BaseModel):
    files: dict[str, str]


class GeneratorRecord(BaseModel):
    """generator.json: what makes the network of the weights again."""

    model_config = STRICT

    generator: str
    config: dict[str, Value | list[Value] | dict[str, Value]]
    encoding: EncodingRecord
    size: list[int]
    classes: list[str]
    modality: str
    images_seen: int


@dataclass(frozen=True)
class GeneratorWeights:
    """The weights that ``sample`` draws with, as the network of their settings has them, and the run's own hash."""

    record: GeneratorRecord
    tensors: "Mapping[str, Tensor]"
    digest: str  # first digits of the SHA-256 of the run's snapshot

    def encoded(self) -> bytes:
        """Return the bytes of generator.safetensors.

        Raises:
            UnderstudyError: a tensor of another name than a sampler's, or the run's snapshot holds something else.
        """
        from safetensors.torch import save

        if wrong := sorted(name for name in self.tensors if not NAME.fullmatch(name)):
            raise UnderstudyError(f"the weights hold {wrong[0][:80]!r}, which no sampler needs: they are not released")
        content = save({name: t.detach().cpu().contiguous() for name, t in self.tensors.items()})
        if (found := hashlib.sha256(content).hexdigest()[:DIGITS]) != self.digest:
            raise UnderstudyError(
                f"the run's snapshot ({self.digest}) holds something else than the weights of its sampler ({found}), "
                "and only these are released: train again with this understudy, or release the cohort alone"
            )
        return content


@dataclass(frozen=True)
class AskedWeights:
    """Weights that are asked for, and the fresh cohort that was drawn from them."""

    weights: GeneratorWeights
    fresh: Cohort


def drawn_by(cohort: Cohort) -> ProvenanceRecord:
    """Return the request of the sampling that a cohort is from, whatever was screened out of it since.

    Where its cases were edited since, it is the request of that.
    """
    requests = [*(one.source.provenance for one in screenings(cohort)), cohort.provenance]
    edits = [one for one in requests if one.get("command") == "edit"]
    return ProvenanceRecord.model_validate([*edits, *requests][0])


def refuse_others(source: Cohort, asked: AskedWeights) -> None:
    """Refuse weights that did not draw a released cohort, and a fresh cohort that does not show what they do alone.

    Raises:
        UsageError: another run, the same seed, or a fresh cohort that was screened, kept away from images or drawn
            with other settings.
    """
    ours, fresh, digest = drawn_by(source), asked.fresh, asked.weights.digest
    if source.kind != "synthetic" or ours.command != "sample" or ours.inputs.get("run") != digest:
        raise UsageError(
            f"{source.path.name} was not sampled from the weights {digest} alone, and only the generator of a released "
            "cohort is released: name the run that it was sampled from"
        )
    theirs = drawn_by(fresh)
    wrong = {
        "was not sampled from these weights": (fresh.kind, theirs.command, theirs.inputs.get("run"))
        != ("synthetic", "sample", digest),
        "has cases screened out of it": bool(screenings(fresh)),
        "was kept away from training images": "away_from" in theirs.inputs,
        "was sampled with other settings than the run's": bool(theirs.config.get("settings")),
        f"has the seed of {source.path.name}": theirs.seed == ours.seed,
    }
    if found := [why for why, holds in wrong.items() if holds]:
        raise UsageError(
            f"--fresh {fresh.path.name} {found[0]}: sample it from the run alone with a --seed of its own, and run "
            "`understudy evaluate privacy` on it"
        )


def write_weights(bundle: Path, weights: GeneratorWeights) -> None:
    """Write the two files into a bundle; UnderstudyError where they would hold more than a sampler needs."""
    content = weights.encoded()
    (bundle / FOLDER).mkdir()
    (bundle / TENSORS).write_bytes(content)
    (bundle / RECORD).write_text(weights.record.model_dump_json(indent=1) + "\n", encoding="utf-8")


def read_weights(bundle: Path) -> "tuple[GeneratorRecord, dict[str, Tensor]]":
    """Read the two files of a bundle.

    Raises:
        UsageError: the bundle holds no weights.
        UnderstudyError: they are damaged, or hold another tensor than a sampler's.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load

    if not (bundle / TENSORS).exists():
        raise UsageError(f"{bundle} holds no weights of a generator: its cases are all that was released")
    record = read_document(bundle / RECORD, GeneratorRecord, "the record of a released generator", ADVICE)
    try:
        tensors = load(read_regular(bundle / TENSORS, "a weights file", MOST_BYTES))
        with safe_open(bundle / TENSORS, framework="pt") as opened:
            beside = opened.metadata()
    except (SafetensorError, OSError, UsageError, ValueError) as error:
        why = " ".join(str(error).split())[:200]
        raise UnderstudyError(f"{bundle / TENSORS} is no whole file of weights ({why}): {ADVICE}") from error
    if wrong := sorted(name for name in tensors if not NAME.fullmatch(name)):
        raise UnderstudyError(f"{bundle / TENSORS} holds {wrong[0][:80]!r}, which no sampler needs: {ADVICE}")
    if beside or not tensors:
        raise UnderstudyError(f"{bundle / TENSORS} holds {'text beside its' if beside else 'no'} tensors: {ADVICE}")
    return record, tensors


def read_released(bundle: Path) -> "tuple[GeneratorRecord, dict[str, Tensor]]":
    """Read the two files of a bundle, which must have the hashes of its manifest; raises as :func:`read_weights` does.

    Whether the bundle as a whole is as it was released, ``understudy verify`` tells.
    """
    files = read_document(bundle / "manifest.json", _Files, "the manifest of a bundle", ADVICE).files
    found = read_weights(bundle)
    for name in FILES:
        if file_hash(bundle / name) != files.get(name):
            raise UnderstudyError(f"{bundle / name} does not have the hash in manifest.json: {ADVICE}")
    return found


def numbers_of(bundle: Path) -> Iterator[np.ndarray]:
    """Yield the numbers of all tensors in a bundle, float64 (n,), in pieces that overlap, as they are stored."""
    _, tensors = read_weights(bundle)
    for name in sorted(tensors):
        flat = tensors[name].double().flatten().numpy()
        for start in range(0, len(flat), PIECE - OVERLAP):
            yield flat[start : start + PIECE]


def weights_disagreements(bundle: Path, cohort: Cohort, request: ProvenanceRecord, fresh: set[str]) -> dict[str, bool]:
    """Return what must hold of the weights in a bundle; ``fresh`` are the cohorts of the evidence on fresh samples."""
    record, _ = read_weights(bundle)
    inputs = request.inputs
    theirs: Any = record.encoding.made()
    return {
        "the weights are not those that the evidence is about": file_hash(bundle / TENSORS)[:DIGITS]
        == request.config.get("weights"),
        "weights and cohort are of different cases": (theirs, tuple(record.size), record.modality)
        == (cohort.encoding, cohort.size, cohort.modality),
        "the evidence on fresh samples is about another cohort": fresh == {inputs.get("fresh", "?")}
        and inputs.get("fresh") != inputs.get("cohort"),
    }
