"""How far a segmenter's reading of each image agrees with the label map that stands beside it, case by case.

Dice and its rule for empty maps are those of tasks/overlap.py, with a case in the place of a subject: one
map empty -> 0 ("missed", "false positive"). Both empty -> full consistency, in that nothing is there: 1 for the case,
and counted apart: it enters no mean and no quantile, which would only say how many cases hold nothing.
**Checked** in tests/evaluation/consistency/test_scores.py (by hand, each rule, block sizes).
"""

from dataclasses import dataclass

import numpy as np

from understudy.tasks.fitting import VOXELS_PER_BLOCK
from understudy.tasks.overlap import class_mean, confusion, dice, rules
from understudy.tasks.segmentation import CohortCases, Segmenter


@dataclass(frozen=True)
class CaseScores:
    """Consistency of n cases: Dice (n, K - 1) in 0..1 of the foreground classes, NaN where both maps are empty.

    And the rule that applied, (n, K - 1) positions in ``RULES`` of tasks/overlap.py, and the accuracy
    (n,): the share of voxels on which the two maps agree, background included.
    """

    dice: np.ndarray
    rule: np.ndarray
    accuracy: np.ndarray

    def of(self, k: int | None) -> np.ndarray:
        """Return Dice (n,) of foreground class k, or with None the mean of a case's classes; NaN where none counts."""
        return class_mean(self.dice) if k is None else self.dice[:, k]

    def ruled(self, k: int | None) -> list[int]:
        """Return how often each case of the rule applied, in the order of RULES[1:]; of all classes with None."""
        codes = self.rule if k is None else self.rule[:, k]
        return [int((codes == code).sum()) for code in (1, 2, 3)]


def case_scores(segmenter: Segmenter, cases: CohortCases, classes: int, block: int = VOXELS_PER_BLOCK) -> CaseScores:
    """Let a segmenter trained on real cases read every image, and compare its label map with the one of the case.

    `classes` is K with the background; `block`, how many voxels are read at once: the scores do not depend on it.
    """
    parts, step = [], max(1, block // int(np.prod(cases.cohort.size)))
    for start in range(0, len(cases), step):
        images, labels = cases.read(np.arange(start, min(start + step, len(cases))))
        counts = confusion(segmenter.predict(images), labels, np.arange(len(labels)), len(labels), classes)
        agreed = np.einsum("nkk->n", counts) / counts.sum((1, 2))
        parts.append((dice(counts), rules(counts), agreed))
    return CaseScores(*(np.concatenate(column) for column in zip(*parts, strict=True)))
