"""Options that verbs share: settings, sentences for what is wrong, a full disk."""

import errno
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

import understudy as us
from understudy.api.settings import configure
from understudy.cli.options import disk_is_full, memory_is_full, names, numbers, parse_settings, show, writing
from understudy.core.errors import UnderstudyError, UsageError


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    images_seen: int = Field(10, gt=0)
    learning_rate: float = 0.1
    channels: tuple[int, ...] = (1, 2)


def test_set_reads_yaml_values() -> None:
    pairs = ["images_seen=5000", "channels=[8, 16]", "learning_rate=1e-4", "mirror=true", "name=a=b"]
    assert parse_settings(pairs, us.train) == {
        "images_seen": 5000,
        "channels": [8, 16],
        "learning_rate": "1e-4",
        "mirror": True,
        "name": "a=b",
    }
    assert configure(Settings, {"learning_rate": "1e-4"}, "x").learning_rate == 1e-4
    assert parse_settings(None, us.train) == {}


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (["images_seen"], "KEY=VALUE"),
        (["=3"], "KEY=VALUE"),
        (["a=1", "a=2"], "twice"),
        (["a=[1"], "not YAML"),
        (["a=2024-13-45"], "not YAML"),
        (["a=!!int x"], "not YAML"),
        (["seed=3"], "no setting"),
    ],
)
def test_set_refuses(pairs: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        parse_settings(pairs, us.train)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"images_sen": 5}, "stylegan2 has no setting 'images_sen': it has channels, images_seen, learning_rate"),
        ({"images_seen": "many"}, "'images_seen' of stylegan2.*integer.*found 'many'"),
        ({"images_seen": 0}, "greater than 0, found 0"),
        ({"images_seen": 1.5}, "found 1.5"),
        ({"channels": [1, "x"]}, "channels.1"),
    ],
)
def test_a_wrong_setting_is_one_sentence(values: dict, says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        configure(Settings, values, "stylegan2")
    assert "\n" not in str(caught.value) and "pydantic" not in str(caught.value)


def test_a_dot_leads_into_settings_of_settings() -> None:
    class Outer(BaseModel):
        model_config = ConfigDict(extra="forbid")
        dp: Settings | None = None
        plain: int = 0

    made = configure(Outer, parse_settings(["dp.images_seen=3", "plain=1", "dp.learning_rate=2"], us.train), "x")
    assert made.dp == Settings(images_seen=3, learning_rate=2) and made.plain == 1
    with pytest.raises(UsageError, match=r"'dp.images_seen' of x: .*found 0"):
        configure(Outer, {"dp.images_seen": 0}, "x")
    with pytest.raises(UsageError, match="x has no setting 'dp.none': it has dp.channels, dp.images_seen"):
        configure(Outer, {"dp.none": 0}, "x")
    with pytest.raises(UsageError, match="contradict"):
        configure(Outer, {"dp": 3, "dp.images_seen": 4}, "x")
    with pytest.raises(UsageError, match="x has no setting 'dq'"):
        configure(Outer, {"dq.images_seen": 4}, "x")


def test_lists() -> None:
    assert names("T1, T2") == ("T1", "T2") and names(None) == ()
    assert numbers("64,48", "--size") == (64, 48) and numbers(None, "--size") is None
    with pytest.raises(UsageError, match="a,,b"):
        names("a,,b")
    with pytest.raises(UsageError, match="--size wants whole numbers"):
        numbers("64x48", "--size")


def test_show_prints_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    show("import phantom", {"out": Path("a/b"), "size": (64, 48), "deep": {"x": (Path("c"),)}})
    assert capsys.readouterr().out == ("command: import phantom\nout: a/b\nsize:\n- 64\n- 48\ndeep:\n  x:\n  - c\n")


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    says = r"disk is full: .*cohort.* MiB are free in .*run the same"
    with pytest.raises(UnderstudyError, match=says) as caught, writing(tmp_path / "no" / "cohort"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.exit_code == 1 and str(tmp_path) in str(caught.value)
    assert disk_is_full(RuntimeError("I/O error: No space left on device (os error 28)"))


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    for error in (OSError(errno.EACCES, "Permission denied"), UsageError("No space left on device"), KeyError("a")):
        with pytest.raises(type(error)) as caught, writing(tmp_path):
            raise error
        assert caught.value is error


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ..."), "GPU"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "machine"),
        (MemoryError(), "machine"),
    ],
)
def test_full_memory_is_told(error: Exception, where: str) -> None:
    with (
        pytest.raises(UnderstudyError, match=f"memory of this {where} is not enough to make run: lower"),
        writing(Path("run")),
    ):
        raise error
    assert not memory_is_full(RuntimeError("shapes differ"))
