"""What the verbs share: common options, ``--set``, ``--dry-run``, a sentence for a full disk, progress.

**Checked** in tests/cli/test_options.py.
"""

import errno
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from understudy.core.errors import NO_VALUE, UnderstudyError, UsageError


def option(metavar: str, meaning: str, **more: Any) -> Any:
    """Return an option named as its parameter: what stands for its value in the help, and what it means."""
    return typer.Option(metavar=metavar, help=meaning, **more)


Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder to make; complete or absent, never half.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Everything random follows from this number.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", show_default=False, help="Change one setting; may be given several times."
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the resolved settings as YAML and do nothing.")]
Accelerator = Annotated[str, option("auto|cpu|cuda", "Where to compute.")]
Devices = Annotated[int, typer.Option(min=1, help="Processes on each node, one device each.")]
Nodes = Annotated[int, typer.Option(min=1, help="Nodes, on each of which torchrun or srun starts this command.")]
Snapshot = Annotated[int | None, option("IMAGES_SEEN", "Which snapshot; default: the last of a finished training.")]
Key = Annotated[Path | None, option("FILE", "Pseudonym key; default: the user's own.")]


def parse_settings(pairs: Sequence[str] | None, function: Callable[..., Any]) -> dict[str, Any]:
    """Read ``--set`` options, texts such as ``images_seen=5000``, for a function: the values, read as YAML, by key.

    Raises:
        UsageError: no ``=``, no key, a key given twice or a parameter of the function, or a value that is not YAML.
    """
    import yaml

    settings: dict[str, Any] = {}
    for pair in pairs or ():
        key, equals, value = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise UsageError(f"--set wants KEY=VALUE, found {pair!r}: write for example --set images_seen=5000")
        if key in settings:
            raise UsageError(f"--set {key} was given twice: give it once")
        if key in signature(function).parameters:
            raise UsageError(f"{key} is no setting: give it as an argument or option of its own (--help)")
        try:
            settings[key] = yaml.safe_load(value)
        except (yaml.YAMLError, *NO_VALUE) as error:
            raise UsageError(f"the value in --set {pair!r} is not YAML: quote it, e.g. --set '{key}=[1, 2]'") from error
    return settings


def names(text: str | None) -> tuple[str, ...]:
    """Split a comma-separated option, without blanks around names; an empty one, as in ``a,,b``, is a UsageError."""
    found = tuple(name.strip() for name in text.split(",")) if text else ()
    if not all(found):
        raise UsageError(f"names separated by commas were expected, found {text!r}")
    return found


def numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """Split a comma-separated option of whole numbers, e.g. ``64`` or ``64,48``; else a UsageError."""
    try:
        return tuple(int(part) for part in text.split(",")) if text else None
    except ValueError as error:
        raise UsageError(f"{option} wants whole numbers with commas, e.g. {option} 64,48; found {text!r}") from error


def show(command: str, settings: dict[str, Any]) -> None:
    """Print what ``--dry-run`` promises: the resolved settings as YAML."""
    import yaml

    plain = json.loads(json.dumps({"command": command, **settings}, default=str))  # no paths, no tuples
    typer.echo(yaml.safe_dump(plain, sort_keys=False).rstrip())


def is_first() -> bool:
    """Tell whether this process is the first of those that compute together."""
    from torch import distributed

    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


@contextmanager
def writing(out: Path) -> Iterator[None]:
    """Turn a full disk, or full memory, into an UnderstudyError that says what was being made and what to do."""
    try:
        yield
    except Exception as error:
        if isinstance(error, UnderstudyError) or not (disk_is_full(error) or memory_is_full(error)):
            raise
        if memory_is_full(error):
            raise UnderstudyError(
                f"the memory of this {'GPU' if 'CUDA' in str(error) else 'machine'} is not enough to make {out}: lower "
                "--set batch_size (train, evaluate) or --set sample_block (sample), or take another machine"
            ) from error
        place = next(folder for folder in (out.absolute(), *out.absolute().parents) if folder.is_dir())
        free = shutil.disk_usage(place).free / 2**20
        raise UnderstudyError(
            f"the disk is full: {out} could not be written whole, and {free:.1f} MiB are free in "
            f"{place}: make room and run the same command again"
        ) from error


def disk_is_full(error: BaseException) -> bool:
    """Tell whether an exception, of the system or of a library that writes, means that no space or quota is left."""
    text = "No space left on device"
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or text in str(error)


def memory_is_full(error: BaseException) -> bool:
    """Tell whether an exception, of Python, of torch or of CUDA through torch, means that memory is used up."""
    said = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(t in str(error) for t in said))


@contextmanager
def progress(title: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on a terminal, nothing elsewhere; yields ``update(done, total)``."""
    from understudy.core.progress import progress as shown

    with shown(title) as update:
        yield lambda done, total: update(completed=done, total=total)
