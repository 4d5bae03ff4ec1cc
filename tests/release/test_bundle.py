"""A manifest has one spelling, which its digest binds; a walk finds everything that lies in a folder."""

import json
import os
from pathlib import Path

import pytest
from pydantic import ValidationError

from understudy.core.documents import parsed
from understudy.core.provenance import ProvenanceRecord
from understudy.release.bundle import Manifest, walk


def test_the_bytes_of_a_manifest_are_those_of_its_content() -> None:
    told = ProvenanceRecord(command="release", config={"x": 0.1, "y": [1, None, "\u00e9"]})
    manifest = Manifest(
        schema_version=3, cohort="c", policy="p", override=None, formats=["folder"], provenance=told, files={"a": "b"}
    )
    content = manifest.encoded()
    again = parsed(content, Manifest)
    assert again.encoded() == content and again.digest == json.loads(content)["digest"] != ""
    assert again.model_copy(update={"cohort": "d"}).encoded() != content
    respaced = json.dumps(json.loads(content)).encode()
    assert parsed(respaced, Manifest).encoded() == content != respaced
    with pytest.raises(ValidationError):
        parsed(content.replace(b'"signer": null', b'"signer": "../key"'), Manifest)


def test_a_walk_finds_everything(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_text("x")
    (tmp_path / "a" / ".hidden").write_text("x")
    os.mkfifo(tmp_path / "a" / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "nowhere").symlink_to(tmp_path / "none")
    files, wrong = walk(tmp_path)
    assert files == {"a/file", "a/.hidden"}
    assert sorted(wrong) == ["a/b is an empty folder", "a/pipe is no regular file", "link is a link",
                             "nowhere is a link"]  # fmt: skip
