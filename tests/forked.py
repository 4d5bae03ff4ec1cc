"""A process of its own in milliseconds: forked from one that has imported what the command line imports, and no more.

Importing torch and Lightning costs a fresh ``python`` up to six seconds of processor time. What tests here is what the
process does (it is killed; what it says; what it leaves), so the imports are done once. Where the start itself is
tested, tests use ``subprocess``.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

PRELOADED = ["understudy.cli.main", "understudy.api.generators", "understudy.synthesis.sample", "understudy.generators"]
BEGIN = """
import os, sys
sys.argv = ["-c", *arguments]
os.environ.update(environment)
os.chdir(folder)
for said, number in zip(files, (1, 2)):
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), number)
"""
VERB = "from understudy.cli.main import main; sys.exit(main())"  # the command line


class Forked:
    """Starts processes; ``code`` is run as ``python -c`` would."""

    VERB = VERB

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOADED)

    def start(
        self,
        code: str,
        *arguments: str | Path,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        files: tuple[Path | str, Path | str] = (os.devnull, os.devnull),
    ) -> BaseProcess:
        """Start a process that writes what it says to two files; it has kill, join and exitcode."""
        given = {
            "arguments": [*map(str, arguments)], "folder": str(folder or Path.cwd()), "files": [*map(str, files)],
            "environment": dict(environment or {}),
        }  # fmt: skip
        process = self.context.Process(target=exec, args=(BEGIN + code, {"__name__": "__main__", **given}))
        process.start()
        return process

    def run(
        self,
        code: str,
        *arguments: str | Path,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> CompletedProcess[str]:
        """Run a process to its end, as ``subprocess.run`` with captured text does."""
        with tempfile.TemporaryDirectory() as kept:
            files = Path(kept) / "out", Path(kept) / "err"
            process = self.start(code, *arguments, folder=folder, environment=environment, files=files)
            process.join()
            out, err = (file.read_text() if file.exists() else "" for file in files)
        assert process.exitcode is not None
        return CompletedProcess([code, *arguments], process.exitcode, out, err)

    def verb(self, *arguments: str | Path, **named: Any) -> CompletedProcess[str]:
        """Run the command line to its end."""
        return self.run(VERB, *arguments, **named)
