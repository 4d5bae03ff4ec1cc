"""Baselines: what a perfect, a repeating and a wrong generator give beside them; a line by hand; equal n."""

from functools import partial

import numpy as np
import pytest

from understudy.core.result import Result
from understudy.evaluation import METRICS, quantities
from understudy.evaluation.fidelity.baseline import (
    KINDS,
    Baselines,
    RealBaselines,
    RealCases,
    halves,
    mean_baselines,
    within_share,
)

PER_SUBJECT, WIDTH = 6, 8


def patients(seed: int, subjects: int, cases: int = PER_SUBJECT, shift: float = 0) -> np.ndarray:
    """Return cases of subjects in turn; most of the variance is between subjects."""
    random = np.random.default_rng(seed)
    own = random.normal(0, 0.7**0.5, (subjects, 1, WIDTH))
    cases_of = own + random.normal(0, 0.3**0.5, (subjects, cases, WIDTH)) + shift
    return cases_of.reshape(-1, WIDTH).astype(np.float32)


def real(seed: int = 0, train: int = 30, unseen: int = 16, cases: int = PER_SUBJECT) -> RealCases:
    whose = np.repeat([f"s{i:02}" for i in range(unseen)], cases)
    return RealCases(patients(seed, train), patients(1000 + seed, unseen, cases), whose)


def beside(name: str, synthetic: np.ndarray, cases: RealCases | None = None, draws: int = 12) -> Baselines:
    return RealBaselines({name: METRICS[name].function}, cases or real(), draws, 0).beside(synthetic)[name]


def test_halves_share_no_subject_and_leave_none_out() -> None:
    subjects = np.repeat([f"s{i:02}" for i in range(21)], np.arange(21) % 5 + 3)
    pairs = list(halves(subjects, 5, seed=0))
    for first, second in pairs:
        assert not set(subjects[first]) & set(subjects[second])
        assert sorted([*first, *second]) == list(range(len(subjects))) and len(set(subjects[first])) == 10
    assert len({tuple(first) for first, _ in pairs}) == 5


@pytest.mark.parametrize(("name", "settings"), [("frechet", {}), ("kid", {"subsets": 4})])
def test_new_patients_lie_at_the_extrapolated_baseline_copies_at_redrawn_and_wrong_ones_beyond(
    name: str, settings: dict[str, int]
) -> None:
    """Means over several worlds: a perfect generator would undercut the few unseen subjects as they are."""
    found: dict[str, list[float]] = {}
    for seed in range(6):
        cases, random = real(seed), np.random.default_rng(seed)
        baselines = RealBaselines({name: partial(METRICS[name].function, **settings)}, cases, 8, seed)
        made = {
            "perfect": patients(50 + seed, 300, 1),
            "copies": cases.train[random.integers(0, len(cases.train), 300)],
            "wrong": patients(50 + seed, 300, 1, shift=0.5),
        }
        for who, synthetic in made.items():
            one = baselines.beside(synthetic)[name]
            found.setdefault(who, []).append(float(one.size_matched.mean()))
        for kind in KINDS[1:]:
            found.setdefault(kind, []).append(float(getattr(one, kind).mean()))
    mean = {who: float(np.mean(values)) for who, values in found.items()}
    gap = mean["unseen"] - mean["redrawn"]
    assert mean["perfect"] < mean["unseen"] - 0.2 * gap
    assert abs(mean["perfect"] - mean["unseen_extrapolated"]) < 0.2 * gap
    assert abs(mean["copies"] - mean["redrawn"]) < 0.1 * gap
    assert mean["wrong"] > mean["unseen_extrapolated"] + 0.4 * gap


def test_the_interval_is_about_as_wide_as_other_subjects_would_scatter() -> None:
    worlds = [beside("frechet", patients(1, 200, 1), real(seed), draws=20) for seed in range(12)]
    spread = np.std([one.spread("unseen")[0] for one in worlds], ddof=1)
    half_width = np.mean([(one.spread("unseen")[2] - one.spread("unseen")[1]) / 2 for one in worlds])  # type: ignore[operator]
    assert 0.5 * spread < half_width / 1.96 < 2 * spread


@pytest.mark.parametrize("made", [60, 96, 192])
def test_the_interval_of_synthetic_cases_is_as_wide_as_others_would_scatter(made: int) -> None:
    """Fewer synthetic cases than unseen ones, as many, and twice as many: draws of n alone have no width, or half."""
    cases, worlds = real(), [patients(seed, made, 1) for seed in range(12)]
    found = [beside("frechet", synthetic, cases, draws=20).spread("size_matched") for synthetic in worlds]
    spread = np.std([value for value, _, _ in found], ddof=1)
    half_width = np.mean([(high - low) / 2 for _, low, high in found if low is not None and high is not None])
    assert 0.6 * spread < half_width / 1.96 < 2.5 * spread


