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
import time
from contextlib import suppress

from charrnn_core.errors import RunDirectoryError, RunTakenError, reason_of
from charrnn_core.runs.files import Entry

# struct flock of the platform: type, whence, start, length, pid; macOS has it in another order.
_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi4x"
# An open-file-description lock belongs to the descriptor, as one would expect; a traditional one is given
# back when the process closes any descriptor of the file. Where Python does not name the first, the second.
_SET = getattr(fcntl, "F_OFD_SETLK", fcntl.F_SETLK)
_GET = getattr(fcntl, "F_OFD_GETLK", fcntl.F_GETLK)


# A second in all for a lock to come free, or for its holder to say who it is.
_LOOKS, _LOOK_SECONDS = 100, 0.01


def _pack(kind: int) -> bytes:
    if sys.platform == "darwin":
        return struct.pack(_FLOCK, 0, 0, 0, kind, os.SEEK_SET)
    return struct.pack(_FLOCK, kind, os.SEEK_SET, 0, 0, 0)


def _kind(flock: bytes) -> int:
    values = struct.unpack(_FLOCK, flock)
    return int(values[3] if sys.platform == "darwin" else values[0])


def take_lock(file: Entry) -> int:
    """Take a run for this process until it ends, and return the lock's descriptor.

    Raises
    ------
    RunTakenError
        Another process has it; the message names it.
    RunDirectoryError
        There is no file that could be locked.
    """
    try:
        descriptor = file.descriptor(os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise RunDirectoryError(f"cannot lock {file}: {reason_of(error)}") from None
    try:
        holder = _take(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise RunDirectoryError(f"cannot lock {file}: {reason_of(error)}") from None
    if holder is not None:
        os.close(descriptor)
        raise RunTakenError(f"{file.folder.path} is being trained by {holder}", holder)
    with suppress(OSError):  # a full disk, say: who holds it is only for messages
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _take(descriptor: int) -> str | None:
    """Take a lock and return None, or return who holds it, in words.

    The file may name a process that has ended: a new holder writes its number only after it has the lock, and
    a process that is killed while it starts another one leaves the lock with that one for some milliseconds.
    """
    for look in range(_LOOKS):
        if look:
            time.sleep(_LOOK_SECONDS)
        try:
            fcntl.fcntl(descriptor, _SET, _pack(fcntl.F_WRLCK))
            return None
        except OSError as error:
            if error.errno not in (errno.EACCES, errno.EAGAIN):
                raise
        number = os.pread(descriptor, 20, 0).strip()
        if number.isdigit() and _is_alive(int(number)):
            return f"process {int(number)}"
    return "another process"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except PermissionError:
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return process > 0


def is_lock_file(descriptor: int, file: Entry) -> bool:
    """Return whether the lock file that a process has open still stands under its name.

    Somebody who takes it for a left-over may have removed it; then it keeps nobody out.
    """
    try:
        return os.path.samestat(os.fstat(descriptor), file.stat())
    except OSError:
        return False


def is_locked(file: Entry) -> bool:
    """Return whether a process trains the run of this lock file, without disturbing anybody.

    Where there is no file that could be locked, none does.

    Raises
    ------
    RunDirectoryError
        It cannot be seen.
    """
    try:
        descriptor = file.descriptor()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL):
            return False
        raise RunDirectoryError(f"cannot see who trains {file.folder.path}: {reason_of(error)}") from None
    try:
        return _kind(fcntl.fcntl(descriptor, _GET, _pack(fcntl.F_WRLCK))) != fcntl.F_UNLCK
    finally:
        os.close(descriptor)
