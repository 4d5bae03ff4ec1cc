"""The report in a real headless browser: no complaint, no request, no sideways scroll, keyboard, light and dark."""

from pathlib import Path
from typing import Any

import pytest

from understudy.studies.report.page import write_study_report

WIDE = "document.documentElement.scrollWidth"
LOADED = "[...document.images].every(i => i.complete && i.naturalWidth > 0) && document.images.length"
INK = "getComputedStyle(document.querySelector('.drawing text')).fill + getComputedStyle(document.body).backgroundColor"
NAMELESS = (
    "document.querySelectorAll('img:not([alt]), [role=img]:not([aria-label]), [role=img][aria-label=\"\"]').length"
)
NARROW = (
    "[...document.querySelectorAll('p, li, h2')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"
)
FOLDED = "[...document.querySelectorAll('details > :not(.file)')].filter(e => !e.offsetHeight).length"
CUT = "[...document.querySelectorAll('table')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).length"


@pytest.fixture(scope="module")
def page(_crossval: Any) -> Path:
    return write_study_report(_crossval, _crossval.stages, _crossval.out)


@pytest.mark.parametrize(("width", "dark"), [(360, False), (1600, True)])
def test_the_page_is_complete_and_fits(browser: Any, page: Path, width: int, dark: bool) -> None:
    browser.open(page, width, dark)
    assert browser.complaints() == []
    assert [url for url in browser.requests() if not url.startswith("data:")] == [page.absolute().as_uri()]
    assert browser.value(LOADED) == 1 and browser.value(WIDE) == width
    assert browser.value(NARROW) == 0 and browser.value(NAMELESS) == 0
    ink = "rgb(163, 176, 188)rgb(18, 24, 31)" if dark else "rgb(91, 104, 117)rgb(255, 255, 255)"
    assert browser.value(INK) == ink  # figures take the colours of the page


def test_it_prints_dark_on_white_whole_and_without_what_paper_cannot_use(browser: Any, page: Path) -> None:
    a4 = 688  # CSS pixels between margins of 14 mm
    browser.open(page, a4, dark=True, media="print")
    assert browser.complaints() == [] and browser.value(WIDE) == a4
    assert browser.value(NARROW) == 0 and browser.value(CUT) == 0
    assert browser.value(INK) == "rgb(91, 104, 117)rgb(255, 255, 255)"
    assert browser.value("[...document.querySelectorAll('nav, .skip')].filter(e => e.offsetParent).length") == 0
    assert browser.value(FOLDED) == 0


def test_the_keyboard_reaches_the_findings(browser: Any, page: Path) -> None:
    browser.open(page, 1000)
    browser.press("Tab")
    assert browser.value("document.activeElement.className") == "skip"
    assert browser.value("document.activeElement.getBoundingClientRect().left") >= 0
    assert browser.value("document.querySelectorAll('.scroll:not([tabindex])').length") == 0


def test_a_broken_page_is_noticed(browser: Any, page: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.html"
    wide = '<div style="width:900px">x</div><img src="https://example.org/x.png"><script>console.log(1)</script></main>'
    text = page.read_text().replace("</main>", wide)
    broken.write_text(text)  # its policy forbids both
    browser.open(broken, 360)
    assert browser.value(WIDE) > 360 and len(browser.complaints()) >= 2 and not browser.value(LOADED)
    broken.write_text(text.replace("default-src 'none'", "default-src *").replace("img-src data:", "img-src *"))
    browser.open(broken, 360)
    assert any("example.org" in url for url in browser.requests())
