"""The verbs that deal with classes, as a user types them: from a text column to AUC and the report."""

import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from understudy.cli import main
from understudy.core.cohort import Cohort
from understudy.core.result import read_results
from understudy.tasks.classify import open_classifier

TINY_GAN = "z_dim=8 w_dim=8 mapping_layers=2 channel_base=128 channel_max=8 images_seen=16 batch_size=4 sample_block=8"
TINY_NET = "network=densenet-small updates=6 checks=1 batch_size=8 precision=fp32"


def settings(text: str) -> list[str]:
    return [word for setting in text.split() for word in ("--set", setting)]


def run(*parts: str | list[str] | Path) -> int:
    line = [word for part in parts for word in (part if isinstance(part, list) else shlex.split(str(part)))]
    return main.main(line)


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty children with one picture each, normal or with a virus; everything up to an archive."""
    root = tmp_path_factory.mktemp("classes")
    random = np.random.default_rng(0)
    (root / "source").mkdir()
    rows = ["file,child,kind"]
    for i in range(60):
        image = random.integers(0, 150, (16, 16))
        image[:, :8] += 90 * (i % 2)
        Image.fromarray(image.astype(np.uint8)).save(root / "source" / f"p{i}.png")
        rows.append(f"p{i}.png,c{i},{('normal', 'virus')[i % 2]}")
    (root / "source" / "table.csv").write_text("\n".join(rows) + "\n")
    start = f"import folder {root}/source --images . --table table.csv --subject child --classes kind --out {root}/real"
    assert run(start, "--split train=0.4,validation=0.2,test=0.4") == 0
    for seed in (0, 1):
        assert run(f"train stylegan2 {root}/real --out {root}/run{seed} --seed {seed}", settings(TINY_GAN)) == 0
    assert run(f"train stylegan2 {root}/real --out {root}/labelled", settings(TINY_GAN + " conditional=true")) == 0
    assert run(f"classify {root}/real --out {root}/classifier", settings(TINY_NET)) == 0
    assert run(f"sample {root}/run0 {root}/run1 --n 6 --out {root}/ensemble") == 0
    search = settings("steps=10 learning_rate=0.3 threshold=0.501 minimum_accepted=0.05 block=8 attempts=1")
    archive = f"condition {root}/run0 --classifier {root}/classifier --n 8 --out {root}/archive"
    assert run(archive, ["--classes", easiest(root)], search) == 0
    assert run(f"sample {root}/labelled --n 16 --classes data --out {root}/conditional") == 0
    return root


def easiest(root: Path) -> str:
    """The class that an untrained generator shows, or lacks, as this classifier sees it."""
    cohort, trained = Cohort.open(root / "ensemble"), open_classifier(root / "classifier")
    mean = trained.classifier.predict(cohort.encoded(cohort.rows()[::2])).mean(0)
    k = int(np.abs(mean - 0.5).argmax())
    return f"{trained.classifier.names[k]}={int(mean[k] > 0.5)}"


def test_a_text_column_becomes_classes(chain: Path) -> None:
    cohort = Cohort.open(chain / "real")
    assert cohort.classes == ("kind=normal", "kind=virus") and (cohort.class_matrix().sum(1) == 1).all()
    for name in ("archive", "conditional"):
        assert Cohort.open(chain / name).classes == cohort.classes
    assert Cohort.open(chain / "ensemble").column("generator")[1] == "stylegan2#1"


def test_areas_and_diversity_end_in_the_report(chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cohorts = f"--real {chain}/real --synthetic {chain}/archive {chain}/conditional"
    small = settings(TINY_NET + " repeats=1 draws=100 select=real")
    assert run(f"evaluate utility {cohorts} --out {tmp_path}/utility", small) == 0
    shown = capsys.readouterr().out
    assert "AUC" in shown and "virus" in shown
    names = {r.name for r in read_results(tmp_path / "utility")[0]}
    assert {"utility.real.densenet-small.auc.virus", "utility.ratio.stylegan2-lco.densenet-small.auc"} <= names
    assert (
        run(
            f"evaluate fidelity {cohorts} --classifier {chain}/classifier --features random --out {tmp_path}/fidelity",
            settings("draws=2"),
        )
        == 0
    )
    results, provenance = read_results(tmp_path / "fidelity")
    assert (
        "fidelity.stylegan2.diversity.share.virus" in {r.name for r in results} and "classifier" in provenance["inputs"]
    )
    assert run(f"report {tmp_path}/utility {tmp_path}/fidelity --out {tmp_path}/report") == 0
    page = (tmp_path / "report" / "report.html").read_text()
    assert "of the AUC that real cases give" in page and "AUC on real test subjects" in page and "DenseNet" in page


@pytest.mark.parametrize(
    "arguments",
    [
        "classify {root}/ensemble --out {new}",
        "classify {root}/real --out {new} --set network=resnet",
        "classify {root}/real --out {new} --set 'classes=[dead]'",
        "condition {root}/run0 --classifier {root}/real --n 4 --out {new}",
        "condition {root}/labelled --classifier {root}/classifier --n 4 --out {new}",
        "condition {root}/run0 --classifier {root}/classifier --n 4 --classes all --out {new}",
        "condition {root}/run0 --classifier {root}/classifier --n 4 --classes dead=1 --out {new}",
        "condition {root}/run0 --classifier {root}/classifier --n 4 --set threshold=2 --out {new}",
        "sample {root}/run0 {root}/labelled --n 4 --out {new}",
        "sample {root}/run0 --n 4 --classes balanced --out {new}",
        "sample {root}/labelled --n 4 --classes evenly --out {new}",
        "evaluate utility --real {root}/real --synthetic {root}/ensemble --out {new}",
        "evaluate utility --task guessing --real {root}/real --synthetic {root}/archive --out {new}",
        "evaluate fidelity --task classification --real {root}/real --synthetic {root}/archive --out {new}",
        "evaluate privacy --classifier {root}/classifier --real {root}/real --synthetic {root}/archive --out {new}",
        "evaluate fidelity --classifier {root}/real --real {root}/real --synthetic {root}/archive --out {new}",
    ],
)
def test_what_is_refused(chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str) -> None:
    capsys.readouterr()
    code = run(arguments.format(root=chain, new=tmp_path / "new"))
    out, err = capsys.readouterr()
    assert code in (1, 2) and out == "" and err.startswith("error: ") and err.count("\n") == 1 and len(err) > 40
    assert list(tmp_path.iterdir()) == []
