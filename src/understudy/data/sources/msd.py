"""Medical Segmentation Decathlon: a folder ``Task04_NAME`` with dataset.json, which lists pairs of image and label map.

All channels of a case are in one file, the last axis of four; ``modality`` names them. Images of the key ``test`` have
no label maps and are passed over. The Decathlon has no word for a subject.
**Source**: Antonelli et al., Nat Commun 13:4128 (2022), dataset.json of the tasks. **Differs**: paths that lead out of
the folder are refused. **Checked** in tests/data/sources/test_msd.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from understudy.core.errors import UnderstudyError
from understudy.data import formats
from understudy.data.listing import Item, Listing, Source
from understudy.data.sources.description import DescribedOptions, channel_names, description, names_channels, scheme
from understudy.data.sources.file_listing import Layout, chosen_channels, file_listing
from understudy.data.sources.naming import refuse_unclear, subjects
from understudy.data.sources.table import one_file
from understudy.data.sources.walk import Found, merged, walk

UNLABELLED = "test images, which have no label maps"
SHARED = "label maps that several cases of dataset.json name"
NOT_LISTED = "pictures that dataset.json does not list"


def listing(path: Path, options: DescribedOptions) -> Listing:
    """List a task of the Decathlon.

    Raises:
        UsageError: an option does not go with it, or there is no dataset.json.
        UnderstudyError: dataset.json or the files are not as the layout says.
    """
    refuse_unclear(options, {})
    told = description(path, "msd")
    named = channel_names(told, path)
    taken = chosen_channels(named, options.channels, "dataset.json")
    walked = walk(path, path, leave=[path / "dataset.json"])
    pairs = _pairs(told, walked)
    names = [formats.stem(image.relative_to(path)) for image, _ in pairs]
    if options.subject_pattern is not None:
        names = [Path(name).name for name in names]
    found, remarks = subjects(names, options)
    items = [
        Item(image.relative_to(path).as_posix(), subject, (image,), label)
        for (image, label), subject in zip(pairs, found, strict=True)
    ]
    walked.refuse_broken(file for item in items for file in item.files)
    tests = told.get("test")
    unlabelled = len(tests) if isinstance(tests, list) else 0
    unlisted = len(walked.files) - len({file for pair in pairs for file in pair}) - unlabelled
    over = {phrase: n for phrase, n in ((UNLABELLED, unlabelled), (NOT_LISTED, max(unlisted, 0))) if n}
    again = len(pairs) - len({label for _, label in pairs})
    layout = Layout(
        "msd",
        channels=named,
        taken=taken,
        scheme=None if options.label_scheme else scheme(told, path),
        tables=(path / "dataset.json",),
        passed_over=merged(walked.passed_over, over),
        remarks=merged(remarks, {SHARED: again} if again else {}),
        notes={"channels_in_dataset_json": len(named)},
    )
    return file_listing(path, items, layout, options)


def _pairs(told: dict[str, Any], walked: Found) -> list[tuple[Path, Path]]:
    """Image and label map of each training case.

    Raises:
        UnderstudyError: the list is none, or names a file twice, or one that is not there.
    """
    where = walked.folder / "dataset.json"
    listed = told.get("training")
    if not isinstance(listed, list) or not listed or not all(isinstance(one, dict) for one in listed):
        raise UnderstudyError(
            f'{where} should list its cases under training, as in [{{"image": "./imagesTr/a.nii.gz", "label": '
            '"./labelsTr/a.nii.gz"}]: mend it'
        )
    pairs, seen = [], set()
    for number, one in enumerate(listed, start=1):
        image, label = (_file(one.get(key), f"case {number} of {where}, {key}", walked) for key in ("image", "label"))
        if image in seen:
            raise UnderstudyError(f"{where} lists the image {image} twice: list it once")
        seen.add(image)
        pairs.append((image, label))
    return pairs


def _file(name: Any, where: str, walked: Found) -> Path:
    if not isinstance(name, str) or not name:
        raise UnderstudyError(f"{where} should be the name of a file, and is {str(name)[:80]!r}: mend it")
    found = walked.files.get(one_file(name, where))
    if found is None:
        raise UnderstudyError(
            f"{where} names {name[:200]!r}, and there is no such picture below {walked.folder}: add it, or mend "
            "the list"
        )
    return found


def fits(files: Sequence[Path]) -> bool:
    """Tell whether there is a dataset.json without names of channels, which nnU-Net's has."""
    return names_channels(files) is False


SOURCE = Source(
    "a task of the Medical Segmentation Decathlon: dataset.json with its pairs",
    listing,
    DescribedOptions,
    ("understudy import msd Task04_Hippocampus --one-image-per-subject --size 32 --out hippocampus",),
    fits=fits,
)
