"""How near the nearest case lies, against how near the next subject's does.

What is near to everybody is no copy: a plain slice that resembles many subjects is near to all of them, a copy to one.
So nearness counts against half of the nearness to the next subject:

    score = -log(1 - s1 + e) + log(1 - s2 + e) / 2        s1 the nearest case's similarity, s2 the next subject's

**Source**: the ratio of the nearest to the second nearest of Lowe, IJCV 60 (2004), section 7.1, with the next subject
in place of the next case, and half its weight, because a subject of a rare kind has only one neighbour.
**Checked** in tests/evaluation/privacy/copies/test_near.py.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

SOFT = 0.01  # e: differences among similarities above 0.99 do not count


@dataclass(frozen=True)
class Near:
    """For each of N cases: the nearest training case, its similarity and that of the next subject's nearest.

    Attributes:
        case: int64 (N,) into the training cases.
        first: (N,) similarity, at most 1.
        second: (N,) at most ``first``.
    """

    case: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def __getitem__(self, rows: "slice | np.ndarray") -> "Near":
        """Return what is known of some of the cases."""
        return Near(self.case[rows], self.first[rows], self.second[rows])

    def where(self, mask: np.ndarray, other: "Near") -> "Near":
        """Return these cases where a mask (N,) holds, and the other's elsewhere."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in ("case", "first", "second"))
        return Near(*(np.where(mask, ours, theirs) for ours, theirs in pairs))

    @property
    def score(self) -> np.ndarray:
        """Return (N,): the higher, the nearer to one subject and to no other."""
        first, second = np.clip(self.first, -1, 1), np.clip(self.second, 0, 1)
        score: np.ndarray = np.log(1 - second + SOFT) / 2 - np.log(1 - first + SOFT)
        return score


def nearest_two(similarity: Tensor, subjects: Tensor, own: Tensor, cases: Tensor | None = None) -> Near:
    """Find the nearest case, and the nearest of another subject.

    Args:
        similarity: (N, K) to K candidates.
        subjects: (K,) or (N, K) whose the candidates are.
        own: (N,) subject that is left out for each case; -1 for none.
        cases: (N, K) which training cases the candidates are; all in order where None.
    """
    whose = subjects.expand(similarity.shape)
    allowed = similarity.masked_fill(whose == own[:, None], -1)
    first, at = allowed.max(1)
    second = allowed.masked_fill(whose == torch.gather(whose, 1, at[:, None]), -1).amax(1)
    case = at if cases is None else torch.gather(cases, 1, at[:, None])[:, 0]
    return Near(case.numpy(), first.double().numpy(), second.double().numpy())


def joined(parts: list[Near]) -> Near:
    """Return blocks one after another."""
    return Near(*(np.concatenate([getattr(part, name) for part in parts]) for name in ("case", "first", "second")))
