"""What a recipient finds first in a bundle: README.md, with a few lines of code for each library, and croissant.json.

The licence is what ``release --licence`` says, or else what the source data were imported with. Where the two differ
both are told, since a licence of the source may bind what is made from it: whether it does is for lawyers.
**Checked** in tests/release/test_recipient.py; its code runs in tests/release/test_loading.py and benchmarks/clients.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.errors import UsageError
from understudy.core.provenance import code_version
from understudy.release.card import one_line
from understudy.release.croissant import croissant
from understudy.release.formats import FORMS

LICENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}|https://[A-Za-z0-9./_~%?=&#+:-]{1,200}")
NOT_STATED = "not stated: ask who released it before you use or share it"
GENERATOR = """
Further cases, drawn by the generator (PyTorch; a seed gives the same cases again; nothing was measured of them):

    import understudy as us
    generator = us.load_generator("BUNDLE")
    made = generator.sample(8, seed=1)
    made.images, made.labels
"""


def checked_licence(licence: str | None) -> str | None:
    """Return a licence: an SPDX identifier such as CC-BY-4.0, or an https address; UsageError for anything else."""
    if licence is not None and not LICENCE.fullmatch(licence):
        raise UsageError(
            f"a licence is an identifier of SPDX, such as CC-BY-4.0, or an https address; found {licence[:200]!r}"
        )
    return licence


def licence_of(real: Cohort) -> str | None:
    """Return the licence that the source data were imported with, where one was said."""
    said = real.provenance.get("config", {}).get("licence")
    return said if isinstance(said, str) and LICENCE.fullmatch(said) else None


def recipient_files(
    bundle: Path, released: Cohort, forms: Sequence[str], licence: str | None, source: str | None, weights: bool = False
) -> dict[str, str]:
    """Return README.md and croissant.json, with the licence of the release and that of its source data, if known.

    ``weights`` says whether those of the generator are in the bundle.
    """
    about = croissant(bundle, released, forms, _address(licence or source))
    told = readme(released, forms, licence_told(licence, source), weights)
    return {"README.md": told, "croissant.json": json.dumps(about, indent=1) + "\n"}


def write_recipient_files(
    bundle: Path, released: Cohort, forms: Sequence[str], licence: str | None, source: str | None, weights: bool = False
) -> None:
    """Write :func:`recipient_files` into a bundle."""
    for name, content in recipient_files(bundle, released, forms, licence, source, weights).items():
        (bundle / name).write_text(content, encoding="utf-8")


def licence_told(licence: str | None, source: str | None) -> str:
    """Return what is to be said of the licence of a release and that of its source data."""
    if licence and source and licence != source:
        return f"{licence}; the source data are under {source}"
    return licence or source or NOT_STATED


def _address(licence: str | None) -> str:
    if licence is None:
        return NOT_STATED
    return licence if licence.startswith("https:") else f"https://spdx.org/licenses/{licence}"


def readme(released: Cohort, forms: Sequence[str], licence: str, weights: bool = False) -> str:
    """Return README.md."""
    parts = ["images"] * (released.images is not None) + ["label maps"] * (released.labels is not None)
    lines = [
        one_line(f"# Synthetic {released.modality} cases"),
        "",
        f"{len(released):,} {released.kind} cases with {' and '.join(parts)}, made by understudy {code_version()}.",
        "`card.md` says what they are, what was measured, and what is not covered: read it first.",
        "",
        f"Licence: {licence}.",
        "",
        "## What is here",
        "",
        *(f"- `{FORMS[form].folder}/`: {FORMS[form].holds}" for form in forms),
        *(["- `weights/`: the generator that drew them, to draw further cases; see below"] if weights else []),
        "- `card.md`, `evidence/`, `report/`: what was measured. `manifest.json`: the hash of every file",
        "- `croissant.json`: this data set described for search engines and libraries",
        "",
        "`understudy verify BUNDLE --key PUBLIC.pub`, with the public key of who released it, checks that nothing was "
        "changed; without a key it checks only that all fits together. All forms hold the same cases.",
        "",
        *map(one_line, _facts(released)),
        "",
        "## Load it",
        "",
        "Ask who released this for the wheel of understudy: what has its name on PyPI is another project.",
        *(f"\n{title}:\n\n{indent(code, ' ' * 4).rstrip()}" for title, code in examples(released, forms).items()),
        *([GENERATOR.rstrip()] if weights else []),
        "",
    ]
    return "\n".join(lines)


def _facts(released: Cohort) -> list[str]:
    """What a recipient needs to know to read the arrays."""
    told = [f"- Channel {c}: {one.name}, {one.low:g} to {one.high:g}" for c, one in enumerate(_channels(released))]
    names = enumerate(released.scheme.names if released.scheme else ())
    told += [f"- Label {k}: {name}" for k, name in names]
    told += [f"- Class of a case: {name}" for name in released.classes]
    if not any(released.spacing_mm(i) for i in range(len(released))):
        told.append("- The spacing is not known: files that must state one say 1 mm")
    return [*told, "- Slices run to superior, rows to posterior, columns to left, where the source was oriented so"]


def _channels(released: Cohort) -> Sequence[Channel]:
    return released.encoding.channels


def examples(released: Cohort, forms: Sequence[str]) -> dict[str, str]:
    """Return code that runs on a bundle, at most five lines for each library, by what stands above it."""
    there = {"image": released.images is not None, "label": released.labels is not None}
    keys = [key for key, held in there.items() if held] + ["classes"] * bool(released.classes)
    pictures = [key for key, held in there.items() if held]
    named = ", ".join(f'"{key}"' for key in pictures)
    files = any(FORMS[form].files(Path(), [one.name for one in _channels(released)], 0) for form in forms)
    cases = f'cases = us.load_bundle("BUNDLE"){".files()" if files else ""}'
    whence = "from the files" if files else "from the arrays"
    load = f"LoadImaged([{named}], ensure_channel_first=True)" if files else f"ToTensord([{named}])"
    axes = "(0, 2, 1)[..., None]" if len(released.size) == 2 else "(0, 3, 2, 1)"  # TorchIO has (C, W, H, D)
    kinds = {"image": "ScalarImage", "label": "LabelMap"}
    given = {key: f'c["{key}"]' if files else f'tensor=c["{key}"].transpose{axes}' for key in pictures}
    subject = ", ".join(f"{key}=tio.{kinds[key]}({given[key]})" for key in pictures)
    arrays = [f'{key}s = np.load("BUNDLE/cohort/{key}s.npy", mmap_mode="r")' for key in pictures]
    stacked = [f'{key}s = np.stack([case["{key}"] for case in cases])' for key in pictures]
    lines = {
        "PyTorch": [
            "import torch, understudy as us",
            'cases = us.load_bundle("BUNDLE")',
            "loader = torch.utils.data.DataLoader(cases, batch_size=8, shuffle=True)",
            "for batch in loader:",
            "    " + ", ".join(f'batch["{key}"]' for key in keys),
        ],
        f"MONAI, {whence}": [
            "import monai, understudy as us",
            cases,
            f"load = monai.transforms.{load}",
            "data = monai.data.Dataset(cases, load)",
        ],
        f"TorchIO, {whence}": [
            "import torchio as tio, understudy as us",
            cases,
            f"subjects = [tio.Subject({subject}) for c in cases]",
            "data = tio.SubjectsDataset(subjects)",
        ],
        "NumPy alone": ["import numpy as np", *arrays]
        if "folder" in forms
        else ["import numpy as np, understudy as us", 'cases = us.load_bundle("BUNDLE")', *stacked],
    }
    return {title: "".join(f"{line}\n" for line in code) for title, code in lines.items()}
