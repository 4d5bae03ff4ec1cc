"""``sample``: classes of conditional runs, and lesions that are placed into anatomy."""

import pytest
import yaml

from understudy.cli import main, sample
from understudy.core.errors import UsageError


def test_classes_of_a_conditional_run() -> None:
    assert sample.class_request("ill=1, sex=F=0.5") == {"ill": 1.0, "sex=F": 0.5} and sample.class_request(None) is None
    with pytest.raises(UsageError, match="NAME=NUMBER"):
        sample.class_request("ill=yes")


def test_a_dry_run_shows_what_is_rendered(capsys: pytest.CaptureFixture[str]) -> None:
    line = "sample run --labels maps --anatomy cohort --lesion a,b --where nearest --n 4 --out x --dry-run"
    assert main.main([*line.split(), "--set", "sampler_steps=3"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert (shown["labels"], shown["anatomy"], shown["lesion"]) == ("maps", "cohort", ["a", "b"])
    assert shown["where"] == "nearest" and shown["settings"] == {"sampler_steps": 3} and "classes" not in shown


@pytest.mark.parametrize(("more", "says"), [
    ("--labels maps --classes data", "a translator is given label maps, not classes"),
    ("--labels maps --lesion a", "name both"),
    ("--labels maps --anatomy c --where there", "--where is anywhere or nearest, found 'there'"),
    ("--lesion a,,b", "names separated by commas were expected"),
])  # fmt: skip
def test_what_is_refused(more: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(f"sample run --n 4 --out x --dry-run {more}".split()) == 2
    assert says in capsys.readouterr().err
