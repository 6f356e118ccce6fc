"""Commands: what views ask of the process that trains, through `commands.jsonl`."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal, get_args

from charrnn_core.errors import CommandError, UsageError
from charrnn_core.rnn.gradcheck.comparisons import Comparison, comparisons
from charrnn_core.runs.files import Place, entry_of
from charrnn_core.runs.json_text import parse_object, to_json
from charrnn_core.training.settings import FIELDS

CommandName = Literal[
    "pause", "continue", "stop", "detach", "sample", "check", "checkpoint", "set-learning-rate"
]

COMMAND_NAMES: tuple[CommandName, ...] = get_args(CommandName)

LARGEST_COMMAND = 64_000
"""Bytes of a command's line: a single write of them is appended whole."""

MOST_UNREAD = 1 << 18
"""Bytes of commands that may wait, thousands of them; where there are more, all but the last are skipped."""

_MOST_LINES = 1000  # at one look
_MOST_PROBLEMS = 20  # different ones, reported at one look

_LOOK_SECONDS = 0.5
"""How often a reader looks whether its file was replaced."""

_ARGUMENTS: dict[str, tuple[str, ...]] = {
    "sample": ("length", "temperature", "top_p", "prime"),
    "check": ("method", "entries", "h0", "window", "step", "tolerance", "floor", "seed"),
    "set-learning-rate": ("learning_rate",),
}


@dataclass(frozen=True)
class Command:
    """Something asked of a run.

    Attributes
    ----------
    id : str
        Unique; the event that answers the command names it.
    name : str
        One of `COMMAND_NAMES`.
    arguments : dict
        `length`, `temperature`, `top_p` and `prime` of a sample, all optional; `learning_rate`; of a check
        its `seed` and the arguments of `charrnn_core.rnn.gradcheck.comparisons`, all optional.

    Raises
    ------
    CommandError
        There is no such command, or an argument is missing, unknown or not allowed.
    """

    id: str
    name: CommandName
    arguments: dict[str, Any]

    def __post_init__(self) -> None:
        if self.name not in COMMAND_NAMES:
            raise CommandError(f"there is no command {self.name!r}; there are {', '.join(COMMAND_NAMES)}")
        for argument in self.arguments:
            if argument not in _ARGUMENTS.get(self.name, ()):
                raise CommandError(f"the command {self.name} takes no {argument!r}")
        if self.name == "set-learning-rate":
            if "learning_rate" not in self.arguments:
                raise CommandError("the command set-learning-rate needs a learning rate")
            FIELDS["learning_rate"].check("learning_rate", self.arguments["learning_rate"])
        if "length" in self.arguments:
            FIELDS["sample_length"].check("length", self.arguments["length"])
        if "temperature" in self.arguments:
            FIELDS["temperature"].check("temperature", self.arguments["temperature"])
        top_p = self.arguments.get("top_p")
        if top_p is not None and not (
            isinstance(top_p, (int, float)) and not isinstance(top_p, bool) and 0 < top_p <= 1
        ):
            raise CommandError("top-p is a number above 0 and at most 1")
        if not isinstance(self.arguments.get("prime", ""), str):
            raise CommandError("a prime is a text")
        if "seed" in self.arguments:
            FIELDS["seed"].check("seed", self.arguments["seed"])
        if self.name == "check":
            self.comparisons()

    def comparisons(self) -> tuple[Comparison, ...] | None:
        """Return the comparisons that a check asks for; None for the default check."""
        asked = {name: value for name, value in self.arguments.items() if name != "seed"}
        return comparisons(**asked) if asked else None

    @classmethod
    def make(cls, name: CommandName, **arguments: Any) -> Command:
        """Return a command with a new id."""
        return cls(secrets.token_hex(8), name, arguments)

    def to_line(self) -> bytes:
        """Return the command as a line of `commands.jsonl`.

        Raises
        ------
        CommandError
            It is too long.
        """
        line = (
            to_json({"id": self.id, "command": self.name, **self.arguments}).encode("utf-8", "replace")
            + b"\n"
        )
        if len(line) > LARGEST_COMMAND:
            raise CommandError(f"a command has at most {LARGEST_COMMAND:,} bytes; this one has {len(line):,}")
        return line


@dataclass(frozen=True)
class BadCommand:
    """Lines of `commands.jsonl` that are not commands.

    Attributes
    ----------
    problem : str
    ids : tuple of str
        Those of the lines; empty where they have none.
    lines : int
        How many lines have this problem, one after the other.
    """

    problem: str
    ids: tuple[str, ...] = ()
    lines: int = 1

    @property
    def reason(self) -> str:
        """Why they are refused."""
        what = "commands" if self.ids else "lines"
        return self.problem if self.lines == 1 else f"{self.problem} ({self.lines:,} {what})"


