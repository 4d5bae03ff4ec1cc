"""Import weights: an official StyleGAN2 or StyleGAN3 file -> a run folder that samples like one that was trained here.

    RUN/
      run.json                 generator, config, encoding, trained_on (unknown subjects), provenance (SHA-256, no path)
      snapshots/025000000/     the weights of G_ema, by the thousands of images in the file's name, else 0
      checkpoints/025000000/   those of G, D and G_ema, for `train --start`; absent where G or D is another network
      complete.json

Official networks draw 8-bit images: -1 is grey level 0 and +1 is 255. The file does not say on which subjects its
network was trained: ``trained_on`` names an unknown cohort without subjects, so that every evaluation of the samples
says that a leak cannot be ruled out (evaluation/guard.py).

**Checked** in tests/generators/pretrained/test_weights.py.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from understudy.core.encoding import Channel, Encoding
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.stage import finished, output_folder
from understudy.generators import GENERATORS
from understudy.generators.pretrained.networks import KINDS, Description, describe, describe_discriminator
from understudy.generators.pretrained.official_file import StandIn, read_bytes, read_official
from understudy.training.checkpoint import write_state

SAMPLED_PIXELS = 32 * 256**2  # at once, in one channel: memory of large images
SNAPSHOT = re.compile(r"network-snapshot-(\d{6})\.pkl")
GREY = "grey level of the training images, 0 to 255"


@dataclass(frozen=True)
class Meaning:
    """What an official network's channels and condition mean; the file does not say."""

    channels: tuple[str, ...] = ()  # names of the image channels; empty: channel0, channel1 ...
    label_scheme: str = ""  # such as 0=background,1=tumour when the last channels are a label map
    classes: tuple[str, ...] = ()  # names of the condition's columns; empty: class0, class1 ...
    modality: str = "unknown"  # for the record, e.g. MR


def import_weights(kind: str, file: Path, out: Path, meaning: Meaning | None = None) -> Path:
    """Turn an official weights file, of which nothing is run, into the run folder `out`; a finished run is kept.

    The kind is stylegan2 or stylegan3, the file an official pickle such as network-snapshot-025000.pkl; without a
    meaning its channels are images.

    Raises:
        UsageError: no such file or kind, names that do not fit the network, or ``out`` holds something else.
        UnderstudyError: the file asks for anything to be run, is damaged, or holds a network that is not done here.
    """
    file, out, meaning = Path(file), Path(out), meaning or Meaning()
    if kind not in KINDS:
        raise UsageError(f"there are official weights of {' and '.join(KINDS)}, found {kind!r}")
    data = read_bytes(file)
    seen = images_seen(file.name)
    config = {"images_seen": seen, **vars(meaning)}
    provenance = Provenance(f"import-weights {kind}", config, 0, {"weights": hashlib.sha256(data).hexdigest()})
    if finished(out, "run.json", provenance):
        return out
    networks = read_official(data, file.name)
    network = describe(kind, networks["G_ema"], file.name)
    record = _record(kind, network, meaning, provenance, seen, file.name)
    with output_folder(out) as folder:
        (folder / "run.json").write_text(json.dumps(record, indent=1) + "\n")
        tensors = {f"ema.{name}": tensor for name, tensor in network.tensors.items()}
        write_state(folder / "snapshots" / f"{seen:09d}", tensors, {"generator": kind})
        if trained := _in_training(networks, network):
            write_state(folder / "checkpoints" / f"{seen:09d}", tensors | trained, {"generator": kind})
        (folder / "complete.json").write_text(json.dumps({"images_seen": seen}, indent=1) + "\n")
    return out


def images_seen(name: str) -> int:
    """Return what an official file name tells: thousands of images, as in network-snapshot-025000.pkl; else 0."""
    seen = SNAPSHOT.fullmatch(name)
    return int(seen[1]) * 1000 if seen else 0


def _in_training(networks: dict[str, StandIn], network: Description) -> dict[str, Tensor]:
    """Return the weights of G and D, or {} where either is not the network that is trained here."""
    g = networks["G"].tensors() if "G" in networks else {}
    d = describe_discriminator(networks.get("D"), network)
    if not d or {k: t.shape for k, t in g.items()} != {k: t.shape for k, t in network.tensors.items()}:
        return {}
    return {f"g.{k}": g[k].float() for k in network.tensors} | {f"d.{k}": t for k, t in d.items()}


def _record(
    kind: str, network: Description, meaning: Meaning, provenance: Provenance, seen: int, file: str
) -> dict[str, Any]:
    classes = _classes(network, meaning, file)
    block = min(32, max(1, SAMPLED_PIXELS // network.resolution**2))
    trained = {"images_seen": seen} if seen else {}
    try:
        config = GENERATORS[kind].Config(**network.config, **trained, conditional=bool(classes), sample_block=block)
    except ValueError as error:
        raise UnderstudyError(
            f"{file} holds a network with settings that {kind} does not know here: {error}"
        ) from error
    return {
        "generator": kind,
        "config": config.model_dump(),
        "encoding": _encoding(network, meaning, file).to_json(),
        "size": [network.resolution] * 2,
        "classes": classes,
        "modality": meaning.modality,
        "seed": 0,
        "trained_on": [{"cohort": "unknown", "splits": [], "subjects": []}],
        "provenance": provenance.to_json(),
    }


def _encoding(network: Description, meaning: Meaning, file: str) -> Encoding:
    scheme = LabelScheme.from_text(meaning.label_scheme) if meaning.label_scheme else None
    labels = scheme.encoded_channels if scheme else 0
    names = meaning.channels or tuple(f"channel{i}" for i in range(network.channels - labels))
    if len(names) + labels != network.channels:
        raise UsageError(
            f"{file} draws {network.channels} channels, and {len(names)} image and {labels} label channel(s) were "
            "named: name each image channel with --channels, and with --label-scheme what a label map means"
        )
    if len(set(names)) != len(names):
        raise UsageError(f"each channel needs a name of its own, found {', '.join(names)}")
    return Encoding(tuple(Channel(name, 0, 255, GREY) for name in names), "uint8", scheme)


def _classes(network: Description, meaning: Meaning, file: str) -> list[str]:
    names = meaning.classes or tuple(f"class{i}" for i in range(network.classes))
    if len(names) != network.classes or len(set(names)) != len(names):
        raise UsageError(
            f"{file} was trained with {network.classes} classes, and {len(names)} were named ({', '.join(names)}): "
            "name each of them once with --classes, in the order of the training labels"
        )
    return list(names)
