"""The JSON file that describes a data set (dataset.json of nnU-Net and the Decathlon): read, bounded, and its parts.

**Checked** in tests/data/sources/test_description.py.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from understudy.core.errors import UnderstudyError, UsageError
from understudy.core.labels import LabelScheme
from understudy.core.regular_file import read_regular
from understudy.data.options import NAMES
from understudy.data.sources.naming import NamedSubjects

MOST_BYTES = 2**26
_NUMBER = re.compile(r"[0-9]{1,9}")


class DescribedOptions(NamedSubjects):
    """The options of sources whose data set has a dataset.json."""

    channels: tuple[str, ...] = Field(
        (), description="channels to take, by their names in dataset.json; default: all", json_schema_extra=NAMES
    )


def description(path: Path, source: str) -> dict[str, Any]:
    """Read the ``dataset.json`` in a folder.

    Raises:
        UsageError: there is none.
        UnderstudyError: it is no JSON object of a moderate size.
    """
    file = path / "dataset.json"
    if not file.is_file():
        raise UsageError(
            f"{path} has no file dataset.json, which import {source} needs: correct the path, or use import folder"
        )
    if file.stat().st_size > MOST_BYTES:
        raise UnderstudyError(
            f"{file} has more than {MOST_BYTES // 2**20} MiB, and a description with fewer was expected"
        )
    try:
        found = json.loads(file.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UnderstudyError(
            f"{file} should be JSON in UTF-8 and cannot be read as such ({error}): mend it"
        ) from error
    if not isinstance(found, dict):
        raise UnderstudyError(f"{file} should hold an object {{...}}, and holds a {type(found).__name__}: mend it")
    return found


def channel_names(found: dict[str, Any], where: Path) -> tuple[str, ...]:
    """Return the names of the channels in order, from ``channel_names`` or ``modality`` ({"0": "T1", ...}).

    A name that stands twice gets its number.

    Raises:
        UnderstudyError: there are none, or their numbers are not 0, 1, 2 ...
    """
    told = found.get("channel_names", found.get("modality"))
    if (
        not isinstance(told, dict)
        or not told
        or sorted(map(str, told), key=_order) != [str(c) for c in range(len(told))]
    ):
        raise UnderstudyError(
            f'{where / "dataset.json"} should name its channels under channel_names (or modality), as in {{"0": "T1", '
            '"1": "FLAIR"}: mend it'
        )
    names = [str(told[key]).strip() or "channel" for key in sorted(told, key=_order)]
    return tuple(name if names.count(name) == 1 else f"{name}{number}" for number, name in enumerate(names))


def _order(key: Any) -> tuple[int, str]:
    return (int(key), "") if _NUMBER.fullmatch(str(key)) else (10**9, str(key))


def scheme(found: dict[str, Any], where: Path) -> LabelScheme:
    """Return what label values mean, from ``labels``: {"background": 0, ...} or {"0": "background", ...}.

    Raises:
        UnderstudyError: it is neither, or regions of several values, which overlap, or names a value or a name twice.
    """
    told = found.get("labels")
    file = where / "dataset.json"
    if not isinstance(told, dict) or not told:
        raise UnderstudyError(
            f'{file} should say under labels what values mean, as in {{"background": 0, "tumour": 1}}'
        )
    pairs = [_pair(key, value) for key, value in told.items()]
    if any(isinstance(value, list) for value, pair in zip(told.values(), pairs, strict=True) if pair is None):
        raise UnderstudyError(
            f"{file} names regions of several label values, which overlap, and a label map has one class a voxel: name "
            "the values themselves with --label-scheme 0=background,1=..."
        )
    clean = sorted(pair for pair in pairs if pair is not None)
    if len(clean) < len(pairs):
        raise UnderstudyError(f"{file} names label values that are no whole numbers: mend it, or give --label-scheme")
    if len(dict(clean)) < len(clean) or len({name for _, name in clean}) < len(clean):
        raise UnderstudyError(
            f"{file} names one label value twice, or two values with one name: mend it, or give --label-scheme"
        )
    if clean[0][0] == 0:
        return LabelScheme(tuple(name for _, name in clean), tuple(value for value, _ in clean))
    try:
        return LabelScheme.from_text(",".join(f"{value}={name}" for value, name in clean))
    except UsageError as error:
        raise UnderstudyError(
            f"{file} does not say which label is the background, the value 0: mend it, or give --label-scheme"
        ) from error


def _pair(key: Any, value: Any) -> tuple[int, str] | None:
    """One value and its name, whichever way round; None for a region of several values."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value, str(key).strip()
    if isinstance(value, str) and _NUMBER.fullmatch(str(key)):
        return int(key), value.strip()
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value), str(key).strip()
    return None


def names_channels(files: Sequence[Path]) -> bool | None:
    """Tell nnU-Net's dataset.json, which names channels, from the Decathlon's; None where there is none.

    Raises:
        UnderstudyError: it is no JSON.
    """
    file = next((file for file in files if file.name == "dataset.json"), None)
    if file is None:
        return None
    try:
        read = json.loads(read_regular(file, "a description of a data set", MOST_BYTES))
    except (ValueError, RecursionError) as error:
        raise UnderstudyError(f"{file} is no JSON: mend it, or move it away") from error
    return isinstance(read, dict) and "channel_names" in read
