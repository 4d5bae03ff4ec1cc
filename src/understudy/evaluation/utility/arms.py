"""What networks are trained on in ``evaluate utility``: real cases, synthetic ones, and what joins them.

| name in tables   | in results      | trained on                                      | compared with |
|------------------|-----------------|-------------------------------------------------|---------------|
| real             | real            | the training split                              |               |
| real@10          | real@10         | 10 of its subjects                              |               |
| NAME             | synthetic.NAME  | one synthetic cohort                            | real          |
| real+NAME        | both.NAME       | either kind, half of each batch                 | real          |
| 75%real+25%NAME  | both-25.NAME    | either kind, 25 % of a batch synthetic          | real          |
| NAME then real   | finetuned.NAME  | synthetic cases, and on real ones at the end    | real          |

Wherever ``real`` stands, ``real@10`` may stand, and what joins it to a cohort is compared with it, never with all real
cases. Results leave out NAME where there is one cohort. Subjects are drawn once, and fewer are a part of more; only the
training split is drawn from. **Checked** in tests/evaluation/utility/test_arms.py.
"""

import re
from dataclasses import dataclass

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng
from understudy.evaluation.folder import join_notes
from understudy.evaluation.guard import leak_note, short_names
from understudy.evaluation.utility.config import Repeats
from understudy.evaluation.utility.task import Task
from understudy.tasks.fitting import FineTuned, Mixed, TaskCases

HALF = 0.5
REAL = r"real(?:@\d+)?"
MIXED = re.compile(rf"(?:\d+%)?(?P<real>{REAL})(?:\+(?:(?P<percent>\d+)%)?(?P<cohort>.+))?")
ALONE = re.compile(rf"(?P<cohort>.+?)(?: then (?P<real>{REAL}))?")


@dataclass(frozen=True)
class Arm:
    """What one group of networks is trained on.

    Attributes:
        name: in tables and curves.
        kind: in results: real, synthetic, both, both-25, finetuned, with @n where there are n real subjects.
        cohort: name of the synthetic cohort, "" for real cases alone.
        ending: of names in results: .NAME where there are several cohorts, else "".
        generator: of the synthetic cases, "" for real.
        subjects: how many subjects the cases are of.
        against: name of the arm that it is compared with, "" for real cases alone.
        share: expected share of synthetic cases in what is learned, None where it changes on the way.
        seen: of synthetic cases alone: the subjects that their generator or label maps are known to be from.
        left: of real cases alone: the training subjects that are not in the arm.
    """

    name: str
    kind: str
    cohort: str
    ending: str
    generator: str
    cases: TaskCases
    subjects: int
    note: str
    against: str = ""
    share: float | None = None
    seen: frozenset[str] = frozenset()
    left: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        """What results call the arm."""
        return self.kind + self.ending

    @property
    def comparison(self) -> str:
        """What results call the score minus that of the arm it is compared with."""
        gain = self.kind.replace("both", "gain") if self.kind.startswith("both") else f"gain-{self.kind}"
        return ("difference" if self.kind == "synthetic" else gain) + self.ending


def make_arms(task: Task, real: Cohort, others: list[Cohort], config: Repeats, seed: int) -> list[Arm]:
    """Return what networks are trained on, all real cases first, each real arm before what is compared with it.

    The seed is that of the draw of subjects. Raises UnderstudyError where as many real subjects were asked for as there
    are, or more.
    """
    arms: list[Arm] = []
    named = zip(short_names(others), others, strict=True)
    made = [_synthetic(task, name, other, len(others) > 1, real) for name, other in named]
    for first in (_all_real(task, real), *(_draw(task, real, n, seed) for n in config.real_subjects)):
        arms.append(first)
        if "synthetic" in config.arms and not first.left:
            arms += made
        arms += [_mixed(first, one, share) for one in made for share in shares(config)]
        if "finetuned" in config.arms:
            arms += [_finetuned(first, one, config.finetune_share) for one in made]
    return arms


def shares(config: Repeats) -> list[float]:
    """Return the shares of synthetic cases between 0 and 1 that are asked for, ascending; ``both`` is a half."""
    return sorted({*config.shares, *([HALF] if "both" in config.arms else [])})


