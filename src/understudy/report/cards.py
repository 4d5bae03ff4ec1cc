"""The summary in plain words: a card each for utility, fidelity and privacy: number, interval, n and what it means.

A ratio of scores never stands without the score of the real-only network.
**Checked** in tests/report/test_cards.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor

from understudy.core.result import SCORES, Result
from understudy.evaluation.folder import join_notes
from understudy.report.tables import interval, number, words

BY_CHANCE = 0.05  # p from which cases nearer than any unseen subject are no reason to warn


@dataclass(frozen=True)
class Entry:
    """One entry of a card.

    It says who is measured ("" where there is one synthetic cohort), a large figure and beside it what is counted, in
    detail the interval and n, what that means in a sentence, and whether it asks for attention.
    """

    who: str
    figure: str
    unit: str
    detail: str
    meaning: str
    warn: bool = False


@dataclass(frozen=True)
class Card:
    """A card: its title, the question it answers, its entries, and what stands there without any."""

    title: str
    question: str
    entries: list[Entry] = field(default_factory=list)
    missing: str = "Not measured in these results."


def cards(results: Sequence[Result]) -> list[Card]:
    """Return the three cards of the summary."""
    named = {result.name: result for result in results}
    return [
        Card("Utility", "Does what is learnt on synthetic cases hold on real patients?", _utility(named)),
        Card("Fidelity", "Do synthetic cases, as a whole, look like real ones?", _fidelity(named) or _labels(named)),
        Card(
            "Privacy",
            "Are synthetic cases nearer to training patients than unseen patients are?",
            [*_privacy(named), *_attacks(named)],
        ),
    ]


def _utility(named: Mapping[str, Result]) -> list[Entry]:
    entries = []
    for name, ratio in named.items():
        parts = name.split(".")
        if parts[:2] != ["utility", "ratio"] or parts[-1] not in SCORES or ratio.value is None:
            continue
        score = SCORES[parts[-1]]
        real = named.get(f"utility.real.{parts[-2]}.{parts[-1]}")
        synthetic = named.get(".".join(["utility", "synthetic", *parts[2:]]))
        who = ".".join(parts[2:-2])
        if real is None or real.value is None:
            why = f"The ratio is not shown: the {score} of the network trained on real cases is not among the results."
            entries.append(Entry(who, "–", "", "", why, warn=True))
            continue
        meaning = (
            f"Trained on synthetic cases only: {score} {_value(synthetic)}. Trained on real cases: {score} "
            f"{_value(real)}. Both were tested on the same {ratio.n} real subjects. 100 % would mean that the "
            "synthetic cases serve this task as well as the real ones."
            + (" Guessing gives an AUC of 0.5." if parts[-1] == "auc" else "")
        )
        figure, unit = f"{100 * ratio.value:.0f} %", f"of the {score} that real cases give"
        detail = join_notes(_percent_interval(ratio), f"n = {ratio.n} test subjects")
        entries.append(Entry(who, figure, unit, detail, meaning))
    return entries


def _fidelity(named: Mapping[str, Result]) -> list[Entry]:
    frechet = any(name.endswith(".frechet") for name in named)
    titles = {"frechet": "Fréchet distance"} if frechet else {"kid": "kernel distance (KID)"}
    entries = []
    for name, plain in named.items():
        parts = name.split(".")
        if parts[0] != "fidelity" or parts[-1] not in titles or plain.value is None:
            continue
        matched = named.get(f"{name}.size_matched")
        shown = matched if matched and matched.value is not None else plain
        meaning = _beside(name, named) or "0 would mean that no difference in these features was found."
        meaning += " It says nothing about usefulness or privacy."
        features = plain.note.partition(";")[0] if " features of " in plain.note else ""
        detail = join_notes(_plain_interval(shown), f"n = {shown.n:,}", features)
        entries.append(Entry(".".join(parts[1:-1]), number(shown.value), titles[parts[-1]], detail, meaning))
    return entries


def _beside(name: str, named: Mapping[str, Result]) -> str:
    """Say how far new patients and copies would lie, as far as the results hold it, or ""."""
    new, unseen, copies = (named.get(f"{name}.{kind}") for kind in ("unseen_extrapolated", "unseen", "redrawn"))
    parts = []
    if unseen and unseen.value is not None:
        few = f" (these few of them: {_value(unseen)})" if new and new.value != unseen.value else ""
        parts.append(f"As many new patients would lie {_value(new or unseen)} from the training cases{few}")
    if copies and copies.value is not None:
        parts.append(f"training cases drawn again lie {_value(copies)}")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _labels(named: Mapping[str, Result]) -> list[Entry]:
    """Tell of label maps, where no images were compared."""
    entries = []
    for name, plain in named.items():
        parts = name.split(".")
        if parts[0] != "fidelity" or parts[-3:-2] != ["labels"] or parts[-1] != "wasserstein" or plain.value is None:
            continue
        matched = named.get(f"{name}.size_matched", plain)
        meaning = (
            "Label maps only: volume, number, extent, location and shape of this class, in standard deviations of the "
            "real cases. "
        ) + _beside(name, named)
        who = ", ".join([*parts[1:-3], parts[-2]])
        detail = join_notes(_plain_interval(matched), f"n = {matched.n:,}")
        entries.append(Entry(who, number(matched.value), "SD from real label maps", detail, meaning))
    return entries


def _privacy(named: Mapping[str, Result]) -> list[Entry]:
    entries = []
    for name, flagged in named.items():
        if not name.startswith("privacy.") or not name.endswith("copies.flagged"):
            continue
        prefix, who = name.removesuffix("flagged"), ".".join(name.split(".")[1:-2])
        if flagged.value is None:
            why = f"No verdict. {flagged.note[:1].upper()}{flagged.note[1:]}."
            entries.append(Entry(who, "–", "", "", why, warn=True))
            continue
        expected, threshold = named.get(f"{prefix}expected"), named.get(f"{prefix}threshold")
        above = expected is not None and expected.high is not None and flagged.value > expected.high
        near = named.get(f"{prefix}above_reference_max")
        nearer = int(near.value) if near is not None and near.value is not None else 0
        luck = named.get(f"{prefix}above_reference_max_p")
        nearer = 0 if luck is not None and (luck.value or 0) > BY_CHANCE else nearer
        detail = join_notes(
            f"{number(expected.value, 'cases')} ({_between(expected)}) expected by chance" if expected else "",
            f"threshold set on {threshold.n} subjects" if threshold else "",
            f"{_between(flagged)} flagged, had other subjects set the threshold" if flagged.low is not None else "",
        )
        figure, meaning = f"{number(flagged.value, 'cases')} of {flagged.n:,}", _verdict(flagged, above, nearer)
        meaning += f". {_covered(threshold, named)}"
        entries.append(Entry(who, figure, "synthetic cases flagged", detail, meaning, above or nearer > 0))
    return entries


def _attacks(named: Mapping[str, Result]) -> list[Entry]:
    """Tell of the attack that tells members best, of each synthetic cohort."""
    found: dict[str, list[Result]] = {}
    for name, result in named.items():
        before, attack, _ = name.partition(".attack.")
        if name.startswith("privacy.") and attack and name.endswith(".auc"):
            found.setdefault(before.partition(".")[2], []).append(result)
    entries = []
    for who, results in found.items():
        measured = [result for result in results if result.value is not None]
        if not measured:
            entries.append(Entry(who, "–", "", "", "No attack could be measured; the reasons stand below.", warn=True))
            continue
        best = best_attack(measured)
        better = [result for result in measured if result.low is not None and result.low > 0.5]
        entries.append(_attack_entry(who, best, len(measured), len(results) - len(measured), len(better)))
    return entries


def best_attack(measured: Sequence[Result]) -> Result:
    """Return the attack with the highest AUC; of equal ones the last by name."""
    return max(measured, key=lambda result: (result.value or 0, result.name))


def _attack_entry(who: str, best: Result, measured: int, left_out: int, better: int) -> Entry:
    attack = words(best.name.partition(".attack.")[2].removesuffix(".auc"))
    meaning = f"The best of {measured} attacks that were carried out is {attack}. 0.5 is guessing, 1 finds everyone. "
    if better:
        meaning += f"{better} of them tell members from non-members better than by guessing."
    else:
        meaning += "None tells members from non-members better than by guessing, as far as so few can show."
    meaning += f" {left_out} not measured." if left_out else ""
    unit = f"AUC of the best of {measured} attacks"
    return Entry(who, number(best.value), unit, join_notes(_plain_interval(best), f"n = {best.n}"), meaning, better > 0)


def _verdict(flagged: Result, above: bool, nearer: int) -> str:
    """Say in words what the number of flagged cases means, without reassurance that it does not give."""
    words = "No more synthetic cases are flagged than images of unseen subjects would be by chance"
    if above:
        words = "More synthetic cases are flagged than images of unseen subjects would be by chance"
    if nearer:
        words += f"{', and' if above else ', but'} {nearer:,} lie nearer to a training image than any of these do"
    if flagged.value:
        words += ". Look at each flagged case in the internal edition, or remove it, before anything is shared"
    return words


def _covered(threshold: Result | None, named: Mapping[str, Result]) -> str:
    """Say which copies the number of flagged cases can count at all."""
    mean, worst = (named.get(f"privacy.audit.recall.{which}") for which in ("mean", "worst"))
    if threshold is not None and threshold.unit == "r":
        return "This measure finds near-identical copies only."
    if mean is None or mean.value is None or worst is None or worst.value is None:
        return "Transformed copies are sought; no audit says how many of them are found."
    return (
        f"Of transformed copies that an audit injected {floor(100 * mean.value)} % are found, and "
        f"{floor(100 * worst.value)} % of the transformation that is hardest to find; others are not covered."
    )


def _value(result: Result | None) -> str:
    if result is None or result.value is None:
        return "not available"
    return number(result.value) + (f" ({_between(result)})" if result.low is not None else "")


def _between(result: Result) -> str:
    return interval(result.low, result.high, result.unit)


def _plain_interval(result: Result) -> str:
    return f"95 % interval {_between(result)}" if result.low is not None else ""


def _percent_interval(result: Result) -> str:
    if result.low is None or result.high is None:
        return ""
    return f"95 % interval {100 * result.low:.0f} to {100 * result.high:.0f} %"
