"""What would break a guarantee, refused before and during a training.

Before: data ranges measured on patients, starting weights of data that are not said to be public, given label maps,
which are handed on as they are, several processes. In the networks: statistics over a batch. During: state
that a subject's loss changes behind the mechanism's back.
**Checked**: tests/training/dp/test_refusals.py (each of them, and injected unclipped paths).
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError, UsageError
from understudy.nets.layers import MinibatchStd
from understudy.training.dp.settings import OffersPrivacy
from understudy.training.run_record import read_run

State = tuple[dict[str, Tensor], dict[str, Any]]


def refuse_request(
    name: str, config: OffersPrivacy, given: str | None, cohort: Cohort, other: Cohort | None, start: Path | None
) -> None:
    """Refuse a training whose data or settings carry something of patients past the mechanism.

    ``given`` is what the generator ``name`` is given of every case; ``other`` is a second cohort to learn from;
    ``start`` is the run whose weights it begins with.

    Raises:
        UsageError: with what to change.
    """
    _refuse_start(config.dp is not None and config.dp.public_start, cohort, start)
    if other is not None:
        raise UsageError(
            f"subjects are drawn from {cohort.path} alone, so the guarantee would not cover those of {other.path}: "
            "leave --other out, or dp"
        )
    if cohort.trained_on or cohort.kind == "synthetic":
        raise UsageError(
            f"{cohort.path} was made by a generator that saw other subjects, whom the guarantee would not cover: "
            "train on a cohort of import, or without dp"
        )
    if given:
        raise UsageError(
            f"{name} hands on patients' {given} as they are, which no noise covers: set labels=joint, or train "
            "without dp"
        )
    measured = [c.name for c in cohort.encoding.channels if (c.low, c.high) != (0, 255)]
    if measured or (cohort.images is not None and cohort.encoding.dtype != "uint8"):
        raise UsageError(
            f"the range of the channels {', '.join(measured) or 'of these images'} was measured on the training "
            "subjects, which no noise covers: import with --intensity volume-max or volume-percentile, which scale "
            "each source image by itself to 0..255"
        )


def _refuse_start(public: bool, cohort: Cohort, start: Path | None) -> None:
    """Refuse weights to begin with unless they are said to be of public data; and those that saw these subjects."""
    if start is None:
        if public:
            raise UsageError("dp.public_start is about --start, and none was given: leave it out")
        return
    if not public:
        raise UsageError(
            f"the weights of {start} have seen data that the guarantee would not cover: leave --start out, or dp; if "
            "these data are public, say so with --set dp.public_start=true"
        )
    seen = read_run(start)["trained_on"]
    shared = {subject for entry in seen for subject in entry.get("subjects", ())}.intersection(cohort.subjects())
    if shared or cohort.id in {entry["cohort"] for entry in seen}:
        raise UsageError(
            f"the weights of {start} have seen subjects of {cohort.path}, {len(shared)} of them, whom the guarantee "
            "would not cover: begin with a run on other data"
        )


def refuse_networks(name: str, networks: Iterable[nn.Module]) -> None:
    """Refuse, by UsageError, networks in which a case depends on others, or that keep statistics of what they saw."""
    for layer in (layer for network in networks for layer in network.modules()):
        if isinstance(layer, _NormBase) and (layer.track_running_stats or "BatchNorm" in type(layer).__name__):
            raise UsageError(
                f"{name} has a {type(layer).__name__}, which takes statistics over cases, and patient-level privacy "
                "needs each subject on its own: choose another generator, or train without dp"
            )
        if isinstance(layer, MinibatchStd) and layer.group != 1:
            raise UsageError(
                f"{name} compares cases in groups of {layer.group} (minibatch standard deviation), and patient-level "
                "privacy needs each case on its own: set group=1"
            )


def copied(state: State) -> State:
    """Return a copy of a method's state, to be compared later."""
    tensors, scalars = state
    return {name: t.detach().clone() for name, t in tensors.items()}, json.loads(json.dumps(scalars))


def refuse_unclipped(before: State, after: State, parameters: Iterable[nn.Parameter]) -> None:
    """Refuse whatever a subject's loss has changed beside the gradient that it returned.

    ``before`` is a :func:`copied` state from before the losses, ``after`` the state since; none of the ``parameters``
    of all networks may have been given a gradient.

    Raises:
        UnderstudyError: with the name of what was changed.
    """
    changed = [
        name for name, t in before[0].items() if name not in after[0] or not torch.equal(t, after[0][name].detach())
    ]
    changed += [name for name in after[0] if name not in before[0]]
    if json.loads(json.dumps(after[1])) != before[1]:
        changed.append("a number among its scalars")
    if any(p.grad is not None for p in parameters):
        changed.append("the gradient of a parameter")
    if changed:
        raise UnderstudyError(
            f"a subject's loss changed {changed[0]} past the clipping, so that the guarantee would not hold: this is a "
            "fault of the generator, not of the data"
        )