def kind_and_cohort(name: str) -> tuple[str, str]:
    """Read an arm's name in tables: return its kind as results call it, and its cohort, "" for real cases alone."""
    if mixed := MIXED.fullmatch(name):
        kind = "real" if not mixed["cohort"] else f"both-{mixed['percent']}" if mixed["percent"] else "both"
        return kind + mixed["real"].removeprefix("real"), mixed["cohort"] or ""
    alone = ALONE.fullmatch(name)
    cohort, real = (alone["cohort"], alone["real"]) if alone else (name, None)
    return f"finetuned{real.removeprefix('real')}" if real else "synthetic", cohort


def drawn_subjects(real: Cohort, n: int, seed: int) -> list[str]:
    """Return n training subjects; of one seed, fewer are a part of more. UnderstudyError unless there are more."""
    train = real.subjects("train")
    if n >= len(train):
        raise UnderstudyError(
            f"real_subjects = {n} draws from the training subjects of {real.path.name}, and there are {len(train)}: "
            "ask for fewer; the arm `real` has them all"
        )
    return sorted(train[i] for i in rng(seed, "real subjects").permutation(len(train))[:n].tolist())


def _all_real(task: Task, real: Cohort) -> Arm:
    cases = task.cases(real, real.rows("train"))
    return Arm("real", "real", "", "", "", cases, len(real.subjects("train")), "", share=0)


def _draw(task: Task, real: Cohort, n: int, seed: int) -> Arm:
    drawn, train, rows = drawn_subjects(real, n, seed), real.subjects("train"), real.rows("train")
    cases = task.cases(real, rows[np.isin(real.column("subject_id")[rows], drawn)])
    note = f"{n} of {len(train)} real training subjects ({100 * n / len(train):.0f} %), one draw of them"
    left = frozenset(train) - frozenset(drawn)
    return Arm(f"real@{n}", f"real@{n}", "", "", "", cases, n, note, share=0, left=left)


def _synthetic(task: Task, name: str, other: Cohort, several: bool, real: Cohort) -> Arm:
    cases, subjects = task.cases(other, other.rows()), other.subjects()
    beside = len(other.subjects_seen() - set(real.subjects()))
    more = f"made from {beside} subjects beside those of the real cohort" if beside else ""
    of = (name, f".{name}" if several else "", other.generator)
    known = frozenset(other.subjects_seen().union(subjects))
    return Arm(name, "synthetic", *of, cases, len(subjects), join_notes(more, leak_note(other)), "real", 1, known)


def _mixed(real: Arm, synthetic: Arm, share: float) -> Arm:
    name, kind, percent = f"{real.name}+{synthetic.name}", "both", round(100 * share)
    if percent != round(100 * HALF):
        name, kind = f"{100 - percent}%{real.name}+{percent}%{synthetic.name}", f"both-{percent}"
    return _joined(real, synthetic, name, kind, Mixed(real.cases, synthetic.cases, share), share)


def _finetuned(real: Arm, synthetic: Arm, share: float) -> Arm:
    note = (
        f"the last {100 * share:.3g} % of the updates on real cases, on one schedule of the learning rate, weights "
        "chosen among these updates alone"
    )
    cases = FineTuned(synthetic.cases, real.cases, share)
    return _joined(real, synthetic, f"{synthetic.name} then {real.name}", "finetuned", cases, None, note)


def _joined(
    real: Arm, synthetic: Arm, name: str, kind: str, cases: TaskCases, share: float | None, note: str = ""
) -> Arm:
    """Return an arm of real and synthetic cases, compared with the same real cases alone."""
    notes = join_notes(note, real.note, _foreknowledge(real, synthetic), synthetic.note)
    kind += real.kind.removeprefix("real")  # @n
    of = (synthetic.cohort, synthetic.ending, synthetic.generator)
    return Arm(name, kind, *of, cases, real.subjects + synthetic.subjects, notes, real.name, share)


def _foreknowledge(real: Arm, synthetic: Arm) -> str:
    """Say where a generator had more real subjects than the networks: theirs are few, its own are not."""
    n = len(synthetic.seen & real.left)
    what = "the generator of the synthetic cases saw"
    return f"{what} {n} real training subjects beside these: no claim about a generator that has few" if n else ""
