"""Whose a study is: by PatientID and its issuer, by the study itself, or by the first folder below PATH.

A person whose studies fall into two splits would be trained on and tested on, so what is not known is never a person:
blank ids, and words that stand for nobody, are refused.
**Checked** in tests/data/dicom/test_people.py.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from understudy.core.errors import UnderstudyError
from understudy.data.dicom.instance import Instance
from understudy.data.identity import ALIKE, is_known, look, plain

By = Literal["patient", "study", "folder"]
# what takes the name's place when files are stripped, beside the words of data/identity.py
NOBODY = frozenset({"removed", "redacted", "patient", "test", "xxx", "x"})
SEVERAL = "one PatientID stands with different names or birth dates: is it one person?"


def subjects(instances: Iterable[Instance], by: By, path: Path) -> tuple[dict[str, str], Counter[str]]:
    """Return the subject of each study UID, and what should be known, with counts.

    Raises:
        UnderstudyError: a study has no subject, or two.
    """
    named: dict[str, set[str]] = defaultdict(set)
    people: dict[str, set[int]] = defaultdict(set)
    instances = list(instances)
    issued = {plain(one.subject[0]) for one in instances if not one.subject[1]}
    for one in instances:
        subject = _subject(one, by, path, issued)
        named[one.study].add(subject)
        people[subject].add(one.person)
    unknown = sum(names == {""} for names in named.values())
    if unknown:
        raise UnderstudyError(
            f"{unknown} of {len(named)} studies have no {'folder of their own' if by == 'folder' else 'PatientID'} "
            "that says whose they are (blank, or a word such as NA or ANONYMOUS): give --subject study if each study "
            "is a person of its own, or --subject folder if each folder below PATH is"
        )
    torn = sum(len(names) > 1 for names in named.values())
    if torn:
        raise UnderstudyError(
            f"{torn} of {len(named)} studies belong to more than one subject by --subject {by}: correct the files, or "
            "say whose they are with --subject patient, study or folder"
        )
    told = Counter({SEVERAL: sum(len(several) > 1 for several in people.values()) if by == "patient" else 0})
    looks = Counter(look(subject) for subject in {name for names in named.values() for name in names})
    told[ALIKE] = sum(n for n in looks.values() if n > 1) if by == "patient" else 0
    return {study: names.pop() for study, names in named.items()}, +told


def _subject(one: Instance, by: By, path: Path, issued: set[str]) -> str:
    """A study's subject; blank where it is not known."""
    if by == "study":
        return one.study
    if by == "folder":
        parts = one.file.relative_to(path).parts
        return parts[0] if len(parts) > 1 else ""
    name = plain(one.subject[0])
    if not is_known(name) or name.casefold() in NOBODY or not name.strip("0"):
        return ""
    return name if name in issued else f"{name}\0{plain(one.subject[1])}"
