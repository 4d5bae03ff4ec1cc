"""Which networks a number stands on: those of one arm with one choice of weights, or of arms that are draws of one
generator together, and the number's interval.

Arms are draws of one generator where their cohorts were asked for in the same words but for seeds, from the same inputs
and trainings with the same settings (``Arm.request``), and come from different trainings (``Arm.run``) with different
seeds; in their interval the generator's seed counts as a source of chance (core/pooled.py). Two trainings with one seed
differ in something else: then none of these arms stand together.
**Checked** in tests/evaluation/utility/test_tested.py.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from understudy.core.pooled import Pool, Unit
from understudy.evaluation.folder import join_notes
from understudy.evaluation.guard import slug
from understudy.evaluation.utility.arms import Arm
from understudy.evaluation.utility.task import Outcome


@dataclass(frozen=True)
class Tested:
    """Networks that were tested, and what they did.

    Attributes:
        arm: what they learned; of several cohorts, the name and notes of them together.
        members: what they did, by cohort.
        runs: the training that each cohort is from.
        choice: whose choice their weights are: ``synthetic``, ``real`` or ``last``.
    """

    arm: Arm
    members: tuple[Outcome, ...]
    runs: tuple[str, ...]
    choice: str

    @cached_property
    def outcome(self) -> Outcome:
        """What all of the networks did, the cohorts one after another."""
        return self.members[0].joined(self.members[1:])

    @property
    def leads(self) -> bool:
        """Whether tables lead with this choice of weights."""
        return self.choice == self.arm.choices[0]

    def pool(
        self, against: "Tested | None", k: int | None, score: int, subjects: Sequence[str], seed: int, draws: int
    ) -> Pool:
        """Return the resamples of a score of class k; its arms are ``it`` and, where there is one, ``real``."""
        beside = {"real": against.outcome.measured(k, score)} if against else {}
        units = [
            Unit(tuple(subjects), run, {"it": member.measured(k, score), **beside})
            for run, member in zip(self.runs, self.members, strict=True)
        ]
        return Pool(units, seed, draws)


def all_tested(arms: Sequence[Arm], outcomes: Mapping[str, Mapping[str, Outcome]]) -> list[Tested]:
    """Return the networks of every arm and choice of weights, and after them those of one generator together.

    The outcomes are by arm and choice; a choice that could not be made in every repeat is left out.
    """
    alone = [
        Tested(arm, (outcome,), (arm.run,), choice)
        for arm in arms
        for choice, outcome in outcomes[arm.name].items()
        if outcome.networks == outcomes[arm.name][arm.choices[0]].networks
    ]
    alike = defaultdict(list)
    for one in alone:
        if one.arm.request:
            alike[one.arm.kind, one.arm.against, one.arm.request, one.choice].append(one)
    return [*alone, *(_together(group) for group in alike.values() if _differ_in_seeds(group))]


def _differ_in_seeds(group: Sequence[Tested]) -> bool:
    """Whether there are several trainings, each with a seed of its own."""
    runs = {(one.arm.run, one.arm.training_seed) for one in group}
    return 1 < len(runs) == len({seed for _, seed in runs})


def _together(group: Sequence[Tested]) -> Tested:
    first, cohorts = group[0].arm, [one.arm.cohort for one in group]
    runs = tuple(one.arm.run for one in group)
    name = f"mean of {', '.join(one.arm.name for one in group)}"
    own = dict.fromkeys(part for one in group for part in one.arm.note.split("; "))
    note = join_notes(f"{len(set(runs))} trainings of one generator, whose seed is in the interval", *own)
    cohort, ending = f"mean of {', '.join(cohorts)}", f".mean-of-{slug('-'.join(cohorts))}"
    subjects = sum(one.arm.subjects for one in group)
    arm = replace(first, name=name, cohort=cohort, ending=ending, note=note, subjects=subjects)
    return Tested(arm, tuple(one.outcome for one in group), runs, group[0].choice)
