"""``evaluate privacy``: is a synthetic case nearer to a training case than the cases of unseen subjects are?

For each synthetic case the stage finds the training case of the highest Pearson r (Akbar's measure, pearson.py) and, by
several matchers that recognise transformed copies, how near it lies (copies/); nearness is calibrated on control
subjects, joined by training subjects against the others where they are few. Label maps are compared apart. Attacks
(attacks/) ask what an outsider learns of the patients; the canary audit (canaries/) injects copies and counts those
found.
**Not covered**: transformations that the audit does not inject; copies of parts smaller than it injects. Few flags do
not show that nothing was copied; the audit says how much they show.
**Checked** in tests/evaluation/privacy/test_stage.py (injected copies, independent noise, withheld numbers).
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance
from understudy.core.result import write_results
from understudy.core.stage import finished
from understudy.evaluation.cache import open_cache
from understudy.evaluation.folder import join_notes, results_folder, results_key
from understudy.evaluation.guard import leak_note, open_pair, short_names
from understudy.evaluation.nearest import nearest
from understudy.evaluation.privacy import calibration
from understudy.evaluation.privacy.attacks.authenticity import nearness_results
from understudy.evaluation.privacy.attacks.report import attack_all, attack_results, write_attacks
from understudy.evaluation.privacy.attacks.setup import AttackSetup, ScoreQuery
from understudy.evaluation.privacy.canaries.report import write_audit
from understudy.evaluation.privacy.config import PrivacyConfig
from understudy.evaluation.privacy.curves import write_curves, write_pairs, write_thresholds, write_worst_pairs
from understudy.evaluation.privacy.judgement import (
    CopyDetectors,
    CopyEvidence,
    audit_maps,
    judge_images,
    judge_maps,
    judge_swapped,
)
from understudy.evaluation.privacy.pearson import ImageVectors
from understudy.evaluation.privacy.report import results_of, skipped


def evaluate_privacy(
    real: Path,
    synthetic: list[Path],
    out: Path,
    seed: int,
    config: PrivacyConfig | None = None,
    score_queries: Mapping[str, ScoreQuery] | None = None,
    cache: Path | None = None,
) -> Path:
    """Compare every synthetic case with every training case, count those nearer than unseen subjects are, and attack.

    Each of the synthetic cohorts is evaluated for itself. White-box score queries, by name, are of the generator of the
    one synthetic cohort; without them those attacks are left out. ``cache`` is a folder of its own where what detectors
    learn and match is kept between evaluations, which changes no byte of the results: INTERNAL, never released.

    Returns:
        ``out``, with results.json, tables, curves and internal/ (pairs.csv, attacks.csv, worst_pairs.npz); where a
        cohort has label maps only, the results say what was skipped.

    Raises:
        UsageError: wrong kinds of cohorts, sizes, channels or a cache that do not fit, score queries for several
            cohorts or of unknown names, an output of another request.
        UnderstudyError: a control or test subject is among those a synthetic cohort was trained on.
    """
    config = config or PrivacyConfig()
    cohort, others = open_pair(real, synthetic, splits={"train": 1}, labels=False, images=False)
    asked = _known_queries(score_queries or {}, others, config)
    pictured = all(c.images is not None for c in (cohort, *others))
    provenance = Provenance(
        "evaluate privacy",
        config.model_dump(exclude={"memory_mib"}),
        seed,
        {"real": cohort.id, "synthetic": ",".join(c.id for c in others)}
        | {f"score_query.{name}": query.identity for name, query in asked.items()},
    )
    if finished(out, "results.json", provenance):
        return Path(out)
    names = short_names(others) if len(others) > 1 else [""]
    kept = open_cache(cache, [Path(real), *map(Path, synthetic), Path(out)], results_key(Path(out), cohort))
    with results_folder(out, cohort) as folder:
        if not pictured:
            write_results(folder, [result for name in names for result in skipped(name, seed)], provenance)
            return Path(out)
        detectors = CopyDetectors(cohort, config, seed, kept)
        named = zip(names, others, strict=True)
        evidence = [judge(cohort, other, name, seed, config, detectors) for name, other in named]
        setups = [_setup(cohort, e, seed, config, asked) for e in evidence]
        attacked = [attack_all(setup, config.attacks, config.bootstrap) for setup in setups]
        results = [result for e in evidence for result in results_of(e, seed)]
        for e, setup, found in zip(evidence, setups, attacked, strict=True):
            results += attack_results(e.prefix, found, seed) + nearness_results(e.prefix, setup, config.bootstrap)
        if config.audit:
            rows = evidence[-1].rows
            maps = audit_maps(cohort, rows, config, seed)
            results += write_audit(folder, detectors.audit(rows), maps, seed)
        write_results(folder, results, provenance)
        write_attacks(folder, [(e.name, e.cohort.id) for e in evidence], attacked)
        write_thresholds(folder, evidence)
        write_curves(folder, evidence)
        write_pairs(folder, cohort, evidence)
        write_worst_pairs(folder, cohort, evidence, config.worst_pairs)
    return Path(out)


def judge(
    real: Cohort, synthetic: Cohort, name: str, seed: int, config: PrivacyConfig, detectors: CopyDetectors
) -> CopyEvidence:
    """Find the nearest training case of each synthetic case, and calibrate what is too near; both cohorts have images.

    The results are called by the name; "" where the synthetic cohort is the only one.
    """
    rows, note = calibration.training_rows(real, synthetic)
    learned = calibration.learned_rows(real, synthetic, rows)
    found = nearest(ImageVectors(synthetic, synthetic.rows()), ImageVectors(real, rows), memory_mib=config.memory_mib)
    control = calibration.control_reference(real, rows, config.memory_mib)
    training = calibration.training_reference(real, rows, config.memory_mib, seed)
    reference, threshold = calibration.calibration_reference(control, training), None
    if reference.n_subjects >= MIN_SUBJECTS:
        threshold = calibration.calibrate(reference, config.false_positive_rate, config.bootstrap, seed)
    detector = detectors.of(rows, learned)
    copies = judge_images(synthetic, detector)
    return CopyEvidence(
        name,
        synthetic,
        rows,
        learned,
        len(np.unique(real.column("subject_id")[rows])),
        found,
        copies,
        judge_maps(real, synthetic, rows, config, seed),
        judge_swapped(synthetic, learned, detectors, rows),
        control,
        training,
        calibration.neighbour_reference(real, rows),
        calibration.blurred_reference(real, rows, config.memory_mib, seed),
        calibration.reverse_reference(real, synthetic, config.memory_mib),
        threshold,
        config,
        join_notes(note, leak_note(synthetic)),
    )


def _setup(
    real: Cohort, e: CopyEvidence, seed: int, config: PrivacyConfig, score_queries: Mapping[str, ScoreQuery]
) -> AttackSetup:
    """Return the setup of the attacks on one synthetic cohort."""
    others = np.sort(np.concatenate([real.rows(split) for split in config.non_members]))
    return AttackSetup(
        real, e.cohort, e.learned, others, seed, config.attack_features, score_queries, config.memory_mib
    )


def _known_queries(
    score_queries: Mapping[str, ScoreQuery], others: list[Cohort], config: PrivacyConfig
) -> Mapping[str, ScoreQuery]:
    """Refuse score queries that no attack uses, or that could be of any of several generators."""
    if score_queries and len(others) > 1:
        raise UsageError(f"a score query is of one generator, and {len(others)} cohorts were named: evaluate each")
    if unknown := sorted(set(score_queries) - set(config.attacks)):
        raise UsageError(f"no attack uses the score query {unknown[0]!r}: attacks are {', '.join(config.attacks)}")
    return score_queries
