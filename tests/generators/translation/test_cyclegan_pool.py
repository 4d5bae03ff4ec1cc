"""The image pool: fills, then shows an old case half of the time; its state goes with a checkpoint."""

import torch

from understudy.generators.translation.cyclegan import ImagePool


def numbered(first: int, n: int) -> torch.Tensor:
    return torch.arange(first, first + n, dtype=torch.float32).reshape(n, 1, 1, 1).expand(n, 1, 2, 2)


def test_it_shows_what_is_new_while_it_fills() -> None:
    pool = ImagePool(5)
    for first in (0, 2):
        assert torch.equal(pool.exchange(numbered(first, 2)), numbered(first, 2))
    assert [float(case[0, 0, 0]) for case in pool.kept] == [0, 1, 2, 3]


def test_half_of_the_time_an_old_case_is_shown() -> None:
    torch.manual_seed(0)
    pool, shown = ImagePool(50), []
    for first in range(0, 2050, 10):
        shown += pool.exchange(numbered(first, 10))[:, 0, 0, 0].tolist()
    later = list(enumerate(shown))[50:]
    old = [(when, what) for when, what in later if when != what]
    assert abs(len(old) / len(later) - 0.5) < 0.04
    assert all(what < when for when, what in old) and len({what for _, what in old}) == len(old)
    ages = torch.tensor([when - what for when, what in old[200:]])
    assert 70 < float(ages.mean()) < 130  # a case stays for 100 steps of 1/2 * 1/50
    kept = {float(case[0, 0, 0]) for case in pool.kept}
    assert len(kept) == 50 and kept.isdisjoint(shown_again for _, shown_again in old)


def test_of_size_zero_it_does_nothing() -> None:
    assert torch.equal(ImagePool(0).exchange(numbered(0, 3)), numbered(0, 3)) and not ImagePool(0).state("x")


def test_its_state_goes_with_a_checkpoint() -> None:
    torch.manual_seed(0)
    pool, again = ImagePool(4), ImagePool(4)
    pool.exchange(numbered(0, 3))
    for first in (3, 6, 9):
        state = {name: tensor.clone() for name, tensor in pool.state("p").items()}
        again.load("p", state, torch.device("cpu"))
        shown = []
        for one in (pool, again):
            torch.manual_seed(first)
            shown.append(one.exchange(numbered(first, 3)))
        assert torch.equal(*shown) and torch.equal(pool.state("p")["p"], again.state("p")["p"])
    again.load("p", {}, torch.device("cpu"))
    assert not again.kept


def test_kept_cases_do_not_change_with_the_batch() -> None:
    pool, x = ImagePool(2), numbered(0, 2).clone()
    pool.exchange(x)
    x.fill_(9)
    assert [float(case[0, 0, 0]) for case in pool.kept] == [0, 1]
