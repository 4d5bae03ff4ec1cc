"""How often the 95 % intervals of pooled numbers hold the true value: simulated studies; writes docs/coverage.md.

    python benchmarks/coverage.py [--studies 500] [--out docs/coverage.md]

A study has subjects, folds, generator seeds and network seeds, whose effects on Dice are drawn from normal
distributions of known spread, so that the true score, ratio and gain are known. A second table has areas under the ROC
curve of classifiers, whose scores are normal.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import norm

from understudy.core.pooled import DRAWS, Pool, Pooled, Unit
from understudy.core.statistics import Means, resample
from understudy.evaluation.utility.auc import Areas

PAGE = Path(__file__).resolve().parents[1] / "docs" / "coverage.md"
REAL, SYNTHETIC = 0.75, 0.65  # true scores
SUBJECT, PAIR, NETWORK, REST, TASTE = 0.20, 0.06, 0.02, 0.06, 0.04  # standard deviations
HEAD = """# How often pooled intervals hold the truth

A number over folds, generator seeds, network seeds and subjects (`core/pooled.py`) stands with a 95 % interval. Here
it is measured how often that interval holds the true value, in {studies:,} simulated studies a row: Dice {real:g} on
real cases and {synthetic:g} on synthetic ones; standard deviations {subject:g} between subjects (shared by both arms),
{pair:g} of what a subject is to synthetic cases, {network:g} between network seeds, {taste:g} of a generator seed on
one subject, {rest:g} the rest. Subjects are skewed as Dice of lesions is: Beta(2.57, 1), moved and scaled.
The SD between generator seeds is in the table, and whether
each has networks on real cases of its own. "plain" is the percentile interval of a nested bootstrap. Of the others,
**shares below {least} are bold**. Written by

    python benchmarks/coverage.py

A share of 0.95 has a standard error of {error:.3f} at {studies:,} studies.

| {columns} |
|{lines}|
"""
COLUMNS = ("subjects", "folds", "generator seeds", "their SD", "networks on real cases", "network seeds", "ratio",
           "gain", "score", "ratio, plain", "width of the ratio")  # fmt: skip
TAIL = """
What falls short: the score itself at 5 subjects, whose tail five people rarely show; one seed of the networks, whose
spread cannot be known; **one generator seed where the seed decides anything** (SD above 0), the more the more subjects
there are, since nothing else makes the interval wide; and two generator seeds on one split where the seed decides much
(SD 0.06, three times that of a network). The spread of two numbers is often too small by luck; the interval then
holds the truth in about 9 of 10
studies, where a plain one holds it in 7 or 8, and reports say beside such a number that its interval may be too short.
Adding up the squared margins of each source of chance with its own t would hold it everywhere, and be twice as wide for
two seeds on one split. Five folds with two seeds each, or five seeds, need neither. One generator seed cannot show how
much a seed decides: its interval does not hold it, and reports say so.

## Areas under the ROC curve

Classifiers of one kind of patient, half of the test subjects: true areas {real_area:g} on real cases and {area:g} on
synthetic ones, three network seeds an arm. A subject has as many cases as told; its score is a subject's effect of
standard deviation {ease:g}, shared by both arms, one of the arm's own ({own_area:g}), one of the network
({network_area:g}) and the rest, of variance 1 together.

