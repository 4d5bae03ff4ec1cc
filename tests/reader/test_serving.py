"""The server on its own machine: names, one server a study, a taken port, slow clients."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra reader")

from understudy.core.atomic import lock  # noqa: E402
from understudy.core.errors import UsageError  # noqa: E402
from understudy.reader import serving  # noqa: E402
from understudy.reader.create import Created  # noqa: E402


def test_names() -> None:
    assert serving.hosts("127.0.0.1") == ["localhost", "127.0.0.1", "::1"]
    assert serving.hosts("10.0.0.7", ("Reading-Room",))[-2:] == ["10.0.0.7", "reading-room"]
    assert "10.1.1.1" in serving.hosts("0.0.0.0", ("10.1.1.1",))
    with pytest.raises(UsageError, match="say with --name"):
        serving.hosts("0.0.0.0")


def test_a_second_server_and_a_taken_port_are_refused(make: Callable[..., Created]) -> None:
    folder = make().folder
    with lock(folder / ".serve.lock", "serving"), pytest.raises(UsageError, match="another process is serving"):
        serving.serve(folder, "127.0.0.1", 0)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UsageError, match="cannot be had"):
            serving.serve(folder, "127.0.0.1", taken.getsockname()[1])


@pytest.mark.loopback
def test_slow_and_many_clients_are_harmless(make: Callable[..., Created], monkeypatch: pytest.MonkeyPatch) -> None:
    """60 connections that send nothing, or half a head, are closed; others are served meanwhile; nothing is logged."""
    monkeypatch.setattr(serving, "IDLE_SECONDS", 0.4)
    made, answers = make(), []

    async def client(port: int, text: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(text)
        found = await reader.read(-1)
        writer.close()
        return found

    async def many(port: int) -> None:
        slow = [client(port, (b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ")[i % 2]) for i in range(60)]
        good = [client(port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n") for _ in range(5)]
        huge = client(port, b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 40_000)
        answers.extend(await asyncio.gather(*slow, *good, huge))

    class Server(uvicorn.Server):  # type: ignore[name-defined,misc]
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            asyncio.get_running_loop().create_task(self.visited(sockets[0].getsockname()[1]))

        async def visited(self, port: int) -> None:
            try:
                await asyncio.wait_for(many(port), 20)
            finally:
                self.should_exit = True

    monkeypatch.setattr(uvicorn, "Server", Server)
    told: list[str] = []
    serving.serve(made.folder, "127.0.0.1", 0, ready=told.append)
    assert told[0].startswith("http://127.0.0.1:") and len(answers) == 66
    assert set(answers[:60]) == {b""}
    assert all(one.startswith(b"HTTP/1.1 200") and b"server:" not in one.lower() for one in answers[60:65])
    assert b"200 OK" not in answers[65]
