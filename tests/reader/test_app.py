"""Every route: whose it is, what is refused, what headers stand on it; a fuzz of all of them without a fault."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("starlette", reason="needs the extra reader")

from understudy.reader import app as application
from understudy.reader.create import Created
from understudy.reader.session import OpenStudy

POSTS = ("/api/enter", "/api/leave", "/api/answer", "/api/training")
GETS = ("/", "/admin", "/page/study.js", "/api/state", "/api/progress", "/api/answers/0", "/image/study/0")


@pytest.fixture
def made(make: Callable[..., Created]) -> Created:
    return make(training=2)


@pytest.fixture
def client(made: Created, reading: Any) -> Iterator[Any]:
    study = OpenStudy.open(made.folder)
    one = reading.Client(application.make_app(study, ["localhost", "127.0.0.1", "::1"]))
    yield one
    one.close()
    study.store.close()


def enter(client: Any, made: Created, reader: int = 1) -> None:
    assert client.ask("POST", "/api/enter", {"token": made.links[reader]}).status == 200


def test_a_reader_reads(client: Any, made: Created, reading: Any) -> None:
    enter(client, made)
    cookie = client.seen[-1].headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "path=/" in cookie
    state = client.ask("GET", "/api/state").data
    image = client.ask("GET", "/image/study/0")
    c, d, h, w = state["shape"]
    assert len(image.body) == (2 * c + 1) * d * h * w and image.headers["content-type"] == "application/octet-stream"
    assert client.ask("POST", "/api/answer", reading.sent(0)).data == {"next": 1}
    assert client.ask("GET", "/api/answers/0").data == {"answers": reading.SAID}
    assert client.ask("POST", "/api/training", {"position": 0, "call": "real"}).data["truth"] in ("real", "synthetic")
    assert client.ask("GET", "/image/training/1").status == 200
    client.ask("POST", "/api/leave", {})
    client.cookie = ""
    assert client.ask("GET", "/api/state").status == 401


def test_headers_stand_on_every_reply(client: Any) -> None:
    for path in (*GETS, "/nothing", "/page/truth.json"):
        found = client.ask("GET", path).headers
        policy = found["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert found["referrer-policy"] == "no-referrer" and found["cache-control"] == "no-store"
        assert found["x-content-type-options"] == "nosniff" and "server" not in found


def test_the_pages_have_no_inline_code_and_nothing_from_elsewhere(client: Any) -> None:
    for path in ("/", "/admin"):
        text = client.ask("GET", path).body.decode()
        assert "<script>" not in text and "style=" not in text and " on" + "click" not in text and "http" not in text
        for name in [part.split('"')[0] for part in text.split("/page/")[1:]]:
            assert client.ask("GET", f"/page/{name}").status == 200


def test_without_a_link_nothing_is_told(client: Any, made: Created) -> None:
    for cookie in ("", "reader=", "reader=x", f"reader={made.links[1][:-1]}", "reader=1", "other=1"):
        client.cookie = cookie
        for path in ("/api/state", "/api/progress", "/api/answers/0", "/image/study/0", "/image/training/0"):
            reply = client.ask("GET", path)
            assert reply.status == 401 and set(reply.data) == {"error"}
    for token in ("", "x", made.links[1] + "x", made.links[1].lower(), "' OR 1=1 --"):
        assert client.ask("POST", "/api/enter", {"token": token}).status == 403


def test_readers_see_their_own_and_the_progress_page_reads_nothing(client: Any, made: Created, reading: Any) -> None:
    enter(client, made, 1)
    client.ask("POST", "/api/answer", reading.sent(0, comment="mine"))
    client.cookie = client.cookie.replace("reader", "progress")
    assert client.ask("GET", "/api/progress").status == 403
    enter(client, made, 2)
    assert client.ask("GET", "/api/state").data["next"] == 0
    assert client.ask("GET", "/api/answers/0").data == {"answers": None}
    enter(client, made, 0)
    progress = client.ask("GET", "/api/progress")
    assert [one["answered"] for one in progress.data["readers"]] == [1, 0] and b"mine" not in progress.body
    client.cookie = client.cookie.replace("progress", "reader")
    for path in ("/api/state", "/image/study/0", "/api/answers/0"):
        assert client.ask("GET", path).status == 403
    assert client.ask("POST", "/api/answer", reading.sent(0)).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/page/../study.json", "/page/..%2fstudy.json", "/page/%2e%2e/truth.json", "/page/index.html", "/page/",
        "/page/../../../../etc/passwd", "/image/../truth.json/0", "/image/study/../../truth.json", "/image/study/-1",
        "/image/study/0x1", "/image/study/9999999999", "/image/study/" + "9" * 5000, "/image/study/²", "/image/items/0",
        "/truth.json", "/answers.sqlite", "/study/truth.json", "//etc/passwd", "/image/study/1e3", "/api/answers/None",
        "/page/study.js\x00.css", "/docs", "/openapi.json",
    ],
)  # fmt: skip
def test_nothing_lies_outside(client: Any, made: Created, path: str) -> None:
    enter(client, made)
    reply = client.ask("GET", path)
    assert reply.status == 404 and b"root:" not in reply.body and b"stratum" not in reply.body


def test_other_sites_cannot_post(client: Any, made: Created, reading: Any) -> None:
    enter(client, made)
    for headers in (
        {"origin": "http://evil.example"}, {"origin": "null"}, {"origin": "http://localhost.evil.example"},
        {"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"},
    ):  # fmt: skip
        for path in POSTS:
            assert client.ask("POST", path, reading.sent(0), headers).status == 403
    assert client.ask("POST", "/api/answer", b"position=0", {"content-type": "text/plain"}).status == 415
    assert client.ask("POST", "/api/answer", reading.sent(0), {"origin": "http://localhost"}).status == 200
    assert client.ask("GET", "/api/state").data["next"] == 1


@pytest.mark.parametrize("host", ["evil.example", "", "localhost.evil.example", "localhost@evil", "[::1", "a, b"])
def test_another_host_name_is_refused(client: Any, host: str) -> None:
    client.host = host
    assert client.ask("GET", "/").status == 400


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:1", "[::1]:8765", "LOCALHOST"])
def test_its_own_names_are_known(client: Any, host: str) -> None:
    client.host = host
    assert client.ask("GET", "/").status == 200


def test_large_slow_and_cut_bodies(client: Any, made: Created, monkeypatch: pytest.MonkeyPatch) -> None:
    enter(client, made)
    assert client.ask("POST", "/api/answer", b"[" * 70_000, {"content-type": "application/json"}).status == 413
    deep = b"[" * 60_000
    assert client.ask("POST", "/api/answer", deep, {"content-type": "application/json"}).status == 422
    monkeypatch.setattr(application, "SECONDS", 0.05)
    slow = client.ask("POST", "/api/answer", b'{"position": 0}', {"content-type": "application/json"}, 9, 0.02)
    assert slow.status == 408


def test_a_script_in_a_text_stays_a_text(client: Any, made: Created, reading: Any) -> None:
    enter(client, made)
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\u0000\u202e\"'--"
    client.ask("POST", "/api/answer", reading.sent(0, comment=evil))
    reply = client.ask("GET", "/api/answers/0")
    assert reply.data["answers"]["comment"] == evil and reply.headers["content-type"] == "application/json"
    pages = "".join(file.read_text() for file in sorted((Path(application.__file__).parent / "page").glob("*.js")))
    assert not any(
        word in pages for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(")
    )


WORDS: list[Any] = [
    None, True, -1, 0, 1, 2**70, 1e308, "", "x", "../..", "a" * 3000, [], [[]], {}, {"call": "real"},
    {"call": "real", "confidence": 3}, ["0"], [0, 1],
]  # fmt: skip


def test_a_fuzz_of_all_routes_finds_no_fault(client: Any, made: Created, reading: Any) -> None:
    """1,000 odd requests: methods, paths, headers, bodies; nothing is a 5xx, and what was answered stays."""
    enter(client, made)
    client.ask("POST", "/api/answer", reading.sent(0))
    cookie, draw = client.cookie, np.random.default_rng(0)
    pick = lambda some: some[int(draw.integers(0, len(some)))]  # noqa: E731
    keys = ("position", "nonce", "answers", "seconds", "token", "call", "reader", "source", "findings")
    for _ in range(1000):
        client.cookie = pick((cookie, cookie, "", "reader=%00", "reader=\xff"))
        path = pick((*POSTS, *GETS)) + pick(("", "", "", "/", "/..", "?x=1", "%00", "0", "/\xe9"))
        body = {pick(keys): pick(WORDS) for _ in range(int(draw.integers(0, 6)))}
        if draw.random() < 0.3:
            said = {"answers": reading.SAID | {pick(keys): pick(WORDS)}}
            body = reading.sent(0, int(draw.integers(1, 9))) | said | {pick(keys): pick(WORDS)}
        raw = json.dumps(body).encode()
        if draw.random() < 0.3:
            raw = raw[: int(draw.integers(0, len(raw)))] + bytes(draw.integers(0, 256, 5).tolist())
        method = pick(("GET", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "X"))
        kind = pick(("application/json", "application/json", "text/html", ""))
        reply = client.ask(method, path, raw, {"content-type": kind, "range": "bytes=0-1", "accept": "x"})
        assert reply.status < 500, (method, path, raw)
        assert b"Traceback" not in reply.body and str(made.folder).encode() not in reply.body
    client.cookie = cookie
    assert client.ask("GET", "/api/answers/0").data["answers"].keys() >= {"source", "realism"}
