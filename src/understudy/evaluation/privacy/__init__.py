"""Privacy: how near synthetic cases lie to the training cases, against subjects whom the generator did not see."""

from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.stage import evaluate_privacy

__all__ = ["PrivacyConfig", "evaluate_privacy"]
