"""Writing files so that no crash, power cut or full disk leaves half of one under its name."""

from __future__ import annotations

import errno
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

from charrnn_core.training.events import encodable


def write_all(descriptor: int, data: bytes) -> None:
    """Write all the bytes; the system may take fewer at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def temporary_name(path: Path) -> Path:
    """Return a name in the same directory that nobody else uses, beginning with a dot."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}")


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_temporary(path: Path, data: bytes, *, durable: bool) -> Path:
    """Write bytes to a new temporary file beside `path` and return its name.

    The file is removed again if it cannot be written whole.
    """
    temporary = temporary_name(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        try:
            write_all(descriptor, data)
            if durable:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put a whole new file under a name; until that has happened the old one stays.

    Parameters
    ----------
    path : Path
    data : bytes
    durable : bool
        Whether it must survive a power cut once this returns.
    """
    temporary = write_temporary(path, data, durable=durable)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        sync_directory(path.parent)


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a file of a run and return its descriptor, if it is a regular file.

    Whatever else stands under the name could wait for ever (a pipe), never end (a device), or be somebody's
    file: what is written to is never reached through a link.

    Raises
    ------
    OSError
        It cannot be opened, or is no regular file.
    """
    writes = flags & (os.O_WRONLY | os.O_RDWR)
    # Without O_NONBLOCK the opening of a named pipe waits for its other end.
    flags |= os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (os.O_NOFOLLOW if writes else 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.EISDIR) or (writes and error.errno == errno.ELOOP):
            raise _not_regular(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def _not_regular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "it is not a regular file", str(path))


def read_small(path: Path, most: int = 10_000_000) -> bytes:
    """Return the bytes of a regular file that should be small.

    Raises
    ------
    OSError
        It cannot be read, is no regular file, or is too large.
    """
    descriptor = open_regular(path)
    try:
        if os.fstat(descriptor).st_size > most:
            raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
        return os.read(descriptor, most)
    finally:
        os.close(descriptor)


def to_json(value: Any) -> str:
    """Return a value as JSON of one line, keys sorted, so that equal values are equal texts."""
    return encodable(
        json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
    )
