"""Documents: JSON files on disk, read through a typed model; whatever is wrong with one is told in a sentence.

A value read from a file has the type that its model gives it, and a string used as a name has matched a pattern.
**Checked** in tests/core/test_documents.py (wrong types, deep nesting, other encodings, numbers that are none, no end).
"""

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, ConfigDict, TypeAdapter, ValidationError

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.regular_file import read_regular

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)
MOST_BITS = 256  # of a whole number: as many as a hash has, and a float holds more
MAX_TOLD = 3  # mistakes named in a message
T = TypeVar("T")


def bounded(content: T) -> T:
    """Return plain data; ValueError where a whole number in it has more bits than any that understudy writes."""
    parts: list[Any] = [content]
    while parts:
        part = parts.pop()
        if isinstance(part, int) and part.bit_length() > MOST_BITS:
            raise ValueError(f"a whole number of at most {MOST_BITS} bits was expected, found {part.bit_length()}")
        parts += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return content


Whole = Annotated[int, AfterValidator(bounded)]
PlainData = Annotated[dict[str, Any], AfterValidator(bounded)]


def read_document(file: Path, model: type[T], what: str, advice: str) -> T:
    """Read a JSON file as a model of pydantic, or a type that it understands, such as ``dict[str, Any]``.

    Nothing is converted: text is no number, a list is no dictionary. Messages say ``what`` the file should be (``a
    results file``) and give ``advice`` where it is none (``evaluate again``).

    Raises:
        UnderstudyError: the file cannot be read, is no JSON, or holds other types than the model.
    """
    try:
        return parsed(read_regular(file, what), model)
    except (OSError, UsageError, ValidationError) as error:
        raise UnderstudyError(f"{file} is not {what} that understudy wrote ({mistakes(error)}): {advice}") from error


def parsed(content: bytes, model: type[T]) -> T:
    """Return JSON bytes as a model, as :func:`read_document` does; pydantic's ValidationError where they are none."""
    adapter: TypeAdapter[Any] = TypeAdapter(model)
    result: T = adapter.validate_json(content, strict=True)
    return result


def mistakes(error: Exception) -> str:
    """Return what is wrong in one line: the first few places and their messages of a validation error."""
    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    found = [f"{'.'.join(map(str, item['loc'])) or 'the whole'}: {item['msg']}" for item in error.errors()]
    more = f" and {len(found) - MAX_TOLD} more" if len(found) > MAX_TOLD else ""
    return "; ".join(found[:MAX_TOLD]) + more
