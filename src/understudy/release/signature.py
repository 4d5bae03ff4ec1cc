"""Signatures: whoever has a signer's public key can tell whether a bundle is, byte by byte, as that signer released it.

A signature is Ed25519 over the bytes of manifest.json, which holds the SHA-256 of every other file and the signer's
public key. ``manifest.sig`` is its 64 bytes, which OpenSSL checks as well::

    openssl pkeyutl -verify -rawin -pubin -inkey steward.pub -in manifest.json -sigfile manifest.sig

**Not covered**: whose key a public key is, which must be learned on another way than with the bundle; a key that was
stolen. Keys are neither dated nor revoked, and lie on disk without a passphrase, readable by their owner alone.
**Source**: RFC 8032, through the package ``cryptography``. **Checked** in tests/release/test_signature.py (also its
first test vector).
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.core.atomic import whole_file
from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.regular_file import read_regular

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SIGNATURE = "manifest.sig"
SIGNATURE_BYTES = 64
MAX_KEY_BYTES = 10_000
NEEDED = "signatures need the package cryptography, which is not installed: pip install 'understudy[sign]'"


@dataclass(frozen=True)
class Signer:
    """Who signs a bundle; ``public`` is the public key, 64 hexadecimal digits."""

    public: str
    _private: "Ed25519PrivateKey"

    def sign(self, content: bytes) -> bytes:
        """Return the signature of some bytes, 64 bytes."""
        signature: bytes = self._private.sign(content)
        return signature


def new_key(file: Path) -> str:
    """Write a new private key to ``file`` and its public key to ``file.pub``, and return the public key in digits.

    Raises:
        UsageError: one of them exists, there is no folder for them, or the package cryptography is missing.
    """
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
    except ImportError as error:
        raise UsageError(NEEDED) from error
    public_file = file.with_name(f"{file.name}.pub")
    for one in (file, public_file):
        if one.exists() or one.is_symlink():
            raise UsageError(f"the key {one} exists already, and no key is ever overwritten: choose another name")
    if not file.absolute().parent.is_dir():
        raise UsageError(f"the folder {file.absolute().parent}, in which the key would lie, does not exist")
    private = Ed25519PrivateKey.generate()
    with whole_file(file, mode=0o600) as handle:
        handle.write(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with whole_file(public_file) as handle:
        handle.write(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private.public_key().public_bytes_raw().hex()


def open_signer(file: Path, out: Path) -> Signer:
    """Open a private key that :func:`new_key` or OpenSSL wrote, in PEM.

    Raises:
        UsageError: no such key, one that others may read or that would lie in the output, or no cryptography.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError as error:
        raise UsageError(NEEDED) from error
    content = read_regular(file, "a private key", MAX_KEY_BYTES)
    if Path(os.path.realpath(file)).is_relative_to(os.path.realpath(out)):
        raise UsageError(f"the private key {file} would lie inside the bundle {out}, which is given away: move it")
    if others := file.stat().st_mode & 0o077:
        raise UsageError(f"the private key {file} is open to others than its owner ({others:03o}): chmod 600 {file}")
    try:
        private = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        private, reason = None, f" ({' '.join(str(error).split())[:200]})"
    else:
        reason = ""
    if not isinstance(private, Ed25519PrivateKey):
        raise UsageError(
            f"an Ed25519 private key in PEM without a passphrase was expected at {file}, found something else{reason}: "
            "make one with `understudy key new`"
        )
    return Signer(private.public_key().public_bytes_raw().hex(), private)


def read_public_key(file: Path) -> str:
    """Read a public key in PEM, as 64 hexadecimal digits.

    Raises:
        UsageError: the file holds no Ed25519 public key, or there is no cryptography.
    """
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError as error:
        raise UsageError(NEEDED) from error
    content = read_regular(file, "a public key", MAX_KEY_BYTES)
    try:
        public = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, Ed25519PublicKey):
        secret = b"PRIVATE" in content
        found = "a private key, which its owner must give to nobody" if secret else "something else"
        raise UsageError(f"an Ed25519 public key in PEM, KEY.pub, was expected at {file}, found {found}")
    return public.public_bytes_raw().hex()


def is_signed_by(public: str, signature: bytes, content: bytes) -> bool:
    """Tell whether a signature of some bytes is that of a public key, 64 hexadecimal digits.

    Raises:
        UnderstudyError: the package cryptography is missing.
    """
    try:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError as error:
        raise UnderstudyError(NEEDED) from error
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True
