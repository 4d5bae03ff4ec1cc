"""Two people read a whole study in real Chromium; the server is killed midway; nothing is lost, nothing is told."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the extra reader")

from understudy.core.result import read_results
from understudy.reader.analysis.stage import analyze_study
from understudy.reader.create import Created
from understudy.reader.store import Store

pytestmark = pytest.mark.loopback
READING = "!document.getElementById('reading').hidden"
PLACE = "document.getElementById('place').textContent"


class Server:
    """``understudy reader serve`` in a process of its own."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        command = [sys.executable, "-m", "understudy.cli.main", "reader", "serve", str(folder), "--port", str(port)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)/", line)
        assert found, line
        self.port = int(found[1])

    def kill(self) -> None:
        if self.process.stdout is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture
def stack(devtools: ModuleType) -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


def begin(browser: Any, made: Created, reader: int, port: int, width: int = 1100) -> None:
    browser.go(f"http://127.0.0.1:{port}/#{made.links[reader]}", width, height=800)
    browser.wait("!document.getElementById('begin').hidden")
    assert browser.value("location.href") == f"http://127.0.0.1:{port}/"  # the secret is gone from the address
    browser.press("Enter")
    browser.wait(READING)


def planned(reader: int, position: int) -> dict[str, Any]:
    """Return what a reader will say."""
    turn = (position * (2 + reader) + reader) % 7
    call = {"call": ("real", "synthetic")[turn % 2], "confidence": 1 + turn % 5}
    findings = [[], [0], [1], [0, 1]][turn % 4]
    said = {"source": call, "realism": turn % 3, "outline": turn % 2 == 0, "findings": findings}
    return said | ({"comment": "<b>grain</b>"} if position == 1 else {})


def by_keys(browser: Any, said: dict[str, Any]) -> None:
    keys = [said["source"]["call"][0], str(said["source"]["confidence"]), str(said["realism"] + 1)]
    keys += ["y" if said["outline"] else "n", *(str(k + 1) for k in said["findings"] or [-1])]
    for key in keys:
        browser.press(key)
    if "comment" in said:
        browser.press("t")
        browser.call("Input.insertText", text=said["comment"])
        browser.press("Escape")
    browser.press("Enter")


def by_pointer(browser: Any, said: dict[str, Any]) -> None:
    found = [("source-call", said["source"]["call"]), ("source-confidence", said["source"]["confidence"])]
    found += [("realism", said["realism"]), ("outline", str(said["outline"]).lower())]
    found += [("findings", k) for k in said["findings"] or ["none"]]
    for name, value in found:
        browser.click(f'[name="{name}"][value="{value}"]')
    if "comment" in said:
        browser.click("textarea")
        browser.call("Input.insertText", text=said["comment"])
    browser.click("#save")


def at(browser: Any, number: int) -> None:
    browser.wait(f"{PLACE}.startsWith('Case {number} ') && !document.querySelector('#asked input:checked')")


def complaints(browser: Any) -> list[str]:
    """Return what the console holds, but for the time when the server was dead."""
    return [one for one in browser.complaints() if "ERR_CONNECTION" not in one]


