"""The shipped policy is read as it is documented, and a wrong one is refused in a sentence."""

import hashlib
import os
from pathlib import Path

import pytest
import yaml

from understudy.core.errors import UsageError
from understudy.release.policy import read_policy, shipped


def test_the_default_requires_an_audit_and_attacks_and_says_why() -> None:
    found = read_policy()
    limits = {limit.name: limit for limit in found.policy.limits}
    assert limits["audit, mean recall"].required and limits["attacks, AUC"].required
    assert limits["attacks, AUC"].take == "high" and limits["flags left"].at_least == 0.01
    assert all(len(limit.why) > 40 for limit in limits.values()) and "refused" in found.policy.why
    assert found.policy.real_check.required and found.policy.label_sources.allowed == ("sampled",)
    assert found.digest == hashlib.sha256(found.content).hexdigest()


def test_the_shipped_policies_are_ordered_and_say_their_errors() -> None:
    found = {name: one.policy for name, one in shipped().items()}
    assert list(found) == ["default", "open", "research-agreement", "internal"]
    assert all(limit.errors and "ERRORS" not in limit.errors for one in found.values() for limit in one.limits)
    highest = [{x.name: x.at_most for x in found[name].limits}["attacks, AUC"] for name in
               ("open", "default", "research-agreement", "internal")]  # fmt: skip
    assert highest == sorted(highest) and len(set(highest)) == 4  # type: ignore[type-var]
    rules = [one.weights for one in found.values()]
    assert all(rule and all(limit.errors for limit in rule.limits) for rule in rules)  # none lets weights out unasked
    of_weights = [{x.name: x.at_most for x in rule.limits}["weights, white-box attack, AUC"] for rule in rules if rule]
    assert of_weights == [0.7, 0.6, 0.8, 0.9]
    assert read_policy(Path("open")).digest == shipped()["open"].digest != shipped()["default"].digest


def test_no_file_passes_for_a_shipped_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mild = read_policy(Path("internal")).content
    for name in ("default", "open"):
        (tmp_path / name).write_bytes(mild)
    monkeypatch.chdir(tmp_path)
    assert read_policy().content != mild != read_policy(Path("open")).content
    assert read_policy(tmp_path / "open").content == mild


def test_a_changed_copy_has_another_hash(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_bytes(read_policy().content)
    assert read_policy(tmp_path / "p.yaml").digest == read_policy().digest
    (tmp_path / "p.yaml").write_bytes(read_policy().content.replace(b"at_least: 0.9\n", b"at_least: 0.8\n"))
    changed = read_policy(tmp_path / "p.yaml")
    assert changed.digest != read_policy().digest and changed.policy != read_policy().policy


def test_wrong_policies_are_refused(tmp_path: Path) -> None:
    def put(**changes: object) -> str:
        data = yaml.safe_load(read_policy().content)
        data["limits"][0] |= changes
        return yaml.safe_dump(data)

    file, good = tmp_path / "p.yaml", read_policy().content.decode()
    for text, says in (
        ("a: [", "is not YAML"),
        ("", "is wrong: the whole: Input should be"),
        (good.replace("take: high\n    at_most", "takes: high\n    at_most"), "limits.13.takes: Extra inputs"),
        (put(result=[]), "limits.0.result"),
        (good.replace("allowed: [sampled]", "allowed: [mine]"), "label_sources.allowed.0"),
        (good.replace("near: 0.995", "near: 0.2"), "real_check.near"),
        (good.replace("name: independent evaluation after screening", "name: flags left"), "a name of its own"),
        (put(at_least=None), "needs at_most or at_least"),
        (put(why="because"), "limits.0.why"),
        (put(take="middle"), "limits.0.take"),
        (put(at_least=float("inf")), "limits.0.at_least.*finite"),
        (put(at_least=float("nan")), "limits.0.at_least.*finite"),
        (put(at_least="0"), "limits.0.at_least.*valid number"),
        (put(at_least=[0]), "limits.0.at_least"),
        (put(required="perhaps"), "limits.0.required"),
        ("[1, 2]", "is wrong: the whole"),
        (good + "\nlimits: []\n", "the key 'limits' stands twice"),
        ("a: 2026-99-99", "is not YAML"),
        ("[" * 100_000, "is not YAML"),
        ("? [a]\n: b", "is not YAML"),
        ("a: \0", "is not YAML"),
    ):
        file.write_text(text)
        with pytest.raises(UsageError, match=says):
            read_policy(file)
    for encoding in ("utf-16", "utf-16-le", "utf-32"):
        file.write_bytes(good.encode(encoding))
        with pytest.raises(UsageError, match="is not YAML in UTF-8") as refused:
            read_policy(file)
        assert "\n" not in str(refused.value)
    os.truncate(file, 2**43)
    with pytest.raises(UsageError, match="a policy was expected at .*, found more than 1,048,576 bytes"):
        read_policy(file)
    with pytest.raises(UsageError, match="there is no file"):
        read_policy(tmp_path)
