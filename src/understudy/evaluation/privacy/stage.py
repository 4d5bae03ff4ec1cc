"""``evaluate privacy``: is a synthetic case nearer to a training case than a stranger's case is?

For each synthetic case the training case of the highest Pearson r (Akbar's measure, correlation.py) and, from several
views that see through disguises, what no stranger's case comes as near to (copies/); strangers are control subjects,
whom nobody has seen, joined by training subjects against the others where they are few. Label maps are compared apart.
Attacks (attacks/) ask what an outsider learns of the patients; the audit (audit/) plants copies and counts those found.
**Not covered**: disguises that the audit does not plant; copies of parts smaller than it plants. Few flags do not show
that nothing was copied; the audit says how much they show.
**Checked** in tests/evaluation/privacy/test_stage.py (planted copies, independent noise, withheld numbers).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS, internal
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance
from understudy.core.result import write_results
from understudy.core.stage import finished, output_folder
from understudy.evaluation.folder import write_rows, write_table
from understudy.evaluation.guard import leak_note, open_pair, short_names
from understudy.evaluation.nearest import nearest
from understudy.evaluation.privacy.attacks.authenticity import nearness_results
from understudy.evaluation.privacy.attacks.report import (
    ROWS,
    TABLE,
    Attacked,
    attack_all,
    attack_results,
    attack_table,
    subject_rows,
)
from understudy.evaluation.privacy.attacks.setup import Oracle, Scene
from understudy.evaluation.privacy.calibration import (
    blurred_reference,
    calibrate,
    control_reference,
    neighbour_reference,
    reverse_reference,
    strangers,
    training_reference,
    training_rows,
)
from understudy.evaluation.privacy.canaries.report import write_audit
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.curves import write_curves, write_gallery, write_pairs, write_thresholds
from understudy.evaluation.privacy.evidence import Evidence
from understudy.evaluation.privacy.judgement import Detectors, judge_by_r, judge_images, judge_maps
from understudy.evaluation.privacy.pearson import ImageVectors
from understudy.evaluation.privacy.report import results_of, skipped


def evaluate_privacy(
    real: Path,
    synthetic: list[Path],
    out: Path,
    seed: int,
    config: PrivacyConfig | None = None,
    oracles: Mapping[str, Oracle] | None = None,
) -> Path:
    """Compare every synthetic case with every training case, say how many are nearer than strangers are, and attack.

    Args:
        real: folder of the real cohort, with its splits.
        synthetic: folders of the synthetic cohorts; each is judged for itself.
        out: results folder to make.
        seed: for the bootstrap.
        config: settings; the defaults where None.
        oracles: what attacks may ask of the generator of the one synthetic cohort, by name; without them those attacks
            are left out.

    Returns:
        ``out``, with results.json, tables, curves and internal/ (pairs.csv, attacks.csv, gallery.npz); where a cohort
        has label maps only, the results say what was skipped.

    Raises:
        UsageError: wrong kinds of cohorts, sizes or channels that do not fit, oracles for several cohorts or of unknown
            names, an output of another request.
        UnderstudyError: a control or test subject is among those a synthetic cohort was trained on.
    """
    config = config or PrivacyConfig()
    cohort, others = open_pair(real, synthetic, splits=("train",), labels=False, images=False, minimum=1)
    asked = _oracles(oracles or {}, others, config)
    pictured = all(c.images is not None for c in (cohort, *others))
    provenance = Provenance(
        "evaluate privacy",
        config.model_dump(exclude={"memory_mib"}),
        seed,
        {"real": cohort.id, "synthetic": ",".join(c.id for c in others)}
        | {f"oracle.{name}": oracle.identity for name, oracle in asked.items()},
    )
    if finished(out, "results.json", provenance):
        return Path(out)
    names = short_names(others) if len(others) > 1 else [""]
    with output_folder(out) as folder:
        if not pictured:
            write_results(folder, [result for name in names for result in skipped(name, seed)], provenance)
            return Path(out)
        detectors = Detectors(cohort, config, seed)
        evidence = [
            judge(cohort, other, name, seed, config, detectors) for name, other in zip(names, others, strict=True)
        ]
        scenes = [_scene(cohort, e, seed, config, asked) for e in evidence]
        attacked = [attack_all(scene, config.attacks, config.bootstrap) for scene in scenes]
        results = [result for e in evidence for result in results_of(e, seed)]
        for e, scene, found in zip(evidence, scenes, attacked, strict=True):
            results += attack_results(e.prefix, found, seed) + nearness_results(e.prefix, scene, config.bootstrap)
        if config.audit:
            results += write_audit(folder, detectors.audit(), seed)
        write_results(folder, results, provenance)
        _write_attacks(folder, evidence, attacked)
        write_thresholds(folder, evidence)
        write_curves(folder, evidence)
        write_pairs(folder, cohort, evidence)
        write_gallery(folder, cohort, evidence, config.gallery)
    return Path(out)


def judge(
    real: Cohort, synthetic: Cohort, name: str, seed: int, config: PrivacyConfig, detectors: Detectors
) -> Evidence:
    """Find the nearest training case of each synthetic case and calibrate what is too near.

    Args:
        real: the real cohort, with images.
        synthetic: the synthetic cohort, with images.
        name: how its results are called; "" where it is the only one.
        seed: for the bootstrap.
        config: the settings.
        detectors: of copies, by what was trained on.
    """
    rows, note = training_rows(real, synthetic)
    found = nearest(ImageVectors(synthetic, synthetic.rows()), ImageVectors(real, rows), memory_mib=config.memory_mib)
    control = control_reference(real, rows, config.memory_mib)
    training = training_reference(real, rows, config.memory_mib, seed)
    reference = strangers(control, training)
    threshold = (
        calibrate(reference, config.false_alarm_rate, config.bootstrap, seed)
        if reference.n_subjects >= MIN_SUBJECTS
        else None
    )
    detector = detectors.of(rows)
    return Evidence(
        name,
        synthetic,
        rows,
        len(np.unique(real.column("subject_id")[rows])),
        found,
        judge_images(synthetic, detector) if detector else judge_by_r(found, reference, config, seed),
        judge_maps(real, synthetic, rows, config, seed),
        control,
        training,
        neighbour_reference(real, rows),
        blurred_reference(real, rows, config.memory_mib, seed),
        reverse_reference(real, synthetic, config.memory_mib),
        threshold,
        config,
        "; ".join(filter(None, (note, leak_note(synthetic)))),
    )


def _scene(real: Cohort, e: Evidence, seed: int, config: PrivacyConfig, oracles: Mapping[str, Oracle]) -> Scene:
    """Set the scene of the attacks on one synthetic cohort."""
    others = np.sort(np.concatenate([real.rows(split) for split in config.non_members]))
    return Scene(real, e.cohort, e.rows, others, seed, config.attack_features, oracles, config.memory_mib)


def _oracles(oracles: Mapping[str, Oracle], others: list[Cohort], config: PrivacyConfig) -> Mapping[str, Oracle]:
    """Refuse oracles that no attack asks, or that could be of any of several generators."""
    if oracles and len(others) > 1:
        raise UsageError(f"an oracle speaks for one generator, and {len(others)} cohorts were named: evaluate each")
    if unknown := sorted(set(oracles) - set(config.attacks)):
        raise UsageError(f"no attack asks the oracle {unknown[0]!r}: attacks are {', '.join(config.attacks)}")
    return oracles


def _write_attacks(folder: Path, evidence: list[Evidence], attacked: list[list[Attacked]]) -> None:
    """Write tables/privacy_attacks.csv, and internal/attacks.csv with a row a subject."""
    pairs = list(zip(evidence, attacked, strict=True))
    write_table(folder, "privacy_attacks", TABLE, [r for e, a in pairs for r in attack_table(e.name or "synthetic", a)])
    write_rows(internal(folder) / "attacks.csv", ROWS, [r for e, a in pairs for r in subject_rows(e.cohort.id, a)])
