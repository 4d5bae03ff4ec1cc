"""The card of a release: what it is, whose data stands behind it in aggregate, what was measured, what is not covered.

Written for a data-protection officer, as Markdown to read and as JSON with the same content. It claims no more than
the evidence: no cohort is called anonymous, no privacy is called proven, and a guarantee of differential privacy stands
only where the cohort records one and nothing else used training data. Everything in it comes from the rest of the
bundle, so that ``verify`` makes it again.
**Checked** in tests/release/test_card.py.
"""

from collections.abc import Sequence

from pydantic import BaseModel

from understudy.core.cohort import Cohort
from understudy.core.disclosure import MIN_SUBJECTS
from understudy.core.documents import STRICT
from understudy.core.labels import CONTROL
from understudy.release.disclosure import Comparison
from understudy.release.evidence import EvidenceSet
from understudy.release.gate import Check
from understudy.release.headings import FilledHeading, filled_headings, markdown_of
from understudy.release.policy import PolicyFile
from understudy.release.screening_log import Count, screenings

OF_COHORT = (
    "The numbers are of this cohort. They say nothing of the generator, its weights, or further cases drawn from it."
)
NOT_COVERED = (
    "Evidence is against the attacks and transformations named in it. Others, and better ones, are not covered.",
    "Few flagged cases are no evidence that nobody can be recognised: a detector finds what its audit shows, no more.",
    "Somebody who holds further data about a patient, other images or a report, may learn more than was tested here.",
    OF_COHORT,
    "Usefulness was measured for the tasks in the evidence, if at all; nothing here replaces clinical validation.",
)
OF_WEIGHTS = (
    "Weights cannot be called back. Who holds them can draw without end, train on, search their latents, and draw "
    "again what screening removed; measured was one white-box attack, and copies among the fresh samples named here."
)
NO_WEIGHTS = "not released"
NO_GUARANTEE = "No differential-privacy guarantee for this cohort"


class CohortSeen(BaseModel):
    """A cohort that the generator learned from: its keyed id, its splits, and how many subjects if many."""

    model_config = STRICT

    cohort: str
    splits: list[str]
    n_subjects: int | None


class ReleaseCard(BaseModel):
    """card.json: what a person who decides on the data must know of a release."""

    model_config = STRICT

    cohort: str
    kind: str
    cases: int
    modality: str
    size: list[int]
    channels: list[str]
    labels: list[str]
    label_source: str | None
    classes: list[str]
    classes_left_out: int  # cases whose combination of classes too few subjects share
    generator: str
    weights: str
    made_by: str
    trained_on: list[CohortSeen]
    away_from: float | None  # how alike to a training image a case might become while it was drawn; None: unguided
    screened: list[Count]
    real_cohort: str
    evidence: list[str]
    differential_privacy: str
    policy: dict[str, str]
    checks: list[Check]
    override: str | None
    real_check: Comparison | None
    headings: list[FilledHeading]
    not_covered: list[str]
    understudy: str


def card_of(
    released: Cohort,
    known: EvidenceSet,
    policy: PolicyFile,
    checks: Sequence[Check],
    override: str | None,
    compared: Comparison | None,
) -> ReleaseCard:
    """Return the card of the de-identified cohort in a bundle, whose provenance is the request of the release.

    ``compared`` is what the comparison with the real cohort found, or None without one.
    """
    request, generator = released.provenance, released.generator or "not recorded"
    made_by = str(request["config"].get("made_by", "not recorded"))
    seen = [
        CohortSeen(cohort=entry["cohort"], splits=entry.get("splits", []), n_subjects=entry.get("n_subjects"))
        for entry in released.trained_on
    ]
    failed = sum(not check.holds for check in checks)
    blanked = released.sampling.get("classes_left_out", 0)
    told = {
        "Compliance": [
            f"{len(checks) - failed} of {len(checks)} limits of the policy {policy.policy.name} hold; it is "
            f"{policy.origin}.",
            guarantee(released),
        ],
        "Comprehension": [
            f"Made by `{made_by}` with the generator {generator}; the request stands in manifest.json.",
            f"Whom it learned from is {'recorded in aggregate' if seen else 'not recorded'}; what each limit guards, "
            "and what is not covered, is said below.",
        ],
    }
    return ReleaseCard(
        cohort=released.id,
        kind=released.kind,
        cases=len(released),
        modality=released.modality,
        size=list(released.size),
        channels=[c.name for c in released.encoding.channels],
        labels=list(released.scheme.names) if released.scheme else [],
        label_source=released.label_source,
        classes=list(released.classes),
        classes_left_out=blanked if isinstance(blanked, int) else 0,
        generator=generator,
        weights=_weights(known),
        made_by=made_by,
        trained_on=seen,
        away_from=released.sampling.get("away_from", {}).get("threshold"),
        screened=[entry.retained.cases for entry in screenings(released)],
        real_cohort=known.real,
        evidence=sorted({folder.section for folder in known.released}),
        differential_privacy=guarantee(released),
        policy={"name": policy.policy.name, "origin": policy.origin, "sha256": policy.digest},
        checks=list(checks),
        override=override,
        real_check=compared,
        headings=filled_headings(released, [result for _, result in known.results("released")], told),
        not_covered=[OF_WEIGHTS if known.weights and text is OF_COHORT else text for text in NOT_COVERED],
        understudy=str(request["understudy"]),
    )


