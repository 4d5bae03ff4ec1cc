"""A bundle on disk: the models of its own files, and a walk over everything that lies in it.

manifest.json has one spelling: its bytes are those that its content gives, among it a digest of the rest, so that no
bit of it can change unnoticed. **Checked** in tests/release/test_bundle.py.
"""

import hashlib
import json
import os
import stat
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from understudy.core.documents import STRICT
from understudy.core.errors import UnderstudyError
from understudy.core.provenance import ProvenanceRecord
from understudy.core.result import Result
from understudy.data.seal import Seal
from understudy.release.disclosure import Comparison
from understudy.release.gate import Check

SCHEMA = 3
MANIFEST = "manifest.json"
BEFORE = "before-screening"  # a folder of evidence


class SealCount(BaseModel):
    """How many of what should be sealed was sealed with the key of the real cohort, and whether that was at hand.

    ``public``: that key is the one that everybody knows, and the cohort does not say that it is of no people.
    """

    model_config = STRICT

    sealed: int
    of: int
    key: bool
    public: bool = False


class KnownFacts(BaseModel):
    """What the limits were held against beside the evidence: the real cohort's id, whether
    and by which matchers it was screened, counts, seals.
    """

    model_config = STRICT

    real: str
    screened: bool
    facts: list[Result]
    screened_by: list[str] | None
    seals: SealCount


class GateFile(BaseModel):
    """gate.json: the verdict, and what the comparison with the real cohort found."""

    model_config = STRICT

    override: str | None
    checks: list[Check]
    known: KnownFacts
    compared: Comparison | None


class Manifest(BaseModel):
    """manifest.json: the request, who signed, and the SHA-256 of every other file by its name in the bundle."""

    model_config = STRICT

    schema_version: int
    cohort: str
    policy: str
    override: str | None
    formats: list[str]
    provenance: ProvenanceRecord
    files: dict[str, str]
    signer: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")  # public key, whose signature is manifest.sig
    seal: Seal | None = None  # over what is above, with the key of the real cohort
    digest: str = ""  # SHA-256 of all of the above

    def content(self) -> dict[str, Any]:
        """Return what is sealed."""
        return self.model_dump(mode="json", exclude={"seal", "digest"})

    def encoded(self) -> bytes:
        """Return the bytes of manifest.json, with the digest that belongs to them."""
        digest = hashlib.sha256(encoded(self.model_copy(update={"digest": ""}))).hexdigest()
        return encoded(self.model_copy(update={"digest": digest}))


def encoded(document: BaseModel) -> bytes:
    """Return a document of a bundle as the bytes of a JSON file."""
    return (json.dumps(document.model_dump(mode="json"), indent=1, allow_nan=False) + "\n").encode()


def walk(bundle: Path) -> tuple[set[str], list[str]]:
    """Return the names of the regular files in a bundle, and what else there is: links, pipes, empty folders.

    Raises:
        UnderstudyError: a folder cannot be read.
    """
    files: set[str] = set()
    wrong: list[str] = []
    for folder, folders, names in os.walk(bundle, onerror=_refuse_unreadable):
        where = Path(folder)
        for name in sorted([*folders, *names]):
            path, told = where / name, (where / name).relative_to(bundle).as_posix()
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                files.add(told)
            elif not stat.S_ISDIR(mode):
                wrong.append(f"{told} is {'a link' if stat.S_ISLNK(mode) else 'no regular file'}")
        if not folders and not names and where != bundle:
            wrong.append(f"{where.relative_to(bundle).as_posix()} is an empty folder")
    return files, wrong


def _refuse_unreadable(error: OSError) -> None:
    raise UnderstudyError(f"{error.filename} cannot be read ({error.strerror}): make it readable, or get it again")
