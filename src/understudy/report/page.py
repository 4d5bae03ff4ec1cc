"""``report``: results folders -> one self-contained HTML page, in a PUBLIC and, where asked for, an INTERNAL edition.

PUBLIC (report.html): synthetic cases, numbers with n and interval, curves, provenance, what is claimed and what is not;
no real pixel, no row per real case or subject. INTERNAL (internal/report.html): the same, stamped, with real cases
beside synthetic ones and the nearest pairs. Nothing is loaded from elsewhere, and the same results give the same bytes.
**Checked** in tests/report/test_page.py.
"""

import json
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from understudy.core import disclosure
from understudy.core.provenance import Provenance, code_version
from understudy.core.result import Result
from understudy.core.stage import finished, output_folder
from understudy.report.cards import cards
from understudy.report.chapters import chapter, claims
from understudy.report.internal import internal_sections
from understudy.report.reading import Folder, cohort_ids, folder_hash, read_folders
from understudy.report.sections import Section, public_sections
from understudy.report.tables import words


def write_report(results: list[Path], out: Path, internal: bool = False) -> Path:
    """Write the report of folders that ``evaluate`` wrote of the same cohorts, and return the page ``out/report.html``.

    The INTERNAL edition lies in ``out/internal``.

    Raises:
        UsageError: no results, or ``out`` holds something else.
        UnderstudyError: a folder is no results folder, or measured another cohort.
    """
    out = Path(out)
    folders = read_folders([Path(path) for path in results])
    public = {f"results.{i}.{folder.section}": folder.digest for i, folder in enumerate(folders)}
    request = Provenance("report", {"internal": internal}, 0, public)
    whole = {f"results.{i}": folder_hash(folder.path, public=False) for i, folder in enumerate(folders)}
    private = Provenance("report", {"internal": True}, 0, whole)
    done = finished(out, "provenance.json", request)
    if done and (not internal or finished(out / "internal", "provenance.json", private)):
        return out / "report.html"
    with output_folder(out) as folder:
        sections = public_sections(folders)
        _write(folder, _render(folders, sections, internal=False), request)
        if internal:
            inside = disclosure.internal(folder)
            every = [*internal_sections(folders), *sections]
            _write(inside, _render(folders, every, internal=True), private)
    return out / "report.html"


def _write(folder: Path, page: str, provenance: Provenance) -> None:
    (folder / "report.html").write_text(page, encoding="utf-8")
    (folder / "provenance.json").write_text(json.dumps({"provenance": provenance.to_json()}, indent=1) + "\n")


def _render(folders: list[Folder], sections: list[Section], internal: bool) -> str:
    """Return the page as HTML."""
    options: dict[str, Any] = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(loader=PackageLoader("understudy.report", ""), autoescape=True, **options)
    results = [result for folder in folders for result in folder.results]
    claimed, not_claimed = claims({folder.section for folder in folders})
    return environment.get_template("page.html.j2").render(
        internal=internal,
        sections=sections,
        cards=cards(results),
        withheld=_withheld(results),
        requests=[_request(folder.provenance) for folder in folders],
        real=cohort_ids(folders[0].provenance, "real"),
        synthetic=cohort_ids(folders[0].provenance, "synthetic").replace(",", ", ") or "not recorded",
        chapter=chapter,
        claimed=claimed,
        not_claimed=not_claimed,
        version=code_version(),
    )


def _request(provenance: dict[str, Any]) -> dict[str, str]:
    """Return what the page tells of the request behind a results folder."""
    told = {key: str(provenance.get(key, "not recorded")) for key in ("command", "seed", "understudy")}
    return {**told, "config": json.dumps(provenance.get("config", {}), sort_keys=True)}


def _withheld(results: list[Result]) -> dict[str, list[str]]:
    """Return the names of results without a value, by the reason that they have in common."""
    found: dict[str, list[str]] = {}
    for result in results:
        if result.value is None:
            found.setdefault(result.note, []).append(words(result.name, result.name.partition(".")[0]))
    return found
