"""derive: stable, collision-free in practice, and the path's boundaries matter."""

from understudy.core.seed import derive, rng


def test_values_are_pinned() -> None:
    assert derive(7) == 3565994170645413931
    assert derive(0, "case", 1) == 1572478360298860309
    assert 0 <= derive(-3, "x") < 2**63


def test_no_collisions_and_boundaries() -> None:
    assert len({derive(0, "case", i) for i in range(100_000)}) == 100_000
    assert (
        len(
            {
                derive(0, "a", "b"),
                derive(0, "ab"),
                derive(0, "a", "b", ""),
                derive(0, 1),
                derive(0, "1"),
                derive(1, "0"),
            }
        )
        == 6
    )


def test_rng_is_the_same_twice() -> None:
    assert (rng(1, "x").random(5) == rng(1, "x").random(5)).all()
    assert (rng(1, "x").random(5) != rng(2, "x").random(5)).all()
