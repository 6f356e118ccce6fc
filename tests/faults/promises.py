"""What the program promises whatever it is given, as assertions."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from tests.characters import FORBIDDEN
from tests.faults import ledger
from tests.program import EscapeError, Finished, TracebackError, assert_ended, on_terminal

EVIL = (
    "\x1b[31mred \x1b]0;title\x07 \x1b]52;c;AAAA\x07 \x9b31m \x90q\x9c \x7f \x08\r "
    "\u202eright\u202c \u2066isolated\u2069 "
    "\U000e0041\U000e007f tag \u3164\u115f filler \u2063 \ufff9a\ufffab\ufffb \ue000 \u2028 \ufeff"
)
MARKUP = "[bold]b[/bold] [/] [red] [@click=app.quit]q[/] [link=http://x]l[/link] \\[ [[ ]] {x} %s\n"


def assert_no_traceback(text: str) -> None:
    if "Traceback" in text:
        raise TracebackError(text[-3000:])


def assert_harmless(text: str) -> None:
    """There is nothing in it that a terminal obeys, and no traceback."""
    found = FORBIDDEN.search(text)
    if found is not None:
        around = text[max(0, found.start() - 80) : found.end() + 20]
        raise EscapeError(f"{found.group()!r} in {around!r}")
    assert_no_traceback(text)


def assert_one_line(finished: Finished, code: int, *words: str) -> None:
    """It ended with this code, and with nothing but a harmless line on stderr that has these words."""
    ledger.waited(finished.seconds)
    assert_harmless(finished.err)
    assert finished.code == code, finished.err
    assert finished.err.count("\n") == 1 and finished.err.endswith("\n"), finished.err
    for word in words:
        assert word in finished.err
    assert finished.out == ""


def assert_refused(finished: Finished, where: Path, *words: str) -> None:
    """One harmless line on stderr with these words, exit code 2, and no run."""
    assert_one_line(finished, 2, *words)
    assert not (where / "runs").exists()


def assert_trained(finished: Finished, where: Path) -> Path:
    """The only run ended well, its path is on stdout, and stderr has nothing that a terminal obeys."""
    assert_harmless(finished.err)
    assert finished.code == 0, finished.err
    (run,) = (where / "runs").iterdir()
    assert finished.out == f"{run}\n"
    assert_ended(run)
    assert FORBIDDEN.search(run.name) is None
    return run


def shown_on_terminal(where: Path, *arguments: str | bytes) -> tuple[int, str]:
    """Run the program with a terminal for all three streams; return exit code and what it showed."""
    with on_terminal(where, *map(os.fsdecode, arguments), out_too=True, controlling=False) as terminal:
        code = terminal.finish()
        return code, terminal.seen.decode().replace("\r\n", "\n")


def without_own_codes(text: str) -> str:
    """Return the output of a terminal without the escape codes of the progress bar, and only these.

    A partial bar is bright red (91), a complete one yellow (33), the rest of the bar grey (90).
    """
    return re.sub(r"\x1b\[(?:\?25[lh]|2K|1A|0m|2m|33m|90m|91m)|\r(?=\x1b\[(?:2K|1A))", "", text)


Outcome = tuple[Path, "Future[Finished]"]
"""The current directory of a command, and what it will have done when it has finished."""


class AtOnce:
    """Runs commands side by side, each in a folder of its own: in turn they take twice as long."""

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(3)

    def __call__(self, kinds: Iterable[str], command: Callable[[str, Path], Finished]) -> dict[str, Outcome]:
        places = {kind: self._folder() for kind in kinds}
        return {kind: (place, self._pool.submit(command, kind, place)) for kind, place in places.items()}

    def end(self) -> None:
        self._pool.shutdown()
