"""The machine's own peak."""

from collections.abc import Callable
from types import ModuleType


def test_peaks_are_rates(script: Callable[[str], ModuleType]) -> None:
    found = script("machine_peak").peak(1, tiny=True)
    assert all(found[key] > 1e6 for key in ("matmul_flops", "convolution_flops", "copy_bytes"))
    assert found["precision"] in ("bfloat16", "float32")
