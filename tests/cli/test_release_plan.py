"""``release plan`` is a verb of two words; ``release`` of a cohort stays what it was."""

import pytest

from understudy.cli import main


def test_the_plan_is_a_table_and_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["release", "plan", "--train", "12", "--others", "6", "--cases", "50", "--each", "1", "--studies", "2"]
    assert main.main([*words, "--policy", "internal", "--images-alone"]) == 0
    said = capsys.readouterr().out
    assert [" ".join(line.split()) for line in said.splitlines() if "label maps" in line] == [
        "label maps not simulated",
        "label maps, attack found not simulated",
        "label maps before screening not simulated",
    ]
    assert "swap test" in said and "all limits" in said and "A perfect generator passes" in said
    assert main.main([*words, "--policy", "internal"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines() if line.startswith("label maps")]
    assert len(lines) == 3 and all("%" in line for line in lines)
    assert main.main([*words, "--dry-run"]) == 0
    assert "policy: default" in capsys.readouterr().out


def test_wrong_requests(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["release", "plan", "--train", "3", "--others", "60"]) == 2
    assert "a plan needs 5 subjects on each side" in capsys.readouterr().err
    assert main.main(["release", "plan", "--train", "30", "--others", "60", "--policy", "strict"]) == 2
    assert "of those shipped" in capsys.readouterr().err
    assert main.main(["release", "planned", "--out", "x"]) == 2