@pytest.mark.parametrize("name", [n for n, quantity in quantities().items() if "monotone under shift" in quantity.laws])
def test_a_shifted_cohort_is_worse_than_unseen_subjects(name: str) -> None:
    metric = next(m for m in METRICS.values() if name in {quantity.name for quantity in m.quantities})
    baselines = RealBaselines({name: metric.function}, real(), 6, 0)
    near, far = (baselines.beside(patients(3, 90, 1, shift))[name] for shift in (0, 3))
    assert np.array_equal(near.unseen, far.unseen) and np.array_equal(near.redrawn, far.redrawn)  # type: ignore[arg-type]
    sign = 1 if quantities()[name].better == "lower" else -1
    worst = max(sign * near.unseen.mean(), sign * near.redrawn.mean())  # type: ignore[union-attr]
    assert sign * far.size_matched.mean() >= worst and sign * near.redrawn.mean() < sign * near.unseen.mean()  # type: ignore[union-attr]


def test_all_stand_at_one_n() -> None:
    seen: list[int] = []

    def counted(*, real: np.ndarray, synthetic: np.ndarray, seed: int) -> Result:
        seen.append(len(synthetic))
        return Result("counted", float(len(synthetic)), better="lower")

    for made, n in ((500, 96), (40, 40)):  # 16 unseen subjects with 6 cases each
        seen.clear()
        one = RealBaselines({"counted": counted}, real(), 3, 0).beside(np.zeros((made, WIDTH)))["counted"]
        assert one.n == n and one.subjects == 16
        assert set(seen) == {n, min(n, 48), min(n, made // 2)}  # and halves, for the slope and for intervals
        assert (one.size_matched == n).all() and (one.redrawn == n).all() and (one.unseen == n).all()  # type: ignore[union-attr]


def test_the_line_over_subjects_by_hand() -> None:
    """A number that is 10 and 2 times the share of pairs within a subject is extrapolated to 10 + 2 / n."""
    cases = real()
    marked = RealCases(np.zeros((9, 1)), np.arange(len(cases.subjects), dtype=float)[:, None], cases.subjects)

    def share(*, real: np.ndarray, synthetic: np.ndarray, seed: int) -> Result:
        return Result("x", 10 + 2 * within_share(cases.subjects[synthetic[:, 0].astype(int)]), better="lower")

    one = RealBaselines({"x": share}, marked, 8, 0)
    assert one._unseen(96)[0]["x"].mean() == pytest.approx(10 + 2 / 16)
    assert one._unseen(96)[1]["x"].mean() == pytest.approx(10 + 2 / 96)
    assert one._unseen(60)[1]["x"].mean() == pytest.approx(10 + 2 / 60, abs=2e-3)


def test_subjects_of_one_case_need_no_line() -> None:
    assert within_share(np.array(["a", "b", "c", "d"])) == 0.25 and within_share(np.array(["a", "a"])) == 1
    one = beside("frechet", patients(1, 90, 1), real(unseen=60, cases=1))
    assert one.n == 60 and np.array_equal(one.unseen, one.unseen_extrapolated)  # type: ignore[arg-type]


def test_too_few_unseen_subjects_are_said_to_be() -> None:
    few = beside("frechet", patients(1, 90, 1), real(unseen=4))
    assert few.n == 90 and few.unseen is None and few.spread("unseen") == (None, None, None)
    plain = Result("fidelity.frechet", 3.0, better="lower", note="x")
    told = {r.name.rpartition(".")[2]: r for r in few.results(plain, (0, np.inf))}
    assert list(told) == list(KINDS) and told["redrawn"].value and told["unseen"].value is None
    assert "4 real subjects in the validation and control splits, and 5 are needed" in told["unseen"].note


def test_results_stay_within_bounds_and_shares_have_no_line() -> None:
    one = Baselines(9, 8, *(np.array([-0.1, 0.3]),) * 2, np.array([0.9, 1.3]), np.array([0.1, 0.2]))
    share = list(one.results(Result("a", 0.5, better="higher"), (0, 1), "before", "after"))
    assert [r.name for r in share] == ["a.size_matched", "a.unseen", "a.redrawn"] and share[0].low == 0
    assert share[1].value == 1 and share[1].high == 1 and share[1].n == 9
    assert share[2].note.startswith("before; ") and share[2].note.endswith("; after")
    mean = mean_baselines([one, Baselines(9, 8, *(np.zeros(2),) * 4)])
    assert mean.redrawn.tolist() == pytest.approx([-0.05, 0.15]) and mean.unseen is not None


def test_few_synthetic_cases_have_numbers_too() -> None:
    for made in (2, 5):
        together = RealBaselines({n: m.function for n, m in METRICS.items()}, real(), 2, 5).beside(patients(1, made, 1))
        for one in together.values():
            assert np.isfinite(one.size_matched).all()


def test_metrics_together_find_what_each_finds_alone() -> None:
    functions, synthetic = {name: METRICS[name].function for name in METRICS}, patients(1, 90, 1)
    told: list[None] = []
    together = RealBaselines(functions, real(), 2, 5).beside(synthetic, lambda: told.append(None))
    assert len(told) == 2 and list(together) == list(quantities())
    for name, function in functions.items():
        for quantity, alone in RealBaselines({name: function}, real(), 2, 5).beside(synthetic).items():
            for kind in KINDS:
                assert np.array_equal(getattr(alone, kind), getattr(together[quantity], kind))
