"""The shape that a label map shows, whatever its place, size and turn: does it repeat that of one training case?

What is not the largest part of a map is its foreground, whatever the numbers of its classes. Small components aside, it
is put at the middle of a window that grows with it, and read there in many poses, mirrored and turned; the similarity
of two shapes is Pearson's r of their windows, the highest over the poses of one. So maps that were turned, magnified
or grown are still alike, which the overlap of :func:`similar_maps` does not see; smooth bodies of different people are
alike as well, and the calibration on unseen subjects says how much.
Volumes are turned by small angles about each of their axes, and mirrored along any.
**Checked** in tests/evaluation/privacy/copies/test_shapes.py; ``benchmarks/map_copies.py`` counts what is found.
"""

import itertools
import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from understudy.core.cohort import Cohort
from understudy.evaluation.privacy.copies.cases import NearestTwo, joined, nearest_two
from understudy.evaluation.privacy.copies.lesions import cleaned, foregrounds
from understudy.evaluation.privacy.copies.registration import sample
from understudy.nets.affine import affine_grid

SIDES = {2: 32, 3: 24}  # of a window, by dimensions; twice the side of a square or cube of the foreground's size
SOFT = 0.7  # voxels by which outlines are smoothed
DEGREES = {2: range(0, 360, 10), 3: range(-20, 21, 10)}
BLOCK = 250


@cache
def poses(dims: int) -> Tensor:
    """Return the turns (P, d, d) in which a shape is read, each mirrored along no axis and along others; the first not.

    In two dimensions one mirror and all turns give every pose; volumes are turned about one axis, a little.
    """
    eye, turned = torch.eye(dims), []
    for degrees in DEGREES[dims]:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        for a, b in itertools.combinations(range(dims), 2):
            turn = eye.clone()
            turn[a, a], turn[a, b], turn[b, a], turn[b, b] = cos, -sin, sin, cos
            turned.append(turn)
    signs = [(1, 1), (-1, 1)] if dims == 2 else list(itertools.product((1, -1), repeat=dims))
    found = torch.unique(torch.stack([turn * torch.tensor(sign) for sign in signs for turn in turned]), dim=0)
    identity = (found - eye).abs().amax((1, 2)) < 1e-6
    return torch.cat([eye[None], found[~identity]])


def windows(maps: np.ndarray, turns: Tensor) -> Iterator[Tensor]:
    """Yield the shapes of label maps (N, *S) in one pose after another, as vectors (N, F) of mean 0 and length 1.

    A map that shows too little to tell is a vector of zeros.
    """
    n, dims, sides = len(maps), maps.ndim - 1, np.array(maps.shape[1:])
    soft, centre, reach = torch.zeros(n, 1, *maps.shape[1:]), np.zeros((n, dims)), np.ones(n)
    for i, shown in enumerate(foregrounds(torch.from_numpy(np.stack([cleaned(one) for one in maps])).long()).numpy()):
        if shown.any():
            soft[i, 0] = torch.from_numpy(ndimage.gaussian_filter(shown.astype(np.float32), SOFT))
            centre[i], reach[i] = np.argwhere(shown).mean(0), shown.sum() ** (1 / dims)
    # to coordinates from -1 to 1, edge to edge, the last axis first
    middle = torch.from_numpy(((2 * centre + 1) / sides - 1)[:, ::-1].copy()).float()
    extent = torch.from_numpy((2 * reach[:, None] / sides)[:, ::-1].copy()).float()
    for turn in turns:
        grid = affine_grid(torch.cat([extent[:, :, None] * turn, middle[:, :, None]], 2), (SIDES[dims],) * dims)
        seen = sample(soft, grid).flatten(1)
        seen = seen - seen.mean(1, keepdim=True)
        yield seen / seen.norm(dim=1, keepdim=True).clamp_min(1e-6)


def shapes(cohort: Cohort, rows: np.ndarray) -> Tensor:
    """Return the shapes (N, F) of some rows, as they lie."""
    assert cohort.labels is not None
    turn = poses(len(cohort.size))[:1]
    blocks = (np.asarray(cohort.labels[rows[start : start + BLOCK]]) for start in range(0, len(rows), BLOCK))
    return torch.cat([next(windows(maps, turn)) for maps in blocks])


def similar_shapes(cohort: Cohort, rows: np.ndarray, targets: Tensor, subjects: Tensor, own: Tensor) -> NearestTwo:
    """Return the training case with the most similar shape to each of some rows, in any pose.

    Targets are shapes (M, F) of subjects (M,); a row's ``own`` (N,) is left out, none where -1.
    """
    assert cohort.labels is not None
    parts = []
    for start in range(0, len(rows), BLOCK):
        maps, best = np.asarray(cohort.labels[rows[start : start + BLOCK]]), None
        for seen in windows(maps, poses(len(cohort.size))):
            similarity = seen @ targets.T
            best = similarity if best is None else torch.maximum(best, similarity)
        assert best is not None
        parts.append(nearest_two(best, subjects, own[start : start + BLOCK]))
    return joined(parts)
