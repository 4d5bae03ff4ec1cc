"""A process of its own in milliseconds: forked from one that has imported what the command line imports, and no more.

Importing torch and Lightning costs a fresh ``python`` seconds of processor time. What tests here is what the process
does (it is killed; what it says; what it leaves), so the imports are done once. Where the start itself is tested, tests
use ``subprocess``.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

PRELOADED = ["lightning_fabric", "understudy.cli.main", "understudy.synthesis.sample", "understudy.data.importing"]
BEGIN = """
import os, sys
sys.argv = arguments
os.environ.update(environment)
os.chdir(folder)
for said, number in zip(files, (1, 2)):
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT), number)
"""
SCRIPT = "import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
TIMEOUT = 300  # seconds


class Forked:
    """Starts processes. ``code`` is run as ``python -c`` would; VERB is the code of the command line."""

    VERB = "from understudy.cli.main import main; sys.exit(main())"

    def __init__(self) -> None:
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(PRELOADED)

    def start(
        self,
        code: str,
        *arguments: str | Path,
        name: str | Path = "-c",
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        files: tuple[Path | str, Path | str] = (os.devnull, os.devnull),
    ) -> BaseProcess:
        """Start a process that writes what it says to two files; it has kill, join and exitcode."""
        given = {
            "arguments": [*map(str, (name, *arguments))],
            "folder": str(folder or Path.cwd()),
            "files": [*map(str, files)],
            "environment": dict(environment or {}),
        }
        process = self.context.Process(target=exec, args=(BEGIN + code, {"__name__": "__main__", **given}), daemon=True)
        process.start()
        return process

    def run(self, code: str, *arguments: str | Path, **named: Any) -> CompletedProcess[str]:
        """Run a process to its end, as ``subprocess.run`` with captured text does."""
        with tempfile.TemporaryDirectory() as kept:
            files = Path(kept) / "out", Path(kept) / "err"
            process = self.start(code, *arguments, files=files, **named)
            process.join(TIMEOUT)
            process.kill()  # one that has ended takes no notice
            process.join()
            out, err = (file.read_text() if file.exists() else "" for file in files)
        assert process.exitcode is not None
        return CompletedProcess([code, *arguments], process.exitcode, out, err)

    def verb(self, *arguments: str | Path, **named: Any) -> CompletedProcess[str]:
        """Run the command line to its end."""
        return self.run(self.VERB, *arguments, **named)

    def script(self, file: Path, *arguments: str | Path, **named: Any) -> CompletedProcess[str]:
        """Run a file to its end, as ``python file`` does; it can start itself again, as Lightning's ranks do."""
        return self.run(SCRIPT, *arguments, name=file, **named)
