"""Readers who answer as fast as they can: how long an answer takes, and whether one is lost.

    python benchmarks/reader_load.py STUDY [--port 8765] [--burst 10000]

STUDY is a fresh study for as many readers as shall answer at once; it is served here in a process of its own, and its
answers are used up. Each reader fetches a case, answers it, and fetches the next. Then a burst of requests without a
link, and the answers are counted.
"""

import argparse
import asyncio
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from understudy.reader.documents import read_orders, read_study_document
from understudy.reader.session import OpenStudy
from understudy.reader.simulated import simulated_answers
from understudy.reader.statistics.simulation import SimulatedReaders
from understudy.reader.store import Store


class Client:
    """One connection that stays open."""

    def __init__(self, port: int) -> None:
        self.port, self.cookie = port, ""

    async def open(self) -> None:
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Send a request, and return status and body."""
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Length: {len(content)}\r\n"
        head += f"Cookie: {self.cookie}\r\n" * bool(self.cookie) + "Content-Type: application/json\r\n\r\n"
        self.writer.write(head.encode() + content)
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if found := re.search(r"set-cookie: ([^;]+)", lines):
            self.cookie = found[1]
        length = re.search(r"content-length: (\d+)", lines)
        return int(lines.split()[1]), await self.reader.readexactly(int(length[1]) if length else 0)


async def read(port: int, token: str, answers: list[Any]) -> list[float]:
    """Read a whole study; return the seconds that each answer took."""
    client, took = Client(port), []
    await client.open()
    assert (await client.ask("POST", "/api/enter", {"token": token}))[0] == 200
    for one in answers:
        assert (await client.ask("GET", f"/image/study/{one.position}"))[0] == 200
        sent = {
            "reader": one.reader,
            "position": one.position,
            "nonce": f"{one.position:032x}",
            "answers": one.answers,
            "seconds": 1.0,
        }
        start = time.perf_counter()
        status, _ = await client.ask("POST", "/api/answer", sent)
        took.append(time.perf_counter() - start)
        assert status == 200, status
    return took


async def burst(port: int, n: int, connections: int = 100) -> dict[int, int]:
    """Send n requests without a link over some connections; return how often each status came."""
    found: dict[int, int] = {}

    async def one() -> None:
        client = Client(port)
        await client.open()
        for i in range(n // connections):
            status, _ = await client.ask(*(("GET", "/api/state"), ("POST", "/api/enter", {"token": "x"}))[i % 2])
            found[status] = found.get(status, 0) + 1

    await asyncio.gather(*(one() for _ in range(connections)))
    return found


def processor_ms(pid: int) -> float:
    """Return the processor time of a process so far, in milliseconds (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


async def measure(port: int, links: dict[int, str], answers: dict[int, list[Any]], requests: int) -> None:
    """Print what was measured."""
    start = time.perf_counter()
    took = np.concatenate(await asyncio.gather(*(read(port, links[r], answers[r]) for r in answers)))
    wall = time.perf_counter() - start
    print(f"{len(answers)} readers, {len(took)} answers in {wall:.1f} s: median {np.median(took) * 1000:.1f} ms, "
          f"99 % {np.quantile(took, 0.99) * 1000:.1f} ms, longest {took.max() * 1000:.1f} ms")  # fmt: skip
    start = time.perf_counter()
    print(f"{requests} requests without a link: {await burst(port, requests)} in {time.perf_counter() - start:.1f} s")


def main() -> None:
    """Serve, read, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--burst", type=int, default=10_000)
    asked = parser.parse_args()
    store = Store(asked.study)
    links = store.new_links()
    store.close()
    opened = OpenStudy.open(asked.study)
    readers = range(1, opened.study.readers + 1)
    answers = {r: list(simulated_answers(asked.study, opened, r, SimulatedReaders(), 0)) for r in readers}
    opened.store.close()
    command = [sys.executable, "-m", "understudy.cli.main", "reader", "serve", str(asked.study)]
    with subprocess.Popen([*command, "--port", str(asked.port)], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        found = re.search(r"127\.0\.0\.1:(\d+)", server.stdout.readline())
        assert found
        try:
            before = processor_ms(server.pid)
            asyncio.run(measure(int(found[1]), links, answers, asked.burst))
            spent = processor_ms(server.pid) - before
            print(f"the server spent {spent:.0f} ms of processor time, both parts together")
        finally:
            server.kill()
    study = read_study_document(asked.study)
    total = sum(map(len, read_orders(asked.study, study).orders))
    store = Store(asked.study)
    print(f"{sum(store.count(r) for r in readers)} of {total} answers are stored")


if __name__ == "__main__":
    main()
