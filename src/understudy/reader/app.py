"""The web application: ten routes, a strict content-security policy, nothing from outside the study folder.

A link is ``http://HOST:PORT/#SECRET``: what follows ``#`` is never sent with a request, so that it stands in no log and
no referrer. The page hands it over once and gets a cookie (HttpOnly, SameSite=Strict). Every request that changes
something must be JSON from the page's own origin. Files of the page are a fixed list; an item is named by a number.
**Checked** in tests/reader/test_app.py (every route: wrong tokens, traversal, other origins, large and slow bodies).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from understudy.core.documents import parsed
from understudy.core.errors import UsageError
from understudy.reader.answers import Entrance, SentAnswer, SentTraining
from understudy.reader.batches import Batches
from understudy.reader.session import OpenStudy, OutOfTurn
from understudy.reader.store import ADMIN

MAX_BODY = 64 * 1024  # bytes
SECONDS = 15.0  # in which a body must arrive
COOKIES = "progress", "reader"  # one browser may have both
PAGE = {
    "index.html": "text/html; charset=utf-8",
    "admin.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "viewer.js": "text/javascript; charset=utf-8",
    "questions.js": "text/javascript; charset=utf-8",
    "study.js": "text/javascript; charset=utf-8",
    "admin.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
Model = TypeVar("Model", bound=BaseModel)
Handler = Callable[[Request], Awaitable[Response]]


class RefusedRequest(Exception):
    """A request that is answered with a status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        """Keep both."""
        super().__init__(sentence)
        self.status = status


def make_app(study: OpenStudy, hosts: Sequence[str]) -> Starlette:
    """Return the application for one study, which answers requests to these host names only."""
    routes = _Routes(study)
    app = Starlette(
        routes=[
            Route("/", routes.page("index.html")),
            Route("/admin", routes.page("admin.html")),
            Route("/page/{name:str}", routes.asset),
            Route("/api/enter", _guarded(routes.enter), methods=["POST"]),
            Route("/api/leave", _guarded(routes.leave), methods=["POST"]),
            Route("/api/state", _guarded(routes.state)),
            Route("/api/progress", _guarded(routes.progress)),
            Route("/api/answers/{position:str}", _guarded(routes.answered)),
            Route("/api/answer", _guarded(routes.answer), methods=["POST"]),
            Route("/api/training", _guarded(routes.training), methods=["POST"]),
            Route("/image/{block:str}/{position:str}", _guarded(routes.image)),
        ]
    )
    app.add_middleware(_Doorkeeper, hosts=hosts)
    return app


class _Doorkeeper:
    """Refuses requests to another host name, as of a page that had its name point here; adds headers to every reply."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app, self.hosts = app, frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        app = self.app if self._known(scope) else JSONResponse({"error": "this server has another name"}, 400)
        await app(scope, receive, sending)

    def _known(self, scope: Scope) -> bool:
        named = [value.decode("latin-1") for name, value in scope.get("headers", []) if name == b"host"]
        try:
            return len(named) == 1 and urlsplit(f"//{named[0]}").hostname in self.hosts
        except ValueError:
            return False


def _guarded(handler: Handler) -> Handler:
    """Answer what a handler refuses with a status and a sentence."""

    async def guarded(request: Request) -> Response:
        try:
            return await handler(request)
        except RefusedRequest as error:
            return JSONResponse({"error": str(error)}, error.status)
        except OutOfTurn as error:
            return JSONResponse({"error": str(error)}, 409)
        except UsageError as error:
            return JSONResponse({"error": str(error)}, 422)
        except (ClientDisconnect, OverflowError):
            return JSONResponse({"error": "the request is not whole"}, 400)

    return guarded


class _Routes:
    """The handlers, around one study."""

    def __init__(self, study: OpenStudy) -> None:
        self.study, self.batches = study, Batches(study.store)
        folder = files("understudy.reader").joinpath("page")
        self.files = {name: folder.joinpath(name).read_bytes() for name in PAGE}

    def page(self, name: str) -> Handler:
        async def shown(request: Request) -> Response:
            return Response(self.files[name], media_type=PAGE[name])

        return shown

    async def asset(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.files or name.endswith(".html"):
            return JSONResponse({"error": "there is no such file"}, 404)
        return Response(self.files[name], media_type=PAGE[name])

    async def enter(self, request: Request) -> Response:
        token = (await _body(request, Entrance)).token
        who = self.study.store.whose(token)
        if who is None:
            raise RefusedRequest(403, "this link is not valid: ask for a new one")
        response = JSONResponse({"admin": who == ADMIN})
        response.set_cookie(
            COOKIES[who != ADMIN], token, httponly=True, samesite="strict", path="/", max_age=30 * 86_400
        )
        return response

    async def leave(self, request: Request) -> Response:
        _same_origin(request)
        response = JSONResponse({})
        for name in COOKIES:
            response.delete_cookie(name, httponly=True, samesite="strict", path="/")
        return response

    async def state(self, request: Request) -> Response:
        return JSONResponse(self.study.state(self._reader(request)))

    async def progress(self, request: Request) -> Response:
        if self._who(request, COOKIES[0]) != ADMIN:
            raise RefusedRequest(403, "the progress is for the one who runs the study")
        return JSONResponse(self.study.progress())

    async def answered(self, request: Request) -> Response:
        return JSONResponse(self.study.answered(self._reader(request), _position(request)))

    async def answer(self, request: Request) -> Response:
        reader = self._reader(request)
        sent = await _body(request, SentAnswer)
        await self.batches.add(self.study.accepted(reader, sent), sent.nonce)
        return JSONResponse(self.study.following(reader))

    async def training(self, request: Request) -> Response:
        self._reader(request)
        return JSONResponse(self.study.feedback(await _body(request, SentTraining)))

    async def image(self, request: Request) -> Response:
        reader, position = self._reader(request), _position(request)
        block = request.path_params["block"]
        if block not in ("study", "training"):
            raise RefusedRequest(404, "there is no such image")
        found = self.study.training_item(position) if block == "training" else self.study.item(reader, position)
        return Response(found, media_type="application/octet-stream")

    def _who(self, request: Request, cookie: str) -> int:
        who = self.study.store.whose(request.cookies.get(cookie, ""))
        if who is None:
            raise RefusedRequest(401, "open your own link first")
        return who

    def _reader(self, request: Request) -> int:
        who = self._who(request, COOKIES[1])
        if who == ADMIN:
            raise RefusedRequest(403, "this link shows the progress, and reads nothing")
        return who


def _position(request: Request) -> int:
    """Return the position that the address names."""
    text: str = request.path_params["position"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 6):
        raise RefusedRequest(404, "there is no such case")
    return int(text)


async def _body(request: Request, model: type[Model]) -> Model:
    """Read a JSON body of the page's own origin as a model."""
    _same_origin(request)
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise RefusedRequest(415, "JSON was expected")
    content = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > MAX_BODY:
                    raise RefusedRequest(413, f"at most {MAX_BODY} bytes were expected")
        return parsed(bytes(content), model)
    except TimeoutError as error:
        raise RefusedRequest(408, "the request took too long") from error
    except (ValidationError, ValueError, RecursionError) as error:
        raise RefusedRequest(422, "the request does not say what was expected") from error


def _same_origin(request: Request) -> None:
    """Refuse what another site's page sends."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site", "same-origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or site not in ("same-origin", "none"):
        raise RefusedRequest(403, "only the page of this study may send that")
