"""The secret that noise and the choice of subjects come from: 256 fresh bits a training, destroyed at its end.

Every other random number of understudy follows from a seed in run.json. Whoever knows the seed of the noise takes the
noise away, and with it the guarantee; whoever knows who was drawn takes the amplification by sampling away. So these
two come from the system's entropy. While a training can still be resumed the secret lies in RUN/secret.json, readable
by its owner alone, and a resumed training draws what the uninterrupted one would have drawn; when the training has
ended it is deleted. RUN/secret.json never leaves the institution.

**Differs** from core/seed.py: its seeds have 63 bits and torch's generator on processors keeps 32 of them, which can be
tried one by one; here Philox (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011) is keyed with 128
bits of a keyed BLAKE2b hash of name and step. It is no cipher, and Gaussians are in floating point: attacks on either
(Mironov, On Significance of the Least Significant Bits, CCS 2012) are not covered by the guarantee.
**Checked**: tests/training/dp/test_secret.py.
"""

import hashlib
import json
import secrets
from pathlib import Path

import numpy as np
from pydantic import BaseModel, Field

from understudy.core.atomic import whole_file
from understudy.core.documents import STRICT, read_document
from understudy.core.errors import UnderstudyError

FILE = "secret.json"
BYTES = 32


class SecretFile(BaseModel):
    """The content of secret.json."""

    model_config = STRICT

    key: str = Field(pattern="^[0-9a-f]{64}$")
    note: str = ""


class Secret:
    """Streams of random numbers, from a key of 32 bytes, that cannot be drawn again."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def stream(self, name: str, step: int) -> np.random.Generator:
        """Return the generator of one purpose in one step."""
        digest = hashlib.blake2b(f"{name}\x1f{step}".encode(), key=self._key, digest_size=16).digest()
        return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "big")))


def known(seed: int) -> Secret:
    """Return a secret that is none, for tests and audits."""
    return Secret(hashlib.blake2b(str(seed).encode(), digest_size=BYTES).digest())


def kept(run: Path) -> Secret:
    """Return the secret of a training: that of an interrupted one, else a fresh one, written before it is used.

    Raises:
        UnderstudyError: the training has begun, and its secret is gone.
    """
    file = run / FILE
    if not file.is_file():
        if any(any((run / part).glob("[0-9]*")) for part in ("checkpoints", "snapshots")):
            raise UnderstudyError(
                f"{file} is missing, and {run} has begun: with other noise it would spend more than it says; "
                "remove the folder and train again"
            )
        _write(file)
    advice = "remove the run's folder and train again"
    return Secret(bytes.fromhex(read_document(file, SecretFile, "the secret of a training", advice).key))


def _write(file: Path) -> None:
    """Write a fresh key, whole or not at all; a key that another process wrote meanwhile stays."""
    note = "INTERNAL: takes the noise of this training away"
    text = json.dumps({"key": secrets.token_bytes(BYTES).hex(), "note": note})
    with whole_file(file, mode=0o600, alone=False, replace=False) as handle:
        handle.write(f"{text}\n".encode())


def destroyed(run: Path) -> None:
    """Delete the secret of a training that has ended, and what a killed one left of writing it."""
    for file in (run / FILE, *run.glob(f".{FILE}.*.partial")):
        file.unlink(missing_ok=True)
