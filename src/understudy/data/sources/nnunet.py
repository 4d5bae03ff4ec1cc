"""nnU-Net: a folder ``Dataset001_NAME`` (``Task001_NAME``) with dataset.json, imagesTr, labelsTr, imagesTs, labelsTs.

A case is ``imagesTr/CASE_0000.nii.gz``, ``CASE_0001.nii.gz`` ..., one file a channel, with ``labelsTr/CASE.nii.gz``.
Cases of imagesTs are the test split where labelsTs has their label maps; without, they are passed over. Both versions
of dataset.json are read (channel_names or modality; labels by name or by value). nnU-Net has no word for a subject.
**Source**: nnU-Net 2, documentation/dataset_format.md. **Differs**: files named elsewhere (the key ``dataset``) are not
read. **Checked** in tests/data/sources/test_nnunet.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from understudy.core.errors import UnderstudyError, UsageError
from understudy.data import formats
from understudy.data.listing import Item, Listing, Source
from understudy.data.sources import matching
from understudy.data.sources.description import DescribedOptions, channel_names, description, names_channels, scheme
from understudy.data.sources.file_listing import Layout, chosen_channels, file_listing
from understudy.data.sources.naming import refuse_unclear, subjects
from understudy.data.sources.walk import Found, merged, walk

UNLABELLED = "images of imagesTs without label maps in labelsTs"
NO_CHANNEL = "pictures that are of no channel of dataset.json"
IGNORED = "the label ignore (voxels that nobody drew) is a class like the others"
MISCOUNTED = "training cases more or fewer than dataset.json says"
ELSEWHERE = "pictures outside imagesTr, labelsTr, imagesTs and labelsTs"
_FOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")


def listing(path: Path, options: DescribedOptions) -> Listing:
    """List an nnU-Net data set.

    Raises:
        UsageError: an option does not go with it, or there is no dataset.json.
        UnderstudyError: dataset.json or the files are not as the layout says.
    """
    refuse_unclear(options, {})
    told = description(path, "nnunet")
    if "dataset" in told:
        raise UnderstudyError(
            f"{path / 'dataset.json'} names files under 'dataset', and files in imagesTr are read: link them there"
        )
    named = channel_names(told, path)
    taken = chosen_channels(named, options.channels, "dataset.json")
    walked = {name: walk(path, path / name) for name in _FOLDERS if (path / name).is_dir()}
    beside = walk(path, path, leave=[path / name for name in (*_FOLDERS, "dataset.json")])
    train, over = _cases(path, walked, "Tr", named, taken)
    test, over_test = _cases(path, walked, "Ts", named, taken) if "labelsTs" in walked else ([], _unlabelled(walked))
    stems = [Path(item.name).name for item in (*train, *test)]
    names, remarks = subjects(stems, options)
    items = [replace(item, subject=name) for item, name in zip((*train, *test), names, strict=True)]
    for below in walked.values():
        below.refuse_broken(file for item in items for file in item.files)
    layout = Layout(
        "nnunet",
        channels=tuple(named[c] for c in taken),
        taken=tuple(range(len(taken))),
        scheme=None if options.label_scheme else scheme(told, path),
        tables=(path / "dataset.json",),
        passed_over=merged(
            *(found.passed_over for found in (*walked.values(), beside)), over, over_test, _elsewhere(beside)
        ),
        remarks=merged(remarks, _remarks(told, len(train))),
        notes={"channels_in_dataset_json": len(named)},
    )
    return file_listing(path, items, layout, options)


def _cases(
    path: Path, walked: dict[str, Found], part: str, named: tuple[str, ...], taken: tuple[int, ...]
) -> tuple[list[Item], dict[str, int]]:
    """The cases of a part (Tr, Ts), whose subjects are not named yet, and what is left out."""
    images, labels = walked.get(f"images{part}"), walked.get(f"labels{part}")
    if images is None or labels is None:
        raise UsageError(
            f"{path} has no folder images{part} or none labels{part}, and an nnU-Net data set has both: correct the "
            "path"
        )
    contrasts = {f"channel {c}": f"_{c:04d}" for c in range(len(named))}
    files, maps = images.stems(), labels.stems()
    if not files:
        raise UnderstudyError(
            f"{images.folder} holds no picture; read are files that end in {', '.join(formats.FORMATS)}"
        )
    joined, others = matching.joined([*files], contrasts, "dataset.json")
    lone = sorted(joined.keys() ^ maps.keys())
    if lone:
        raise UnderstudyError(
            f"{len(lone)} case(s) of images{part} and labels{part} have an image or a label map only, the first is "
            f"{lone[0]!r}: files are called CASE_0000 and CASE; add what is missing, or move the rest elsewhere"
        )
    split = "test" if part == "Ts" else ""
    items = [
        Item(f"{part}/{case}", "", tuple(files[stems[c]] for c in taken), maps[case], split)
        for case, stems in joined.items()
    ]
    return items, {NO_CHANNEL: len(others)} if others else {}


def _elsewhere(beside: Found) -> dict[str, int]:
    return {ELSEWHERE: len(beside.files)} if beside.files else {}


def _unlabelled(walked: dict[str, Found]) -> dict[str, int]:
    found = walked.get("imagesTs")
    return {UNLABELLED: len(found.files)} if found and found.files else {}


def _remarks(told: dict[str, Any], cases: int) -> dict[str, int]:
    """What dataset.json says otherwise, or that a user should know."""
    labels = told.get("labels")
    ignored = isinstance(labels, dict) and "ignore" in {str(x).casefold() for pair in labels.items() for x in pair}
    count = told.get("numTraining")
    away = abs(count - cases) if isinstance(count, int) else 0
    return {phrase: n for phrase, n in ((IGNORED, int(ignored)), (MISCOUNTED, away)) if n}


def fits(files: Sequence[Path]) -> bool:
    """Tell whether there is a dataset.json that names channels."""
    return names_channels(files) is True


SOURCE = Source(
    "nnU-Net: imagesTr with a file a channel, labelsTr, dataset.json",
    listing,
    DescribedOptions,
    ("understudy import nnunet Dataset001_TUMOUR --one-image-per-subject --size 64 --out tumour",),
    fits=fits,
)
