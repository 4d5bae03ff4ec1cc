"""``key new``, ``release --sign`` and ``verify --key`` as a user types them, and their exit codes."""

from pathlib import Path

import pytest

from understudy.cli import main
from understudy.core.errors import UsageError
from understudy.release.signature import open_signer, read_public_key

pytest.importorskip("cryptography", reason="signatures need the extra `sign`")


def test_a_pair_of_keys_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["key", "new", str(tmp_path / "steward")]) == 0
    said = capsys.readouterr().out
    public = read_public_key(tmp_path / "steward.pub")
    assert f"private key: {tmp_path}/steward (who has it" in said and f"it is {public})" in said
    assert open_signer(tmp_path / "steward", tmp_path / "bundle").public == public
    assert main.main(["key", "new", str(tmp_path / "steward")]) == 2
    assert "exists already, and no key is ever overwritten" in capsys.readouterr().err


def test_wrong_keys_are_wrong_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "manifest.json").write_text("{}")
    main.main(["key", "new", str(tmp_path / "steward")])
    for key, says in (("none", "found nothing"), ("steward", "found a private key"), ("bundle", "found a folder")):
        assert main.main(["verify", str(tmp_path / "bundle"), "--key", str(tmp_path / key)]) == 2
        assert says in capsys.readouterr().err
    with pytest.raises(UsageError):
        open_signer(tmp_path / "steward.pub", tmp_path / "bundle")
