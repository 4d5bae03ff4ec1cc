"""The page from end to end: the same bytes, files, claims; nothing of a subject, nothing of the user's paths."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.core.result import Result, read_results, write_results
from understudy.evaluation.folder import write_curve
from understudy.studies.report.page import write_study_report

CLAIMS = [
    {"claim": "Synthetic alone reaches 80 %", "from": "utility", "where": {"cohort": "painted"}, "at_least": 0.8},
    {
        "claim": "No <b>copies</b>",
        "from": "privacy",
        "result": "privacy.nothing",
        "where": {"cohort": "painted"},
        "at_most": 1,
    },
]


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def test_a_report(folds: Any) -> None:
    folds.report["claims"] = CLAIMS
    page = write_study_report(folds, folds.stages, folds.out)
    text, first = page.read_text(), files(page.parent)
    assert page == folds.out / "report" / "report.html"
    assert ">seen</strong> Synthetic alone" in text and "No &lt;b&gt;copies" in text and "Not among the results" in text
    for heading in ("Claims", "Utility", "Synthetic cases", "Fidelity", "Privacy", "Fidelity against utility",
                    "What was not measured", "Provenance and cost", "The study&#39;s YAML"):  # fmt: skip
        assert re.search(rf"<h2[^>]*>{heading.replace('&#39;', '.{1,5}')}</h2>", text), heading
    assert {"report.html", "results.json", "figures/samples-painted-1.png", "tables/cost.csv",
            "tables/correlation-correlation.csv"} <= set(first)  # fmt: skip
    for name in re.findall(r"<code>((?:figures|tables)/[^<]+)</code>", text):
        assert name in first, name
    told = first["tables/claims.csv"].decode().splitlines()
    assert told[0].startswith("claim,source,seen,number,value,low,high,n") and len(told) == 1 + len(CLAIMS)
    assert told[1].startswith("Synthetic alone") and ",seen," in told[1]
    results, provenance = read_results(page.parent)
    assert provenance["command"] == "study report" and len(results) == 28 and all(r.n == 12 for r in results)
    write_study_report(folds, folds.stages, folds.out)
    assert files(page.parent) == first


def test_nothing_leaves_that_should_not(folds: Any) -> None:
    page = write_study_report(folds, folds.stages, folds.out)
    everything = b"".join(files(page.parent).values()).decode(errors="ignore")
    for secret in ("s-1-0", "s-2-0", "real-3", "/home/me", "secret"):
        assert secret not in everything, secret
    text = page.read_text()
    assert not re.search(r"(src|href)=\"(?!data:|#)", text) and "<script" not in text and "http-equiv" in text
    assert "url(http" not in text


def test_what_is_missing_is_told(builder: Any, tmp_path: Path) -> None:
    fake = builder.Fake(tmp_path)
    fake.stage("cohort", "import", "phantom", done=False)
    fake.stage("utility", "evaluate", "utility", done=False)
    fake.report = {"claims": [{"claim": "c", "from": "utility", "at_least": 1}]}
    text = write_study_report(fake, fake.stages, tmp_path).read_text()
    assert "0 of 2 stages done" in text and "2 not run" in text and "not measured</strong> c" in text
    assert json.loads((tmp_path / "report" / "results.json").read_text())["results"] == []


def test_a_reader_study_has_its_part(builder: Any, tmp_path: Path) -> None:
    fake = builder.Fake(tmp_path)
    stage = fake.stage("readers", "reader", "analyze", "study")
    folder = tmp_path / stage.folder
    folder.mkdir()
    results = [Result("reader.auc", 0.61, 0.52, 0.7, "", "", 240), Result("reader.seconds", 7.5, n=240)]
    write_results(folder, results, Provenance("reader analyze", {}, 0, {"real": "r"}))
    write_curve(folder, "roc", "Readers' ROC curves", "x", "y", {"reader 1": ([0, 1], [0, 1])})
    text = write_study_report(fake, fake.stages, tmp_path).read_text()
    assert ">Reader study</h2>" in text and "0.610 [0.520, 0.700]" in text and "Reader study: nobody" not in text
    assert "Readers&#39; ROC curves" in text and (tmp_path / "report" / "figures" / "readers-roc.svg").is_file()


def test_fidelity_of_label_maps_alone_shows_what_was_measured(builder: Any, tmp_path: Path) -> None:
    fake = builder.Fake(tmp_path)
    stage = fake.stage("maps", "evaluate", "fidelity", "maps")
    (tmp_path / stage.folder).mkdir()
    results = [Result("fidelity.labels.lesion.ks", 0.19, n=60), Result("fidelity.images", None, note="not measured")]
    write_results(tmp_path / stage.folder, results, Provenance("evaluate fidelity", {}, 0, {"real": "r"}))
    text = write_study_report(fake, fake.stages, tmp_path).read_text()
    assert "0.19" in text and "not among the results" not in text


def test_a_sweep_has_curves(sizes: Any) -> None:
    page = write_study_report(sizes, sizes.stages, sizes.out)
    drawn = {name for name in files(page.parent) if name.endswith(".svg")}
    assert len(drawn) == 6 and "figures/privacy-share-of-cases-flagged-as-copies-against-subjects.svg" in drawn
    assert page.read_text().count("<svg ") == 6


def test_a_report_that_is_none_is_refused(folds: Any) -> None:
    folds.report = {"claim": []}
    with pytest.raises(UnderstudyError, match="the report of the study toy is none .claim: Extra inputs"):
        write_study_report(folds, folds.stages, folds.out)
    folds.report = {"claims": [{"claim": "c", "from": "utilty", "at_least": 1}]}
    with pytest.raises(UnderstudyError, match="asks for the stage 'utilty'"):
        write_study_report(folds, folds.stages, folds.out)


def test_two_things_with_one_name_are_refused(folds: Any) -> None:
    """Default titles name score and where; equal ones of the YAML, and one number in two tables, are refused."""
    one = {"from": "utility", "where": {"cohort": "painted"}}
    tables = [one, {**one, "where": {"cohort": "joint"}}, {**one, "score": "hd95"}]
    numbers = [{"from": "fidelity", "where": {"cohort": cohort}, "results": ["fidelity.frechet"]} for cohort in COHORTS]
    curves = [{**given, "x": "seed", "pool": ["fold"], "measure": "score"} for given in tables[:2]]
    folds.report |= {"tables": tables, "numbers": numbers, "curves": curves}
    folder = write_study_report(folds, folds.stages, folds.out).parent
    assert len(list((folder / "tables").glob("utility-*.csv"))) == 5
    assert len(list((folder / "tables").glob("fidelity-*.csv"))) == 2
    names = [r.name for r in read_results(folder)[0]]
    assert len(names) == len(set(names)) and "study.utility.synthetic.cohort-joint.ratio.mean" in names
    assert "study.utility.real.cohort-painted.score.hd95.core" in names
    for twice in ({"tables": [one, one]}, {"tables": [one, {**one, "title": "again"}]}):
        folds.report |= twice
        with pytest.raises(UnderstudyError, match="asks for two .* with the name .*utility"):
            write_study_report(folds, folds.stages, folds.out)


COHORTS = ("painted", "joint")
EVIL = "<script>alert(1)</script>\"'><img src=x>&{{7*7}} $\\x$ $x_{a}$"


def test_words_of_the_yaml_and_of_files_stay_words(folds: Any) -> None:
    folds.title = folds.about = EVIL
    names = dict.fromkeys(("painted", "fold", "seed", "core", "utility", "real", "cohort"), EVIL)
    claim = {"claim": EVIL, "source": EVIL, "from": "utility", "where": {"cohort": "painted"}, "at_least": 0.8}
    table = {"from": "utility", "title": EVIL, "paper": [{"row": EVIL, "value": 1, "source": EVIL + "[S]"}]}
    curve = {
        "from": "utility",
        "x": "fold",
        "title": EVIL + " curve",
        "x_label": EVIL,
        "arms": ["both"],
        "pool": ["seed"],
    }
    folds.report |= {"names": names, "claims": [claim], "tables": [table], "curves": [curve], "not_measured": [EVIL]}
    for file, content in files(write_study_report(folds, folds.stages, folds.out).parent).items():
        if file.endswith((".html", ".svg")):
            assert b"<script" not in content and b"<img src=x" not in content and b">49<" not in content, file
    assert "alert(1)" in (folds.out / "report" / "report.html").read_text()


def test_an_arm_that_is_none(folds: Any) -> None:
    folds.report["tables"] = [{"from": "utility", "arms": ["both-7"]}]
    with pytest.raises(UnderstudyError, match="the arm 'both-7' of utility, which has real, "):
        write_study_report(folds, folds.stages, folds.out)
