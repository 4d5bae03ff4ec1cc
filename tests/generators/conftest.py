"""What the tests of single generators share."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from understudy.core.encoding import Channel, Encoding
from understudy.core.labels import LabelScheme


@pytest.fixture(scope="module")
def encoding() -> Encoding:
    return Encoding(
        (Channel("T1", 0, 1), Channel("T2", 0, 1)), "float32", LabelScheme.from_text("0=background,1=lesion")
    )


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    """Return the toy of the translators, translation_toy.py."""
    spec = importlib.util.spec_from_file_location("translation_toy", Path(__file__).with_name("translation_toy.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
