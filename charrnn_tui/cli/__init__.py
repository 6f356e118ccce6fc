"""The command line: one module a command, imported when it is called.

Only the standard library and Typer are imported here and at the top of the commands, so that `charrnn --help`
answers at once; NumPy and Rich wait until a command needs them.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from charrnn_core.errors import CharRNNError
from charrnn_tui.terminal import harmless_line, say

COMMANDS = ("train", "corpora")

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


app = typer.Typer(cls=_Commands, pretty_exceptions_enable=False)


def _show_version(wanted: bool) -> None:
    if wanted:
        from charrnn_core import __version__

        print(f"charrnn {__version__}")
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
        print(context.get_help())


def run(arguments: list[str]) -> int:
    """Run a command and return its exit code; whatever goes wrong is one line on stderr."""
    if sys.platform == "win32":
        return _fail("charrnn runs on Linux and macOS; on Windows, use it inside WSL", 2)
    try:
        code = app(arguments, prog_name="charrnn", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except CharRNNError as error:
        return _fail(str(error), error.exit_code)
    except typer.TyperException as error:  # wrong use of the command line
        return _fail(_usage_message(error), 2)
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except BrokenPipeError:
        # The reader has gone; Python would complain again when it closes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + 13
    except OSError as error:
        if error.filename is None and sys.stdout is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            return _fail(f"cannot write to standard output: {error.strerror}", 1)
        return _fail(str(error), 1)
    except MemoryError:
        return _fail("there is not enough memory for this; try a smaller --hidden or --batch-size", 1)
    return int(code or 0)


def _usage_message(error: typer.TyperException) -> str:
    format_message = getattr(error, "format_message", None)
    message = str(format_message() if format_message else error).rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "charrnn"
    return f"{message}; see {command} --help"


def _fail(message: str, code: int) -> int:
    say(f"charrnn: {harmless_line(message)}\n", sys.stderr)
    return code
