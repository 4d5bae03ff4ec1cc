"""The source in an official file: what a network needs passes, what reaches out of tensors is named."""

import os
from pathlib import Path
from types import ModuleType

import pytest

from understudy.generators.pretrained.stored_source import foreign

DISGUISES = {
    "import os\nos.system('true')": "os.system",
    "import os as torch\ntorch.system('true')": "os",
    "from os import system": "os.system",
    "from posix import system as relu": "posix.system",
    "from . import secrets": ".secrets",
    "import torch, subprocess": "subprocess",
    "def f():\n    import shutil": "shutil",
    "import torch\ntorch.os.system('true')": "torch.os",
    "import torch\nt = torch\nt.os.system('true')": "t.os",
    "import torch.hub": "torch.hub",
    "from torch.utils import cpp_extension": "torch.utils.cpp_extension",
    "import torch\ntorch.load('x')": "torch.load",
    "import torch\ntorch.ops.load_library('x.so')": "load_library",
    "import numpy as np\nnp.load('x', allow_pickle=True)": "np.load",
    "__import__('os').system('true')": "__import__",
    "eval('1')": "eval",
    "exec('1')": "exec",
    "open('/etc/passwd')": "open",
    "compile('1', '', 'eval')": "compile",
    "run = eval": "eval",
    "globals()['x']": "globals",
    "import torch\ngetattr(torch, 'o' + 's')": "getattr",
    "import torch\nreach = getattr\nreach(torch, 'os')": "getattr",
    "().__class__.__bases__[0].__subclasses__()": "__subclasses__",
    "import torch\ntorch.nn.Module.__dict__": "__dict__",
    "__builtins__": "__builtins__",
    'x = f\'{__import__("os").system("true")}\'': "__import__",
    "@eval\ndef f(): pass": "eval",
    "import torch\nclass A(torch.nn.Module):\n    def forward(self, x=open('a')): pass": "open",
    "from torch_utils import custom_ops": "custom_ops",
    "import dnnlib\ndnnlib.util.open_url('http://x')": "open_url",
    "this is no Python": "not Python",
    "\x00": "not Python",
    "x = " + "-" * 100_000 + "1": "not Python",
    "x = a" + ".b" * 100_000: "not Python",
    "#" * 1_000_001: "more than 1000000 characters",
}


@pytest.mark.parametrize("source", DISGUISES, ids=lambda s: s[:40])
def test_what_no_network_needs_is_named(source: str) -> None:
    found = foreign(source)
    assert found is not None and DISGUISES[source] in found and len(found) < 150 and "\n" not in found


def test_the_line_is_named(official_layout: ModuleType) -> None:
    assert foreign(official_layout.SOURCE) is None
    assert foreign("\ufeff" + official_layout.SOURCE) is None
    lines = len(official_layout.SOURCE.splitlines())
    found = foreign(official_layout.SOURCE + "import os; os.system('true')\n")
    assert found == f"os (line {lines + 1}), os.system (line {lines + 1})"


def test_a_network_may_use_tensors_as_it_likes() -> None:
    source = (
        "import numpy as np\nimport scipy.signal\nimport torch\nfrom torch_utils.ops import bias_act\n"
        "class A(torch.nn.Module):\n    def __init__(self, n):\n        super().__init__()\n"
        "        for i in range(n):\n            setattr(self, f'b{i}', torch.nn.Parameter(torch.randn([i])))\n"
        "        self.size = np.array([1, 2]).copy()\n        if n < 0:\n            raise ValueError('n')\n"
        "    def forward(self, x):\n        f = scipy.signal.firwin(3, 0.5)\n"
        "        return bias_act.bias_act(x, getattr(self, 'b0')).select(0, 1) * torch.random.initial_seed()\n"
    )
    assert foreign(source) is None


def test_the_official_sources_pass() -> None:
    checkout = os.environ.get("UNDERSTUDY_OFFICIAL")
    if not checkout:
        pytest.skip("UNDERSTUDY_OFFICIAL names no checkout of NVlabs stylegan3")
    files = sorted(Path(checkout).glob("training/networks*.py")) + [Path(checkout) / "training" / "augment.py"]
    assert len(files) > 2
    for file in files:
        assert foreign(file.read_text(encoding="utf-8")) is None, file.name
