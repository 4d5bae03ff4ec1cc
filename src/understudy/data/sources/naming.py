"""Whose image is whose, where a layout does not say: by a pattern in the name, or every image a subject of its own.

**Checked** in tests/data/sources/test_naming.py.
"""

import re
from collections.abc import Sequence

from pydantic import Field

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data import identity
from understudy.data.options import FileOptions


class NamedSubjects(FileOptions):
    """The options of sources whose subjects are told by the names of files."""

    subject_pattern: str | None = Field(
        None, description="regular expression in the file name; its first group, or the match, is the subject"
    )
    one_image_per_subject: bool = Field(False, description="every file is a subject of its own")


def refuse_unclear(options: NamedSubjects, others: dict[str, bool]) -> None:
    """Refuse options that do not say in one way whose image is whose, with UsageError.

    ``others`` are further ways that a source has, as they are written, and whether each was asked for.
    """
    told = sum([options.subject_pattern is not None, options.one_image_per_subject, *others.values()])
    if told != 1:
        ways = ", ".join([*others, "--subject-pattern REGEX on the file name"])
        raise UsageError(
            "whose image is whose must be said in one way, since splits go by subject: "
            f"{ways}, or --one-image-per-subject; found {told} of them"
        )
    try:
        re.compile(options.subject_pattern or "")
    except re.error as error:
        pattern = options.subject_pattern
        raise UsageError(f"--subject-pattern {pattern!r} is not a regular expression: {error}") from error


def subjects(names: Sequence[str], options: NamedSubjects) -> tuple[list[str], dict[str, int]]:
    """Return the subject of each case by its name, without the ending, and what a user should know of them.

    Raises:
        UnderstudyError: the pattern finds no subject in a name, or a word for "not known".
    """
    if options.subject_pattern is None:
        return list(names), {}
    found = [_matched(options.subject_pattern, name) for name in names]
    plain = identity.subjects(found, "--subject-pattern", "correct the pattern, or leave the files out")
    return plain, identity.remarks(found, plain)


def _matched(pattern: str, name: str) -> str:
    match = re.search(pattern, name)
    found = match and (match.group(1) if match.re.groups else match.group())
    if not found:
        raise UnderstudyError(f"--subject-pattern {pattern!r} finds no subject in {name!r}: correct the pattern")
    return found
