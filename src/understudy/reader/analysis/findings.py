"""From readings to results: can readers tell, how far do they agree, what did they see.

Means over readers stand with intervals for other readers and other cases (statistics/mrmc.py); with one reader they
are over cases alone, and the note says so. **Checked** in tests/reader/analysis/test_findings.py (counted by hand).
"""

from collections.abc import Callable, Iterator

import numpy as np

from understudy.core.result import Result
from understudy.core.seed import rng
from understudy.core.statistics import percentile_interval
from understudy.evaluation.folder import join_notes
from understudy.evaluation.guard import slug
from understudy.reader.analysis.readings import Readings
from understudy.reader.statistics import agreement
from understudy.reader.statistics.detection import sensitivity
from understudy.reader.statistics.mrmc import Estimate, compare, equivalence_p, over_readers, stacked
from understudy.reader.statistics.roc import Averages, areas, means, normal_interval

ALPHA = 0.05
FEW = 5  # cases of a class; below them its number is withheld
Coefficient = Callable[[np.ndarray], float | None]


class Findings:
    """All results of a study."""

    def __init__(self, readings: Readings, seed: int, draws: int = 500) -> None:
        """Keep the readings; seed and number of draws are those of resampling."""
        self.readings, self.seed, self.draws = readings, seed, draws
        real = readings.ratings[:, ~readings.synthetic], readings.calls[:, ~readings.synthetic]
        self.real_ratings, self.real_calls = real

    @property
    def behind(self) -> str:
        """What stands behind every number."""
        found, left = self.readings, len(self.readings.unfinished)
        n, m = int((~found.synthetic).sum()), int(found.synthetic.sum())
        cases = f"{n + m} pairs" if found.study.plan.pairs else f"{n} real and {m} synthetic cases"
        readers = f"{len(found.readers)} reader{'s' * (len(found.readers) != 1)}, {cases}"
        return readers + (f"; {left} reader{'s' * (left != 1)} not through, left out" if left else "")

    def results(self) -> list[Result]:
        """Return every result, the most important first."""
        main = self._pairs() if self.readings.study.plan.pairs else self._singles()
        return [*main, *self._agreement(), *self._answers(), *self._course()]

    def estimate(self, found: Averages) -> tuple[float, float | None, float | None, str]:
        """Return a mean over readers with its interval within [0, 1], and a note where it holds for one reader."""
        if len(found.values) > 1:
            whole = over_readers(found)
            return whole.value, *whole.interval_of_share(), ""
        value = float(found.values[0])
        return value, *normal_interval(value, float(found.covariance[0, 0])), "one reader: the interval is over cases"

    def share(self, name: str, *groups: np.ndarray, better: str = "", note: str = "") -> Result:
        """Return the share of cases, mean over readers, of some groups of cases (R, n) each."""
        n = sum(group.shape[1] for group in groups)
        if min(group.shape[1] for group in groups) < FEW:
            return Result(name, None, n=n, seed=self.seed, note=f"withheld: fewer than {FEW} cases")
        value, low, high, told = self.estimate(means(*(group.astype(float) for group in groups)))
        return Result(name, value, low, high, "", better, n, self.seed, join_notes(note, told))

    def _singles(self) -> Iterator[Result]:
        found = self.readings
        fakes = found.synthetic
        yield self._area("reader.auc", fakes, self.behind)
        yield self._equivalence(
            "reader.equivalence_p", areas(real=self.real_ratings, synthetic=found.ratings[:, fakes]), len(fakes)
        )
        yield self.share("reader.right", found.correct[:, ~fakes], found.correct[:, fakes])
        yield self.share("reader.sensitivity", found.calls[:, fakes], note="synthetic cases called synthetic")
        yield self.share("reader.specificity", ~self.real_calls, note="real cases called real")
        yield self.share("reader.fooled", ~found.calls[:, fakes], better="higher", note="synthetic cases called real")
        for name in self._classes():
            mine = fakes & (found.stratum == name)
            yield self.share(f"reader.fooled.{slug(name)}", ~found.calls[:, mine], better="higher")
        yield from self._detection()
        if len(found.generators) > 1:
            yield from self._several()

    def _area(self, name: str, mine: np.ndarray, note: str) -> Result:
        """Return the AUC of real cases against those of the items ``mine``."""
        synthetic = self.readings.ratings[:, mine]
        value, low, high, told = self.estimate(areas(real=self.real_ratings, synthetic=synthetic))
        n = self.real_ratings.shape[1] + synthetic.shape[1]
        return Result(name, value, low, high, "", "", n, self.seed, join_notes("0.5: readers cannot tell", note, told))

    def _equivalence(self, name: str, found: Averages, n: int) -> Result:
        """Return the p of equivalence to guessing, with the margin that was fixed before reading."""
        margin = self.readings.study.plan.margin
        if len(found.values) < 2:
            return Result(name, None, n=n, seed=self.seed, note="not measured: one reader says nothing of others")
        whole = over_readers(found)
        p, (low, high) = equivalence_p(whole, 0.5 - margin, 0.5 + margin), whole.interval(0.90)
        verdict = "shown" if p < ALPHA else "not shown"
        note = (
            f"equivalence to guessing {verdict}: p of two one-sided t tests that the value lies within 0.5 +- "
            f"{margin:g}, a margin fixed before reading; 90 % interval {low:.3f} to {high:.3f}"
        )
        return Result(name, p, n=n, seed=self.seed, note=note)

    def _detection(self) -> Iterator[Result]:
        """d' and criterion, means over readers; intervals resample readers and cases."""
        found = self.readings
        real, synthetic = self.real_calls, found.calls[:, found.synthetic]
        draw, resampled = rng(self.seed, "reader", "detection"), []
        for _ in range(self.draws):
            who = draw.integers(0, len(real), len(real))
            n, m = (draw.integers(0, x.shape[1], x.shape[1]) for x in (real, synthetic))
            resampled.append(_detected(real[np.ix_(who, n)], synthetic[np.ix_(who, m)]))
        ends = [percentile_interval(np.array(resampled)[:, i]) for i in (0, 1)]
        for i, name in enumerate(("d_prime", "criterion")):
            value = float(_detected(real, synthetic)[i])
            note = "" if i == 0 else "above 0: readers tend to say real"
            yield Result(f"reader.{name}", value, *ends[i], "", "", len(found.items), self.seed, note)

    def _several(self) -> Iterator[Result]:
        """Each generator against the real cases, and whether they differ."""
        found = self.readings
        masks = [found.generator == name for name in found.generators]
        for name, mine in zip(found.generators, masks, strict=True):
            yield self._area(f"reader.auc.{slug(name)}", mine, "")
            real, synthetic = self.real_ratings, found.ratings[:, mine]
            yield self._equivalence(
                f"reader.equivalence_p.{slug(name)}",
                areas(real=real, synthetic=synthetic),
                real.shape[1] + synthetic.shape[1],
            )
            yield self.share(f"reader.fooled.{slug(name)}", ~found.calls[:, mine], better="higher")
        if len(found.readers) < 2:
            return
        both = compare(stacked([self.real_ratings] * len(masks), [found.ratings[:, mine] for mine in masks]))
        told = f"F({both.df[0]:.0f}, {both.df[1]:.1f}) = {both.f:.3f}: do the AUCs of the generators differ?"
        yield Result("reader.generators_p", both.p, n=len(found.items), seed=self.seed, note=told)
        for (i, k), pair in both.pairs.items():
            name = f"reader.difference.{slug(found.generators[i])}.{slug(found.generators[k])}"
            yield Result(name, pair.value, *pair.interval(), "", "", len(found.items), self.seed, "AUC, first - second")

    def _pairs(self) -> Iterator[Result]:
        right = self.readings.correct.astype(float)
        yield self.share("reader.pairs", right, note=join_notes("pairs in which the real one was told", self.behind))
        yield self._equivalence("reader.equivalence_p", means(right), right.shape[1])
        for name in self._classes():
            yield self.share(f"reader.pairs.{slug(name)}", right[:, self.readings.stratum == name])

    def _classes(self) -> list[str]:
        names = sorted(set(self.readings.stratum.tolist()))
        return names if len(names) > 1 else []

    def _agreement(self) -> Iterator[Result]:
        """How far readers agree, and each with himself."""
        calls, ratings = self.readings.calls.astype(int), self.readings.ratings
        coefficients: dict[str, tuple[np.ndarray, Coefficient]] = {
            "fleiss": (calls, agreement.fleiss),
            "cohen": (calls, agreement.mean_cohen),
            "ac1": (calls, lambda x: agreement.gwet(x, categories=2)),
            "alpha": (calls, agreement.krippendorff),
            "kappa_weighted": (ratings, lambda x: agreement.mean_cohen(x, "quadratic")),
        }
        if len(calls) >= agreement.MIN_RATERS:
            for name, (x, coefficient) in coefficients.items():
                yield self._coefficient(f"reader.agreement.{name}", x, coefficient)
            single = agreement.icc(ratings)
            value, low, high = single or (None, None, None)
            note = "ICC(2,1) of the ratings" if single else "not measured: no rating differs"
            n = ratings.shape[1]
            yield Result("reader.agreement.icc", value, low, high, "", "higher", n, self.seed, note)
        twice = np.concatenate([np.stack(pair) for pair in self.readings.repeated], axis=1) > 5
        if twice.shape[1] >= FEW:
            yield self._coefficient("reader.agreement.same_reader", twice.astype(int), lambda x: agreement.cohen(*x))

    def _coefficient(self, name: str, x: np.ndarray, coefficient: Coefficient) -> Result:
        """Return a coefficient of ratings (R, N), with an interval over the draw of cases."""
        value, n = coefficient(x), x.shape[1]
        if value is None:
            return Result(name, None, n=n, seed=self.seed, note="not measured: all said the same")
        draw = rng(self.seed, "reader", "agreement", name)
        again = [coefficient(x[:, draw.integers(0, n, n)]) for _ in range(self.draws)]
        low, high = percentile_interval([v for v in again if v is not None])
        return Result(name, value, low, high, "", "higher", n, self.seed)

    def _answers(self) -> Iterator[Result]:
        """What was said beside the call: scales, annotations."""
        found = self.readings
        for question in found.study.plan.asked:
            name = f"reader.{slug(question.name)}"
            if question.kind == "scale" and not found.study.plan.pairs:
                yield from self._scale(name, np.array(found.values(question.name), float) + 1, len(question.options))
            elif question.kind == "annotation":
                rejected = ~np.array(found.values(question.name), bool)
                wrong = np.array([one.wrong for one in found.facts])
                if wrong.any():
                    yield self.share(f"{name}.found", rejected[:, wrong], better="higher", note="planted errors found")
                yield self.share(f"{name}.rejected", rejected[:, ~wrong], note="label maps as they came, called wrong")

    def _scale(self, name: str, values: np.ndarray, points: int) -> Iterator[Result]:
        """Means of a scale of 1..points on real and on synthetic cases, and their difference."""
        fakes = self.readings.synthetic
        real, synthetic = means(values[:, ~fakes]), means(values[:, fakes])
        apart = Averages(synthetic.values - real.values, synthetic.covariance + real.covariance)
        of_means, of_differences = (1.0, float(points)), (1.0 - points, points - 1.0)  # bounds
        for part, one, n in (("real", real, (~fakes).sum()), ("synthetic", synthetic, fakes.sum()),
                             ("difference", apart, len(fakes))):  # fmt: skip
            ends: tuple[float | None, float | None] = (None, None)
            if len(one.values) > 1:
                least, most = of_differences if part == "difference" else of_means
                low, high = over_readers(one).interval()
                ends = max(least, low), min(most, high)
            note = f"mean of 1 to {points}" + (", synthetic - real" if part == "difference" else "")
            yield Result(f"{name}.{part}", float(one.values.mean()), *ends, "", "", int(n), self.seed, note)

    def _course(self) -> Iterator[Result]:
        """Time a case, and whether readers get better or worse on the way."""
        seconds = np.concatenate(self.readings.seconds)
        yield Result("reader.seconds", float(np.median(seconds)), unit="s", n=len(seconds), note="median, active time")
        slopes = np.array([np.polyfit(np.arange(len(x)), x, 1)[0] * 100 for x in self.readings.correct_in_order])
        ends: tuple[float | None, float | None] = (None, None)
        if len(slopes) > 1:
            ends = Estimate(0, slopes.std(ddof=1) / np.sqrt(len(slopes)), len(slopes) - 1).interval()
            ends = slopes.mean() + float(ends[0] or 0), slopes.mean() + float(ends[1] or 0)
        note = "change of the share of right calls over 100 cases; the interval is over readers"
        yield Result("reader.drift", float(slopes.mean()), *ends, n=len(seconds), seed=self.seed, note=note)


def _detected(real: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
    """Return the mean of d' and of the criterion over readers, from calls (R, n) and (R, m)."""
    return np.mean([sensitivity(real=x, synthetic=y) for x, y in zip(real, synthetic, strict=True)], axis=0)
