"""Keys are written for their owner alone, signatures are Ed25519's, and OpenSSL says the same of them."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from understudy.core.errors import UsageError
from understudy.release.bundle import MANIFEST
from understudy.release.signature import SIGNATURE, is_signed_by, new_key, open_signer, read_public_key

pytest.importorskip("cryptography", reason="signatures need the extra `sign`")

# RFC 8032, section 7.1, test 1: of the empty message
PUBLIC = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
SIGNED = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
    "5141438e7a100b"
)


def test_the_first_vector_of_the_standard_and_every_flipped_bit_of_it() -> None:
    assert is_signed_by(PUBLIC, SIGNED, b"") and not is_signed_by(PUBLIC, SIGNED, b"x")
    for place in range(8 * len(SIGNED)):
        flipped = bytearray(SIGNED)
        flipped[place // 8] ^= 1 << place % 8
        assert not is_signed_by(PUBLIC, bytes(flipped), b"")
    for signature in (b"", SIGNED[:-1], SIGNED + b"x"):
        assert not is_signed_by(PUBLIC, signature, b"")
    assert not is_signed_by("00" * 31, SIGNED, b"")


def test_keys_sign_and_are_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "steward"
    public = new_key(file)
    assert file.stat().st_mode & 0o777 == 0o600 and public == read_public_key(tmp_path / "steward.pub")
    signer = open_signer(file, tmp_path / "bundle")
    assert signer.public == public and is_signed_by(public, signer.sign(b"x"), b"x")
    assert new_key(tmp_path / "other") != public and not is_signed_by(public, signer.sign(b"x"), b"y")
    for taken in (file, tmp_path / "other"):
        before = taken.read_bytes()
        with pytest.raises(UsageError, match="exists already, and no key is ever overwritten"):
            new_key(taken)
        assert taken.read_bytes() == before
    with pytest.raises(UsageError, match="does not exist"):
        new_key(tmp_path / "no" / "where")


def test_a_private_key_is_its_owners_alone(tmp_path: Path) -> None:
    file = tmp_path / "steward"
    new_key(file)
    with pytest.raises(UsageError, match="would lie inside the bundle"):
        open_signer(file, tmp_path)
    file.chmod(0o644)
    with pytest.raises(UsageError, match=r"is open to others than its owner \(044\): chmod 600"):
        open_signer(file, tmp_path / "bundle")


def test_other_files_are_no_keys(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
        load_pem_private_key,
    )

    new_key(tmp_path / "steward")
    ours = load_pem_private_key((tmp_path / "steward").read_bytes(), None)
    other = generate_private_key(SECP256R1())
    locked = ours.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))
    contents = {
        "curve": other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        "curve.pub": other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "locked": locked, "empty": b"", "text": b"key", "cut": (tmp_path / "steward").read_bytes()[:60],
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        (tmp_path / name).chmod(0o600)
        with pytest.raises(UsageError, match="an Ed25519 private key in PEM without a passphrase was expected"):
            open_signer(tmp_path / name, tmp_path / "bundle")
        with pytest.raises(UsageError, match="an Ed25519 public key in PEM, KEY.pub, was expected"):
            read_public_key(tmp_path / name)
    with pytest.raises(UsageError, match="found a private key, which its owner must give to nobody"):
        read_public_key(tmp_path / "steward")
    with pytest.raises(UsageError, match="a public key was expected at .*found nothing"):
        read_public_key(tmp_path / "none")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL's program is not installed")
def test_openssl_agrees(released: Any, tmp_path: Path) -> None:
    def verified(file: Path) -> bool:
        words = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", released.public, "-in", file]
        ran = subprocess.run([*words, "-sigfile", released.bundle / SIGNATURE], capture_output=True, check=False)
        return ran.returncode == 0

    assert verified(released.bundle / MANIFEST)
    (tmp_path / "changed").write_bytes((released.bundle / MANIFEST).read_bytes().replace(b"1", b"2", 1))
    assert not verified(tmp_path / "changed")
