"""Against statsmodels 0.15.0, krippendorff 0.9.0, pingouin 0.6.1, irrCAC 0.4.4, scikit-learn; published ones."""

import numpy as np
import pytest

from understudy.reader.statistics.agreement import cohen, fleiss, gwet, icc, krippendorff, mean_cohen

# seed, readers, cases, values, share that says the base rating -> what the libraries say
REFERENCES = {
    (1, 5, 40, 5, 0.6): {
        "fleiss": 0.3486783862400405, "cohen": 0.25058548009367676, "linear": 0.2682926829268293,
        "quadratic": 0.2549555707450445, "nominal": 0.3519349943088401, "ordinal": 0.38240395373248315,
        "interval": 0.38987578293594394, "gwet": 0.358115476895, "icc": 0.39647328396373666, "ends": (0.25, 0.56),
    },
    (2, 2, 30, 2, 0.5): {
        "fleiss": 0.2658509454949943, "cohen": 0.2857142857142857, "linear": 0.2857142857142857,
        "quadratic": 0.2857142857142857, "nominal": 0.27808676307007785, "ordinal": 0.27808676307007785,
        "interval": 0.27808676307007785, "gwet": 0.267480577137, "icc": 0.29268292682926816, "ends": (-0.05, 0.58),
    },
    (3, 4, 60, 10, 0.3): {
        "fleiss": 0.09693936925404395, "cohen": 0.12476722532588469, "linear": 0.10649819494584845,
        "quadratic": 0.04928763958413562, "nominal": 0.1007021218821521, "ordinal": 0.0583157072594328,
        "interval": 0.05757629624613414, "gwet": 0.102394386109, "icc": 0.05531049495875348, "ends": (-0.05, 0.19),
    },
}  # fmt: skip


def made(seed: int, readers: int, cases: int, values: int, share: float) -> np.ndarray:
    random = np.random.default_rng(seed)
    base = random.integers(1, values + 1, cases)
    said = [np.where(random.random(cases) < share, base, random.integers(1, values + 1, cases)) for _ in range(readers)]
    return np.stack(said)


@pytest.mark.parametrize("setting", REFERENCES)
def test_every_coefficient_equals_that_of_a_library(setting: tuple[int, int, int, int, float]) -> None:
    ratings, expected = made(*setting), REFERENCES[setting]
    single = icc(ratings)
    assert single is not None
    found = {
        "fleiss": fleiss(ratings),
        "cohen": cohen(ratings[0], ratings[1]),
        "linear": cohen(ratings[0], ratings[1], "linear"),
        "quadratic": cohen(ratings[0], ratings[1], "quadratic"),
        **{level: krippendorff(ratings, level) for level in ("nominal", "ordinal", "interval")},
        "icc": single.value,
    }
    assert {name: expected[name] for name in found} == pytest.approx(found, abs=1e-9)
    assert gwet(ratings) == pytest.approx(expected["gwet"], abs=1e-11)  # irrCAC rounds to 12 digits
    assert (round(single.low, 2), round(single.high, 2)) == expected["ends"]  # pingouin rounds to 2


def test_published_examples() -> None:
    shrout = np.array([[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]])
    found = icc(shrout)  # Shrout and Fleiss (1979), table 4
    assert found is not None and [round(v, 2) for v in found] == [0.29, 0.02, 0.76]
    counts = [(0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1), (7, 7, 0, 0, 0),
              (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7)]  # fmt: skip
    raters = np.array([np.repeat(np.arange(5), row) for row in counts]).T
    assert fleiss(raters) == pytest.approx(0.210, abs=5e-4)  # the worked example of 14 raters and 10 subjects


def test_perfect_agreement_is_one_and_one_answer_says_nothing() -> None:
    ratings = np.tile([1, 2, 3, 1, 2], (3, 1))
    assert fleiss(ratings) == gwet(ratings) == krippendorff(ratings) == mean_cohen(ratings) == 1
    same = np.ones((3, 5))
    assert (fleiss(same), krippendorff(same), mean_cohen(same), icc(same), gwet(same)) == (None,) * 5
    assert gwet(same, categories=2) == 1  # AC1 knows what else could have been said


def test_chance_agreement_is_near_zero() -> None:
    ratings = np.random.default_rng(0).integers(0, 2, (6, 4000))
    for found in (fleiss(ratings), gwet(ratings), krippendorff(ratings), mean_cohen(ratings)):
        assert found == pytest.approx(0, abs=0.02)