| subjects | cases each | ratio | gain | area | width of the ratio |
|---|---|---|---|---|---|
"""
AREA_TAIL = """
Studies without a subject of each kind are drawn again.
"""


@dataclass(frozen=True)
class Setting:
    """What a simulated study has."""

    subjects: int
    folds: int
    generators: int
    spread: float
    own: bool  # whether each generator seed has networks on real cases of its own
    networks: int = 3  # seeds

    @property
    def row(self) -> str:
        """The first cells of its row."""
        own = "own" if self.own else "shared"
        cells = (self.subjects, self.folds, self.generators, f"{self.spread:g}", own, self.networks)
        return f"| {' | '.join(map(str, cells))} |"


LEAST = 0.93
REAL_AREA, AREA = 0.90, 0.85  # true areas
EASE, OWN, NET = 0.6, 0.4, 0.3  # standard deviations of what a subject is to everyone, to an arm, to a network
AREA_SETTINGS = [(subjects, cases) for subjects in (8, 16, 40, 100) for cases in (1, 5)]
SETTINGS = [
    *(Setting(s, 1, k, spread, False) for s in (5, 8, 16, 40) for k, spread in ((1, 0), (2, 0.02), (3, 0.02))),
    *(Setting(s, 1, 1, 0, False, networks) for s in (5, 8, 16, 40) for networks in (1, 2)),
    *(Setting(s, 1, k, spread, False) for s in (16, 80) for k in (2, 5) for spread in (0.02, 0.06)),
    *(Setting(80, 5, k, spread, False) for k in (2, 5) for spread in (0.02, 0.06)),
    *(Setting(s, f, 2, spread, True) for s, f in ((16, 1), (80, 5)) for spread in (0.02, 0.06)),
    *(Setting(80, f, 1, 0.02, False) for f in (1, 5)),
    *(Setting(s, 1, 1, spread, False) for s in (5, 8, 16, 40) for spread in (0.02, 0.03)),
]


def units(setting: Setting, random: np.random.Generator) -> Iterator[Unit]:
    """Draw one study."""
    per, k = setting.subjects // setting.folds, setting.networks
    for fold in range(setting.folds):
        ease, pair = _skewed(random, per), random.normal(0, PAIR, per)

        def networks(mean: np.ndarray | float, who: np.ndarray) -> Means:
            seeds, rest = random.normal(0, NETWORK, (k, 1)), random.normal(0, REST, (k, per))
            return Means(mean + who + seeds + rest)

        shared = networks(REAL, ease)
        for generator in range(setting.generators):
            real = networks(REAL, ease) if setting.own else shared
            drawn = SYNTHETIC + random.normal(0, setting.spread) + random.normal(0, TASTE, per)
            names = tuple(f"{fold}-{i:03d}" for i in range(per))
            yield Unit(names, str(generator), {"real": real, "synthetic": networks(drawn, ease + pair)})


def _skewed(random: np.random.Generator, n: int) -> np.ndarray:
    """Draw how easy subjects are: mean 0, SD as told, a long tail of hard ones."""
    a = 2.57
    mean, variance = a / (a + 1), a / ((a + 1) ** 2 * (a + 2))
    return SUBJECT * (random.beta(a, 1, n) - mean) / variance**0.5


def plain(study: list[Unit], random: np.random.Generator) -> tuple[float, float]:
    """Return the ends of the percentile interval of the ratio: subjects, units and networks drawn within folds."""
    sums = {"real": np.zeros(DRAWS), "synthetic": np.zeros(DRAWS)}
    for subjects in dict.fromkeys(unit.subjects for unit in study):
        mine = [unit for unit in study if unit.subjects == subjects]
        who = resample(random, len(subjects), DRAWS).astype(float)
        chosen = resample(random, len(mine), DRAWS) / len(mine)
        for arm in sums:
            each = []
            for unit in mine:
                measured = unit.arms[arm].on(who)
                k = measured.shape[1]
                each.append((measured * resample(random, k, DRAWS)).sum(1) / k)
            sums[arm] += (np.stack(each, 1) * chosen).sum(1) * len(subjects)
    low, high = np.quantile(sums["synthetic"] / sums["real"], (0.025, 0.975))
    return float(low), float(high)


def covered(setting: Setting, studies: int, seed: int = 0) -> dict[str, float]:
    """Return how often intervals hold the truth, and how wide that of the ratio is."""
    random, found = np.random.default_rng(seed), dict.fromkeys(("ratio", "gain", "score", "plain", "width"), 0.0)
    for i in range(studies):
        study = list(units(setting, random))
        pool = Pool(study, i)
        pooled = {"ratio": pool.ratio("synthetic", "real"), "gain": pool.gain("synthetic", "real")}
        truth = {"ratio": SYNTHETIC / REAL, "gain": SYNTHETIC - REAL, "score": SYNTHETIC}
        for name, one in {**pooled, "score": pool.score("synthetic")}.items():
            found[name] += _holds(one, truth[name])
        low, high = plain(study, random)
        found["plain"] += low <= truth["ratio"] <= high
        ratio = pooled["ratio"]
        found["width"] += (ratio.high or 0) - (ratio.low or 0) if ratio else 0
    return {name: total / studies for name, total in found.items()}


def areas(subjects: int, cases: int, studies: int, seed: int = 0) -> dict[str, float]:
    """Return how often intervals on areas hold the truth, and how wide that of the ratio is."""
    random, found = np.random.default_rng(seed), dict.fromkeys(("ratio", "gain", "score", "width"), 0.0)
    truth, number = (
        {"ratio": AREA / REAL_AREA, "gain": AREA - REAL_AREA, "score": AREA},
        np.arange(subjects).repeat(cases),
    )
    rest = (1 - EASE**2 - OWN**2 - NET**2) ** 0.5
    for i in range(studies):
        sick = np.zeros(subjects)
        while sick.min() == sick.max():
            sick = random.integers(0, 2, subjects).astype(float)
        ease, arms = random.normal(0, EASE, subjects), {}
        for arm, area in (("real", REAL_AREA), ("synthetic", AREA)):
            level = ease + random.normal(0, OWN, subjects) + sick * norm.ppf(area) * 2**0.5
            each = [level + random.normal(0, NET, subjects) for _ in range(3)]
            scores = [(one[number] + random.normal(0, rest, len(number)))[:, None] for one in each]
            arms[arm] = Areas(sick[number][:, None], scores, number, subjects, (0,))
        pool = Pool([Unit(tuple(f"{j:03d}" for j in range(subjects)), "0", arms)], i)
        numbers = {"ratio": pool.ratio("synthetic", "real"), "gain": pool.gain("synthetic", "real")}
        for name, one in {**numbers, "score": pool.score("synthetic")}.items():
            found[name] += _holds(one, truth[name])
        ratio = numbers["ratio"]
        found["width"] += (ratio.high or 0) - (ratio.low or 0) if ratio else 0
    return {name: total / studies for name, total in found.items()}


def _cells(found: dict[str, float]) -> list[str]:
    """Return how often the ratio's, the gain's and the score's intervals hold the truth; bold where too seldom."""
    held = [f"{found[name]:.3f}" for name in ("ratio", "gain", "score")]
    return [f"**{cell}**" if float(cell) < LEAST else cell for cell in held]


