"""Exit codes: 1 for a stage that failed, 2 for a request that cannot be right."""

from understudy.core.errors import UnderstudyError, UsageError


def test_exit_codes_and_that_one_name_catches_both() -> None:
    assert (UnderstudyError.exit_code, UsageError.exit_code) == (1, 2)
    assert issubclass(UsageError, UnderstudyError)
