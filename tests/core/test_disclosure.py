from pathlib import Path

from understudy.core.disclosure import MIN_SUBJECTS, internal, lock_stamped, public, rare, stamp
from understudy.core.result import Result


def test_fewer_than_five_subjects_are_withheld() -> None:
    result = Result("a", 0.5, 0.4, 0.6, n=4)
    assert MIN_SUBJECTS == 5
    assert public(result, 5) is result
    held = public(result, 4)
    assert (held.value, held.low, held.high) == (None, None, None)
    assert "4 subjects" in held.note


def test_a_reason_that_is_there_stays() -> None:
    result = Result("a", None, note="no test subject counts")
    assert public(result, 1) is result


def test_what_is_stamped_is_its_owners_alone(tmp_path: Path) -> None:
    deep = tmp_path / "out" / "more" / "internal" / "deep"
    deep.mkdir(parents=True)
    for file in (tmp_path / "out" / "public.csv", deep.parent / "pairs.csv", deep / "real.npz"):
        file.write_text("x")
        file.chmod(0o644)
    stamp(deep.parent)
    before = (tmp_path / "out" / "public.csv").stat().st_mode
    lock_stamped(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (deep.parent, *deep.parent.rglob("*"))}
    assert modes == {"internal": 0o700, "deep": 0o700, "pairs.csv": 0o600, "real.npz": 0o600, "INTERNAL.txt": 0o600}
    assert (tmp_path / "out" / "public.csv").stat().st_mode == before


def test_internal_is_made_once_and_stamped(tmp_path: Path) -> None:
    assert internal(tmp_path) == internal(tmp_path) == tmp_path / "internal"
    assert "never leaves" in (tmp_path / "internal" / "INTERNAL.txt").read_text()


def test_rare_values_are_those_of_fewer_than_five_subjects() -> None:
    subjects = [f"s{i}" for i in range(5)]
    assert rare(["often"] * 5 + ["less"] * 4, [*subjects, *subjects[:4]]) == {"less"}
    assert rare(["of one"] * 9, ["s0"] * 9) == {"of one"} and rare([], []) == set()
