"""What the page says of each evaluation: CHAPTERS is the menu, in the order of the page.

An entry is a section's title, what was done, and which sentences it adds to what is claimed and what is not. Results of
an evaluation without an entry get a section under its own name, last. **Checked** in tests/report/test_chapters.py.
"""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Chapter:
    """The words of a section: its title, and what was done and how to read it.

    Then what its numbers are evidence for and what they are no evidence for; and what is not claimed where it was not
    measured.
    """

    title: str
    text: str
    claimed: str = ""
    not_claimed: tuple[str, ...] = ()
    missing: str = ""


CHAPTERS = {
    "pairs": Chapter(
        "Nearest pairs",
        "The synthetic cases with the highest correlation with a training image, each above that image. Compare "
        "anatomy and lesion, not brightness.",
    ),
    "real": Chapter("Real cases", "Training cases, to be compared with the synthetic ones below."),
    "synthetic": Chapter(
        "Synthetic cases",
        "Drawn by the generator; not chosen, but the first of the cohort. Label maps are drawn as outlines.",
    ),
    "utility": Chapter(
        "Utility",
        "A network for the task, segmentation or classification, is trained twice in the same way: on real cases, and "
        "on synthetic cases only. Where it was asked for, it is also trained on both in several shares, on few real "
        "subjects, or on synthetic cases and then on real ones. All are tested on real subjects whom neither the "
        "generator nor the networks saw.",
        "How well one network, trained on synthetic cases only, does on real subjects kept apart, beside the same "
        "network trained on real cases.",
    ),
    "fidelity": Chapter(
        "Fidelity",
        "Synthetic and real images are compared as two sets, by the distance between the distributions of their "
        "features. Label maps are compared by what can be counted in them: volume, number, extent, location and shape "
        "of each class. Beside each number stand two baselines at the same number of cases: real subjects outside the "
        "training split, as new patients are, and training cases drawn again, as copies are.",
        "How far the synthetic cases lie from the real ones as a whole, in the features and statistics named below.",
    ),
    "privacy": Chapter(
        "Privacy",
        "For every synthetic case the most similar training image is searched among all of them. Non-members, real "
        "subjects whom the generator did not see, show how similar two patients are by chance; what is nearer than "
        "that is flagged. Then named attacks are carried out: somebody who holds the released cases, and some images "
        "of a patient, tries to tell whether the patient was among the training patients (membership inference), to "
        "single the patient out, to link records, or to infer a class (attribute inference). Each attack is tried on "
        "members and, as its control group, on non-members: what works equally well on both tells nothing about "
        "training patients. AUC 0.5 is guessing, 1 tells every member from every non-member; the advantage is the "
        "excess of success over the control group, the residual risk that as a share of what was left to gain. A "
        "patient counts once, however many images there are.",
        "Evidence against named attacks only: finding a training image by comparing pixels and, where images of two "
        "dimensions were compared by all matchers, copies with the transformations of the audit, as far as it shows "
        "them found; and those in the table of attacks, with the knowledge that is named there.",
        (
            "Not covered: transformations that the audit did not inject or did not find, and every transformation "
            "where no audit was made; transformed volumes; attacks that are not in the table of attacks, were not "
            "measured there, or whose attacker knows more; patients unlike those of the control group.",
            "Few flags are not evidence that no patient can be recognised.",
        ),
        "Nothing about privacy: it was not measured in these results.",
    ),
    "consistency": Chapter(
        "Image-label consistency",
        "A segmenter that learned real cases, of another architecture than the one that measures utility, segments "
        "every synthetic image; its prediction is compared with the label map of the case. Real pairs that it did not "
        "learn show how well image and label map of a real case agree.",
        "How well the label map of a synthetic case agrees with what one network, trained on real cases, segments in "
        "its image.",
        ("The consistency is that of a network, not of a radiologist: it may misread what it was never shown.",),
    ),
    "correlation": Chapter(
        "Fidelity against utility",
        "Each of many synthetic cohorts is a point: what a fidelity metric says of it, and what a network learned from "
        "it. Rank correlations are turned so that + means: the better the metric, the higher the utility. Intervals "
        "resample whole generators with all their cohorts; with few generators they are rough.",
        "How far each fidelity metric orders these synthetic cohorts as their utility for one task does.",
    ),
    "interrater": Chapter(
        "Inter-rater agreement",
        "Label maps that two raters drew of the same real cases, scored one against the other: the ceiling for a "
        "segmenter that learns from one of them. Precision and recall change places with the raters; the other scores "
        "do not. The interval is over subjects: two raters are no sample of raters.",
    ),
    "reader": Chapter(
        "Reader study",
        "People were shown real and synthetic cases in a random order, without being told which is which, and called "
        "each real or synthetic with their confidence. AUC 0.5: they cannot tell. Intervals hold for other readers and "
        "other cases of the same kind (Obuchowski-Rockette-Hillis). Equivalence to guessing was tested against a "
        "margin that was fixed before anybody read; without it, an interval around 0.5 shows nothing.",
        "How well the readers of this study told synthetic cases from real ones, at the size and on the screens at "
        "which they saw them.",
        (
            "A case that passes for real is not therefore right: readers judged looks, not whether it is good for "
            "diagnosis or training.",
            "Other readers, with more time, other tools or knowledge of the generator, may tell more.",
        ),
    ),
}
ALWAYS_CLAIMED = "Every number stands with the number of subjects or cases behind it."
NEVER_CLAIMED = (
    "Results of one task and one data set do not carry over to others.",
    "Similar distributions do not show that synthetic cases are useful.",
)


def chapter(name: str) -> Chapter:
    """Return the words of a section; its own name where the menu has none."""
    return CHAPTERS.get(name, Chapter(name.capitalize(), ""))


def place(name: str) -> int:
    """Return a section's place on the page, after all others where the menu has none."""
    return [*CHAPTERS, name].index(name)


def claims(measured: Collection[str]) -> tuple[list[str], list[str]]:
    """Return what a page claims and what it does not, by the evaluations that its results are from."""
    words = [CHAPTERS[name] for name in CHAPTERS if name in measured]
    claimed = [one.claimed for one in words if one.claimed]
    missing = [one.missing for name, one in CHAPTERS.items() if one.missing and name not in measured]
    return [*claimed, ALWAYS_CLAIMED], [*missing, *(s for one in words for s in one.not_claimed), *NEVER_CLAIMED]
