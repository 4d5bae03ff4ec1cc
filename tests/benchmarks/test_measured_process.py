"""Memory and time of a process with a child of its own."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc of Linux")
CHILD = "import time; held = b'x' * 60_000_000; time.sleep(0.4)"
PARENT = f"""
import subprocess, sys
held = b'x' * 40_000_000
subprocess.run([sys.executable, '-c', {CHILD!r}])
print('over')
"""


def test_the_memory_of_all_processes_counts(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    took = script("measured_process").measured([sys.executable, "-c", PARENT], tmp_path)
    assert took.code == 0 and took.said == "over\n" and took.seconds > 0.4
    assert 95 < took.own_mib < 300 and took.own_mib <= took.peak_mib


def test_a_process_that_takes_too_long_is_ended(script: Callable[[str], ModuleType], tmp_path: Path) -> None:
    took = script("measured_process").measured(
        [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, most_seconds=0.2
    )
    assert took.code == -9 and took.seconds < 30
