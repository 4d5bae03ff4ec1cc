"""The command line: registers the verbs and is the one place where an error becomes a sentence and an exit code.

Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted. ``UNDERSTUDY_TRACEBACK=1`` shows where an error came from.
**Checked** in tests/cli/test_main.py.
"""

import os
import sys
from collections.abc import Sequence
from typing import Any

import typer

from understudy import __version__
from understudy.cli import (
    check,
    classify,
    condition,
    demo,
    edit,
    evaluate,
    import_,
    import_weights,
    key,
    reader,
    release,
    release_plan,
    report,
    sample,
    screen,
    segment,
    settings,
    study,
    train,
    verify,
)
from understudy.cli.help import CommandGroup, Verb, group
from understudy.core.errors import UnderstudyError


class Verbs(CommandGroup):
    """All verbs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return their names, in the order of the work."""
        return list(VERBS)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb; one of them has two words."""
        if args[:2] == PLAN.split():
            return PLAN, self.get_command(ctx, PLAN), args[2:]
        return super().resolve_command(ctx, args)


PLAN = "release plan"
app = group(
    Verbs,
    "understudy demo --out demo-output",
    name="understudy",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
FILES: tuple[Any, ...] = (
    demo, import_, check, settings, train, import_weights, sample, edit, classify, condition, segment, evaluate, screen,
    report, key, release, verify, reader, study,
)  # fmt: skip
VERBS = {file.__name__.rpartition(".")[2].rstrip("_").replace("_", "-"): file for file in FILES}
for verb, file in VERBS.items():
    if hasattr(file, "app"):
        app.add_typer(file.app, name=verb)
    else:
        app.command(verb, cls=Verb, epilog=file.EXAMPLE)(getattr(file, verb.replace("-", "_")))

app.command(PLAN, cls=Verb, epilog=release_plan.EXAMPLE)(release_plan.release_plan)

MAX_SAID = 8000  # characters of an error; a file may hold names of any length, and what a terminal would obey
INTERRUPTED = "interrupted: run the same command again to go on"


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"understudy {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and leave."
    ),
    verbose: bool = typer.Option(False, "--verbose", help="Let libraries say what they say; UNDERSTUDY_VERBOSE=1."),
) -> None:
    """Synthetic annotated medical images, with evidence: how useful, how realistic, what named attacks find."""
    if verbose:
        os.environ["UNDERSTUDY_VERBOSE"] = "1"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line on arguments, by default those of the process, and return the exit code."""
    try:
        code = int(app(args=arguments, prog_name="understudy", standalone_mode=False) or 0)
        return _say(INTERRUPTED, code) if code == 130 else code  # typer turns Ctrl-C into this code
    except (KeyboardInterrupt, typer.Abort):
        return _say(INTERRUPTED, 130)
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        hint = f" ({context.command_path} --help shows an example)" if context else ""
        return _say(f"{error.format_message()}{hint}" if hasattr(error, "format_message") else f"{error}{hint}", 2)
    except UnderstudyError as error:
        return _say(str(error), error.exit_code)
    except OSError as error:
        return _say(f"the system refused ({error.strerror or error}): {error.filename or 'no file named'}", 1)
    except Exception as error:  # noqa: BLE001  the boundary: a fault of the program is named as one
        return _say(
            f"a fault in understudy, not in your data: {type(error).__name__}: {error} (UNDERSTUDY_TRACEBACK=1 "
            "shows where; please report it)",
            1,
        )


def _say(sentence: str, code: int) -> int:
    if os.environ.get("UNDERSTUDY_TRACEBACK") == "1":
        import traceback

        traceback.print_exc()
    plain = "".join(letter if letter.isprintable() else "?" for letter in " ".join(sentence.split()))
    more = "" if len(plain) <= MAX_SAID else " ..."
    print(f"error: {plain[:MAX_SAID]}{more}", file=sys.stderr)  # noqa: T201
    return code


if __name__ == "__main__":
    sys.exit(main())
