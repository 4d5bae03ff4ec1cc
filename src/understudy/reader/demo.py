"""``reader demo``: a whole reader study on the built-in phantom, with simulated readers, in a minute.

The synthetic cohort is no generator's: it is the phantoms of the training split, blurred a little, in the place of one.
**Checked** in tests/reader/test_demo.py.
"""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from understudy.core.cohort import Cohort
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.reader.plan import COMMENT, SOURCE, Question, StudyPlan

BLUR = 0.6  # pixels
PLAN = StudyPlan(
    title="Demo: phantoms, and blurred phantoms",
    training=4,
    wrong_annotations=0.2,
    questions=(
        SOURCE,
        Question(
            name="realism",
            kind="scale",
            text="How realistic does it look?",
            options=("not", "little", "fairly", "very"),
        ),
        Question(name="outline", kind="annotation", text="Is the outline of the tumour correct?"),
        Question(
            name="artefacts", kind="checklist", text="Which artefacts do you see?", options=("blur", "noise", "edges")
        ),
        COMMENT,
    ),
)


def stand_in(source: Cohort, out: Path, seed: int = 0) -> Path:
    """Write a synthetic cohort that is the training images of a real one, blurred: a demo has it for a generator's."""
    request = Provenance("reader demo", {"generator": "blurred", "blur": BLUR}, seed, {"source": source.id})
    described: dict[str, Any] = {"kind": "synthetic", "label_source": None if source.scheme is None else "sampled"}
    described["trained_on"] = [source.seen("train")]
    with CohortWriter.after(source, out, request, **described) as writer:
        for row in source.rows("train").tolist():
            assert source.images is not None  # an imported phantom has images
            blurred = gaussian_filter(np.asarray(source.images[row], np.float64), (0, *[BLUR] * len(source.size)))
            name = f"synthetic-{row:06d}"
            own = {"case_id": name, "subject_id": name} | {one: source.entry(one, row) for one in source.classes}
            label = None if source.labels is None else source.labels[row]
            whole = np.issubdtype(np.dtype(source.encoding.dtype), np.integer)
            writer.append((blurred.round() if whole else blurred).astype(source.encoding.dtype), label, own)
    return out
