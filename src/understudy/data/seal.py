"""Seals: who holds a cohort's key can tell whether a folder, a cohort or an entry of a log is as understudy wrote it.

A seal is HMAC-SHA256 under the key of the pseudonyms (pseudonym.py) over the name and the SHA-256 of every file of a
folder. results.json among them says which cohorts were measured, by which request and which version of understudy, so
that a seal binds all three to the numbers. ``seal.json`` holds it.
The key is that of the real cohort: the one under which the cohort's id is that of its content. Cohorts of subjects that
are no people, as of the built-in phantom, have ids without a key, and a key that everybody knows.
The id of a synthetic cohort has no key. Whatever writes one seals its cohort.json, which holds the hashes of its other
files, with the key at hand, or else with the one that everybody knows; a cohort made from others is sealed with a key
that vouches for all of them, or not at all.
**Not covered**: whoever holds the key can seal anything, and a training's run.json has no seal.
**Source**: RFC 2104. **Checked** in tests/data/test_seal.py.
"""

import hmac
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from understudy.core.cohort import Cohort, file_hash
from understudy.core.documents import STRICT, read_document
from understudy.core.errors import UnderstudyError
from understudy.core.manifest import content_id as manifest_id
from understudy.data.pseudonym import PUBLIC_KEY, key_path, keyed_hash, load_key

SEAL = "seal.json"
COHORT = ("cohort.json",)  # what of a cohort is sealed


class Seal(BaseModel):
    """A seal: which key made it, as 8 hexadecimal digits that do not tell it, and the HMAC as 64."""

    model_config = STRICT

    key: str
    hmac: str


class FolderSeal(Seal):
    """seal.json: the seal of a folder, and the SHA-256 of each of its files by name."""

    files: dict[str, str]


def key_at_hand(option: Path | None, out: Path) -> bytes | None:
    """Return the key in the key file that is named or the user's own; None where there is no such file."""
    file = key_path(option, out)
    return load_key(file) if file.exists() else None


def key_of(cohort: Cohort, key: bytes | None) -> bytes | None:
    """Return the key of a real cohort: ``key``, if its id is keyed with that; the public one where it has none.

    None where it was made with another key, or changed after it was made.
    """
    if cohort.id == content_id(cohort, None):
        return PUBLIC_KEY
    return key if key and cohort.id == content_id(cohort, key) else None


def key_for(cohorts: Sequence[Cohort], key: bytes | None) -> bytes | None:
    """Return the key to seal a synthetic cohort with: of those that vouch for what it is made of, the weakest.

    Without cohorts, as of a run, it is ``key``, or the one that everybody knows. None where no known key vouches for
    one of the cohorts.

    Raises:
        UnderstudyError: one of them was sealed, and changed after that.
    """
    found = {key or PUBLIC_KEY, *(vouching_key(cohort, key) for cohort in cohorts)}
    return None if None in found else PUBLIC_KEY if PUBLIC_KEY in found else key


def vouching_key(cohort: Cohort, key: bytes | None) -> bytes | None:
    """Return the key that vouches for a cohort, ``key`` or the public one: of its seal, or its id where it is keyed.

    Raises:
        UnderstudyError: it was sealed, and changed after that.
    """
    if cohort.kind != "synthetic":
        return key_of(cohort, key)
    return sealed_by(cohort.path, [*([key] if key else []), PUBLIC_KEY], COHORT)


def content_id(cohort: Cohort, key: bytes | None) -> str:
    """Return the id that a cohort of this content has: its cohort.json hashed, with a key or without."""
    manifest: dict[str, Any] = json.loads((cohort.path / "cohort.json").read_bytes())
    manifest.pop("id", None)
    return manifest_id(manifest, key)


def seal(key: bytes, content: Any) -> Seal:
    """Return the seal of plain data."""
    text = json.dumps(content, sort_keys=True)
    return Seal(key=keyed_hash(key, "key", "")[:8], hmac=keyed_hash(key, "seal", text))


def sealing_key(found: Seal, keys: Sequence[bytes], content: Any, where: str) -> bytes | None:
    """Return which of some keys sealed plain data; None where it was another.

    Raises:
        UnderstudyError: it was one of them, and the data are no longer those.
    """
    for key in keys:
        made = seal(key, content)
        if made.key == found.key:
            if not hmac.compare_digest(found.hmac.encode(), made.hmac.encode()):
                raise UnderstudyError(
                    f"the seal of {where} does not hold: it was changed after it was made; make it again"
                )
            return key
    return None


def seal_folder(folder: Path, key: bytes | None, names: Sequence[str] = ()) -> None:
    """Write ``seal.json`` into a folder, over all of its files or those of these names; nothing without a key."""
    if key is not None:
        files = _hashes(folder, names)
        made = FolderSeal(files=files, **seal(key, files).model_dump())
        (folder / SEAL).write_text(json.dumps(made.model_dump(), indent=1) + "\n")


def cohort_seal(cohorts: Sequence[Cohort], key: bytes | None) -> Callable[[Path], None]:
    """Return what seals the folder of a synthetic cohort made from others, or of a run from none (:func:`key_for`)."""
    return partial(seal_folder, key=key_for(cohorts, key), names=COHORT)


def sealed_by(folder: Path, keys: Sequence[bytes], names: Sequence[str] = ()) -> bytes | None:
    """Return which of some keys sealed a folder, or its files of these names; None without a seal, or by another key.

    Raises:
        UnderstudyError: it was sealed, and its files are no longer those.
    """
    if not (folder / SEAL).exists():
        return None
    found = read_document(folder / SEAL, FolderSeal, "a seal", "make the folder again")
    key = sealing_key(found, keys, found.files, str(folder))
    if key is not None:
        _refuse_changed_files(folder, found.files, _hashes(folder, names))
    return key


def _refuse_changed_files(folder: Path, sealed: dict[str, str], there: dict[str, str]) -> None:
    changed = sorted(name for name in {*there, *sealed} if there.get(name) != sealed.get(name))
    if changed:
        raise UnderstudyError(
            f"the seal of {folder} does not hold: {changed[0]} was changed, added or removed after it was made "
            f"({len(changed)} of {len(sealed)} files): make it again"
        )


def _hashes(folder: Path, names: Sequence[str]) -> dict[str, str]:
    files = [folder / name for name in names] or [file for file in folder.rglob("*") if not file.is_dir()]
    found = {file.relative_to(folder).as_posix(): file for file in sorted(files)}
    return {name: file_hash(file) for name, file in found.items() if name != SEAL}
