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
training split is drawn from. Beside a cohort that was screened from another one stands ``random of NAME``: as many
cases of that other one, drawn at random.

**Which weights** of a network are tested is chosen by cases that it does not learn. Where real cases are learned, the
real validation subjects choose. Of networks on synthetic cases alone three choices are tested: ``synthetic``, by a
fifth of the synthetic cases that is held out, all that a recipient of the cohort can do (and Akbar et al. 2024 did);
``real``, by the real validation subjects; ``last``, the weights at the end. ``select`` names the one that the tables
lead with.
**Checked** in tests/evaluation/utility/test_arms.py.
"""

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.errors import UnderstudyError
from understudy.core.seed import rng
from understudy.core.statistics import by_subject
from understudy.data.seal import content_id
from understudy.evaluation.folder import join_notes
from understudy.evaluation.guard import leak_note, short_names, slug
from understudy.evaluation.utility.config import Repeats
from understudy.evaluation.utility.task import Task
from understudy.tasks.fitting import LAST, FineTuned, Judges, Mixed, TaskCases

HALF = 0.5
HELD_OUT, HELD_OUT_CASES = 0.2, 500
SELECT = ("synthetic", "real", LAST)
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
        judges: what chooses weights, by name; see ``choices``.
        choices: which weights are tested, the ones that tables lead with first: of a judge, or the last ones.
        request: what the cohort was asked for and made of, but for seeds and runs; see tested.py.
        run: the training that the cohort is from.
        training_seed: of the run.
        made_of: what decides its synthetic cases beside the seed, by content and not by name; none of real cases alone.
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
    judges: Judges[Any] = field(default_factory=dict)
    choices: tuple[str, ...] = ("real",)
    request: str = ""
    run: str = ""
    training_seed: str = ""
    made_of: tuple[str, ...] = ()

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
    several, names = len(others) > 1, short_names(others)
    made = [_synthetic(task, name, other, several, real) for name, other in zip(names, others, strict=True)]
    for first in (_all_real(task, real), *(_draw(task, real, n, seed) for n in config.real_subjects)):
        arms.append(first)
        if "synthetic" in config.arms and not first.left:
            chosen = [_chosen(task, arm, other, config.select, seed) for arm, other in zip(made, others, strict=True)]
            arms += [*chosen, *_at_random(task, made, others, config.select, seed)]
        arms += [_mixed(first, one, share) for one in made for share in shares(config)]
        if "finetuned" in config.arms:
            arms += [_finetuned(first, one, config.finetune_share) for one in made]
    judge = {"real": task.judge(real, real.rows("validation"))}
    return [replace(arm, judges={**arm.judges, **judge}) for arm in arms]


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
    known, note = frozenset(other.subjects_seen().union(subjects)), join_notes(more, leak_note(other))
    made = Arm(name, "synthetic", *of, cases, len(subjects), note, "real", 1, known, made_of=(content_id(other, None),))
    return replace(made, **_request(other))


def _request(other: Cohort) -> dict[str, Any]:
    """Return ``request``, ``run`` and ``training_seed`` of a cohort; none where the training is not known."""
    made, inputs = other.provenance, dict(other.provenance.get("inputs", {}))
    config = {key: value for key, value in made.get("config", {}).items() if "seed" not in key}
    config |= {key: dict(value, seed=None) for key, value in config.items() if isinstance(value, dict)}
    run, seed = inputs.pop("run", ""), made.get("config", {}).get("training_seed")
    made_of = {role: value for role, value in inputs.items() if not role.endswith(".run")}  # of label maps: as the run
    asked = json.dumps([made.get("command"), other.kind, len(other), config, made_of], sort_keys=True)
    return {"request": asked, "run": run, "training_seed": json.dumps(seed)} if run else {}


def _chosen(task: Task, arm: Arm, other: Cohort, select: str, seed: int, among: np.ndarray | None = None) -> Arm:
    """Return a synthetic arm, of some rows or of all, with a part held out that can choose weights."""
    learned, held = held_out(other, other.rows() if among is None else among, seed)
    choices = (select, *(choice for choice in SELECT if choice != select))
    note = f"weights chosen by {len(held)} of {len(learned) + len(held)} synthetic cases, held out"
    own = {"synthetic": note, "real": "weights chosen by real validation subjects", LAST: "the last weights"}[select]
    judges = {"synthetic": task.judge(other, held)}
    cases, subjects = task.cases(other, learned), len({*other.column("subject_id")[learned].tolist()})
    note = join_notes(own, arm.note)
    return replace(arm, cases=cases, subjects=subjects, judges=judges, choices=choices, note=note)


def held_out(other: Cohort, rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Part rows of a synthetic cohort by subject: what is learned, and about a fifth, at most 500 cases, that is not.

    Raises:
        UnderstudyError: there is one subject only.
    """
    groups = by_subject(other.column("subject_id")[rows])
    order = rng(seed, "held out").permutation(len(groups.names))
    if len(order) < 2:
        raise UnderstudyError(
            f"a fifth of the synthetic subjects is held out to choose weights by, and {other.path.name} has one: "
            "sample more cases"
        )
    before = np.cumsum(groups.counts[order]) - groups.counts[order]
    number = min(max(round(HELD_OUT * len(order)), 1), max(int((before < HELD_OUT_CASES).sum()), 1))
    held = np.isin(groups.number, order[:number])
    return rows[~held], rows[held]


def _at_random(task: Task, made: list[Arm], others: list[Cohort], select: str, seed: int) -> list[Arm]:
    """Return for each cohort that was screened from another of these: as many cases of that one, drawn at random."""
    arms = []
    for screened, arm in zip(others, made, strict=True):
        before = screened.provenance.get("inputs", {}).get("cohort")
        for full, whole in zip(others, made, strict=True):
            if screened.provenance.get("command") == "screen" and before == full.id and len(screened) < len(full):
                drawn = np.sort(rng(seed, "as many at random", arm.name).permutation(len(full))[: len(screened)])
                name, note = f"random of {whole.cohort}", f"as many cases as {arm.cohort} has, drawn at random"
                made_of, ending = (*whole.made_of, *arm.made_of, arm.name), f".{slug(name)}"
                of = replace(whole, name=name, cohort=name, ending=ending, note=note, request="", made_of=made_of)
                arms.append(_chosen(task, of, full, select, seed, drawn))
    return arms


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
    joined = Arm(name, kind, *of, cases, real.subjects + synthetic.subjects, notes, real.name, share)
    return replace(
        joined,
        request=synthetic.request,
        run=synthetic.run,
        training_seed=synthetic.training_seed,
        made_of=synthetic.made_of,
    )


def _foreknowledge(real: Arm, synthetic: Arm) -> str:
    """Say where a generator had more real subjects than the networks: theirs are few, its own are not."""
    n = len(synthetic.seen & real.left)
    what = "the generator of the synthetic cases saw"
    return f"{what} {n} real training subjects beside these: no claim about a generator that has few" if n else ""
