"""A headless Chromium, spoken to over its DevTools pipe with nothing but the standard library."""

import base64
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-default-apps"),
    *("--disable-dev-shm-usage", "--remote-debugging-pipe", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
)

KEY_CODES = {
    "Tab": 9, "Enter": 13, "Escape": 27, "Backspace": 8, "PageUp": 33, "PageDown": 34, "ArrowLeft": 37, "ArrowUp": 38,
    "ArrowRight": 39, "ArrowDown": 40, "+": 187, "-": 189, "?": 191,
}  # fmt: skip


def chromium() -> str | None:
    """Return the program, None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends have numbers of 10 and more."""
    low = os.pipe()
    high = fcntl.fcntl(low[0], fcntl.F_DUPFD_CLOEXEC, 10), fcntl.fcntl(low[1], fcntl.F_DUPFD_CLOEXEC, 10)
    for end in low:
        os.close(end)
    return high


class Browser:
    """One page in a browser that knows no name and no host but its own machine; events are kept as they come."""

    def __enter__(self) -> Self:
        self.profile = tempfile.mkdtemp()
        (read_in, self.to), (self.since, write_out) = _pipe(), _pipe()
        self.process = subprocess.Popen(
            [str(chromium()), *FLAGS, f"--user-data-dir={self.profile}", "about:blank"],
            preexec_fn=lambda: (os.dup2(read_in, 3), os.dup2(write_out, 4)),  # what it reads and writes
            pass_fds=(3, 4),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read_in)
        os.close(write_out)
        self.left, self.number, self.session, self.events = b"", 0, "", list[dict[str, Any]]()
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target for target in targets if target["type"] == "page")
        found = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self.session = found["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.to)
        os.close(self.since)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method and return its result; events that come before it are kept."""
        self.number += 1
        message: dict[str, Any] = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        while True:
            found = self._next()
            if found.get("id") == self.number:
                if "error" in found:
                    raise RuntimeError(f"{method}: {found['error']}")
                result: dict[str, Any] = found["result"]
                return result
            self.events.append(found)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.left:
            more = os.read(self.since, 2**20)
            if not more:
                raise RuntimeError("the browser ended")
            self.left += more
        first, _, self.left = self.left.partition(b"\0")
        message: dict[str, Any] = json.loads(first)
        return message

    def open(self, file: Path, width: int, dark: bool = False, media: str = "screen") -> None:
        """Open a file at a width of the window, and wait until it is loaded."""
        self.go(file.absolute().as_uri(), width, dark, media)

    def go(self, address: str, width: int, dark: bool = False, media: str = "screen", height: int = 900) -> None:
        """Open an address at a size of the window, and wait until it is loaded."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.events.clear()
        self.call("Page.navigate", url=address)
        end = time.monotonic() + 30
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            if time.monotonic() > end:
                raise RuntimeError(f"{address} did not load in 30 s")
            self.events.append(self._next())

    def value(self, expression: str) -> Any:
        """Return the value of a JavaScript expression on the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return found["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key: a letter, or a name such as Enter."""
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else "")
        code = KEY_CODES.get(key, ord(key[0].upper()))
        told = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **told, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **told)

    def drag(self, *points: tuple[float, float], button: str = "left") -> None:
        """Press a button of the mouse at the first point, move to the others, let go; of one point: click."""
        (x, y), buttons = points[0], {"left": 1, "right": 2}[button]
        self.call("Input.dispatchMouseEvent", type="mousePressed", x=x, y=y, button=button, clickCount=1)
        for x, y in points[1:]:
            self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y, button=button, buttons=buttons)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", x=x, y=y, button=button, clickCount=1)

    def click(self, selector: str) -> None:
        """Click the middle of the element that a selector finds first."""
        box = self.value(
            f"(e => {{ e.scrollIntoView({{block: 'nearest'}}); const b = e.getBoundingClientRect(); "
            f"return [b.x + b.width / 2, b.y + b.height / 2]; }})(document.querySelector({json.dumps(selector)}))"
        )
        self.drag((box[0], box[1]))

    def wait(self, expression: str, seconds: float = 20) -> None:
        """Wait until a JavaScript expression is true on the page."""
        end = time.monotonic() + seconds
        while not self.value(f"Boolean({expression})"):
            if time.monotonic() > end:
                raise RuntimeError(f"{expression} is not true after {seconds} s")
            time.sleep(0.02)

    def requests(self) -> list[str]:
        """Return the addresses that the page asked for since it was opened."""
        sent = [event for event in self.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def complaints(self) -> list[str]:
        """Return what the console holds: messages, exceptions, entries of the log."""
        names = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [json.dumps(event["params"]) for event in self.events if event.get("method") in names]

    def shot(self, file: Path, whole: bool = True) -> None:
        """Write a PNG of the page, the whole of it or what is in view."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        file.write_bytes(base64.b64decode(found["data"]))
