"""A finished study, its folders written by hand: two generators, folds and seeds, scores with known means."""

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.result import Result, write_results
from understudy.core.writer import CohortWriter
from understudy.evaluation.folder import write_curve, write_table
from understudy.studies.record import Record, write_record
from understudy.studies.report.config import ReportConfig
from understudy.studies.report.finished import Finished
from understudy.studies.report.measures import Measures
from understudy.studies.stage import Needs, Stage

CLASSES = ("core", "oedema", "whole lesion")
DICE = {"real": 0.8, "painted": 0.72, "joint": 0.6}
SIZE = 16


def write_cohort(folder: Path, kind: str, generator: str = "", subjects: int = 10, size: int = SIZE) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Provenance("toy", {"generator": generator} if generator else {}, 0)
    given: dict[str, Any] = {"dtype": "uint8", "scheme": LabelScheme(("background", *CLASSES[:2]), (0, 1, 2))}
    source = "patient" if kind == "real" else "sampled"
    channels = [Channel("t1", 0, 255), Channel("flair", 0, 255)]
    random = np.random.default_rng(len(folder.name))
    with CohortWriter(
        folder,
        kind=kind,
        modality="MR",
        size=(size, size),
        channels=channels,
        label_source=source,
        provenance=made,
        **given,
    ) as writer:
        for i in range(subjects):
            label = np.zeros((size, size), np.uint8)
            label[4 : 6 + i % 5, 5:11] = 1 + i % 2
            image = np.clip(90 + 60 * label + random.normal(0, 12, (2, size, size)), 0, 255).astype(np.uint8)
            split = ("train", "test")[i % 2] if kind == "real" else ""
            writer.append(image, label, {"case_id": f"{kind}-{i}", "subject_id": f"{kind}-{i}", "split": split})


def write_scores(
    folder: Path,
    arms: dict[str, float],
    subjects: Sequence[str],
    repeats: int = 2,
    seed: int = 0,
    classes: Sequence[str] = CLASSES,
) -> None:
    """Write internal/per_subject.csv with scores about a mean, and results.json."""
    (folder / "internal").mkdir(parents=True)
    random = np.random.default_rng(seed)
    ease = random.normal(0, 0.05, len(subjects))
    with (folder / "internal" / "per_subject.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["subject_id", "trained_on", "network", "repeat", "class", "dice", "hd95"])
        for arm, mean in arms.items():
            for repeat in range(repeats):
                for k, name in enumerate(classes):
                    for i, subject in enumerate(subjects):
                        value = mean + ease[i] - 0.02 * k + random.normal(0, 0.02)
                        writer.writerow([subject, arm, "unet", repeat, name, f"{value:.6f}", f"{10 - 5 * value:.6f}"])
    results = [Result("utility.real.unet.dice", 0.8, better="higher", n=len(subjects)),
               Result("utility.real.unet.hd95", 6, unit="mm", better="lower", n=len(subjects)),
               Result("utility.ratio.unet.hd95", None, n=3, note="withheld: 3 subjects stand behind it")]  # fmt: skip
    write_results(
        folder, results, Provenance("evaluate utility", {"repeats": repeats}, 0, {"real": "r", "synthetic": "s"})
    )


@dataclass
class Fake:
    """A study under construction: what write_study_report reads of it."""

    out: Path
    stages: list[Stage] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=lambda: {"draws": 200})
    study: str = "toy"
    title: str = "Two generators on a toy"
    about: str = "A study that is written by hand."

    def model_dump(self, **_: Any) -> dict[str, Any]:
        return {
            "study": self.study,
            "data": "/home/me/secret",
            "loops": {"seed": [0, 1]},
            "stages": {"cohort": {"import": "phantom"}},
        }

    def stage(
        self, template: str, *arguments: str, inputs: Sequence[Stage] = (), done: bool = True, **loops: str
    ) -> Stage:
        """Add a stage, with a record where it is done."""
        name = "-".join([template, *(f"{k}{v}" for k, v in loops.items())])
        folder = f"{template}/{name}" if loops else template
        words = (*arguments, "--out", folder)
        digest = hashlib.sha256(" ".join(words).encode()).hexdigest()
        made = Stage(
            name, template, dict(loops), folder, words[0], words, tuple(i.name for i in inputs), Needs(), digest
        )
        self.stages.append(made)
        if done:
            self.record(made)
        return made

    def record(self, stage: Stage, state: Any = "done", **more: Any) -> None:
        given = {
            "digest": stage.digest,
            "command": "c",
            "host": "node1",
            "seconds": 1800,
            "cpu_seconds": 1700,
            "peak_mb": 2048,
        }
        write_record(self.out, stage, Record(**{**given, "state": state, "disk_mb": 3.5, "code": 0, **more}))

    def measures(self, **report: Any) -> Measures:
        return Measures(Finished(self.stages, self.out), ReportConfig(draws=200, **report))