def _holds(one: Pooled | None, truth: float) -> bool:
    return one is not None and one.low is not None and one.high is not None and one.low <= truth <= one.high


def page(studies: int) -> str:
    """Return the page as Markdown."""
    told = {"subject": SUBJECT, "pair": PAIR, "network": NETWORK, "taste": TASTE, "rest": REST}
    table = {"columns": " | ".join(COLUMNS), "lines": "|".join(["---"] * len(COLUMNS))}
    error = (0.95 * 0.05 / studies) ** 0.5
    text = HEAD.format(studies=studies, real=REAL, synthetic=SYNTHETIC, error=error, least=LEAST, **told, **table)
    for setting in SETTINGS:
        found = covered(setting, studies)
        cells = [*_cells(found), *(f"{found[name]:.3f}" for name in ("plain", "width"))]
        text += f"{setting.row} {' | '.join(cells)} |\n"
        print(text.splitlines()[-1], flush=True)
    text += TAIL.format(real_area=REAL_AREA, area=AREA, ease=EASE, own_area=OWN, network_area=NET)
    for subjects, cases in AREA_SETTINGS:
        found = areas(subjects, cases, studies)
        text += f"| {subjects} | {cases} | {' | '.join([*_cells(found), format(found['width'], '.3f')])} |\n"
        print(text.splitlines()[-1], flush=True)
    return text + AREA_TAIL


def main() -> None:
    """Simulate and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=500)
    parser.add_argument("--out", type=Path, default=PAGE)
    arguments = parser.parse_args()
    arguments.out.write_text(page(arguments.studies))


if __name__ == "__main__":
    main()
