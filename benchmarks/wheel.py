"""Does the package work for somebody who has only its wheel? Built, looked into, installed elsewhere and used.

Run by ``make wheel``. Wheel and sdist are built of the tracked files; then, in empty environments in a new folder
outside the repository, without the caller's variables and without network where ``unshare`` may take it away:

- contents: the wheel holds every tracked file of src/understudy and no other; the sdist makes the same wheel;
- install: it installs at the versions of constraints.txt, and ``pip check`` is content;
- typed: mypy of its own environment sees the types of ``understudy.load_bundle`` and refuses what is wrong;
- pipx: ``pipx run --spec WHEEL understudy --version``;
- demo: ``understudy demo``, and its second call, which finds it done;
- tutorial: the Python of docs/tutorial.md as it stands there.

The installation needs an index of packages; the last two take as long as they take users. Exit code 0: all hold.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
TOOLS = ("build==1.6.1", "mypy==2.4.1", "pipx==1.18.4")
RIGHT = """import understudy as us
from understudy.release.loading import ReleasedCases

cases: ReleasedCases = us.load_bundle("bundle")
print(cases[0]["image"], cases.cohort.kind.upper())
run = us.train("diffusion", "cohort", "run", preset="demo")
print(run.name, us.__version__.upper())
"""
WRONG = {  # each line alone is an error
    "us.load_bundle(3)": "arg-type",
    'us.load_bundle("bundle").nothing': "attr-defined",
    'us.load_bundle("bundle", form="png")': "call-arg",
    "us.nothing_of_this_name": "attr-defined",
    'us.Cohort.open("cohort") + 1': "operator",
}


class FailedError(Exception):
    """A check does not hold."""


def run(*command: str | Path, at: Path, env: dict[str, str] | None = None, may_fail: bool = False) -> str:
    """Run a program in a folder; return what it said. FailedError where it fails."""
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=at, env=env, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode and not may_fail:
        raise FailedError(f"{' '.join(words[:6])}: exit code {done.returncode}: ...{said.strip()[-2000:]}")
    return said


def environment(folder: Path, *packages: str | Path) -> Path:
    """Make an environment with packages, at pinned versions; return its folder of programs."""
    if not (folder / ".installed").exists():
        run(sys.executable, "-m", "venv", folder, at=folder.parent)
        pins = ("--constraint", REPOSITORY / "constraints.txt")
        run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", *pins, *packages, at=folder.parent)
        (folder / ".installed").touch()
    return folder / "bin"


class Newcomer:
    """A new folder, the wheel, and programs that know nothing of the repository."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, and find out whether the network can be taken away."""
        self.folder = folder.absolute()
        self.dist = self.folder / "dist"
        (self.folder / "home").mkdir(parents=True, exist_ok=True)
        alone = shutil.which("unshare") and not subprocess.run(["unshare", "-rn", "true"], check=False).returncode
        self.offline: tuple[str, ...] = ("unshare", "-rn") if alone else ()

    def wheel(self) -> Path:
        """Return the wheel, built by now."""
        return next(self.dist.glob("*.whl"))

    def tools(self) -> Path:
        """Return the programs that build and check."""
        return environment(self.folder / "tools", *TOOLS)

    def installed(self) -> Path:
        """Return the programs of an environment that has the wheel and what it asks for."""
        return environment(self.folder / "environment", self.wheel())

    def use(self, *command: str | Path) -> str:
        """Run a program of that environment in an empty folder of the newcomer's, without network."""
        place = self.folder / "work"
        place.mkdir(exist_ok=True)
        known = {"HOME": str(self.folder / "home"), "PATH": f"{self.installed()}:/usr/bin:/bin"}
        if threads := os.environ.get("OMP_NUM_THREADS"):
            known["OMP_NUM_THREADS"] = threads
        return run(*self.offline, "env", "-i", *(f"{k}={v}" for k, v in known.items()), *command, at=place)


def tracked() -> list[str]:
    """Return the files of the repository that git knows, and that are there."""
    names = run("git", "ls-files", "-z", at=REPOSITORY).split("\0")
    return [name for name in names if name and (REPOSITORY / name).is_file()]


def build(one: Newcomer) -> str:
    """Wheel and sdist from a copy of the tracked files."""
    source = one.folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    shutil.rmtree(one.dist, ignore_errors=True)
    for name in tracked():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(REPOSITORY / name, source / name)
    run(one.tools() / "python", "-m", "build", "--outdir", one.dist, source, at=one.folder)
    shutil.copy2(REPOSITORY / "constraints.txt", one.dist)
    return ", ".join(sorted(path.name for path in one.dist.iterdir()))


