"""Write docs/reference.md from the menus: metrics, sources, forms, and every setting of everything that has settings.

python benchmarks/reference.py > docs/reference.md
"""

from understudy.api.settings import described, names, presets_of, settings_of
from understudy.data.sources import SOURCES
from understudy.evaluation import quantities
from understudy.release.formats import FORMS

HEAD = """# Reference

Made from the menus by `python benchmarks/reference.py > docs/reference.md`; a test holds that it is up to date.
The same on the screen: `understudy --help`, `understudy VERB --help`, `understudy settings NAME`.
"""


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = [header, ("---",) * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


def reference() -> str:
    """Return the whole page."""
    parts = [HEAD, "## Metrics of fidelity\n"]
    rows = []
    for name, q in quantities().items():
        low, high = q.bounds
        bounds = f"{low:g} to {high:g}"
        rows.append((f"`{name}`", q.title, q.unit or "", q.better, bounds, ", ".join(sorted(q.laws))))
    parts.append(table(("name", "title", "unit", "better", "bounds", "laws that tests hold"), rows))
    parts.append("\n## Sources and release forms\n")
    parts.append("\n".join(f"- `import {name}`: {SOURCES[name].summary}" for name in SOURCES))
    parts.append("\n".join(f"- `release --format {name}`" for name in FORMS))
    for kind, known in names().items():
        parts.append(f"\n## Settings of {kind}")
        for name in known:
            parts.append(f"\n### `{name}`\n")
            found = [(f"`{one.name}`", one.type, one.default, one.meaning) for one in described(settings_of(name))]
            parts.append(table(("setting", "type", "default", "meaning"), found))
            for preset, values in presets_of(name).items():
                told = ", ".join(f"{key}={value}" for key, value in values.items()) or "the defaults"
                parts.append(f"\nPreset `{preset}`: {told}.")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    print(reference(), end="")
