"""How often the intervals of reader studies hold the truth, and the power of the equivalence test: simulated studies.

    python benchmarks/reader_statistics.py [--studies 1000] [--out docs/reader-statistics.md]

Simulated readers (reader/statistics/simulation.py) have an AUC that is known.
"""

import argparse
from pathlib import Path

import numpy as np
from scipy import stats

from understudy.core.seed import rng
from understudy.reader.statistics.detection import sensitivity, share
from understudy.reader.statistics.mrmc import equivalence_p
from understudy.reader.statistics.simulation import ALPHA, estimate, power, readers_with

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reader-statistics.md"
DESIGNS = ((3, 50), (5, 50), (6, 100), (10, 100))
AREAS = (0.5, 0.6, 0.75, 0.9)
POWERS = ((3, 50), (6, 50), (6, 100), (6, 150), (10, 100), (10, 150), (6, 300))
HEAD = """# How right the statistics of reader studies are

A reader study's AUC is a mean over readers, and its 95 % interval is to hold for other readers and other cases
(Obuchowski-Rockette-Hillis, `reader/statistics/mrmc.py`), on the scale of its logit. Here readers are simulated whose
AUC is known (model of Roe and Metz: standard deviations 0.7 over cases, 0.15 over readers, 0.8 the rest; ten
ratings), {studies:,} studies a cell, seed 0. Written by

    python benchmarks/reader_statistics.py --studies {studies}

A share of 0.95 has a standard error of {error:.3f}.

## How often the 95 % interval holds the true AUC

Readers x (real + synthetic cases).

"""
SIZE = """
## Size of the equivalence test

Share of studies that call readers equivalent to guessing (AUC within 0.5 +- 0.10, two one-sided t tests at 5 %) where
their true AUC is 0.60 or 0.40, the margin itself: at most 0.05 is right.

"""
POWER = """
## Power of the equivalence test

Share of {studies:,} studies at seed 0 that show equivalence where the true AUC is 0.5. `understudy reader create` prints it for
the planned study, of 200 studies, and may differ by some hundredths: 200 gave 0.19 and 0.77 in the rows of 0.24 and 0.80. With a margin of 0.05 no study of usual size can show anything: choose 0.10.

"""
PAIRS = """
## Pairs

The same where a real and a synthetic case are shown side by side: the share of pairs told, within 0.5 +- 0.10.

"""
SINGLE = """
## One reader

How often the exact interval of a reader's sensitivity (Clopper-Pearson) holds the true one, which is at least 0.95 by
construction, and the mean of d' (log-linear correction) where the true one is 0, 1 and 2; {studies:,} readers of
100 + 100 cases.

"""
TAIL = """
## Against other programs

| statistic | held against | largest difference |
| --- | --- | --- |
| MRMC: mean AUC, error, df, F, p, covariances | R's MRMCaov 0.3.1 (DeLong), two seeded sets | 1e-9, relative |
| AUC | R's iMRMC 2.1.2, one seeded set | 1e-12 |
| Cohen's kappa (plain, linear, quadratic) | scikit-learn 1.8.0 | 1e-9 |
| Fleiss' kappa | statsmodels 0.15.0; the worked example of 14 raters | 1e-9; 0.0005 |
| Krippendorff's alpha (nominal, ordinal, interval) | krippendorff 0.9.0 | 1e-9 |
| Gwet's AC1 | irrCAC 0.4.4 (12 digits) | 1e-11 |
| ICC(2,1) | pingouin 0.6.1; Shrout and Fleiss (1979), table 4 | 1e-9; 0.005 |
| exact interval of a share | SciPy | 1e-12 |

The tests in `tests/reader/statistics/` hold these; the libraries' numbers stand there, the libraries are not installed.
"""


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def coverage(studies: int) -> str:
    """Return the table of coverage."""
    rows = []
    for readers, cases in DESIGNS:
        row = [f"{readers} x ({cases} + {cases})"]
        for auc in AREAS:
            people = readers_with(auc)
            draws = (rng(0, "coverage", readers, cases, int(auc * 100), i) for i in range(studies))
            ends = [estimate(people, draw, readers, cases).interval_of_share() for draw in draws]
            row.append(f"{np.mean([low <= auc <= high for low, high in ends]):.3f}")
        rows.append(row)
    return table(["design", *(f"AUC {auc:g}" for auc in AREAS)], rows)


def size(studies: int) -> str:
    """Return the table of the test's size at its margin."""
    rows = []
    for readers, cases in DESIGNS:
        row = [f"{readers} x ({cases} + {cases})"]
        for auc in (0.4, 0.6):
            people = readers_with(auc)
            found = [
                equivalence_p(
                    estimate(people, rng(0, "size", readers, cases, int(auc * 100), i), readers, cases), 0.4, 0.6
                )
                < ALPHA
                for i in range(studies)
            ]
            row.append(f"{np.mean(found):.3f}")
        rows.append(row)
    return table(["design", "true AUC 0.40", "true AUC 0.60"], rows)


def powers(studies: int) -> str:
    """Return the table of power at both margins."""
    rows = []
    for readers, cases in POWERS:
        found = [power(readers, cases, margin, 0, studies) for margin in (0.10, 0.05)]
        rows.append(
            [f"{readers} x ({cases} + {cases})", *(f"{one.share:.2f}" for one in found), f"{found[0].width:.3f}"]
        )
    return table(["design", "+- 0.10", "+- 0.05", "mean width of the 95 % interval"], rows)


def pairs(studies: int) -> str:
    """Return the table of power for pairs."""
    rows = [
        [f"{readers} x {cases} pairs", f"{power(readers, cases, 0.10, 0, studies, pairs=True).share:.2f}"]
        for readers, cases in ((3, 50), (6, 100), (10, 100), (10, 200))
    ]
    return table(["design", "+- 0.10"], rows)


def single(studies: int) -> str:
    """Return the table of one reader: exact intervals, d'."""
    rows = []
    for d in (0.0, 1.0, 2.0):
        held, primes = [], []
        for i in range(studies):
            draw = rng(0, "single", int(d), i)
            real, synthetic = draw.normal(0, 1, 100) > d / 2, draw.normal(d, 1, 100) > d / 2
            found, true = share(synthetic), float(stats.norm.cdf(d / 2))
            held.append(found is not None and found.low <= true <= found.high)
            primes.append(sensitivity(real=real, synthetic=synthetic).d_prime)
        rows.append([f"{d:g}", f"{np.mean(held):.3f}", f"{np.mean(primes):.3f}"])
    return table(["true d'", "exact interval holds", "mean d'"], rows)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=PAGE)
    asked = parser.parse_args()
    n = asked.studies
    text = HEAD.format(studies=n, error=np.sqrt(0.05 * 0.95 / n)) + coverage(n) + SIZE + size(n)
    text += POWER.format(studies=n) + powers(n) + PAIRS + pairs(n) + SINGLE.format(studies=n) + single(n) + TAIL
    asked.out.write_text(text)


if __name__ == "__main__":
    main()