def subjects_of(fold: str, n: int) -> list[str]:
    return [f"s-{fold}-{i:02d}" for i in range(n)]


def crossval(out: Path, folds: int = 2, seeds: int = 2, subjects: int = 6, repeats: int = 2) -> Fake:
    """Folds x seeds; in each fold one evaluation of all cohorts: painted and joint of each seed."""
    fake = Fake(out)
    for fold in map(str, range(1, folds + 1)):
        cohort = fake.stage("cohort", "import", "folder", "/home/me/secret", "--fold", f"{fold}/{folds}", fold=fold)
        write_cohort(out / cohort.folder, "real")
        made = []
        for template in ("painted", "joint"):
            for seed in map(str, range(seeds)):
                run = fake.stage(
                    f"{template}_run",
                    "train",
                    "diffusion",
                    cohort.folder,
                    "--seed",
                    seed,
                    inputs=[cohort],
                    fold=fold,
                    seed=seed,
                )
                (out / run.folder).mkdir(parents=True)
                (out / run.folder / "complete.json").write_text("{}")
                one = fake.stage(template, "sample", run.folder, "--n", "9", inputs=[run], fold=fold, seed=seed)
                write_cohort(out / one.folder, "synthetic", "diffusion")
                made.append(one)
        words = [word for one in made for word in ("--synthetic", one.folder)]
        names = [f"diffusion-{i + 1}" if len(made) > 1 else "diffusion" for i in range(len(made))]
        judged = ("evaluate", "utility", "--real", cohort.folder, *words)
        utility = fake.stage("utility", *judged, inputs=[cohort, *made], fold=fold)
        arms = {"real": DICE["real"]}
        for one, name in zip(made, names, strict=True):
            arms |= {name: DICE[one.template], f"real+{name}": DICE[one.template] + 0.1}
        write_scores(out / utility.folder, arms, subjects_of(fold, subjects), repeats, int(fold))
        _fidelity_and_privacy(fake, cohort, made, names, words, fold)
    return fake


def _fidelity_and_privacy(
    fake: Fake, cohort: Stage, made: list[Stage], names: list[str], words: list[str], fold: str
) -> None:
    inputs = {"real": "r", "synthetic": ",".join(names)}
    for kind in ("fidelity", "privacy"):
        stage = fake.stage(kind, "evaluate", kind, "--real", cohort.folder, *words, inputs=[cohort, *made], fold=fold)
        (fake.out / stage.folder).mkdir(parents=True)
        results = []
        for i, (one, name) in enumerate(zip(made, names, strict=True)):
            at = f"{kind}.{name}" if len(made) > 1 else kind
            if kind == "fidelity":
                results += [Result(f"{at}.frechet", 10.0 + i, 9.0 + i, 12.0 + i, better="lower", n=50),
                            Result(f"{at}.frechet.unseen_extrapolated", 4.0, 3, 5, better="lower", n=50)]  # fmt: skip
            else:
                flagged = 8 if one.template == "joint" and one.loops["seed"] == "0" else 1
                results += [Result(f"{at}.copies.flagged", flagged, 0, 9, "cases", "lower", 100),
                            Result(f"{at}.copies.expected", 1, 0, 4, "cases", "", 100),
                            Result(f"{at}.copies.flagged_share", flagged / 100, 0, 0.2, "", "lower", 100),
                            Result(f"{at}.attack.nearest.auc", 0.55, 0.45, 0.65, "", "lower", 20),
                            Result(f"{at}.attack.density.auc", 0.6 + 0.01 * i, 0.5, 0.7, "", "lower", 20)]  # fmt: skip
        write_results(fake.out / stage.folder, results, Provenance(f"evaluate {kind}", {}, 0, inputs))


