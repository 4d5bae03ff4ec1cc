"""``load_bundle``: the cases of a released cohort, for PyTorch, MONAI, TorchIO or plain NumPy, in a few lines.

Nothing of understudy's training code is imported, and no torch: a sequence of dictionaries of arrays is what
``torch.utils.data.DataLoader`` and ``monai.data.Dataset`` take, and :meth:`ReleasedCases.files` gives the dictionaries
of paths that MONAI's LoadImaged and TorchIO's images read (docs/how-to/use-a-bundle.md).
**Checked** in tests/release/test_loading.py; MONAI and TorchIO load a case in benchmarks/clients (docs/clients.md).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from understudy.core.cohort import Cohort
from understudy.core.documents import read_document
from understudy.core.errors import UnderstudyError, UsageError
from understudy.data.seal import content_id
from understudy.release.formats import FORMS

MANIFEST = "manifest.json"
ADVICE = "get the bundle again from who released it"


class _Released(BaseModel):
    formats: list[str]


class ReleasedCases(Sequence[dict[str, Any]]):
    """The cases of a bundle, opened for reading; arrays are read when a case is asked for.

    Attributes:
        bundle: the folder.
        forms: in which forms it holds the cohort.
        cohort: the cohort itself: table, classes, label scheme, arrays.
    """

    def __init__(self, bundle: Path, forms: Sequence[str], cohort: Cohort) -> None:
        """Use :func:`load_bundle`."""
        self.bundle, self.forms, self.cohort = bundle, tuple(forms), cohort

    def __len__(self) -> int:
        """Return the number of cases."""
        return len(self.cohort)

    def __getitem__(self, i: Any) -> Any:
        """Return case i: ``image`` float32 (C, *S), ``label`` uint8 (1, *S), ``classes`` float32 (K), ``case_id``.

        Images have their stored values; a missing class is NaN. What the cohort has not is left out.
        """
        if isinstance(i, slice):
            return [self[k] for k in range(*i.indices(len(self)))]
        row = range(len(self))[i]
        case: dict[str, Any] = {"case_id": self.cohort.entry("case_id", row)}
        if self.cohort.images is not None:
            case["image"] = np.array(self.cohort.images[row], np.float32)
        if self.cohort.labels is not None:
            case["label"] = np.array(self.cohort.labels[row])[None]
        if self.cohort.classes:
            case["classes"] = self.cohort.class_matrix(np.array([row]))[0]
        return case

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Iterate over all cases."""
        return (self[i] for i in range(len(self)))

    def files(self, form: str | None = None) -> list[dict[str, Any]]:
        """Return the files of each case: ``image`` a list of paths, one a channel, ``label`` a path, ``case_id``.

        ``form`` is one of the bundle's; default: the first whose cases have files of their own.

        Raises:
            UsageError: the bundle does not hold that form, or its cases have no files of their own.
        """
        channels = [channel.name for channel in self.cohort.encoding.channels]
        able = [name for name in self.forms if FORMS[name].files(self.bundle, channels, 0) is not None]
        chosen = form or next(iter(able), "")
        if chosen not in able:
            raise UsageError(
                f"files of single cases are in the forms {', '.join(able) or 'none'} of {self.bundle.name}, found "
                f"{form or 'none asked for'}: release with --format nifti"
            )
        out = []
        for i in range(len(self)):
            found = FORMS[chosen].files(self.bundle, channels, i)
            assert found is not None
            case: dict[str, Any] = {"case_id": self.cohort.entry("case_id", i)}
            case |= {"image": [str(file) for file in found.images]} if channels else {}
            case |= {"label": str(found.label)} if self.cohort.labels is not None else {}
            out.append(case)
        return out


def load_bundle(bundle: Path | str) -> ReleasedCases:
    """Open the cases of a bundle that ``understudy release`` made, with the hashes of its cohort checked.

    Whether the bundle as a whole is as it was released, ``understudy verify`` tells.

    Raises:
        UsageError: there is no bundle.
        UnderstudyError: its manifest or its cohort is damaged, or was changed.
    """
    bundle = Path(bundle)
    if not (bundle / MANIFEST).is_file():
        raise UsageError(f"a bundle was expected at {bundle} (no {MANIFEST}): name what `understudy release` made")
    forms = read_document(bundle / MANIFEST, _Released, "the manifest of a bundle", ADVICE).formats
    if not forms or not set(forms) <= set(FORMS):
        raise UnderstudyError(
            f"{bundle / MANIFEST} should name forms out of {', '.join(FORMS)}, and names "
            f"{', '.join(forms)[:200] or 'none'}: {ADVICE}"
        )
    names = [name for name in FORMS if name in forms]  # the folder of arrays, which costs nothing to read, first
    cohort = FORMS[names[0]].read(bundle)
    cohort.verify()
    if content_id(cohort, None) != cohort.id:
        raise UnderstudyError(f"{cohort.path}/cohort.json was changed after it was released: {ADVICE}")
    return ReleasedCases(bundle, names, cohort)
