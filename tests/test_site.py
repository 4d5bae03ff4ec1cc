"""The built site, switched on by ``make docs-check`` (UNDERSTUDY_SITE): nothing comes from another host, search works.

Every page is opened in a real browser as a file, some in other widths and in the dark, and the site is built again
where there is no network.
"""

import http.server
import os
import re
import shutil
import subprocess
import threading
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SITE = REPOSITORY / "site"
MKDOCS = REPOSITORY / ".venv-docs" / "bin" / "mkdocs"
ASKED_FOR = {  # tags that a browser loads by itself, and where they say what
    "audio": "src", "embed": "src", "iframe": "src", "img": "src", "input": "src", "object": "data", "script": "src",
    "source": "src", "track": "src", "video": "src", "use": "href", "image": "href",
}  # fmt: skip
LOADED = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "dns-prefetch", "modulepreload", "manifest"}
KNOWN = {"unpkg.com", "api.github.com"}  # asked for diagrams, and where a repository is configured: there is neither
FOREIGN = re.compile(r"^\s*(?:[a-z]+:)?//", re.IGNORECASE)

pytestmark = pytest.mark.skipif(not os.environ.get("UNDERSTUDY_SITE"), reason="make docs-check builds the site")


class Loads(HTMLParser):
    """What a page makes a browser load."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = ""
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.inside = tag
        if tag in ASKED_FOR:
            self.found += [given.get(ASKED_FOR[tag], ""), *given.get("srcset", "").split(",")]
        if tag == "link" and LOADED & set(given.get("rel", "").split()):
            self.found.append(given.get("href", ""))
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.found.append(given.get("content", "").partition("url=")[2])
        self.found += in_styles(given.get("style", ""))
        assert "mermaid" not in given.get("class", "")

    def handle_data(self, data: str) -> None:
        if self.inside == "style":
            self.found += in_styles(data)


def in_styles(text: str) -> list[str]:
    return [a or b for a, b in re.findall(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", text)]


def pages() -> list[Path]:
    found = sorted(SITE.rglob("*.html"))
    assert len(found) > 40, "make docs"
    return found


def test_no_page_or_style_names_another_host_to_load_from() -> None:
    found = {str(page.relative_to(SITE)): Loads(page).found for page in pages()}
    found |= {file.name: in_styles(file.read_text(encoding="utf-8")) for file in SITE.rglob("*.css")}
    assert sum(map(len, found.values())) > 200
    assert not {name: bad for name, urls in found.items() if (bad := [url for url in urls if FOREIGN.match(url)])}


def test_scripts_name_no_other_host_than_the_theme_does() -> None:
    scripts = [file for file in SITE.rglob("*.js") if file.parent.name != "search"]
    quoted = re.compile(r"[\"'`](?:https?:)?//([\w.-]+\.\w+)")
    hosts = {host for file in scripts for host in quoted.findall(file.read_text(encoding="utf-8"))}
    assert hosts <= KNOWN, hosts - KNOWN


def looked_at(browser: Any) -> None:
    """Nothing was asked of another host, is missing or complains, and the page does not scroll sideways."""
    assert not [url for url in browser.requests() if not url.startswith(("file:", "data:", "http://127.0.0.1:"))]
    assert not [event for event in browser.events if event.get("method") == "Network.loadingFailed"]
    assert not browser.complaints()
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")


def test_every_page_opens_as_a_file(browser: Any) -> None:
    for page in pages():
        if page.name != "404.html":  # a server's, whose styles lie at its root
            browser.open(page, 1280)
            looked_at(browser)


@pytest.mark.parametrize("dark", [False, True])
def test_pages_fit_a_telephone_and_follow_the_dark(browser: Any, dark: bool) -> None:
    for name in ("index", "install", "how-to/index", "metrics", "results/index", "commands"):
        browser.open(SITE / f"{name}.html", 360, dark)
        looked_at(browser)
        red = browser.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
        assert (int(red) < 80) == dark, f"{name}: {red}"


def search(browser: Any) -> None:
    """Search for a word until the page that explains it is found."""
    browser.click(".md-search__input")
    browser.wait("document.activeElement.matches('.md-search__input')")
    for letter in "pseudonym":
        browser.press(letter)
    browser.wait("document.querySelector('.md-search-result__link[href*=\"concepts.html#cohort\"]')", 60)


def test_search_works_from_a_file(browser: Any) -> None:
    browser.open(SITE / "index.html", 1280)
    search(browser)
    looked_at(browser)


@pytest.mark.loopback
def test_search_works_from_a_server(browser: Any) -> None:
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser.go(f"http://127.0.0.1:{server.server_port}/index.html", 1280)
        search(browser)
        looked_at(browser)
        server.shutdown()


def test_it_is_built_without_network(tmp_path: Path) -> None:
    if not MKDOCS.exists() or not shutil.which("unshare") or subprocess.run(["unshare", "-rn", "true"]).returncode:
        pytest.skip("unshare may not take the network away here")
    command = ["unshare", "-rn", str(MKDOCS), "build", "--site-dir", str(tmp_path / "site")]
    made = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    for page in pages():
        assert (tmp_path / "site" / page.relative_to(SITE)).read_bytes() == page.read_bytes()
