"""All attacks: a memoriser is found, independent cases are not, and what cannot be said is not."""

from collections.abc import Callable

import numpy as np
import pytest

from understudy.evaluation.privacy.attacks import ATTACKS
from understudy.evaluation.privacy.attacks.report import AttackResult, attack_all
from understudy.evaluation.privacy.attacks.setup import AttackSetup, ScoreQuery

MakeScene = Callable[..., AttackSetup]
RELEASED_ONLY = ("nearest_pixels", "nearest_features", "density_ratio", "singling_out", "link_contrasts", "link_slices")


def by_name(found: list[AttackResult]) -> dict[str, AttackResult]:
    return {one.name: one for one in found}


@pytest.mark.parametrize("name", RELEASED_ONLY)
def test_a_memoriser_is_found(setup: MakeScene, name: str) -> None:
    (found,) = attack_all(setup(released="copies"), [name], 100)
    assert found.performance is not None
    assert found.performance.auc.value > (0.9 if name == "nearest_features" else 0.99)
    assert found.performance.auc.low > 0.5
    assert found.performance.risk is not None
    assert found.performance.risk.low > 0


def test_independent_cases_give_chance_within_the_interval(setup: MakeScene) -> None:
    inside, values = np.zeros(len(RELEASED_ONLY)), []
    for seed in range(20):
        found = attack_all(setup(members=14, others=12, cases=2, seed=seed), RELEASED_ONLY, 100)
        decision = [one.performance for one in found if one.performance]
        inside += [v.auc.low <= 0.5 <= v.auc.high for v in decision]
        values.append([v.auc.value for v in decision])
    assert (inside >= 17).all(), dict(zip(RELEASED_ONLY, inside, strict=True))  # 17 of 20: 99.7 % where 95 % cover
    sd = np.std(values, 0) / np.sqrt(20)
    assert (np.abs(np.mean(values, 0) - 0.5) < 3.5 * sd).all(), np.mean(values, 0)


def test_unequal_numbers_of_slices_do_not_point_to_members(setup: MakeScene) -> None:
    made = setup(members=30, others=30, cases=6)
    first = np.r_[[True], made.subjects[1:] != made.subjects[:-1]]
    few = AttackSetup(made.real, made.synthetic, made.members, made.non_members[first[~made.is_member]], 0)
    (found,) = attack_all(few, ["nearest_pixels"], 100)
    assert found.performance is not None
    assert found.performance.auc.low <= 0.5 <= found.performance.auc.high
    plain = [
        max(few_scores) for few_scores in np.split(ATTACKS["nearest_pixels"].run(made)[0].scores, 60)[:30]
    ]  # the highest of six beside the one of each non-member
    assert found.non_members is not None
    assert (np.array(plain)[:, None] > found.non_members.scores).mean() > 0.6


def test_score_query_of_a_generator_that_overfits(setup: MakeScene) -> None:
    loss = {
        "denoising_loss": ScoreQuery("run 1", lambda cohort, rows: 1.0 * (cohort.column("split")[rows] == "control"))
    }
    found = by_name(attack_all(setup(score_queries=loss), ["denoising_loss", "discriminator"], 100))
    performance = found["denoising_loss"].performance
    assert performance is not None
    assert performance.auc.value == 1
    assert "needs the generator" in found["discriminator"].why


def test_few_subjects_are_withheld(setup: MakeScene) -> None:
    found = attack_all(setup(members=6, others=4), list(ATTACKS), 100)
    assert all(one.performance is None and one.why.startswith("withheld: 6 members and 4") for one in found)
    none = setup(seed=1)
    none.non_members = none.non_members[:0]
    assert "no subjects in the splits" in attack_all(none, ["nearest_pixels"], 100)[0].why


def test_same_seed_same_verdicts(setup: MakeScene) -> None:
    made = setup()
    again = AttackSetup(made.real, made.synthetic, made.members, made.non_members, 0, memory_mib=1)
    one, other = (attack_all(s, RELEASED_ONLY, 50) for s in (made, again))
    assert [a.performance for a in one] == [a.performance for a in other]
