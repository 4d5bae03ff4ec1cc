"""Areas under the ROC curve against scikit-learn; what has no area has none."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from understudy.tasks.classification import class_auc, macro


def test_against_scikit_learn_with_missing_entries() -> None:
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, (60, 3)).astype(np.float32)
    scores = (random.random((60, 3)) + 0.3 * targets).round(1)  # with ties
    plain = class_auc(targets, scores)
    assert plain == pytest.approx([roc_auc_score(targets[:, k], scores[:, k]) for k in range(3)])
    targets[:20, 1] = np.nan
    missing = class_auc(targets, scores)
    assert missing[1] == pytest.approx(roc_auc_score(targets[20:, 1], scores[20:, 1])) != plain[1]
    assert missing[[0, 2]].tolist() == plain[[0, 2]].tolist()


def test_a_class_of_one_kind_has_no_area_and_no_part_in_the_mean() -> None:
    targets = np.array([[0, 1, np.nan, 0], [1, 1, np.nan, 1]], np.float32)
    scores = np.array([[0.1, 0.5, 0.5, 0.9], [0.8, 0.4, 0.2, 0.1]], np.float32)
    areas = class_auc(targets, scores)
    assert areas[0] == 1 and areas[3] == 0 and np.isnan(areas[[1, 2]]).all()
    assert macro(areas) == 0.5 and np.isnan(macro(areas[1:3]))
