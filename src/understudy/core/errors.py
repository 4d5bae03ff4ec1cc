"""The exceptions a caller may catch. Each message says what was expected, what was found, where, and what to do."""


class UnderstudyError(Exception):
    """A stage could not be completed: bad data, a broken file, an evaluation that must not run. Exit code 1."""

    exit_code = 1


class UsageError(UnderstudyError):
    """The request itself cannot be right: an unknown key, a missing option, an output that exists. Exit code 2."""

    exit_code = 2


class ProcessLost(UnderstudyError):
    """Another of the processes that compute together has ended; what was written can be gone on with."""


NO_VALUE = (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError)
"""What PyYAML raises beside its own error, e.g. of ``2024-13-45`` and ``!!int x``."""
