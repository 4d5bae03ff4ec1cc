"""Networks that learn real cases alone are trained once: what they did on the test subjects is kept in a cache.

They depend on the real cohort, on the settings of the network and on the seed, and on no synthetic cohort: who judges
another cohort against the same real one finds them. Kept are the scores of each network by test subject, or by test
case, and its scores on validation subjects while it was trained; no pixel and no weight. What is read from a cache is,
bit for bit, what training again would give: its names hold all that decides it, with the source of understudy, the
versions of the libraries, the processor and the number of threads, and its seals are checked (evaluation/cache.py).
**Checked** in tests/evaluation/utility/test_kept.py (the same bytes; what misses; forged and damaged entries).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from understudy.core.cohort import Cohort
from understudy.core.seed import derive
from understudy.data.seal import content_id
from understudy.evaluation.cache import Cache
from understudy.evaluation.utility.arms import Arm
from understudy.evaluation.utility.config import Repeats
from understudy.evaluation.utility.task import Outcome, Task


@dataclass(frozen=True)
class Networks:
    """Trains the networks of a utility evaluation, or finds in a cache what those on real cases did."""

    task: Task
    real: Cohort
    config: Any
    seed: int
    cache: Cache

    def run(self, arm: Arm, repeat: int, outcomes: dict[str, Outcome], advance: Callable[[int], None]) -> None:
        """Add one network of an arm to its outcomes, by choice of weights; ``advance`` is told of updates."""
        own = derive(self.seed, self.task.model, repeat)  # the same in every arm
        if arm.cohort or self.cache.folder is None:
            self.task.run(arm.cases, arm.judges, outcomes, own, lambda: advance(1))
            return
        (choice,) = arm.choices
        (judge,) = arm.judges
        about = self._about(arm, repeat)
        keys = [{**about, "part": part} for part in ("scores", "curve")]
        done, curve = (self.cache.load(key) for key in keys)
        if done is None or curve is None:
            fresh = self.task.outcome()
            self.task.run(arm.cases, arm.judges, {choice: fresh}, own, lambda: advance(1))
            done, curve = fresh.last(), np.array(fresh.curves[judge][-1], float)
            for key, array in zip(keys, (done, curve), strict=True):
                self.cache.store(key, array)
        else:
            advance(self.config.updates)
        outcomes[choice].add(done)
        outcomes[choice].curves.setdefault(judge, []).append([(int(at), float(score)) for at, score in curve])

    def _about(self, arm: Arm, repeat: int) -> dict[str, Any]:
        """Return all that decides what a network on real cases does, but for the code and the machine."""
        settings = self.config.model_dump(mode="json", exclude=set(Repeats.model_fields))
        cohort = {"cohort": self.real.id, "content": content_id(self.real, None)}
        drawn = {"arm": arm.kind, "seed": self.seed, "repeat": repeat}
        return {"what": "networks on real cases", "task": self.task.model, "settings": settings, **cohort, **drawn}
