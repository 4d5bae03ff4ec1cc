"""Stage: one command that reads folders and makes one. The folder is complete or absent, never half.

Outputs are written to a hidden sibling (``.NAME.partial``) that is renamed at the end; a killed stage leaves only that
sibling, which the next run of the same stage sweeps, or goes on with. A lock keeps two runs from writing the same
output at once. **Checked** in tests/core/test_stage.py and, with kill -9 at random moments, in tests/test_kill.py.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from understudy.core.atomic import lock, whole_folder
from understudy.core.disclosure import lock_stamped
from understudy.core.documents import read_document
from understudy.core.errors import UsageError
from understudy.core.provenance import Provenance


@contextmanager
def output_folder(out: Path, keep: Callable[[Path], bool] | None = None) -> Iterator[Path]:
    """Yield an empty folder beside ``out``; rename it to ``out`` on success, remove it on any exception.

    ``keep`` tells of what a killed run left there whether this one goes on with it; it is then kept when interrupted.

    Raises:
        UsageError: ``out`` exists already, or its parent does not, or another process is writing it.
    """
    out = Path(out).absolute()
    _refuse_existing(out)
    if not out.parent.is_dir():
        raise UsageError(f"the folder {out.parent}, in which the output would lie, does not exist: make it first")
    with lock(out.with_name(f".{out.name}.lock"), f"writing {out}"):
        _refuse_existing(out)  # another process may have ended since
        with whole_folder(out, keep=keep) as partial:
            yield partial
            lock_stamped(partial)


def _refuse_existing(out: Path) -> None:
    if out.exists():
        raise UsageError(f"the output {out} exists already: choose another --out or remove it")


class _Finished(BaseModel):
    provenance: dict[str, Any] = {}


def finished(out: Path, marker: str, provenance: Provenance) -> bool:
    """Tell whether ``out`` holds what is asked for now (True), or does not exist (False).

    ``marker`` is the JSON file in it that carries a ``provenance`` entry, e.g. ``cohort.json``.

    Raises:
        UsageError: ``out`` holds something else; nothing is overwritten.
    """
    out, advice = Path(out), "choose another --out or remove it"
    if not out.exists():
        return False
    if not (out / marker).is_file():
        raise UsageError(f"the output {out} exists and is not a finished output of this command: {advice}")
    made = read_document(out / marker, _Finished, "a finished output", advice).provenance
    asked = json.loads(json.dumps(provenance.to_json()))
    if made != asked:
        differ = ", ".join(key for key in asked if made.get(key) != asked[key])
        raise UsageError(f"the output {out} was made by another request (different: {differ}): {advice}")
    return True
