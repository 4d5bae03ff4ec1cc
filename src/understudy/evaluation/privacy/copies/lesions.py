"""Single lesions about their own centre: has a lesion been copied into another brain?

Every connected part of a class that is neither tiny nor most of the image is cut out about its centre of mass. The
similarity of two is the Dice of their outlines times Pearson's r of the images within the query's outline, each channel
about its own mean; mirrored and shifted by one pixel, too.
**Checked** in tests/evaluation/privacy/copies/test_lesions.py (by hand; pasted lesions are found).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from understudy.evaluation.privacy.copies.cases import NearestTwo, SmallCases, nearest_two, ratio

WINDOWS = {2: 28, 3: 14}  # pixels a side, by dimensions
LESION_SIZES = {2: (20, 700), 3: (90, 2300)}  # fewest and most pixels of a lesion, of 64 x 64 or 32 x 32 x 32
BLOCK = 200


@dataclass(frozen=True)
class Lesions:
    """L lesions: the case each is of, mask float32 (L, WINDOW^d) and images (L, C, WINDOW^d), centred."""

    case: Tensor
    mask: Tensor
    images: Tensor


def lesions_of(cases: SmallCases) -> Lesions:
    """Cut out the lesions of cases with label maps."""
    assert cases.labels is not None
    dims = cases.labels.ndim - 1
    case, masks, crops, window = [], [], [], WINDOWS[dims]
    padded = F.pad(cases.images, (window // 2,) * (2 * dims), mode="replicate")
    for i, labels in enumerate(cases.labels.numpy()):
        for mask in _parts(labels):
            centre = [round(float(x)) for x in ndimage.center_of_mass(mask)]
            around = tuple(slice(x, x + window) for x in centre)
            case.append(i)
            masks.append(np.pad(mask, window // 2)[around])
            crops.append(padded[i][(slice(None), *around)])
    shape = (0, cases.images.shape[1], *[window] * dims)
    return Lesions(
        torch.tensor(case, dtype=torch.int64),
        torch.from_numpy(np.array(masks, np.float32).reshape(-1, window**dims)),
        (torch.stack(crops) if crops else torch.zeros(shape)).flatten(2),
    )


def _parts(labels: np.ndarray) -> list[np.ndarray]:
    """Return the masks (*S) of the parts of all classes that are of a lesion's size."""
    found, (fewest, most) = [], LESION_SIZES[labels.ndim]
    for value in np.unique(labels[labels > 0]):
        parts, n = ndimage.label(labels == value, np.ones((3,) * labels.ndim))
        sizes = np.bincount(parts.ravel(), minlength=n + 1)
        found += [parts == part for part in range(1, n + 1) if fewest <= sizes[part] <= most]
    return found


def variants(lesions: Lesions, dims: int) -> list[Lesions]:
    """Return the lesions as they are, mirrored about their centre, and shifted by one pixel along each axis."""
    axes, made = tuple(range(-dims, 0)), []
    mask, images = (x.unflatten(-1, (WINDOWS[dims],) * dims) for x in (lesions.mask, lesions.images))
    steps = [tuple(by * (axis == other) for other in axes) for axis in axes for by in (1, -1)]
    # the centre is pixel 14 of 28 and would be mirrored to 13: one pixel back
    for shift, mirror in [((0,) * dims, False), (steps[-2], True), *((step, False) for step in steps)]:
        both = [x.flip(-1) if mirror else x for x in (mask, images)]
        made.append(Lesions(lesions.case, *(torch.roll(x, shift, axes).flatten(-dims) for x in both)))
    return made


def likeness(query: Lesions, target: Lesions) -> Tensor:
    """Return the similarity (L, M) of lesions, in [0, 1]."""
    sizes = query.mask.sum(1, keepdim=True)
    dice = 2 * query.mask @ target.mask.T / (sizes + target.mask.sum(1))
    products, own, other = (torch.zeros_like(dice) for _ in range(3))
    for c in range(query.images.shape[1]):
        t, weighed = target.images[:, c], query.mask * query.images[:, c]
        total_q, total_t = weighed.sum(1, keepdim=True), query.mask @ t.T
        products += weighed @ t.T - total_q * total_t / sizes
        own += (weighed * query.images[:, c]).sum(1, keepdim=True) - total_q**2 / sizes
        other += query.mask @ (t**2).T - total_t**2 / sizes
    r = products / (own.clamp_min(0) * other.clamp_min(0)).sqrt().clamp_min(1e-6)
    return (dice * r).clamp(0, 1)


def similar_lesions(queries: SmallCases, targets: SmallCases, own: Tensor) -> NearestTwo:
    """Compare the lesions of cases with those of all targets; a case without lesions has similarity 0."""
    ours, theirs = lesions_of(queries), lesions_of(targets)
    none, found = np.zeros(len(queries)), np.zeros(len(queries), bool)
    case, first, score = np.zeros(len(queries), np.int64), none.copy(), ratio(none, none)
    if not len(theirs.case):
        return NearestTwo(case, first, score)
    many = variants(theirs, queries.images.ndim - 2)
    for start in range(0, len(ours.case), BLOCK):
        part = Lesions(*(x[start : start + BLOCK] for x in (ours.case, ours.mask, ours.images)))
        similarity = torch.stack([likeness(part, variant) for variant in many]).amax(0)
        near = nearest_two(similarity, targets.subjects[theirs.case], own[part.case])
        for i, row in enumerate(part.case.tolist()):  # the lesion with the highest score stands for its case
            if not found[row] or near.score[i] > score[row]:
                found[row] = True
                case[row], first[row], score[row] = theirs.case[near.case[i]], near.first[i], near.score[i]
    return NearestTwo(case, first, score)
