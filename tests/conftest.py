"""What every test gets: no network, a key file of its own, two threads; and real data where there is some."""

import functools
import importlib.util
import itertools
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from understudy.core.cohort import Cohort
from understudy.core.encoding import Channel
from understudy.core.labels import LabelScheme
from understudy.core.provenance import Provenance
from understudy.core.writer import CohortWriter

REPOSITORY = Path(__file__).resolve().parents[1]
TINY_NETWORKS = (
    "evaluation/consistency/",
    "evaluation/test_corruptions.py",
    "evaluation/utility/",
    "synthesis/",
    "tasks/",
    "test_exactness.py",
)
LONG = (  # files that take ten seconds and more
    "test_kill.py", "cli/test_verbs.py", "generators/test_contract.py", "generators/test_processes.py",
    "privacy/test_stage.py", "dp/test_training.py", "training/test_engine.py", "cli/test_help.py", "test_tutorial.py",
    "utility/test_stage.py", "utility/test_classification.py", "tasks/test_segmentation.py", "dp/test_audit.py",
)  # fmt: skip
THREADS = 1 if "PYTEST_XDIST_WORKER" in os.environ else 2
LOOPBACK = {"127.0.0.1", "::1", "localhost"}


def pytest_configure(config: pytest.Config) -> None:
    """Let xdist keep the order of files: by number of tests, its own, a file of one long test comes last.

    Where CI is set, pytest tells every line that differs of two values: for megabytes of files in minutes, or never.
    """
    config.option.loadscopereorder = False
    for name in ("CI", "BUILD_NUMBER"):
        os.environ.pop(name, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the long files, so that no process is alone with one at the end."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))


def _guard(call: Any, loopback_allowed: list[bool]) -> Any:
    def guarded(self: socket.socket, address: Any, *rest: Any) -> Any:
        internet = self.family in (socket.AF_INET, socket.AF_INET6)
        if internet and not (loopback_allowed[0] and address[0] in LOOPBACK):
            raise RuntimeError(f"a test tried to reach {address}: understudy works offline")
        return call(self, address, *rest)

    return guarded


_loopback_allowed = [False]


def _loopback_is_up() -> bool:
    with socket.socket() as server, socket.socket() as client:
        try:
            server.bind(("127.0.0.1", 0))
            server.listen(1)
            client.connect(server.getsockname())
        except OSError:
            return False
    return True


@pytest.fixture(autouse=True, scope="session")
def offline() -> Iterator[None]:
    """Let no test, and no process it starts through the environment, reach the network."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        patch.setattr(socket.socket, name, _guard(getattr(socket.socket, name), _loopback_allowed))

    def no_lookup(host: Any, *rest: Any, **named: Any) -> Any:
        if _loopback_allowed[0] and host in LOOPBACK | {None}:
            return lookup(host, *rest, **named)
        raise RuntimeError(f"a test tried to look up {host}: understudy works offline")

    lookup = socket.getaddrinfo
    patch.setattr(socket, "getaddrinfo", no_lookup)
    for proxy in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        patch.setenv(proxy, "http://127.0.0.1:9")  # where a subprocess's download would end: nobody listens there
    yield
    patch.undo()


@pytest.fixture(autouse=True)
def loopback_where_marked(request: pytest.FixtureRequest) -> Iterator[None]:
    """Open the machine's own address for a test marked ``loopback``, and close it again."""
    _loopback_allowed[0] = request.node.get_closest_marker("loopback") is not None
    if _loopback_allowed[0] and not _loopback_is_up():
        _loopback_allowed[0] = False
        pytest.skip("this machine's loopback interface is down (a network namespace without lo?)")
    yield
    _loopback_allowed[0] = False


@pytest.fixture(autouse=True, scope="session")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep the pseudonym key of the tests away from the user's own."""
    file = tmp_path_factory.mktemp("key") / "key"
    patch = pytest.MonkeyPatch()
    patch.setenv("UNDERSTUDY_KEY_FILE", str(file))
    yield file
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def two_threads() -> None:
    """Use two threads, as the budgets of this project do, or one in each of two processes."""
    import torch

    torch.set_num_threads(THREADS)


@pytest.fixture(autouse=True, scope="session")
def quick() -> Iterator[None]:
    """Spend no time on what no test can see: waiting for the disk, and the same list of installed packages again.

    Only a power cut loses what was not synced. Lightning reads the metadata of all packages for each of the thousands
    of engines that the tests make; every tiny training draws 16 cases for people to look at; and the chains of the
    command line begin with the same phantoms (whose own tests draw each anew).
    """
    from lightning_fabric.utilities import registry

    from understudy.data.phantom import phantom
    from understudy.generators import base

    kept = functools.lru_cache(maxsize=256)(phantom.phantom_subject)
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda handle: None)
    patch.setattr(base, "GRID_CASES", 4)
    patch.setattr(phantom, "phantom_subject", lambda *which: tuple(part.copy() for part in kept(*which)))
    patch.setattr(registry, "entry_points", functools.cache(registry.entry_points))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def tmp_paths(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return folders for the tests of one file, without an end."""
    root = tmp_path_factory.mktemp(request.path.stem)
    return (root / str(number) for number in itertools.count())


@pytest.fixture
def tmp_path(tmp_paths: Iterator[Path]) -> Path:
    """Return an empty folder; pytest's own fixture looks through those of all tests before to number it."""
    folder = next(tmp_paths)
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture(autouse=True)
def one_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """Use one thread where networks are tiny: it is faster than two that wait for each other."""
    import torch

    tiny = request.path.relative_to(REPOSITORY / "tests").as_posix().startswith(TINY_NETWORKS)
    torch.set_num_threads(1 if tiny else THREADS)
    yield
    torch.set_num_threads(THREADS)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real data sets, or skip: the suite is green with and without it."""
    folder = Path(os.environ.get("UNDERSTUDY_REAL_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder} (UNDERSTUDY_REAL_DATA names the folder)")
    return folder


def _beside(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "tests" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def official_layout() -> ModuleType:
    """Return the writer of small files in the official StyleGAN layout, tests/official_layout.py."""
    return _beside("official_layout")


@pytest.fixture(scope="session")
def forked(offline: None, key_file: Path) -> Any:
    """Return what starts processes in milliseconds, tests/forked.py."""
    return _beside("forked").Forked()


@pytest.fixture(scope="session")
def devtools() -> ModuleType:
    """Return the headless browser, tests/browser.py; what asks for it is skipped where there is no Chromium."""
    found = _beside("browser")
    if found.chromium() is None:
        pytest.skip("no Chromium here: apt-get install -y --no-install-recommends chromium")
    return found


@pytest.fixture(scope="module")
def browser(devtools: ModuleType) -> Iterator[Any]:
    """Return one page in a browser, for all tests of a file."""
    with devtools.Browser() as one:
        yield one


def write_classes(out: Path, size: int = 8, high: float = 500, labels: bool = True, subjects: int = 24) -> Cohort:
    """Noise, brighter on the left where a case is ill; class combinations (1, 0), (0, 1) often and (1, 1) once."""
    random = np.random.default_rng(0)
    with CohortWriter(
        out, kind="real", modality="MR", size=(size, size), channels=[Channel("t1", 0, high)], dtype="uint16",
        scheme=LabelScheme(("background", "tumour"), (0, 1)) if labels else None,
        label_source="patient" if labels else None, classes=["ill", "well"], provenance=Provenance("test"), key=b"k",
    ) as writer:  # fmt: skip
        for i in range(subjects):
            ill, split = i // 6 % 3 == 0, ("train", "train", "train", "validation", "test", "control")[i % 6]
            image = random.integers(0, 300, (1, size, size))
            image[..., : size // 2] += 190 * ill
            values = {"ill": str(int(ill)), "well": str(int(not ill or i == 0))}
            row = {"case_id": f"{i}", "subject_id": f"secret{i:02d}", "split": split}
            label = random.integers(0, 2, (size, size)) if labels else None
            writer.append(image.astype(np.uint16), label, row | values)
    return Cohort.open(out)


@pytest.fixture(scope="session")
def classes_cohort() -> Callable[..., Cohort]:
    return write_classes
