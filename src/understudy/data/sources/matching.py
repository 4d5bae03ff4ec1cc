"""Which files are one case, by names without the ending: contrasts in files of their own, suffixes of label maps.

A suffix is taken unasked only where it leaves no doubt: it fits all files, and every case then has its partner.
**Checked** in tests/data/sources/test_matching.py.
"""

import re
from collections.abc import Mapping, Sequence

from understudy.core.errors import UnderstudyError

BY_SUFFIX = "label maps are matched to images by the suffix that the names of all of them end with"
BY_NUMBER = "images are joined as channels by the numbers that their names end with (_0000, _0001)"
_LABEL = re.compile(
    r"[ _./-](?:mask|masks|seg|segm|segmentation|label|labels|labelmap|gt|annotation|roi)\Z", re.IGNORECASE
)
_IMAGE = re.compile(r"[ _./-](?:image|images|img)\Z", re.IGNORECASE)
_NUMBER = re.compile(r"_[0-9]{4}")


def shared_suffix(names: Sequence[str], kind: re.Pattern[str] = _LABEL) -> str | None:
    """Return the one suffix of a kind (``_mask``, ``-seg``, ``_label`` ...) that all names end with, or None."""
    found: set[str | None] = set()
    for name in names:
        match = kind.search(name)
        found.add(match.group() if match else None)
        if len(found) > 1:
            return None
    return found.pop() if found else None


def without(names: Sequence[str], suffix: str) -> dict[str, str]:
    """Return the names that end with a suffix, by what is left of them; UnderstudyError where two leave the same."""
    out: dict[str, str] = {}
    for name in names:
        left = _left(name, suffix)
        if left is not None and out.setdefault(left, name) != name:
            raise UnderstudyError(
                f"{out[left]!r} and {name!r} are one name before {suffix!r}: rename one, or move it elsewhere"
            )
    return out


def suffixes(images: Sequence[str], labels: Sequence[str], whole: bool = True) -> tuple[str, str] | None:
    """Return the suffixes of images and of label maps after which every image has a label map, and the other way.

    None where there are none. Where not ``whole``, label maps may be left over, and only they have a suffix.
    """
    of_images, of_labels = shared_suffix(images, _IMAGE) or "", shared_suffix(labels) or ""
    for image in dict.fromkeys(("", of_images if whole else "")):
        some, others = without(images, image).keys(), without(labels, of_labels).keys()
        if (image or of_labels) and (some == others if whole else some <= others):
            return image, of_labels
    return None


def numbered(images: Sequence[str], labels: Sequence[str]) -> list[str] | None:
    """Return the numbers (``_0000``, ``_0001`` ...) by which images are channels of the cases that label maps name.

    None where not every case has the same numbers from 0 up, or the cases are not those of the label maps.
    """
    if not looks_numbered(images):
        return None
    ends = sorted({name[-5:] for name in images})
    cases = {name[:-5] for name in images}
    whole = len(images) == len(cases) * len(ends) and ends == [f"_{c:04d}" for c in range(len(ends))]
    return ends if whole and cases == set(labels) else None


def looks_numbered(images: Sequence[str]) -> bool:
    """Tell whether all names end with four digits, as nnU-Net writes a contrast in a file of its own."""
    return bool(images) and all(_NUMBER.fullmatch(name[-5:]) and len(name) > 5 for name in images)


def joined(
    names: Sequence[str], contrasts: Mapping[str, str], said: str = "--contrasts"
) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the files of each case, one a contrast and in their order, and the names that are of no contrast.

    Args:
        names: names without the ending.
        contrasts: what the names of each contrast's files end with: ``_0000`` of ``p1_0000``, ``t1`` of ``p1/t1``.
        said: where the contrasts are named, for the message.

    Raises:
        UnderstudyError: a case lacks a contrast, or has one twice.
    """
    longest = sorted(contrasts.items(), key=lambda pair: -len(pair[1]))
    found: dict[str, dict[str, str]] = {}
    others = []
    for name in names:
        contrast, case = next(((c, left) for c, end in longest if (left := _left(name, end)) is not None), ("", ""))
        if not contrast:
            others.append(name)
        elif contrast in found.setdefault(case, {}):
            raise UnderstudyError(
                f"{found[case][contrast]!r} and {name!r} are both {contrast} of one case: move one elsewhere"
            )
        else:
            found[case][contrast] = name
    if not found:
        raise UnderstudyError(
            f"none of {len(names)} names ends with {', '.join(contrasts.values())}, before the ending: correct {said}"
        )
    lacking = [(case, c) for case, files in found.items() for c in contrasts if c not in files]
    if lacking:
        raise UnderstudyError(
            f"{len({case for case, _ in lacking})} of {len(found)} cases lack a contrast, the first is "
            f"{lacking[0][0]!r} without {lacking[0][1]}: add the files, or leave the contrast out of {said}"
        )
    return {case: tuple(files[c] for c in contrasts) for case, files in found.items()}, others


def _left(name: str, suffix: str) -> str | None:
    """What is left of a name before a suffix, which begins a word; None where it does not end so."""
    if not suffix:
        return name
    if not name.endswith(suffix):
        return None
    left = name[: -len(suffix)]
    if suffix[0].isalnum():
        return None if left[-1:].isalnum() else left.rstrip("/ _.-") or None
    return left or None