def files(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel, without its own list of them."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


def contents(one: Newcomer) -> str:
    """The wheel holds what git knows of the package, no more and no less; the sdist makes the same wheel."""
    found = files(one.wheel())
    package = {name for name in found if ".dist-info/" not in name}
    wanted = {name.removeprefix("src/") for name in tracked() if name.startswith("src/understudy/")}
    if package != wanted:
        raise FailedError(f"missing or too much: {sorted(package ^ wanted)[:9]}")
    again = one.folder / "again"
    shutil.rmtree(again, ignore_errors=True)
    sdist = next(one.dist.glob("*.tar.gz"))
    run(one.tools() / "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", again, sdist, at=one.folder)
    if files(next(again.glob("*.whl"))) != found:
        raise FailedError("the wheel that the sdist makes differs")
    data = sum(not name.endswith(".py") for name in package)
    return f"{len(package)} files, {data} of them data; the same from the sdist"


def install(one: Newcomer) -> str:
    """It installs in an empty environment, and all that it needs is there."""
    start = time.monotonic()
    programs = one.installed()
    seconds = time.monotonic() - start
    run(programs / "python", "-m", "pip", "check", at=one.folder)
    packages = run(programs / "python", "-m", "pip", "list", "--format", "freeze", at=one.folder).split()
    where = one.use("python", "-c", "import understudy; print(understudy.__file__)").strip()
    if not Path(where).is_relative_to(one.folder):
        raise FailedError(f"understudy is {where}")
    return f"{one.use('understudy', '--version').strip()}, {len(packages)} packages, {seconds:.0f} s"


def typed(one: Newcomer) -> str:
    """Its types are seen from outside."""
    programs, place = one.installed(), one.folder / "typed"
    place.mkdir(exist_ok=True)
    (place / "right.py").write_text(RIGHT)
    (place / "wrong.py").write_text("\n".join(["import understudy as us", *WRONG]) + "\n")
    mypy = (one.tools() / "mypy", "--strict", "--python-executable", programs / "python", "--cache-dir", ".mypy_cache")
    run(*mypy, "right.py", at=place)
    said = run(*mypy, "wrong.py", at=place, may_fail=True)
    for line, (code, kind) in enumerate(WRONG.items(), start=2):
        if not re.search(rf"wrong\.py:{line}: error: .*\[{kind}\]", said):
            raise FailedError(f"no error [{kind}] for {code}: {said[-1500:]}")
    return f"mypy --strict takes what is right and refuses {len(WRONG)} of {len(WRONG)} errors"


def pipx(one: Newcomer) -> str:
    """It runs without being installed."""
    known = {**os.environ, "PIPX_HOME": str(one.folder / "pipx"), "HOME": str(one.folder / "home")}
    known |= {"PIP_CONSTRAINT": str(REPOSITORY / "constraints.txt")}
    command = (one.tools() / "pipx", "run", "--spec", one.wheel(), "understudy", "--version")
    said = run(*command, at=one.folder, env=known)
    shutil.rmtree(one.folder / "pipx", ignore_errors=True)
    if not (version := re.search(r"^understudy \d[\w.]*$", said, re.MULTILINE)):
        raise FailedError(said)
    return version[0]


def demo(one: Newcomer) -> str:
    """The demo, and the demo again."""
    start = time.monotonic()
    said = one.use("understudy", "demo", "--out", "demo")
    seconds = time.monotonic() - start
    one.use("understudy", "demo", "--out", "demo")
    if not list((one.folder / "work" / "demo").rglob("report.html")):
        raise FailedError(f"no report: {said[-1000:]}")
    return f"{seconds:.0f} s"


def tutorial(one: Newcomer) -> str:
    """The tutorial as it stands."""
    (code,) = re.findall(r"```python\n(.*?)```", (REPOSITORY / "docs" / "tutorial.md").read_text(), re.DOTALL)
    (one.folder / "work").mkdir(exist_ok=True)
    (one.folder / "work" / "tutorial.py").write_text(code)
    start = time.monotonic()
    said = one.use("python", "tutorial.py")
    if "utility.synthetic" not in said and "utility." not in said:
        raise FailedError(said[-1000:])
    return (
        f"{time.monotonic() - start:.0f} s, {len(said.splitlines())} lines, ends with {said.strip().splitlines()[-1]}"
    )


CHECKS: dict[str, Callable[[Newcomer], str]] = {
    "build": build, "contents": contents, "install": install, "typed": typed, "pipx": pipx, "demo": demo,
    "tutorial": tutorial,
}  # fmt: skip


def main() -> int:
    """Run the checks in order, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--folder", type=Path, help="where; default: a new one, removed afterwards")
    parser.add_argument("--only", choices=CHECKS, nargs="+", default=list(CHECKS), help="some; build comes first")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="newcomer-"))
    if folder.resolve().is_relative_to(REPOSITORY):
        parser.error("--folder must lie outside the repository")
    one, failed = Newcomer(folder), 0
    print(f"in {folder}, {'without network' if one.offline else 'with the network: unshare is not permitted'}")
    for name in options.only:
        try:
            print(f"{name}: holds: {CHECKS[name](one)}", flush=True)
        except (FailedError, OSError) as error:
            print(f"{name}: FAILED: {error}", flush=True)
            failed += 1
    if not options.folder:
        shutil.rmtree(folder, ignore_errors=True)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
