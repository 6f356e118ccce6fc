"""The process that trains, started by the dashboard and ended with it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from charrnn_core.children import environment, python
from charrnn_core.training.settings import STOPS, Value, option_name


def train_arguments(
    corpus: str | None,
    given: Mapping[str, Value],
    *,
    runs: Path,
    preset: str | None = None,
    name: str | None = None,
) -> list[str]:
    """Return the arguments of the program with which a dashboard starts a new run.

    Parameters
    ----------
    corpus : str or None
        As `charrnn train` takes it; None is the bundled text that it takes by default.
    given : mapping of str to int, float, str or None
        Settings in place of the preset's. Without a stop the run trains until it is stopped.
    runs : Path
        The directory that holds runs.
    preset, name : str, optional

    Examples
    --------
    >>> train_arguments("play", {"epochs": 2.0}, runs=Path("/r"))
    ['train', 'play', '--runs', '/r', '--epochs', '2.0']
    """
    arguments = ["train", *([] if corpus is None else [corpus]), "--runs", str(runs.absolute())]
    # In one word: a name that begins with a hyphen is refused as a name, and not taken for an option.
    arguments += [] if name is None else [f"--name={name}"]
    arguments += [] if preset is None else ["--preset", preset]
    for setting, value in until_stopped(given).items():
        arguments += [option_name(setting), "none" if value is None else str(value)]
    return arguments


def until_stopped(given: Mapping[str, Value]) -> dict[str, Value]:
    """Return settings with no limit of updates, unless there is a stop among them."""
    stops = any(given.get(stop) is not None for stop in STOPS)
    return dict(given) if stops else {**given, "updates": None}


class OwnedTrainer:
    """`charrnn train` or `charrnn resume` as a child in a session of its own.

    Its standard input is a pipe whose other end is here, unless it `outlives`: when this process is gone,
    however that came, the trainer sees the end of it, saves and stops. Its output goes into the run's
    `trainer.log`; only the path of the run, and an error before there is one, come back here.

    Parameters
    ----------
    arguments : sequence of str
        Of the program, without its name.
    outlives : bool
        It trains on when this process is gone: it holds the other end of that pipe itself.
    text : int, optional
        Descriptor that the trainer reads its text from; closed here, even if the trainer cannot be started,
        so that the writer of the text gets an error once the trainer has ended.

    Raises
    ------
    OSError
        The process cannot be started.
    """

    def __init__(self, arguments: Sequence[str], *, outlives: bool = False, text: int | None = None) -> None:
        given = [] if text is None else ["--input-descriptor", str(text)]
        with ExitStack() as opened:  # closed here whether the process starts or not
            if text is not None:
                opened.callback(os.close, text)
            ours, theirs = os.pipe() if outlives else (None, None)
            for descriptor in (ours, theirs):
                if descriptor is not None:
                    opened.callback(os.close, descriptor)
            self._process = subprocess.Popen(
                python("-m", "charrnn_tui", *arguments, *given, "--owned"),
                stdin=subprocess.PIPE if ours is None else ours,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[descriptor for descriptor in (theirs, text) if descriptor is not None],
                start_new_session=True,
                # A terminal's settings are of no use to it, and a colour code none in its log.
                env=environment(TERM="dumb"),
            )
        self._told = {"out": b"", "err": b""}
        self._at_end = {"out": False, "err": False}
        for stream in (self._process.stdout, self._process.stderr):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, once it has ended."""
        return self._process.poll()

    def run_path(self) -> Path | None:
        """Return the path of the run directory, once the trainer has said it."""
        self._read()
        # A name may have newlines in it; but the trainer says nothing more here, and lets go of the pipe.
        path, newline = self._told["out"][:-1], self._told["out"][-1:]
        return Path(os.fsdecode(path)) if self._at_end["out"] and newline == b"\n" else None

    def error(self) -> str:
        """Return what the trainer said went wrong."""
        self._read()
        return self._told["err"].decode(errors="replace").strip().removeprefix("charrnn: ")

    def release(self) -> None:
        """Close the pipe: the trainer stops, or, if it has obeyed `detach`, goes on alone."""
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None and not stream.closed:
                stream.close()

    def wait(self, seconds: float) -> bool:
        """Return whether the process ends within this time."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _read(self) -> None:
        for name, stream in (("out", self._process.stdout), ("err", self._process.stderr)):
            while stream is not None and not stream.closed:
                try:
                    block = os.read(stream.fileno(), 65536)
                except BlockingIOError:
                    break
                if not block:
                    self._at_end[name] = True
                    break
                self._told[name] += block
