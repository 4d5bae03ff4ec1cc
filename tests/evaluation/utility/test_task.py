"""What a task is: nothing of it may be left open, and a number that is missing says why."""

import pytest

from understudy.evaluation.utility.stage import TASKS
from understudy.evaluation.utility.task import Outcome, Task


def test_a_task_that_leaves_something_open_cannot_be_made() -> None:
    class Half(Task):
        def __init__(self) -> None:
            """Nothing."""

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]
    with pytest.raises(TypeError, match="abstract"):
        Outcome()  # type: ignore[abstract]


def test_every_task_of_the_menu_says_what_it_needs_and_scores() -> None:
    for task in TASKS.values():
        assert not task.__abstractmethods__
        assert isinstance(task.needs_labels, bool)
        assert task.model
