"""croissant.json: a released cohort described for search engines of data sets and for machine learning libraries.

It names the case table, with its columns, and the files of each form. It stands under no date: a bundle holds none.
**Source**: Croissant 1.0 (mlcommons.org/croissant/1.0). **Checked** in tests/release/test_croissant.py; mlcroissant
validates and loads it (docs/clients.md).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from understudy.core.cohort import Cohort, file_hash
from understudy.core.provenance import code_version
from understudy.release.formats import FORMS

CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def croissant(bundle: Path, released: Cohort, forms: Sequence[str], licence: str) -> dict[str, Any]:
    """Return what croissant.json says of a cohort that stands in a bundle in some forms, under a licence."""
    table = FORMS[forms[0]].table
    files = [
        {
            "@type": "cr:FileSet",
            "@id": form,
            "name": form,
            "includes": FORMS[form].pictures,
            "encodingFormat": FORMS[form].media_type,
        }
        for form in forms
    ]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"synthetic-{released.id}",
        "description": f"{len(released):,} {released.kind} {released.modality} cases, made by a generator.",
        "version": "1.0.0",
        "url": f"urn:understudy:{released.id}",
        "license": licence,
        "citeAs": f"Synthetic cohort {released.id}, made by understudy {code_version()}.",
        "rai:dataCollection": "Sampled from a generative model; card.md says whose data stand behind it, in aggregate.",
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "cases.csv",
                "name": "cases.csv",
                "contentUrl": table,
                "encodingFormat": "text/csv",
                "sha256": file_hash(bundle / table),
            },
            *files,
        ],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "cases",
                "name": "cases",
                "key": {"@id": "cases/case_id"},
                "field": [_field(name, number=name in released.classes) for name in _columns(released)],
            }
        ],
    }


def _columns(released: Cohort) -> list[str]:
    return ["case_id", "subject_id", "spacing", *released.classes]


def _field(column: str, number: bool) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"cases/{column}",
        "name": column,
        "dataType": "sc:Float" if number else "sc:Text",
        "source": {"fileObject": {"@id": "cases.csv"}, "extract": {"column": column}},
    }