def send(place: Place, command: Command) -> None:
    """Append a command to a run's `commands.jsonl`.

    Raises
    ------
    CommandError
        It is too long, or could not be written whole.
    OSError
        The file cannot be opened or written.
    """
    line, file = command.to_line(), entry_of(place)
    descriptor = file.descriptor(os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        if os.write(descriptor, line) != len(line):
            # What was written has no end; with one it is a line that is refused, and the next one is whole.
            os.write(descriptor, b"\n")
            raise CommandError(f"the command could not be written whole to {file}")
    finally:
        os.close(descriptor)


class CommandReader:
    """Reads the commands of a run as they come; a line without its end waits, and an empty one is skipped.

    The work of one look is bounded, whatever is written into the file: see `MOST_UNREAD`.

    Parameters
    ----------
    place : path or Entry
        Of the file.
    offset : int
        Bytes of the file that were read before.

    Attributes
    ----------
    offset : int
        Bytes of the file that are read, whole lines.
    """

    def __init__(self, place: Place, offset: int = 0) -> None:
        self._file = entry_of(place)
        self._path = str(self._file)  # looked for hundreds of times a second
        self._descriptor: int | None = None
        self._skipping = False  # the rest of a line that is too long
        self._next_look = 0.0
        self.offset = offset

    def read(self) -> list[tuple[Command | BadCommand, int]]:
        """Return what is new: lines that are not commands, and then commands, each with the offset after it.

        Raises
        ------
        OSError
            They cannot be read, or the file is none that commands were written to.
        """
        if self._descriptor is None:
            if not os.path.lexists(self._path):
                self.offset = 0  # a file that comes later is another one than what was read before
                return []
            try:
                descriptor = self._file.descriptor()
            except FileNotFoundError:
                return []
            self._descriptor = descriptor
            if os.fstat(descriptor).st_size < self.offset:
                self.offset = 0  # another file than the one that was read before
        found = Found()
        self._skip_flood(found)
        lines = 0
        while lines < _MOST_LINES and (block := os.pread(self._descriptor, LARGEST_COMMAND, self.offset)):
            whole, newline, _ = block.rpartition(b"\n")
            for line in whole.split(b"\n", _MOST_LINES)[:_MOST_LINES] if newline else ():
                self.offset += len(line) + 1
                lines += 1
                if not self._skipping and line:
                    found.add(_parse(line), self.offset)
                self._skipping = False
            if not newline:
                if len(block) < LARGEST_COMMAND:
                    break  # a line that is still being written
                self.offset += len(block)
                if not self._skipping:
                    found.add(BadCommand("a command is too long"), self.offset)
                self._skipping = True
        if not lines:
            self._follow()
        return found.all

    @property
    def size(self) -> int:
        """Bytes that the file holds now; 0 where there is none that can be read."""
        try:
            return self._file.stat().st_size
        except OSError:
            return 0

    def _skip_flood(self, found: Found) -> None:
        """Leave out all but the end of what waits, where that is more than anybody asks for."""
        assert self._descriptor is not None
        unread = os.fstat(self._descriptor).st_size - self.offset
        if unread > MOST_UNREAD:
            skipped = unread - MOST_UNREAD // 2
            self.offset += skipped
            self._skipping = True  # the rest of the line there
            problem = f"{skipped:,} bytes of commands are skipped: more waited than can be read at once"
            found.add(BadCommand(problem), self.offset)

    def _follow(self) -> None:
        """Once in a while look whether the file is still the one under the name; if not, begin with that."""
        assert self._descriptor is not None
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK_SECONDS
        own = os.fstat(self._descriptor)
        try:
            is_same = os.path.samestat(self._file.stat(), own)
        except FileNotFoundError:
            is_same = False
        if not is_same or own.st_size < self.offset:
            self.close()
            self.offset = 0

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Found:
    """What is found at one look; lines with the same problem are one `BadCommand`."""

    def __init__(self) -> None:
        self._commands: list[tuple[Command | BadCommand, int]] = []
        self._bad: dict[tuple[str, bool], tuple[BadCommand, int]] = {}  # by problem, without and with ids

    def add(self, command: Command | BadCommand, offset: int) -> None:
        """Add what a line asks for, or the problem that it has."""
        if isinstance(command, Command):
            self._commands.append((command, offset))
            return
        problem, has_ids = command.problem, bool(command.ids)
        if len(self._bad) >= _MOST_PROBLEMS and (problem, has_ids) not in self._bad:
            problem = "other lines are wrong, too"
        before, _ = self._bad.get((problem, has_ids), (BadCommand(problem, (), 0), 0))
        together = BadCommand(problem, before.ids + command.ids, before.lines + command.lines)
        self._bad[problem, has_ids] = together, offset

    @property
    def bad(self) -> list[tuple[BadCommand, int]]:
        """The problems, each with the offset after the last line that has it."""
        return sorted(self._bad.values(), key=itemgetter(1))

    @property
    def all(self) -> list[tuple[Command | BadCommand, int]]:
        """The problems, and after them the commands, each with the offset after it."""
        return [*self.bad, *self._commands]


def _parse(line: bytes) -> Command | BadCommand:
    identity = None
    try:
        fields = parse_object(line, constants=True)  # a number that is refused by its id
        if fields is None:
            raise CommandError("a command is a JSON object in one line")
        identity = fields.pop("id", None)
        if not isinstance(identity, str) or not 0 < len(identity) <= 64:
            identity = None
            raise CommandError("a command has an id of at most 64 characters")
        return Command(identity, fields.pop("command", ""), fields)
    except UsageError as error:
        return BadCommand(str(error), () if identity is None else (identity,))
