"""Inception score: how sure a classifier is of each case, and how many classes it finds in all of them.

exp of the mean Kullback-Leibler divergence of the classes of a case p(y|x) from those of all cases p(y): 1 where it
cannot tell cases apart, K where it is sure and finds K classes equally often. No real case takes part: the baselines
are scores of real cases, which nothing synthetic need exceed. It says what that classifier knows of the images, and the
published one knows photographs (Barratt and Sharma, A Note on the Inception Score, 2018, arXiv 1801.01973).
**Source**: Salimans et al., Improved Techniques for Training GANs (2016, arXiv 1606.03498), section 4.
**Differs**: all cases are one group, not ten groups of 5,000; it is biased downwards, the more the fewer cases.
**Checked** in tests/evaluation/fidelity/test_inception_score.py (closed forms; torchmetrics with one split 1e-5).
"""

import math

import numpy as np
from scipy.special import log_softmax, logsumexp

from understudy.core.result import Result
from understudy.evaluation.metric import Metric, Quantity, check_features


def inception_score(*, real: np.ndarray, synthetic: np.ndarray, seed: int = 0) -> Result:
    """Return the inception score of the synthetic set, 1 to K, higher is better.

    The sets are logits of classes (n, K) and (m, K), or log probabilities; the real one is not used, and stands here
    as in every metric. ``n`` is the number of synthetic cases: compare at equal n.
    """
    check_features(real, synthetic)
    case = log_softmax(synthetic.astype(np.float64), axis=1)
    whole = logsumexp(case, axis=0) - np.log(len(case))
    value = float(np.exp((np.exp(case) * (case - whole)).sum(1).mean()))
    note = f"{case.shape[1]} classes; the baselines are scores of real cases"
    return Result("inception_score", value, better="higher", n=len(case), seed=seed, note=note)


LAWS = ("never negative", "order irrelevant", "monotone under label shift", "monotone under mode dropping")
METRIC = Metric(
    inception_score,
    (Quantity("inception_score", "inception score", "higher", frozenset(LAWS), bounds=(1, math.inf)),),
    needs="logits",
    cases_per_feature=10,
    few="biased downwards",
)
