"""Who and which: subject names and file names as text, so that one subject is one, and what is not known is no subject.

Two texts that differ in Unicode form (composed or not), outer blanks or invisible characters are one name. Names that
merely look alike (007 and 7, 12 and 12.0, P1 and p1, full-width digits) are never merged: they are counted, and told.
Words that tables write for "not known" are refused as subjects.
**Source** for the forms: Unicode Standard Annex 15 (NFC, NFKC). **Checked** in tests/data/test_identity.py.
"""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import PurePosixPath

from understudy.core.errors import UnderstudyError

UNKNOWN = frozenset(
    {
        *("na", "n/a", "n.a", "n.a.", "#na", "#n/a", "<na>", "nan", "nat", "none", "null", "nil", "(null)", "(none)"),
        *("unknown", "unk", "missing", "undefined", "not known", "not available", "not applicable", "(blank)"),
        *("anonymous", "anonymised", "anonymized", "anonym", "anon", "deidentified", "de-identified"),
        *("#ref!", "#value!", "#null!", "#name?", "#num!", "#div/0!"),
    }
)
ALIKE = (
    "subject names look alike (a leading zero, capitals, spaces, dots, the form of a number): they are kept as "
    "subjects of their own; where two are one person, correct the names"
)
FORMS = "subject names that differ in Unicode form or invisible characters only are taken as one subject each"
_MARKS = re.compile(r"[-–—?._*/\\]+")  # cells that hold marks only
_NUMBER = re.compile(r"([+-]?)(\d+)(?:[.,](\d*))?(?:e([+-]?\d{1,6}))?")


def plain(text: str) -> str:
    """Return a name in NFC, without outer blanks and invisible characters (zero-width, direction marks, controls)."""
    kept = "".join(
        c for c in text if unicodedata.category(c) != "Cf" and (c.isspace() or c.isprintable() or c > "\x9f")
    )
    return unicodedata.normalize("NFC", kept).strip()


def is_known(text: str) -> bool:
    """Tell whether a plain name says anything: it is not blank, no word for "not known", and not only marks."""
    return bool(text) and text.casefold() not in UNKNOWN and _MARKS.fullmatch(text) is None


def subjects(names: Sequence[str], where: str, cure: str) -> list[str]:
    """Return the plain names of the subjects of all cases.

    Args:
        names: one a case, as the source has them.
        where: what holds them, for the message, such as ``the column 'patient' of t.csv``.
        cure: what to do about a blank one.

    Raises:
        UnderstudyError: some are blank, or a word for "not known".
    """
    found = [plain(name) for name in names]
    blank = [name for name in found if not is_known(name)]
    if blank:
        words = sorted({repr(name) if name else "a blank" for name in blank})
        told = ", ".join(words[:3]) + (", ..." if len(words) > 3 else "")
        raise UnderstudyError(
            f"{where} says no subject in {len(blank)} of {len(found)} places ({told}): what is not known is nobody, "
            f"and never one person; {cure}"
        )
    return found


def remarks(names: Sequence[str], found: Sequence[str]) -> dict[str, int]:
    """Return what a user should know of subject names: as the source has them, and as :func:`subjects` made them."""
    raw: dict[str, set[str]] = {}
    for name, subject in zip(names, found, strict=True):
        raw.setdefault(subject, set()).add(name.strip())
    looks: dict[str, set[str]] = {}
    for subject in raw:
        looks.setdefault(look(subject), set()).add(subject)
    merged = sum(len(forms) > 1 for forms in raw.values())
    alike = sum(len(group) for group in looks.values() if len(group) > 1)
    return {phrase: n for phrase, n in ((FORMS, merged), (ALIKE, alike)) if n}


def look(name: str) -> str:
    """Return what names that look alike share: the value of a number, else letters in one case and one kind of gap."""
    text = unicodedata.normalize("NFKC", name).casefold().strip().rstrip(".").strip()
    number = _NUMBER.fullmatch(text)
    if number:
        return _value(*number.groups(default=""))
    text = re.sub(r"[\s_-]+", " ", text)
    return re.sub(r"(?<!\d)0+(?=\d)", "", text)


def _value(sign: str, whole: str, part: str, exponent: str) -> str:
    """A number as its digits and the power of ten, exact at any length."""
    digits = (whole + part).lstrip("0")
    short = digits.rstrip("0")
    power = int(exponent or 0) - len(part) + len(digits) - len(short)
    return f"{'-' if sign == '-' else ''}{short}e{power}" if short else "0e0"


def file_name(text: str) -> str:
    """Return the path of a file below a folder in one form: NFC, no ``.`` and no doubled slashes; ``..`` stays."""
    return PurePosixPath(unicodedata.normalize("NFC", text)).as_posix() if text else ""
