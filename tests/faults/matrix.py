"""The rows of the matrix: what can go wrong, how it is made to, and how often at least in a thorough run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A kind of fault.

    Attributes
    ----------
    fault : str
        What happens, in words.
    means : str
        How it is made to happen.
    least : int
        Injections of a thorough run.
    slow : float
        Seconds; an answer that takes longer is told in the table as a hang, and fails no test.
    """

    fault: str
    means: str
    least: int
    slow: float = 2.0


ROWS: dict[str, Row] = {
    "kill": Row("a run is killed at a random instant", "SIGKILL, half of them on sight of a save", 2000),
    "call": Row(
        "a system call of a save, of `config.json` or of the log fails, or is the last one",
        "strace at the k-th call, k = 1, 2, ... until the save completes; short writes",
        250,
    ),
    "disk": Row(
        "the disk is full, has no inodes, becomes read-only; a directory is immutable; a file may not grow; "
        "there is no place for runs",
        "tmpfs, ext4 image, chattr, ulimit",
        20,
    ),
    "power": Row(
        "a power cut, also in the middle of an fsync",
        "an ext4 image copied while the run saves, and the copy mounted; a disk in "
        "memory that takes so many blocks more, and then none",
        80,
    ),
    "two": Row(
        "two processes at one run; a lock, a log or commands that lose their name; sampling from a run that "
        "trains",
        "processes",
        150,
    ),
    "signal": Row(
        "SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGSTOP, Ctrl+C, a closed terminal; headless and dashboard",
        "kill, pseudo-terminal",
        60,
    ),
    "page": Row(
        "`charrnn serve`: pages that come and go, dashboards that are stopped or still start, a server that "
        "is killed; malformed requests, half requests, requests without the key or of other sites; two "
        "signals at once",
        "sockets, kill",
        4000,
        slow=5.0,
    ),
    "size": Row("the terminal changes its size, down to 1x1 and 0x0", "TIOCSWINSZ", 300),
    "stream": Row(
        "a stream is closed, full, or has no reader; poor terminals and encodings",
        "shell, pseudo-terminal",
        50,
    ),
    "limit": Row(
        "a limit of the process is low: address space, processes and threads, open files, file size, stack",
        "ulimit",
        60,
        slow=10.0,
    ),
    "environment": Row(
        "an environment variable makes no sense: sizes, home, configuration, locale, caches, temporary files",
        "command line and dashboard",
        60,
        slow=10.0,
    ),
    "input": Row(
        "a text from a pipe that never ends, or whose reader is stopped or left",
        "pipes, signals, pseudo-terminal",
        6,
        slow=10.0,
    ),
    "checkpoint": Row(
        "a checkpoint is cut off, damaged, foreign, or made to do harm",
        "every length, every bit, 500 bits of a larger state; hostile content with a right digest",
        20_000,
    ),
    "corpus": Row(
        "a file that is not a text, an odd or hostile text, an odd or hostile name",
        "files, pipes, devices",
        40,
        slow=1.0,
    ),
    "option": Row(
        "an option that makes no sense, or that no machine can meet",
        "command line and form of the dashboard",
        40,
    ),
    "prime": Row("a prime or an option of `sample` that makes no sense", "command line", 30),
    "resume": Row("a run that cannot be resumed, or was changed", "command line", 40),
    "directory": Row(
        "a run directory that somebody has edited, or made to do harm",
        "hostile `config.json`, `events.jsonl`, `status.json`, `commands.jsonl`, `.lock`, names",
        400,
    ),
    "link": Row(
        "a run or a sweep that leads out of itself, or into endless depth",
        "links, hard links, pipes and directories in place of files and folders, for each command that "
        "writes",
        60,
    ),
    "module": Row(
        "a run that is the current directory and holds modules with the names of those that charrnn imports, "
        "or settings of libraries",
        "a file for each module of the standard library and of each installed package; each kind of process "
        "that charrnn starts",
        8,
    ),
    "flood": Row(
        "more commands than anybody asks for, of mixed kinds; a signal in the middle of long work: asked "
        "samples, primes, compilation",
        "commands before a run and while it trains; kill",
        500,
    ),
    "gradient": Row(
        "an engine trains wrongly: in one type, at some sizes, in other threads, or from some update on",
        "functions of both engines replaced, and the default check made",
        30,
        slow=60.0,
    ),
    "bytes": Row(
        "any bytes at all for what reads vocabulary, corpus, settings, log, commands and checkpoint",
        "hypothesis, and what a coverage-guided fuzzer has found before",
        20_000,
    ),
}