def judged(
    fake: Fake,
    arms: dict[str, np.ndarray],
    subjects: Sequence[str],
    evaluated_with: int = 0,
    real: str = "r",
    notes: dict[str, str] | None = None,
    made_by: Sequence[Stage] = (),
    **loops: str,
) -> Stage:
    """Add an evaluation of a cohort of the generator ``diffusion``, with these Dice (repeats, subjects) by arm."""
    one = fake.stage("cases", "sample", "run", "--seed", "0", inputs=made_by, **loops)
    write_cohort(fake.out / one.folder, "synthetic", "diffusion")
    given = ("--real", "real", "--synthetic", one.folder)
    stage = fake.stage("utility", "evaluate", "utility", *given, inputs=[one], **loops)
    folder = fake.out / stage.folder
    (folder / "internal").mkdir(parents=True)
    with (folder / "internal" / "per_subject.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["subject_id", "trained_on", "network", "repeat", "class", "dice"])
        for arm, scores in arms.items():
            for repeat, row in enumerate(scores):
                writer.writerows([who, arm, "unet", repeat, "lesion", v] for who, v in zip(subjects, row, strict=True))
    results = [Result(name, 0.5, n=len(subjects), note=note) for name, note in (notes or {}).items()]
    write_results(folder, results, Provenance("evaluate utility", {"repeats": 2}, evaluated_with, {"real": real}))
    return stage


def correlation(fake: Fake) -> Stage:
    """Add an evaluation of fidelity against utility."""
    stage = fake.stage("correlation", "evaluate", "correlation", "a", "b")
    folder = fake.out / stage.folder
    folder.mkdir()
    results = [Result("correlation.frechet.spearman", 0.4, -0.2, 0.8, n=6)]
    write_results(folder, results, Provenance("evaluate correlation", {}, 0, {"real": "r", "synthetic": "a,b"}))
    series = {"progan": ([1.0, 2.0], [0.5, 0.6]), "diffusion": ([0.5, 0.7], [0.7, 0.8])}
    write_curve(
        folder, "correlation-frechet", "frechet", "frechet", "dice", series, points="lower", note="Spearman 0.40"
    )
    write_table(
        folder, "correlation", ("metric", "spearman", "spearman_low", "spearman_high"), [["frechet", 0.4, -0.2, 0.8]]
    )
    return stage


def sweep(out: Path, counts: Sequence[int] = (5, 10, 20), subjects: int = 8) -> Fake:
    """A loop of numbers of subjects, one seed, shares and few real subjects."""
    fake = Fake(out)
    for count in map(str, counts):
        cohort = fake.stage("cohort", "import", "phantom", "--subjects", count, subjects=count)
        write_cohort(out / cohort.folder, "real")
        one = fake.stage("cases", "sample", "x", inputs=[cohort], subjects=count)
        write_cohort(out / one.folder, "synthetic", "progan")
        given = ("--real", cohort.folder, "--synthetic", one.folder)
        utility = fake.stage("utility", "evaluate", "utility", *given, inputs=[cohort, one], subjects=count)
        grow = int(count) / 100
        arms = {"real": 0.7, "progan": 0.5 + grow, "real+progan": 0.75, "75%real+25%progan": 0.73,
                "25%real+75%progan": 0.65, "real@3": 0.5, "real@3+progan": 0.6, "progan then real@3": 0.62}  # fmt: skip
        write_scores(out / utility.folder, arms, subjects_of("1", subjects), 2, 3, ("lesion",))
        privacy = fake.stage("privacy", "evaluate", "privacy", *given, inputs=[cohort, one], subjects=count)
        (out / privacy.folder).mkdir(parents=True)
        share = 1 / int(count)
        results = [Result("privacy.copies.flagged", 100 * share, 0, 99, "cases", "lower", 500),
                   Result("privacy.copies.expected", 5, 0, 100, "cases", "", 500),
                   Result("privacy.copies.flagged_share", share, share / 2, min(1, share * 2), "", "lower", 500),
                   Result("privacy.attack.nearest.auc", 0.5 + share, 0.4, 1, "", "lower", 20)]  # fmt: skip
        write_results(
            out / privacy.folder, results, Provenance("evaluate privacy", {}, 0, {"real": "r", "synthetic": "s"})
        )
    return fake


@pytest.fixture(scope="session")
def builder() -> SimpleNamespace:
    """Return what writes studies."""
    return SimpleNamespace(Fake=Fake, crossval=crossval, sweep=sweep, judged=judged, write_cohort=write_cohort)


@pytest.fixture(scope="session")
def _crossval(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    fake = crossval(tmp_path_factory.mktemp("crossval"))
    correlation(fake)
    return fake


@pytest.fixture
def folds(_crossval: Fake) -> Fake:
    """Two folds x two seeds of two generators, all done; written once, not to be changed."""
    return Fake(_crossval.out, list(_crossval.stages))


@pytest.fixture(scope="session")
def _sweep(tmp_path_factory: pytest.TempPathFactory) -> Fake:
    return sweep(tmp_path_factory.mktemp("sweep"))


@pytest.fixture
def sizes(_sweep: Fake) -> Fake:
    """Three numbers of subjects, all done; written once, not to be changed."""
    return Fake(_sweep.out, list(_sweep.stages))
