"""Where the bytes of a text come from: a file, standard input, or a text that ships with the program."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from charrnn_core.errors import CorpusError, raise_exhausted, reason_of
from charrnn_core.memory import installed_memory, readable_size
from charrnn_core.text.coding import BLOCK_BYTES

Kind = Literal["file", "input", "bundled"]

PYTHON_BYTES = 5_000_000
"""The bundled text `python` ends before the module with which it would become larger than this."""


def open_file(path: Path) -> int:
    """Open a regular file for reading, and return its descriptor.

    Raises
    ------
    CorpusError
        It is a directory, a pipe or a device.
    OSError
        It is not there, or may not be read.
    ValueError
        Its name holds a NUL.
    """
    # Looked at before, because to open a pipe is to take from it, and to open a device may start it.
    _check_regular(path, os.stat(path))  # noqa: PTH116 - a path with a NUL is a ValueError here
    # It may be another one now: to open a named pipe would wait for a writer without O_NONBLOCK.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    try:
        _check_regular(path, os.fstat(descriptor))
    except CorpusError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(path: Path, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise CorpusError(f"{path} is a directory; give a text file")
    if not stat.S_ISREG(status.st_mode):
        raise CorpusError(f"{path} is not a regular file; to read from a program: PROGRAM | charrnn train -")


@dataclass(frozen=True)
class Source:
    """A place that a text can be read from.

    Attributes
    ----------
    kind : "file", "input" or "bundled"
    name : str
        What it is called in messages and in the names of runs.
    paths : tuple of Path
        The files, in the order in which they are read; for standard input none, or where a run keeps it.
    descriptor : int or None
        Number of the open file that standard input was moved to; None where it is still itself.
    size : int, optional
        How many bytes a single file must have: one of another size is refused before it is read.
    most : int, optional
        How many bytes a single file may have.
    opener : callable
        Opens a file for reading and returns its descriptor.
    """

    kind: Kind
    name: str
    paths: tuple[Path, ...] = ()
    descriptor: int | None = None
    size: int | None = None
    most: int | None = None
    opener: Callable[[Path], int] = open_file

    def blocks(self) -> Iterator[bytes]:
        """Yield the text's bytes in blocks.

        Raises
        ------
        CorpusError
            The text cannot be opened or read, is not a regular file, or is larger than memory: a file than
            all of it, standard input than half of it.
        """
        if self.kind == "input" and not self.paths:
            yield from _input_blocks(self.descriptor)
            return
        limit = PYTHON_BYTES if self.kind == "bundled" and self.name == "python" else None
        for path in self.paths:
            size = path.stat().st_size if limit is not None else 0
            if limit is not None and size > limit:
                return
            limit = limit - size if limit is not None else None
            yield from self._file_blocks(path)

    def _file_blocks(self, path: Path) -> Iterator[bytes]:
        try:
            descriptor = self.opener(path)
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                raise_exhausted(error)
            raise CorpusError(f"cannot read {path}: {_reason(error)}") from None
        try:
            size = os.fstat(descriptor).st_size
            if self.size is not None and size != self.size:
                raise CorpusError(f"{path} is another text: {size:,} bytes instead of {self.size:,}")
            memory = installed_memory()
            most = min(each for each in (memory, self.size, self.most) if each is not None)
            # Somebody may write to its end for ever, and files of the system have no size.
            while size <= most:
                block = os.read(descriptor, BLOCK_BYTES)
                if not block:
                    return
                yield block
                size = max(size, os.lseek(descriptor, 0, os.SEEK_CUR))
            if most < memory:
                raise CorpusError(f"{path} is another text: it has more than {most:,} bytes")
            raise CorpusError(f"{path} has {size:,} bytes, more than the memory of this machine")
        except OSError as error:
            raise CorpusError(f"cannot read {path}: {_reason(error)}") from None
        finally:
            os.close(descriptor)


def find_source(text: str) -> Source:
    """Return the source that a user means by a path, `-`, or the name of a bundled text.

    What has a separator or exists is a path; else it is a name.

    Raises
    ------
    CorpusError
        There is neither such a file nor such a bundled text.
    """
    if text == "-":
        return Source("input", "standard input")
    try:
        exists = Path(text).exists() or Path(text).is_symlink()
    except (OSError, ValueError):  # a name too long for the system, or one with a NUL
        exists = True  # the error that opening it gives is the better message
    if exists or "/" in text:
        return Source("file", text, (Path(text),))
    bundled = bundled_sources()
    if text in bundled:
        return bundled[text]
    raise CorpusError(f"{text}: no such file, and no such bundled text ({', '.join(bundled)})")


def bundled_sources() -> dict[str, Source]:
    """Return the texts that ship with the program by name, and `python`, the standard library's source."""
    sources = {path.stem: Source("bundled", path.stem, (path,)) for path in sorted(_corpora().glob("*.txt"))}
    library = Path(sysconfig.get_path("stdlib"))
    sources["python"] = Source("bundled", "python", tuple(sorted(library.glob("*.py"))))
    return sources


def _corpora() -> Path:
    """Return the folder of the bundled texts: inside an installed package, at the top of a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "corpora"
    return installed if installed.is_dir() else package.parent.parent / "corpora"


def _input_blocks(descriptor: int | None) -> Iterator[bytes]:
    # sys.stdin is None when the shell closed it (<&-), and then descriptor 0 may be any other file.
    if descriptor is None and sys.stdin is None:
        raise CorpusError("standard input is closed; give a file or the name of a bundled text")
    total, most = 0, installed_memory() // 2
    try:
        number = sys.stdin.fileno() if descriptor is None else descriptor
        while block := _read_some(number):
            total += len(block)
            if total > most:
                raise CorpusError(
                    f"standard input gives more than {readable_size(most)}, half of the memory that charrnn "
                    "may use; give a part of the text"
                )
            yield block
    except (OSError, ValueError) as error:  # ValueError: a stream without a descriptor, in a test or notebook
        raise CorpusError(f"cannot read standard input: {_reason(error)}") from None


def _read_some(descriptor: int) -> bytes:
    """Return the next bytes of a pipe, also where another process has told it not to wait."""
    while True:
        try:
            return os.read(descriptor, BLOCK_BYTES)
        except BlockingIOError:
            select.select([descriptor], [], [])


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "its symbolic links lead round in a circle"
    reason = reason_of(error)
    return reason[0].lower() + reason[1:]
