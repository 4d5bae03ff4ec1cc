"""The cohort as it leaves: its images and classes are kept, and nobody is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.evaluation.guard import leak_note, short_names
from understudy.release.deidentify import write_deidentified
from understudy.release.package import release_cohort
from understudy.release.policy import read_policy
from understudy.release.verify import verify_bundle


@pytest.fixture
def bundle(bench: Any) -> Path:
    return release_cohort(bench.synthetic, bench.evidence(), bench.root / "bundle", real=bench.real)


def test_the_cohort_keeps_its_images_and_names_nobody(bench: Any, bundle: Path) -> None:
    source, made = Cohort.open(bench.synthetic), Cohort.open(bundle / "cohort")
    assert made.images is not None and made.labels is not None
    assert np.array_equal(made.images, source.images) and np.array_equal(made.labels, source.labels)
    assert made.class_matrix().tolist() == source.class_matrix().tolist()
    assert made.encoding == source.encoding and made.kind == "synthetic" and short_names([made]) == ["diffusion"]
    assert made.column("case_id").tolist() == [f"case-{i:06d}" for i in range(1, 13)]
    assert "edited_from" not in made.columns and set(made.column("affine")) == {""}
    assert made.trained_on == [{"cohort": bench.real_id, "splits": ["train"], "subjects": [], "n_subjects": 60}]
    assert leak_note(made) == "trained_on is not recorded: a leak cannot be ruled out"
    everything = b"".join(path.read_bytes() for path in bundle.rglob("*.*"))
    cases = source.column("case_id").tolist()  # whole: croissant.json says synthetic-ID, and an ID may begin with 0
    assert not any(name.encode() in everything for name in (*bench.names, *cases, "donor-of-the-map", str(bench.root)))


def test_the_cohort_keeps_what_was_promised_of_its_training_and_no_more(bench: Any) -> None:
    promised = {"epsilon": 8.0, "delta": 1e-5, "unit": "patient"}
    source = bench.cohort("private", sampling={"differential_privacy": {**promised, "more": "x"}, "asked": 12})
    bundle = release_cohort(source, bench.evidence(source), bench.root / "private-bundle", real=bench.real)
    assert Cohort.open(bundle / "cohort").sampling == {"differential_privacy": promised}
    assert "Differential privacy, as recorded by the training: epsilon 8" in (bundle / "card.md").read_text()


def test_guidance_away_from_training_images_is_told(bench: Any) -> None:
    source = bench.cohort("away", sampling={"away_from": {"cohort": "a keyed id", "threshold": 0.4}})
    bundle = release_cohort(source, bench.evidence(source), bench.root / "away-bundle", real=bench.real)
    assert Cohort.open(bundle / "cohort").sampling == {"away_from": {"threshold": 0.4}}
    assert (
        "- Drawn away from training images: the evidence is about what that guidance left"
        in (bundle / "card.md").read_text()
    )
    assert verify_bundle(bundle)


def test_a_spacing_that_few_subjects_share_is_left_out(bench: Any, tmp_path: Path) -> None:
    exact = ["1.1 1.23697"] * 4 + ["1.08 1.2412"] * 3 + ["0.5 0.5"] * 4 + [""]
    changes = {"kind": "semi-synthetic", "label_source": "edited patient", "key": bench.key, "spacing": exact}
    semi = Cohort.open(bench.cohort("semi", owners=[bench.names[i // 2] for i in range(12)], **changes))
    assert [semi.entry("spacing", i) for i in (0, 4)] == ["1.1 1.23697", "1.08 1.2412"]
    write_deidentified(semi, tmp_path / "plain", Provenance("release"))
    made = Cohort.open(tmp_path / "plain")
    assert made.column("spacing").tolist() == [""] * 12  # four subjects have 1.1 x 1.2, and none is told
    more = Cohort.open(bench.cohort("more", owners=bench.names[:12], **changes))
    write_deidentified(more, tmp_path / "shared", Provenance("release"))
    assert Cohort.open(tmp_path / "shared").column("spacing").tolist() == ["1.1 1.2"] * 7 + [""] * 5
    assert "23697" not in (tmp_path / "shared" / "cases.csv").read_text()


def with_classes(bench: Any, name: str, kind: str, entries: list[tuple[str, str]]) -> Path:
    """Write a case a subject with an age and a ward."""
    out: Path = bench.root / name
    settings: dict[str, Any] = {"kind": kind, "modality": "MR", "size": (4, 4), "channels": [Channel("a", 0, 255)]}
    settings |= {"dtype": "uint8", "scheme": None, "label_source": None, "provenance": Provenance("edit")}
    with CohortWriter(out, classes=["age", "ward"], key=bench.key, **settings) as writer:
        for i, (age, ward) in enumerate(entries):
            row = {"case_id": f"c{i}", "subject_id": f"c{i}", "age": age, "ward": ward}
            writer.append(np.full((1, 4, 4), i, np.uint8), None, row)
    return out


def test_classes_of_patients_that_few_share_are_left_out(bench: Any) -> None:
    ages = [("40", "1")] * 5 + [(f"{40 + i}.1370", "0") for i in range(3)] + [("", "")]
    for kind, left in (("semi-synthetic", 3), ("synthetic", 0)):
        source, out = with_classes(bench, f"{kind}-aged", kind, ages), bench.root / f"{kind}-out"
        write_deidentified(Cohort.open(source), out, Provenance("release"))
        made = Cohort.open(out)
        assert made.sampling.get("classes_left_out", 0) == left
        assert made.column("age").tolist() == ["40"] * 5 + ([""] * 3 if left else ["40.137", "41.137", "42.137"]) + [""]
        assert ("137" in (out / "cases.csv").read_text()) == (not left)


def test_classes_that_are_no_numbers_are_refused(bench: Any) -> None:
    source = Cohort.open(with_classes(bench, "text", "synthetic", [("40", "ZZPATIENT123"), ("40", "1")]))
    with pytest.raises(UnderstudyError, match=r"cases.csv should say 1 number.s. under 'ward'"):
        write_deidentified(source, bench.root / "no", Provenance("release"))
    assert not (bench.root / "no").exists()


def test_the_card_counts_cases_without_classes(bench: Any) -> None:
    changes = {"kind": "semi-synthetic", "label_source": "edited patient", "key": bench.key}
    semi = bench.cohort("few-classes", owners=[bench.names[i % 4] for i in range(12)], **changes)
    policy = yaml.safe_load(read_policy().content)
    policy["label_sources"]["allowed"] = ["sampled", "edited patient"]
    (bench.root / "p.yaml").write_text(yaml.safe_dump(policy))
    out = release_cohort(semi, bench.evidence(semi), bench.root / "o", real=bench.real, policy=bench.root / "p.yaml")
    assert (
        "- Classes are left out of 12 cases, whose combination fewer than 5 subjects" in (out / "card.md").read_text()
    )


def test_a_semi_synthetic_cohort_gets_new_subjects(bench: Any) -> None:
    strict = yaml.safe_load(read_policy().content)
    strict["label_sources"]["allowed"] = ["sampled", "edited patient"]
    (bench.root / "mild.yaml").write_text(yaml.safe_dump(strict))
    semi = bench.cohort(
        "semi",
        kind="semi-synthetic",
        label_source="edited patient",
        key=bench.key,
        owners=[bench.names[i // 2] for i in range(12)],
    )
    evidence = bench.evidence(semi)
    with pytest.raises(UnderstudyError, match=r"label source: asked one of sampled; found edited patient"):
        release_cohort(semi, evidence, bench.root / "no", real=bench.real)
    out = release_cohort(semi, evidence, bench.root / "out", real=bench.real, policy=bench.root / "mild.yaml")
    made = Cohort.open(out / "cohort")
    assert made.column("subject_id").tolist()[:4] == ["subject-000001"] * 2 + ["subject-000002"] * 2
    assert verify_bundle(out)
