"""Pseudonyms: HMAC-SHA256 of a source's subject names under a secret that lies outside the cohort.

The same key gives a patient the same pseudonym in every import of a project; without it nobody can compute which name a
pseudonym stands for, nor test a guess. **Source**: RFC 2104. **Checked** in tests/data/test_pseudonym.py.
"""

import hmac
import os
import secrets
from pathlib import Path

from understudy.core.atomic import whole_file
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.regular_file import read_regular

ENVIRONMENT = "UNDERSTUDY_KEY_FILE"
KEY_BYTES, MAX_KEY_BYTES = 32, 2**20
PUBLIC_KEY = b"understudy: nobody to hide"  # for subjects that are no people; a seed of ids, not a message


def key_path(option: Path | None, out: Path) -> Path:
    """Return the key file: the option, else $UNDERSTUDY_KEY_FILE, else ~/.config/understudy/pseudonym.key.

    One that would lie inside the output, which is shared, is refused with UsageError.
    """
    named = option or (Path(os.environ[ENVIRONMENT]) if os.environ.get(ENVIRONMENT) else None)
    path = (named or Path.home() / ".config" / "understudy" / "pseudonym.key").absolute()
    if Path(os.path.realpath(path)).is_relative_to(os.path.realpath(out)):  # which a link in a circle is not
        raise UsageError(
            f"the key file {path} would lie inside the output {out}, and who has the cohort must not have the key: "
            "choose another --key"
        )
    return path


def load_key(path: Path) -> bytes:
    """Read the key; make it (32 random bytes, readable by its owner only) where there is none.

    Two processes that make it at once get the same one: the first to link its file wins.

    Raises:
        UsageError: it is no regular file, or longer than a key can be.
        UnderstudyError: it holds fewer than 16 bytes, or cannot be read or made.
    """
    try:
        if not path.exists():
            _make(path)
        key = read_regular(path, "a pseudonym key", MAX_KEY_BYTES)
    except OSError as error:
        raise UnderstudyError(
            f"the key file {path} can neither be read nor made ({error.strerror}): name another with --key"
        ) from error
    if len(key) < 16:
        raise UnderstudyError(
            f"the key file {path} holds {len(key)} bytes, and a key has {KEY_BYTES}: it is damaged; restore it, or "
            "name another with --key"
        )
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path, mode=0o600, alone=False, replace=False) as handle:  # another process's key is used
        handle.write(secrets.token_bytes(KEY_BYTES))


def keyed_hash(key: bytes, purpose: str, text: str) -> str:
    """Return HMAC-SHA256 of a text as 64 hexadecimal digits; hashes for different purposes are unrelated."""
    return hmac.new(key, f"{purpose}\x1f{text}".encode("utf-8", "surrogateescape"), "sha256").hexdigest()


def pseudonym(key: bytes, subject: str) -> str:
    """Return a subject's pseudonym, ``s-`` and 16 hexadecimal digits."""
    return f"s-{keyed_hash(key, 'subject', subject)[:16]}"
