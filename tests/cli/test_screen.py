"""``evaluate consistency``, ``screen`` and the report, as a user types them, on discs that a small network learns."""

import shlex
from pathlib import Path

import numpy as np
import pytest

from understudy.cli import main
from understudy.cli.screen import read_thresholds
from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UsageError
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.result import read_results
from understudy.core.writer import CohortWriter

TINY = "updates=60 checks=1 channels=[8,16,32] batch_size=8 draws=100 precision=fp32"
SPLITS = ("train", "train", "validation", "control", "test")
WRONG = {3, 8, 13}  # synthetic cases whose label map belongs to another image


def write(out: Path, kind: str, n: int, seed: int) -> Path:
    random = np.random.default_rng(seed)
    manifest = {"modality": "MR", "size": (24, 24), "channels": [Channel("a", 0, 255)], "dtype": "uint8"}
    manifest |= {"scheme": LabelScheme(("background", "disc"), (0, 1)), "provenance": Provenance("toy", {}, seed)}
    source = "patient" if kind == "real" else "sampled"
    with CohortWriter(out, kind=kind, label_source=source, **manifest) as writer:  # type: ignore[arg-type]
        for i in range(n):
            y, x = np.mgrid[:24, :24]
            at = random.integers(6, 18, 2)
            label = ((y - at[0]) ** 2 + (x - at[1]) ** 2 < random.integers(3, 6) ** 2).astype(np.uint8)
            image = np.clip(60 + 120 * label + random.normal(0, 10, (1, 24, 24)), 0, 255).astype(np.uint8)
            shown = 1 - label if kind == "synthetic" and i in WRONG else label
            name = f"{kind}-{i}"
            writer.append(
                image, shown, {"case_id": name, "subject_id": name, "split": SPLITS[i % 5] if kind == "real" else ""}
            )
    return out


def run(*parts: object) -> int:
    return main.main([word for part in parts for word in shlex.split(str(part))])


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("screen")
    write(root / "real", "real", 40, 0)
    write(root / "synthetic", "synthetic", 20, 1)
    pair = f"--real {root}/real --synthetic {root}/synthetic"
    settings = " ".join(f"--set {setting}" for setting in TINY.split())
    assert run(f"evaluate consistency {pair} --out {root}/consistency", settings) == 0
    assert run(f"evaluate privacy {pair} --out {root}/privacy --set bootstrap=100 --set matchers=[pixels,patches]") == 0
    return root


def test_wrong_pairs_are_screened_out(chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    folders = f"--evidence {chain}/consistency {chain}/privacy"
    assert run(f"screen {chain}/synthetic {folders} --out {tmp_path}/kept --threshold 0.5") == 0
    shown = capsys.readouterr().out.splitlines()
    kept = Cohort.open(tmp_path / "kept")
    rejected = {entry["case_id"]: entry["reasons"] for entry in kept.sampling["screened"][0]["rejected"]}
    low = {case for case, reasons in rejected.items() if any(r["evidence"] == "consistency" for r in reasons)}
    assert low == {f"synthetic-{i}" for i in WRONG}
    assert set(kept.column("case_id")) | set(rejected) == {f"synthetic-{i}" for i in range(20)}
    assert shown[0].startswith(f"{len(kept)} of 20 cases are kept")
    assert "3 by consistency (mean below 0.500)" in shown[0]
    assert "with the smallest disc" in shown[1] and shown[-1] == f"cohort: {tmp_path}/kept"
    real = Cohort.open(chain / "real")
    assert kept.trained_on[-2:] == [real.seen("train"), real.seen("validation")]
    assert run(f"screen {chain}/synthetic --evidence {chain}/consistency --out {tmp_path}/real-quantile") == 0
    assert not {f"synthetic-{i}" for i in WRONG} & set(Cohort.open(tmp_path / "real-quantile").column("case_id"))


def test_the_report_shows_consistency(chain: Path, tmp_path: Path) -> None:
    assert run(f"report {chain}/consistency {chain}/privacy --out {tmp_path}/report") == 0
    page = (tmp_path / "report" / "report.html").read_text()
    for shown in (
        "<h2>Image-label consistency</h2>",
        "Consistency of image and label map",
        "SegResNet",
        "below the low quantile of real pairs",
    ):
        assert shown in page
    assert "real-0" not in page and "synthetic-0" not in page
    results, _ = read_results(chain / "consistency")
    assert {r.name for r in results} >= {
        "consistency.real.segresnet.quantile",
        "consistency.synthetic.segresnet.below.disc",
    }


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("evaluate consistency --real {root}/real --synthetic {root}/synthetic --set network=unet --out {new}", 2),
        ("evaluate consistency --real {root}/real --synthetic {root}/synthetic --set reference=test --out {new}", 2),
        ("evaluate consistency --real {root}/real --synthetic {root}/real --out {new}", 2),
        ("evaluate consistency --task segmentation --real {root}/real --synthetic {root}/synthetic --out {new}", 2),
        ("screen {root}/real --evidence {root}/consistency --out {new}", 2),
        ("screen {root}/synthetic --evidence {root}/real --out {new}", 2),
        ("screen {root}/synthetic --evidence {root}/consistency --threshold much --out {new}", 2),
        ("screen {root}/synthetic --evidence {root}/consistency --threshold liver=0.5 --out {new}", 2),
        ("screen {root}/synthetic --evidence {root}/privacy --threshold 0.5 --out {new}", 2),
        ("screen {root}/synthetic --out {new}", 2),
        ("screen {root}/synthetic --evidence {root}/consistency --out {new}/deeper/down", 2),
    ],
)
def test_what_is_refused(
    chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: str, code: int
) -> None:
    capsys.readouterr()
    assert run(arguments.format(root=chain, new=tmp_path / "new")) == code
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1 and len(err) > 40
    assert list(tmp_path.iterdir()) == []


def test_thresholds_are_read() -> None:
    assert read_thresholds(None) is None and read_thresholds("0.6") == {"mean": 0.6}
    assert read_thresholds("real,tumour=0.5") == {"mean": "real", "tumour": 0.5}
    for wrong in ("1.5", "tumour=", "a=b", "0.5,mean=0.6", "nan"):
        with pytest.raises(UsageError, match="--threshold"):
            read_thresholds(wrong)
