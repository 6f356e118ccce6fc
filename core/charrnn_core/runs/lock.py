"""Who trains a run: a lock on `.lock` that the kernel gives back however the process ends.

A record lock and not flock(2), because views can ask who holds a record lock without taking it: a shared
flock, taken even for a moment, would make a trainer's start fail.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import sys
from pathlib import Path

from charrnn_core.errors import RunDirectoryError

# struct flock of the platform: type, whence, start, length, pid; macOS has it in another order.
_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"
# An open-file-description lock belongs to the descriptor, as one would expect; a traditional one is given
# back when the process closes any descriptor of the file. Where Python does not name the first, the second.
_SET = getattr(fcntl, "F_OFD_SETLK", fcntl.F_SETLK)
_GET = getattr(fcntl, "F_OFD_GETLK", fcntl.F_GETLK)


def _pack(kind: int) -> bytes:
    if sys.platform == "darwin":
        return struct.pack(_FLOCK, 0, 0, 0, kind, os.SEEK_SET)
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


def _kind(flock: bytes) -> int:
    values = struct.unpack(_FLOCK, flock)
    return int(values[3] if sys.platform == "darwin" else values[0])


def take_lock(path: Path) -> int:
    """Take a run for this process until it ends, and return the lock's descriptor.

    Raises
    ------
    RunDirectoryError
        Another process has it; the message names it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.fcntl(descriptor, _SET, _pack(fcntl.F_WRLCK))
    except OSError as error:
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        os.close(descriptor)
        if error.errno not in (errno.EACCES, errno.EAGAIN):
            raise
        name = f"process {holder}" if holder.isdigit() else "another process"
        raise RunDirectoryError(f"{path.parent} is being trained by {name}") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def is_locked(path: Path) -> bool:
    """Return whether a process trains the run of this lock file, without disturbing anybody."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return _kind(fcntl.fcntl(descriptor, _GET, _pack(fcntl.F_WRLCK))) != fcntl.F_UNLCK
    finally:
        os.close(descriptor)
