"""``release`` and ``verify`` as a user types them, on the evidence that ``evaluate privacy`` gives today."""

import shlex
from pathlib import Path

import numpy as np
import pytest
import yaml

from understudy.cli import main
from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.data.seal import cohort_seal


def write(out: Path, kind: str, n: int, seed: int, seen: list[dict[str, object]]) -> Path:
    random = np.random.default_rng(seed)
    manifest = {"modality": "CR", "size": (16, 16), "channels": [Channel("a", 0, 255)], "dtype": "uint8"}
    manifest |= {"scheme": None, "label_source": None, "trained_on": seen}
    manifest["provenance"] = Provenance("import phantom" if kind == "real" else "toy", {}, seed)  # the key is public
    manifest["seal"] = cohort_seal([], None)
    with CohortWriter(out, kind=kind, **manifest) as writer:  # type: ignore[arg-type]
        for i in range(n):
            image, name = random.integers(0, 255, (1, 16, 16)).astype(np.uint8), f"{kind}-case-{i:03d}"
            split = ("train", "control")[i % 2] if kind == "real" else ""
            writer.append(image, None, {"case_id": name, "subject_id": name, "split": split})
    return out


def run(*parts: object) -> int:
    return main.main([word for part in parts for word in shlex.split(str(part))])


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("release")
    real = Cohort.open(write(root / "real", "real", 120, 0, []))
    write(root / "synthetic", "synthetic", 10, 1, [real.seen("train")])
    both = f"--real {root}/real --synthetic {root}/synthetic"
    assert run(f"evaluate privacy {both} --out {root}/privacy --set judgement=second") == 0
    return root


def test_todays_evidence_is_refused_by_the_default_policy(
    chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = f"release {chain}/synthetic --evidence {chain}/privacy --real {chain}/real --out {tmp_path}/bundle"
    assert run(words) == 1
    said = capsys.readouterr().err
    assert "3 of 25 limits do not hold: (1) audit, mean recall" in said and "audit, worst transformation: asked" in said
    assert "privacy.audit.false_positive_p was not measured" in said
    assert list(tmp_path.iterdir()) == []
    assert run(f"{words} --override 'a demonstration on noise'") == 0
    assert "warning: released over its policy" in capsys.readouterr().out
    assert run(f"verify {tmp_path}/bundle") == 1
    assert "a demonstration on noise" in capsys.readouterr().err


def test_a_stewards_policy_lets_it_out(chain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("release a --evidence b --out c --dry-run") == 0
    policy = yaml.safe_load(capsys.readouterr().out)["policy"]
    policy["limits"] = [limit for limit in policy["limits"] if "privacy.a" not in str(limit["result"])]
    (tmp_path / "policy.yaml").write_text(yaml.safe_dump(policy))
    words = f"release {chain}/synthetic --evidence {chain}/privacy --real {chain}/real --out {tmp_path}/bundle"
    assert run(f"{words} --policy {tmp_path}/policy.yaml") == 0
    assert run(f"verify {tmp_path}/bundle") == 0
    said = capsys.readouterr().out
    assert "every limit of the policy holds. The policy calls itself 'default' and is not one that understudy" in said
    again = f"--synthetic {tmp_path}/bundle/cohort --out {tmp_path}/again --set matchers=[pixels]"
    assert run(f"evaluate privacy --real {chain}/real {again}") == 0
    assert "trained_on is not recorded" in (tmp_path / "again" / "results.json").read_text()
    assert run(f"verify {tmp_path}") == 2 and run(f"verify {tmp_path}/bundle --dry-run") == 0
