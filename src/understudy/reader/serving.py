"""``reader serve``: the application behind uvicorn, on this machine alone unless told otherwise.

Nothing is logged of a request. A connection that sends no whole request in time is closed, so that slow clients cost a
socket for seconds. One server a study: a second one is refused. **Checked** in tests/reader/test_serving.py.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from understudy.core.atomic import lock
from understudy.core.errors import UsageError
from understudy.reader.app import make_app
from understudy.reader.session import OpenStudy

LOCAL = ("localhost", "127.0.0.1", "::1")
IDLE_SECONDS = 20  # in which the first bytes of a request must become one
MAX_CONNECTIONS = 2000


class _Impatient(H11Protocol):
    """Closes a connection on which no request has begun in time."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._deadline = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._close_if_nothing_came)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deadline.cancel()
        super().connection_lost(exc)

    def _close_if_nothing_came(self) -> None:
        if getattr(self, "cycle", None) is None and not self.transport.is_closing():
            self.transport.close()


def hosts(host: str, names: tuple[str, ...] = ()) -> list[str]:
    """Return the names under which the server may be asked for: localhost, its own address, and others that are told.

    Raises:
        UsageError: the server listens to all addresses, and no name was told.
    """
    if host in ("0.0.0.0", "::") and not names:
        raise UsageError(
            f"--host {host} listens on every address: say with --name under which one readers come, e.g. "
            "--name 192.168.1.20 or --name reading-room.hospital.example"
        )
    return list(dict.fromkeys(name.lower() for name in (*LOCAL, host, *names)))


def serve(
    folder: Path, host: str, port: int, names: tuple[str, ...] = (), ready: Callable[[str], None] | None = None
) -> None:
    """Serve a study until the process is ended; ``ready`` is told the address once it listens.

    Raises:
        UsageError: no study, another server of it, or an address that cannot be had.
    """
    study = OpenStudy.open(folder)
    app = make_app(study, hosts(host, names))
    config = uvicorn.Config(
        app, host=host, port=port, log_config=None, access_log=False, server_header=False, date_header=False,
        http=_Impatient, ws="none", lifespan="off", timeout_keep_alive=30, backlog=MAX_CONNECTIONS,
        timeout_graceful_shutdown=5, h11_max_incomplete_event_size=16 * 1024, proxy_headers=False,
    )  # fmt: skip
    with lock(folder / ".serve.lock", f"serving {folder}"):
        try:
            listening = _listening(host, port)
        except OSError as error:
            study.store.close()
            raise UsageError(f"the address {host}:{port} cannot be had: choose another --host or --port") from error
        if ready:
            ready(f"http://{_shown(host, names)}:{listening.getsockname()[1]}/")
        try:
            uvicorn.Server(config).run(sockets=[listening])
        finally:
            study.store.close()


def _listening(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if _is_ipv6(host) else socket.AF_INET)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # at once again after a crash
        made.bind((host, port))
        made.listen(MAX_CONNECTIONS)  # who comes before the server runs waits
    except OSError:
        made.close()
        raise
    return made


def _shown(host: str, names: tuple[str, ...]) -> str:
    shown = names[0] if names else host
    return f"[{shown}]" if _is_ipv6(shown) else shown


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
