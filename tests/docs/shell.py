"""A shell in a terminal, into which a reader types what a page says."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import subprocess
import termios
import time
from pathlib import Path

from tests.program import PATIENCE, HangError
from tests.terminals import Screen

_PROMPT = re.compile(r"@(\d+)@ ")
_CODES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07)|[^\n]*\r(?!\n)")


class Shell:
    """Bash with a terminal of 100 columns and 40 lines.

    What the dashboard shows is looked at until it shows a run, and left as a user leaves it. What trains
    without end is interrupted by Ctrl+C, once it shows how fast it is.
    """

    def __init__(self, where: Path, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, 100))
        own = {"PS1": "@$?@ ", "PS2": "", "TERM": "xterm-256color", "HOME": str(where)}
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "--noediting", "-i"],
            cwd=where,
            env={**environment, **own},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            # So that job control works, and Ctrl+C reaches what runs in the foreground.
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self._wait(may_interrupt=False)
        self.run("set -o pipefail")

    def run(self, command: str) -> tuple[int, str]:
        """Type a command; return its exit code and what it said, without codes for the terminal.

        Of what Ctrl+C has ended the code is 0 if it said so itself, by code 130.
        """
        os.write(self._master, command.encode() + b"\n")
        ends_soon = re.search(r"--updates \d{1,4}\b|--replay", command) is not None
        code, told, was_interrupted = self._wait(may_interrupt=True, ends_soon=ends_soon)
        lines = told.replace("\r\n", "\n").split("\n")[command.count("\n") + 1 :]
        return (0 if was_interrupted and code == 130 else code), _CODES.sub("", "\n".join(lines))

    def _wait(self, *, may_interrupt: bool, ends_soon: bool = False) -> tuple[int, str, bool]:
        screen, seen, rest = Screen(40, 100), "", ""
        was_interrupted, asked, deadline = False, 0.0, time.monotonic() + 3 * PATIENCE
        while time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.05)[0]:
                text = os.read(self._master, 65536).decode(errors="replace")
                seen += text
                rest = screen.feed(rest + text)
                found = _PROMPT.search(seen)
                if found is not None:
                    return int(found[1]), seen[: found.start()], was_interrupted
            if not may_interrupt or time.monotonic() < asked:
                continue
            keys = self._keys(screen, seen, was_interrupted or ends_soon)
            if keys:
                was_interrupted = was_interrupted or keys == b"\x03"
                os.write(self._master, keys)
                asked = time.monotonic() + 0.5
        raise HangError(seen[-3000:])

    def _keys(self, screen: Screen, seen: str, was_interrupted: bool) -> bytes:
        """Return what a user presses now who has seen enough."""
        if 1049 in screen.modes:
            if "Stop training?" in screen.text:
                return b"\r"
            if any(words in screen.text for words in ("● training", "■ ended", "■ interrupted")):
                return b"q"
            return b"\x1b" if "Start" in screen.text else b""
        has_seen_enough = re.search(r"[1-9][\d,]* updates/s|/\?key=", seen) is not None
        return b"\x03" if has_seen_enough and not was_interrupted else b""

    def end(self) -> None:
        """Close the terminal, which ends what still runs in it."""
        os.close(self._master)
        self._process.wait(PATIENCE)
