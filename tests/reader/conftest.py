"""Small cohorts and studies to be read, and the application asked without a socket."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter
from understudy.reader.create import Created, create
from understudy.reader.plan import Question, StudyPlan

QUESTIONS = (
    {"name": "source", "kind": "source", "text": "Real or synthetic?"},
    {"name": "realism", "kind": "scale", "text": "How realistic?", "options": ["not", "fairly", "very"]},
    {"name": "outline", "kind": "annotation", "text": "Is the outline right?"},
    {"name": "findings", "kind": "checklist", "text": "What do you see?", "options": ["nodule", "effusion"]},
    {"name": "comment", "kind": "text", "text": "Why?"},
)


def plan(**more: Any) -> StudyPlan:
    """Return a plan with a question of every kind, or with others."""
    asked = tuple(Question(**one) for one in QUESTIONS)
    return StudyPlan(**{"questions": asked, "wrong_annotations": 0.25, **more})


def write_cohort(
    out: Path, kind: str, n: int = 40, size: tuple[int, ...] = (8, 8), name: str = "", classes: bool = True
) -> Cohort:
    """Noise with a bright disc; synthetic ones are brighter, so that pixels tell what all else must not."""
    random, real = np.random.default_rng(len(name) + (kind == "real")), kind == "real"
    with CohortWriter(
        out, kind=kind, modality="MR", size=size, channels=[Channel("t1", 0, 1000), Channel("flair", 0, 1000)],
        dtype="uint16", scheme=LabelScheme(("background", "tumour"), (0, 1)),
        label_source="patient" if real else "sampled", classes=["ill"] if classes else [],
        provenance=Provenance("test", {"generator": name}), key=b"k" if real else None,
    ) as writer:  # fmt: skip
        for i in range(n):
            label = np.zeros(size, np.uint8)
            top = int(random.integers(0, size[-1] // 2))
            label[..., top : top + size[-1] // 2, : 1 + i % (size[-1] - 1)] = 1
            image = random.integers(0, 300 if real else 600, (2, *size)) + 300 * label.astype(int)
            split = ("test", "control", "train")[i % 3] if real else ""
            row = {"case_id": f"{i}", "subject_id": f"secret{i}" if real else f"s{i}", "split": split}
            writer.append(image.astype(np.uint16), label, row | ({"ill": str(i // 3 % 2)} if classes else {}))
    return Cohort.open(out)


@pytest.fixture(scope="session")
def cohorts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a real cohort, two synthetic ones, and a real and a synthetic one of volumes."""
    root = tmp_path_factory.mktemp("read")
    made = {
        "real": write_cohort(root / "real", "real", 60),
        "gan": write_cohort(root / "gan", "synthetic", name="gan"),
        "edm": write_cohort(root / "edm", "synthetic", name="edm"),
        "volumes": write_cohort(root / "volumes", "real", 30, (4, 8, 10)),
        "drawn": write_cohort(root / "drawn", "synthetic", 12, (4, 8, 10), "drawn"),
    }
    return {name: cohort.path for name, cohort in made.items()}


@pytest.fixture
def make(cohorts: dict[str, Path], tmp_path: Path) -> Callable[..., Created]:
    """Return a maker of studies: of 12 + 12 cases for two readers, unless told otherwise."""

    def made(
        out: str = "study", real: str = "real", synthetic: tuple[str, ...] = ("gan",), n: int = 12, readers: int = 2,
        seed: int = 0, **more: Any
    ) -> Created:  # fmt: skip
        asked = more.pop("plan", None) or plan(**more)
        paths = [cohorts[name] for name in synthetic]
        return create(cohorts[real], paths, tmp_path / out, n=n, readers=readers, plan=asked, seed=seed)

    return made


@dataclass
class Reply:
    """What the application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Client:
    """Asks an ASGI application, without a socket; keeps a cookie, and the largest status that it saw."""

    app: Any
    cookie: str = ""
    worst: int = 0
    host: str = "localhost"
    seen: list[Reply] = field(default_factory=list)
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def close(self) -> None:
        """Close its event loop."""
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, parts: int = 1,
        wait: float = 0.0,
    ) -> Reply:  # fmt: skip
        """Send a request, its body in some parts, with pauses between them."""
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        told = {"host": self.host, **({"content-type": "application/json"} if body is not None else {})}
        told |= {"cookie": self.cookie} if self.cookie else {}
        reply = self.loop.run_until_complete(self._ask(method, path, content, told | (headers or {}), parts, wait))
        self.worst = max(self.worst, reply.status)
        self.seen.append(reply)
        if "set-cookie" in reply.headers:
            self.cookie = reply.headers["set-cookie"].split(";")[0]
        return reply

    async def _ask(
        self, method: str, path: str, content: bytes, headers: dict[str, str], parts: int, wait: float
    ) -> Reply:
        step = max(1, -(-len(content) // parts))
        chunks = [content[i : i + step] for i in range(0, len(content), step)] or [b""]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(wait)
            if not chunks:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        plain, _, query = path.partition("?")
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": plain, "raw_path": plain.encode(), "query_string": query.encode(), "root_path": "",
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        await self.app(scope, receive, send)
        start = next(message for message in sent if message["type"] == "http.response.start")
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], found, b"".join(message.get("body", b"") for message in sent))


SAID = {
    "source": {"call": "real", "confidence": 4}, "realism": 2, "outline": True, "findings": [0], "comment": "grain",
}  # fmt: skip


def sent(position: int, nonce: int = 0, reader: int = 1, **more: Any) -> dict[str, Any]:
    """Return an answer to every question at a position."""
    return {
        "reader": reader,
        "position": position,
        "nonce": f"{nonce or position:032x}",
        "answers": SAID | more,
        "seconds": 1.5,
    }


@pytest.fixture(scope="session")
def reading() -> Any:
    """Return the makers of this file, for tests that are imported one by one."""
    from types import SimpleNamespace

    return SimpleNamespace(plan=plan, Client=Client, sent=sent, SAID=SAID, write_cohort=write_cohort)
