"""The command line: one module a command, imported when it is called.

Only the standard library and Typer are imported here and at the top of the commands, so that `charrnn --help`
answers at once; NumPy and Rich wait until a command needs them.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from charrnn_core.errors import CharRNNError, reason_of
from charrnn_tui.limits import explain, leave_stdout, prepare
from charrnn_tui.terminal import OutputError, harmless_line, put, say

COMMANDS = (
    "tui", "train", "resume", "study", "sample", "command", "gradcheck", "report", "plot", "export", "runs",
    "corpora", "bench", "sweep", "serve",
)  # fmt: skip

_TRAINING = ("tui", "train", "resume", "study", "gradcheck", "bench", "sweep")
"""Commands that use an engine."""

HELP = (
    "Example: charrnn train book.txt --hidden 200\n\n"
    "Train a vanilla recurrent network on the characters of a text, watch it learn, and let it write."
)


class _Commands(TyperGroup):
    """The commands by name: each is the function `command` of a module here, imported when needed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"charrnn_tui.cli.{cmd_name}")
        app = typer.Typer(add_completion=False)
        app.command(cmd_name, help=module.HELP, short_help=module.SHORT_HELP)(module.command)
        return typer.main.get_command(app)


app = typer.Typer(cls=_Commands, add_completion=True, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        from charrnn_core import __version__

        put(f"charrnn {__version__}\n")
        raise typer.Exit


@app.callback(invoke_without_command=True, help=HELP)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Show the help where no command is given."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; whatever goes wrong is one line on stderr."""
    try:
        unused = prepare(os.environ)
        if unused is not None and arguments and arguments[0] in _TRAINING:
            say(f"charrnn: {unused}\n", sys.stderr)
        code = _invoke(arguments)
    except CharRNNError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:  # wrong use of the command line
        return _fail(_usage_message(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except OutputError as error:
        leave_stdout()
        if isinstance(error.error, BrokenPipeError):
            return 128 + signal.SIGPIPE
        return _fail(f"cannot write to standard output: {reason_of(error.error)}", 1)
    except (OSError, ImportError, MemoryError, RuntimeError, SystemError) as error:
        sentence = explain(error)
        if sentence is None:
            raise
        return _fail(sentence, 1)
    return int(code or 0)


def _invoke(arguments: list[str]) -> int | None:
    """Run a command and return what it returned, or the code that it asked to exit with."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    asks_help = not arguments or "--help" in options
    completes = "_CHARRNN_COMPLETE" in os.environ  # a shell asks what it can offer after Tab
    if completes or not asks_help or sys.stdout is None or sys.stdout.isatty():
        code: int | None = app(arguments, prog_name="charrnn", standalone_mode=False)
        return code
    # Help is printed by Typer, and its errors would not say that it was stdout that failed.
    with contextlib.redirect_stdout(io.TextIOWrapper(io.BytesIO(), sys.stdout.encoding)) as printed:
        code = app(arguments, prog_name="charrnn", standalone_mode=False)
    printed.seek(0)
    put(printed.read())
    return code


def _usage_message(error: typer.TyperException) -> str:
    format_message = getattr(error, "format_message", None)
    message = str(format_message() if format_message else error).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "charrnn"
    return f"{message}; see {command} --help"


def _fail(message: str, code: int) -> int:
    say(f"charrnn: {harmless_line(message)}\n", sys.stderr)
    return code