def test_two_readers_through_a_killed_server(
    stack: ExitStack, devtools: ModuleType, make: Callable[..., Created], tmp_path: Path
) -> None:
    made = make(n=5, repeats=0.2, undo="last")
    server = Server(made.folder)
    stack.callback(lambda: server.kill())
    browsers = [stack.enter_context(devtools.Browser()) for _ in (1, 2)]
    total = 12
    for reader, browser in enumerate(browsers, start=1):
        begin(browser, made, reader, server.port, (1100, 800)[reader - 1])
    for position in range(total):
        for reader, (browser, say) in enumerate(zip(browsers, (by_keys, by_pointer), strict=True), start=1):
            at(browser, position + 1)
            if position == 6 and reader == 1:
                server.kill()
            say(browser, planned(reader, position))
            if position == 6 and reader == 1:
                browser.wait("document.getElementById('trouble').textContent.includes('not saved yet')")
                server = Server(made.folder, server.port)
            if position == 3 and reader == 1:  # back to the last answer, changed, and back again, changed back
                for said in ({"call": "real", "confidence": 2}, planned(reader, position)["source"]):
                    at(browser, 5)
                    browser.press("Backspace")
                    browser.wait(f"{PLACE}.startsWith('Case 4 ') && document.querySelector('#asked input:checked')")
                    for key in (said["call"][0], str(said["confidence"]), "Enter"):
                        browser.press(key)
    for browser in browsers:
        browser.wait("document.getElementById('start-title').textContent === 'Thank you'")
        address = f"http://127.0.0.1:{server.port}/"
        asked = browser.requests()
        assert all(url.startswith(address) for url in asked), asked
        images = [url.rpartition("/")[2] for url in asked if "/image/" in url]
        assert list(dict.fromkeys(images)) == [str(i) for i in range(total)]  # by position, no name
        assert complaints(browser) == []
    server.kill()
    store = Store(made.folder)
    for reader in (1, 2):
        given = store.answers(reader)
        assert [given[p].answers for p in range(total)] == [planned(reader, p) for p in range(total)]
        assert all(0 < one.seconds < 600 for one in given.values())
        assert store.count(reader) == total + (2 if reader == 1 else 0)  # nothing twice, nothing lost
    store.close()
    results = {one.name: one.value for one in read_results(analyze_study(made.folder, tmp_path / "results"))[0]}
    assert results["reader.right"] == pytest.approx(right_by_hand(made.folder))


def right_by_hand(folder: Path) -> float:
    """Count the right calls on first showings, from what was planned."""
    orders = json.loads((folder / "orders.json").read_text())["orders"]
    truth = json.loads((folder / "truth.json").read_text())["items"]
    right = []
    for reader, order in enumerate(orders, start=1):
        for item in dict.fromkeys(order):
            right.append(planned(reader, order.index(item))["source"]["call"] == truth[item]["source"])
    return sum(right) / len(right)


def test_volumes_training_pause_and_the_view(
    stack: ExitStack, devtools: ModuleType, make: Callable[..., Created]
) -> None:
    made = make(real="volumes", synthetic=("drawn",), n=5, readers=1, repeats=0.0, training=2)
    server = Server(made.folder)
    stack.callback(server.kill)
    browser = stack.enter_context(devtools.Browser())
    begin(browser, made, 1, server.port)
    for _ in range(2):  # practice: the call alone, and then what it was
        browser.press("r")
        browser.press("5")
        browser.press("Enter")
        browser.wait("document.getElementById('told').className !== ''")
        assert browser.value("document.getElementById('told').textContent").startswith(("Right: ", "Wrong: "))
        browser.press("Enter")
        browser.wait("document.getElementById('told').className === ''")
    at(browser, 1)
    picture = "document.querySelector('canvas').toDataURL()"
    seen = {browser.value(picture)}
    for key in ("PageDown", "v", "c", "+", "ArrowUp", "w", "o", "0"):
        browser.press(key)
        seen.add(browser.value(picture))
    browser.drag((300, 300), (340, 320))
    seen.add(browser.value(picture))
    browser.drag((300, 300), (340, 360), button="right")
    seen.add(browser.value(picture))
    assert len(seen) == 11  # every one of them changes the picture
    assert browser.value("document.getElementById('slice-number').textContent").endswith(" of 8")
    browser.press("p")
    browser.wait("document.getElementById('paused').open")
    time.sleep(0.3)
    browser.press("Enter")
    browser.wait("!document.getElementById('paused').open")
    for position in range(10):
        at(browser, position + 1)
        by_keys(browser, planned(1, position))
    browser.wait("document.getElementById('start-title').textContent === 'Thank you'")
    assert complaints(browser) == []
    browser.go(f"http://127.0.0.1:{server.port}/admin#{made.links[0]}", 800)
    browser.wait("document.getElementById('rows').textContent.includes('10 of 10')")
    assert complaints(browser) == [] and "synthetic" not in browser.value("document.querySelector('main').textContent")
    browser.go(f"http://127.0.0.1:{server.port}/#nobody", 800)
    browser.wait("document.getElementById('start-title').textContent === 'Open your own link'")
