"""sample: the classes of a conditional run as they are typed."""

import pytest

from understudy.cli import sample
from understudy.core.errors import UsageError


def test_classes_of_a_conditional_run() -> None:
    assert sample.class_request("ill=1, sex=F=0.5") == {"ill": 1.0, "sex=F": 0.5} and sample.class_request(None) is None
    with pytest.raises(UsageError, match="NAME=NUMBER"):
        sample.class_request("ill=yes")
