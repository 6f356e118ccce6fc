"""System calls on descriptors: opening without links, writing whole, making durable, and naming errors."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# Without O_NONBLOCK the opening of a named pipe waits for its other end.
_REGULAR = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_WRITES = os.O_WRONLY | os.O_RDWR


def open_directory(path: Path, inside: int | None = None) -> int:
    """Open a directory and return its descriptor.

    Parameters
    ----------
    path : Path
    inside : int, optional
        Descriptor of the directory above it. The last name of the path is looked up there, and must not be a
        link.

    Raises
    ------
    OSError
        It is missing, is not a directory or, with `inside`, is a link; or permission is denied.
    """
    if inside is None:
        return os.open(path, _DIRECTORY)
    try:
        return os.open(path.name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=inside)
    except OSError as error:
        raise _explained(error, path, inside) from None


def close_directory(descriptor: int) -> None:
    """Close a directory; nothing was written through its descriptor, so nothing is lost by an error."""
    with suppress(OSError):
        os.close(descriptor)


Stamp = tuple[int, int, int]
"""Inode, size and modification time of a file; they change when the file does."""


def stamp_of(name: str, inside: int) -> Stamp | None:
    """Return the stamp of an entry of an open directory, or None if there is no such entry."""
    try:
        status = os.stat(name, dir_fd=inside, follow_symlinks=False)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def stamp_below(folder: str, name: str, inside: int) -> Stamp | None:
    """Return the stamp of a file in a subfolder of an open directory; None if the folder is a link."""
    try:
        descriptor = os.open(folder, _DIRECTORY | os.O_NOFOLLOW, dir_fd=inside)
    except OSError:
        return None
    try:
        return stamp_of(name, descriptor)
    finally:
        close_directory(descriptor)


def open_regular(path: Path, inside: int, flags: int) -> int:
    """Open a regular file and return its descriptor.

    Parameters
    ----------
    path : Path
    inside : int
        Descriptor of the directory that holds the file. The last name of the path is looked up there.
    flags : int
        As of `os.open`.

    Raises
    ------
    OSError
        It is missing, is a link, a pipe, a device or a directory, or permission is denied; or it is to be
        written and has other names too.
    """
    try:
        descriptor = os.open(path.name, flags | _REGULAR, 0o666, dir_fd=inside)
    except OSError as error:
        raise _explained(error, path, inside) from None
    try:
        _check_opened(descriptor, path, writes=bool(flags & _WRITES))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def create_regular(path: Path, inside: int, mode: int) -> int:
    """Create a file in a directory, which must not be there, and return its descriptor for writing.

    Raises
    ------
    OSError
        Something has its name, permission is denied, or the disk is full.
    """
    with naming(path):
        return os.open(path.name, _NEW, mode, dir_fd=inside)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all the bytes; the system may take fewer at a time.

    Raises
    ------
    OSError
        The disk is full, say; then a part of the bytes may be written.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def make_durable(descriptor: int) -> None:
    """Have what was written survive a power cut.

    Raises
    ------
    OSError
        It is unknown how much of it is on the disk: a second attempt may succeed without having written it.
    """
    os.fsync(descriptor)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the whole path in an OSError of a call that got the last name of it only."""
    try:
        yield
    except OSError as error:
        error.filename, error.filename2 = str(path), None
        raise


def _check_opened(descriptor: int, path: Path, *, writes: bool) -> None:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path)
    if writes and status.st_nlink > 1:
        # What is written here would stand in another directory, too.
        reason = "it has another name (a hard link); replace it by a copy"
        raise OSError(errno.EMLINK, reason, str(path))


def _explained(error: OSError, path: Path, inside: int) -> OSError:
    """Return the error of an open that follows no links, in terms of what has the name."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        with suppress(OSError):
            if stat.S_ISLNK(os.stat(path.name, dir_fd=inside, follow_symlinks=False).st_mode):
                reason = "it is a symbolic link; links inside a run are not followed"
                return OSError(errno.EINVAL, reason, str(path))
    if error.errno in (errno.ENXIO, errno.EISDIR, errno.ELOOP):
        return _not_regular(path)
    error.filename = str(path)
    return error


def _not_regular(path: Path) -> OSError:
    return OSError(errno.EINVAL, "it is not a regular file", str(path))
