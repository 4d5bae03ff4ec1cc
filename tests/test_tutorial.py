"""The tutorial's code, as it stands in docs/tutorial.md, on a tiny phantom."""

import re
from pathlib import Path
from typing import Any

import pytest

import understudy as us
from understudy.core.errors import UnderstudyError

TUTORIAL = Path(__file__).resolve().parents[1] / "docs" / "tutorial.md"
SPLIT = "train=0.5,validation=0.1,control=0.2,test=0.2"
SMALL: dict[str, dict[str, Any]] = {
    "import_phantom": {
        "subjects": 24,
        "slices": 2,
        "size": 32,
        "split": SPLIT,
    },
    "train": {"images_seen": 16, "channels": [8, 16], "head_channels": 8, "sampler_steps": 2, "sample_block": 16},
    "utility": {"updates": 2, "repeats": 1, "checks": 1, "draws": 100, "channels": [4, 8, 8]},
    "fidelity": {"encoder_updates": 1, "draws": 2, "subsets": 2, "pairs": 4},
    "privacy": {"attacks": [], "judgement": "second"},
}


class Small:
    """``understudy`` with settings that take a second."""

    def __getattr__(self, name: str) -> Any:
        function = getattr(us, name)
        if name == "sample":
            return lambda run, n, out: function(run, 12, out)
        if name == "evaluate":
            return lambda kind, **given: function(kind, **{**given, **SMALL[kind]})
        return lambda *given, **named: function(*given, **{**named, **SMALL.get(name, {})})


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", TUTORIAL.read_text(), re.DOTALL)
    assert len(code) == 1 and len([line for line in code[0].splitlines() if line and line[0] != "#"]) <= 20
    lines = code[0].replace("import understudy as us\n", "")
    names: dict[str, Any] = {"us": Small()}
    exec(compile(lines, str(TUTORIAL), "exec"), names)
    shown = capsys.readouterr().out
    assert "(12, 4, 32, 32) (12, 32, 32)" in shown and "utility.real.unet.dice" in shown and "fidelity.kid" in shown
    assert (tmp_path / "report" / "report.html").is_file() and names["few"].images.shape[0] == 4
    assert "privacy." in shown
    given = ("synthetic", ["utility", "fidelity", "privacy"], "bundle")
    with pytest.raises(UnderstudyError, match="subjects behind the threshold: .*audit, mean recall: .*no evidence"):
        us.release(*given, real="phantom")
    us.release(*given, real="phantom", policy="internal")
    assert "not computed again" in us.verify("bundle").lower()