def _weights(known: EvidenceSet) -> str:
    """Say whether the generator's weights are released, and what stands behind that."""
    if not known.weights:
        return NO_WEIGHTS
    drawn = max((r.n or 0 for _, r in known.results("fresh") if r.name == "privacy.copies.flagged"), default=0)
    return (
        f"released in weights/ (SHA-256 begins {known.weights}): what samples, no discriminator, optimiser or encoder; "
        f"copies were looked for in {drawn:,} fresh samples, and one white-box attack was made on these weights"
    )


def guarantee(source: Cohort) -> str:
    """Say which guarantee of differential privacy ``sampling`` records, if nothing else used training data."""
    found = source.sampling.get("differential_privacy")
    found = found if isinstance(found, dict) else {}
    if "unit" not in found or not all(isinstance(found.get(name), int | float) for name in ("epsilon", "delta")):
        return f"{NO_GUARANTEE}: none is recorded."
    if source.sampling.get("screened"):
        return f"{NO_GUARANTEE}: its generator had one, and the screening after it looked at training subjects again."
    if source.sampling.get("away_from"):
        return f"{NO_GUARANTEE}: its generator had one, and drawing away from training images looked at them again."
    usual = found.get("epsilon_at_delta_1e-5")
    beside = f" (epsilon {usual:.3g} at delta 1e-05)" if isinstance(usual, int | float) else ""
    began = "The training began with a generator of other data, said to be public, which it does not cover. "
    return (
        f"Differential privacy, as recorded by the training: epsilon {found['epsilon']:g}, delta {found['delta']:g}"
        f"{beside}, for one {found['unit']} more or less. "
        f"{began if found.get('public_start') else ''}"
        "It covers the cases, not the numbers in evidence/, which come from real data."
    )


def markdown(card: ReleaseCard) -> str:
    """Return a card as Markdown."""
    failed = [check.what for check in card.checks if not check.holds]
    lines = ["# Card of a synthetic cohort", ""]
    if card.override is not None:
        lines += [
            f"> **Released over its policy.** {len(failed)} of {len(card.checks)} limits do not hold "
            f"({', '.join(failed)}). Reason given: {card.override}",
            "",
        ]
    lines += ["## What it is", "", *_what(card), "", "## Whose data stands behind it", "", *_whose(card), ""]
    lines += ["## Scorecard for synthetic medical data", "", *markdown_of(card.headings)]
    lines += ["## Limits and what was found", "", *_table(card), ""]
    lines += ["## What each limit guards", "", *(f"- **{c.what}**: {c.why}" for c in card.checks), ""]
    lines += ["## Not covered", "", *(f"- {sentence}" for sentence in card.not_covered), ""]
    lines += [f"Made by understudy {card.understudy}. Evidence is in `evidence/`, and as a page in `report/`."]
    return "\n".join(map(one_line, lines)) + "\n"


def _what(card: ReleaseCard) -> list[str]:
    labels = f"label maps ({', '.join(card.labels[1:])}; {card.label_source})" if card.labels else ""
    parts = [f"images ({', '.join(card.channels)})" if card.channels else "", labels]
    size = " x ".join(map(str, card.size))
    told = [
        f"- {card.cases:,} {card.kind} cases, {card.modality}, {size}: {' and '.join(filter(None, parts))}.",
        f"- Made by `{card.made_by}` with the generator {card.generator}.",
        f"- The generator's weights: {card.weights}.",
        f"- Cohort `{card.cohort}`, a hash of its content.",
    ]
    if card.classes_left_out:
        told.append(
            f"- Classes are left out of {card.classes_left_out:,} cases, whose combination fewer than {MIN_SUBJECTS} "
            "subjects share."
        )
    if card.away_from is not None:
        told.append(
            "- Drawn away from training images: the evidence is about what that guidance left; a generator that has "
            "memorised shows it without."
        )
    return told + [
        f"- Screened: {entry.after:,} of {entry.before:,} cases were kept; cases that evidence spoke against "
        "were removed."
        for entry in card.screened
    ]


def _whose(card: ReleaseCard) -> list[str]:
    told = [f"- Evidence is measured against the real cohort `{card.real_cohort}` (a keyed id)."]
    for seen in card.trained_on:
        n = f"{seen.n_subjects:,} subjects" if seen.n_subjects is not None else "a number of subjects that is not told"
        splits = ", ".join(seen.splits) or "not recorded"
        told.append(f"- Learned from the cohort `{seen.cohort}` (split {splits}): {n}.")
    if not card.trained_on:
        told.append("- Whom the generator learned from is not recorded.")
    compared = card.real_check
    told += [
        "- The bundle was not compared with the real cohort."
        if compared is None
        else f"- Compared with all {compared.real_cases:,} real cases: images, patches, label maps, and every byte "
        f"of {compared.files:,} files for names. Highest correlation {compared.highest_r:.3f}; in figures "
        f"{compared.highest_r_drawn:.3f}. {compared.names_too_short:,} names were too short to be looked for.",
        f"- {card.differential_privacy}",
    ]
    return told


def _table(card: ReleaseCard) -> list[str]:
    lines = [
        f"Policy {card.policy.get('name')}, {card.policy.get('origin')}, SHA-256 `{card.policy.get('sha256')}`.",
        "",
        "| limit | asked | found | holds | evidence |",
        "|---|---|---|---|---|",
    ]
    for c in card.checks:
        cells = [c.what, c.limit, c.found, "yes" if c.holds else "**no**", c.evidence or "none"]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return lines


def one_line(text: str) -> str:
    """Return a text as one line of Markdown: no control characters, HTML as text, no link or picture by a name."""
    return " ".join(CONTROL.sub(" ", text).split()).replace("<", "&lt;").replace("](", "]\\(")
