"""What an attack is, and what it is given: the released cases, and real cases of members and of non-members.

A **member** is a subject that the generator saw; a **non-member** is a control subject (or a test subject, where the
request says so): the control group. An attack does not know who is who. It gives each real case a score, higher where
it is surer that its subject was a member, and is judged by how far the scores of members lie above those of non-members
(verdict.py).

An attacker has no training images, so features for attacks are those of fixed random filters, or learned on the
**released** cases alone. Those of the other evaluations, learned on the training split, would know members beforehand.
**Checked** in tests/evaluation/privacy/attacks/test_attacks.py.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from understudy.core.cohort import Cohort
from understudy.evaluation.features import EXTRACTORS
from understudy.evaluation.features.blocks import image_blocks
from understudy.evaluation.features.config import FeatureConfig
from understudy.evaluation.features.extractor import Source
from understudy.evaluation.privacy.correlation import ImageVectors
from understudy.evaluation.search import ArrayRows, Rows, UnitRows

LEAST_SD = 1e-6  # a feature that does not differ among released cases is not divided


@dataclass(frozen=True)
class Oracle:
    """What somebody who holds the generator can ask it.

    Attributes:
        identity: what decides its answers, e.g. the hash of a snapshot; it stands in the provenance.
        score: (cohort, rows) -> (n,), as the attack that needs it says.
    """

    identity: str
    score: Callable[[Cohort, np.ndarray], np.ndarray]


@dataclass
class Scene:
    """One synthetic cohort under attack.

    Attributes:
        real: the real cohort.
        synthetic: the released cases.
        members: rows of the real cohort whose subjects the generator saw.
        non_members: rows of subjects that it did not see.
        seed: of all that is drawn.
        features: how images are described where an attack needs features: "random" or "encoder".
        oracles: what can be asked of the generator, by name.
        memory_mib: bound of each search; scores do not depend on it.
    """

    real: Cohort
    synthetic: Cohort
    members: np.ndarray
    non_members: np.ndarray
    seed: int
    features: str = "random"
    oracles: Mapping[str, Oracle] = field(default_factory=dict)
    memory_mib: int = 1024

    @cached_property
    def rows(self) -> np.ndarray:
        """Rows (n,) of all attacked cases, members first."""
        return np.concatenate([self.members, self.non_members])

    @cached_property
    def subjects(self) -> np.ndarray:
        """The subject of each attacked case, (n,)."""
        return self.real.column("subject_id")[self.rows]

    @cached_property
    def is_member(self) -> np.ndarray:
        """Mask (n,) of the cases of members; only judges may look at it."""
        return np.arange(len(self.rows)) < len(self.members)

    @cached_property
    def attacked(self) -> Rows:
        """Pixels of the attacked cases."""
        return ImageVectors(self.real, self.rows)

    @cached_property
    def released(self) -> Rows:
        """Pixels of the released cases."""
        return ImageVectors(self.synthetic, self.synthetic.rows())

    @cached_property
    def described(self) -> tuple[Rows, Rows]:
        """Features of the attacked and of the released cases, in SD of the released ones."""
        config = FeatureConfig(features=self.features)
        released = self.synthetic.rows()
        extract = EXTRACTORS[self.features](Source(self.synthetic, released, config))
        sides = []
        for cohort, rows in ((self.real, self.rows), (self.synthetic, released)):
            blocks = [extract(images) for images in image_blocks(cohort, rows, self.real.encoding)]
            sides.append(np.concatenate(blocks).astype(np.float64))
        mean, sd = sides[1].mean(0), sides[1].std(0)
        one, other = ((side - mean) / np.where(sd > LEAST_SD, sd, 1) for side in sides)
        return UnitRows(ArrayRows(one)), UnitRows(ArrayRows(other))

    def pixels(self, chosen: np.ndarray) -> Rows:
        """Pixels of some of the attacked cases; ``chosen`` counts within ``rows``."""
        return ImageVectors(self.real, self.rows[chosen])


@dataclass(frozen=True)
class Attempt:
    """What one attack found.

    Attributes:
        scores: (n,) one for each row of the scene, higher where the attacker is surer; NaN where a case does not count.
        part: what is added to the attack's name, e.g. a class; "" for most.
        success: (n,) of 0 and 1 where an attack has a success of its own; else None, and a threshold decides.
    """

    scores: np.ndarray
    part: str = ""
    success: np.ndarray | None = None


@dataclass(frozen=True)
class Attack:
    """One entry of the menu.

    Attributes:
        run: the attack.
        question: what is attacked, as a question of a data-protection officer.
        holds: what the attacker is taken to hold.
        aggregate: how the scores of a subject's cases become one: "mean" or "highest" (subjects.py).
        lacks: why the attack cannot be run on a scene, or "".
    """

    run: Callable[[Scene], list[Attempt]]
    question: str
    holds: str
    aggregate: str
    lacks: Callable[[Scene], str] = lambda scene: ""
