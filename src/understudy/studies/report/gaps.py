"""What a study's page lacks: stages that failed or did not run, and what nobody measured.

**Checked** in tests/studies/report/test_gaps.py.
"""

from collections import Counter
from collections.abc import Sequence

from understudy.report.chapters import NEVER_CLAIMED
from understudy.report.tables import View, words
from understudy.studies.report.blocks import PagePart, StudyTable
from understudy.studies.report.measures import Combination, Measures

STATES = ("failed", "not run")
KINDS = {  # what is told where no such evaluation is done
    "utility": "Utility: no network was trained on these synthetic cases and tested on real ones.",
    "fidelity": "Fidelity: synthetic and real cases were not compared as distributions.",
    "privacy": "Privacy: no copy was searched for and no attack was tried. Nothing is known of who can be recognised.",
    "consistency": "Image-label consistency: whether label maps fit their synthetic images was not measured.",
    "interrater": "Inter-rater agreement: the ceiling for a segmenter on these label maps is not known.",
    "correlation": "Fidelity against utility: whether a fidelity metric orders these cohorts by use was not measured.",
    "reader": "Reader study: nobody looked at these images to tell synthetic from real ones.",
}
MOST_NAMES = 4


def missing_block(measures: Measures) -> PagePart:
    """Return what failed or did not run, by template; empty where all is done."""
    finished, rows = measures.finished, []
    for template in dict.fromkeys(stage.template for stage in finished.stages):
        of = [stage for stage in finished.stages if stage.template == template]
        for state in STATES:
            names = [stage.name for stage in of if finished.state(stage) == state]
            if names:
                more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
                rows.append([template, state, f"{len(names)} of {len(of)}", ", ".join(names[:MOST_NAMES]) + more])
    if not rows:
        return PagePart("Missing stages")
    head = ["Stage", "State", "Number", "Which"]
    view = View("", head, rows, [False, False, True, False])
    text = "These stages failed or did not run: every number below is without them."
    return PagePart(
        "Missing stages", text, tables=[StudyTable("missing", view, [list(row) for row in rows], tuple(head))]
    )


def not_measured_block(measures: Measures) -> PagePart:
    """Return what was not measured: kinds of evaluation, sources of chance with one value, results without a number."""
    done = {one.kind for one in measures.finished.judged}
    sentences = [text for kind, text in KINDS.items() if kind not in done]
    return PagePart(
        "What was not measured",
        "",
        [*measures.config.not_measured, *sentences, *_single(measures), *_withheld(measures), *NEVER_CLAIMED],
    )


def _single(measures: Measures) -> list[str]:
    """Say whether all networks were tested on the same subjects, and which generators were trained with one seed."""
    judged, told = measures.finished.judged, []
    if len({measures.scores(one).subjects for one in judged if one.kind == "utility"}) == 1:
        told.append("All networks were tested on one split of the subjects: another split would give other numbers.")
    seeds: dict[Combination, set[tuple[str, ...]]] = {}
    for one in judged:
        if found := measures.finished.training_seeds(one):
            own = tuple((k, v) for k, v in one.loops.items() if k not in measures.config.pool)
            seeds.setdefault(own, set()).add(found)
    if single := [len(found) == 1 for found in seeds.values() if len(found) == 1]:
        which = "Each generator" if len(single) == len(seeds) else "Some generators"
        verb = "was" if which.startswith("Each") else "were"
        told.append(f"{which} {verb} trained with one seed: no interval holds what another seed would give.")
    return told


def _withheld(measures: Measures) -> list[str]:
    """Say which results have no number, by the reason that they share."""
    found: dict[str, Counter[str]] = {}
    for one in measures.finished.judged:
        for name, result in measures.finished.results(one).items():
            if result.value is None:
                found.setdefault(result.note, Counter())[words(name, one.kind)] += 1
    return [f"{_shortened(list(names))}: {note}." for note, names in found.items()]


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return "; ".join(names[:MOST_NAMES]) + more
