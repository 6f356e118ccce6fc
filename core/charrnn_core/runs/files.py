"""The files and directories inside a run or a sweep.

A run directory may come from anywhere. So nothing inside one is reached through a link: every name is looked
up relative to a descriptor of the directory that holds it, and only regular files are opened. And no crash,
power cut or full disk leaves half a file under its name.

::

    Folder(root, "checkpoints")          Entry(folder, "last.safetensors")
           │     └ never a link                         └ never a link, a pipe or a device
           └ the directory that the user named: links on the way to it are followed
"""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from charrnn_core.errors import raise_exhausted
from charrnn_core.runs.descriptors import (
    Stamp,
    close_directory,
    create_regular,
    make_durable,
    naming,
    open_directory,
    open_regular,
    stamp_below,
    stamp_of,
    write_all,
)

_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)
_READ_AT_ONCE = 1 << 24

MOST_NAMES = 10_000
"""Names of a directory that are looked at; a run has a handful."""


@dataclass(frozen=True)
class Folder:
    """A directory of a run or a sweep.

    Attributes
    ----------
    root : Path
        The directory that the user named, or that was found where runs are kept. Links lead to it as usual.
    parts : tuple of str
        The names that lead from there to the folder. None of them may be a link.
    """

    root: Path
    parts: tuple[str, ...] = ()
    _held: int | None = field(default=None, compare=False, repr=False)

    @property
    def path(self) -> Path:
        """Path of the folder, for messages."""
        return self.root.joinpath(*self.parts)

    def folder(self, name: str) -> Folder:
        """Return the folder of a name in this one."""
        return Folder(self.root, (*self.parts, _single(name)))

    def entry(self, name: str) -> Entry:
        """Return the entry of a name in this folder."""
        return Entry(self, _single(name))

    @contextmanager
    def opened(self) -> Iterator[int]:
        """Open the folder for a moment, and give its descriptor.

        Raises
        ------
        OSError
            It cannot be opened, or it is reached through a link.
        """
        if self._held is not None:
            yield self._held
            return
        path = self.root
        descriptor = open_directory(path)
        try:
            for part in self.parts:
                path = path / part
                inner = open_directory(path, descriptor)
                close_directory(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            close_directory(descriptor)

    @contextmanager
    def held(self) -> Iterator[Folder]:
        """Open the folder for several calls, and give the folder that makes them.

        What begins in it can then be put in order even if nothing more can be opened.

        Raises
        ------
        OSError
            It cannot be opened, or it is reached through a link.
        """
        with self.opened() as descriptor:
            yield Folder(self.root, self.parts, descriptor)

    def stamps(self, folders: Sequence[str], name: str) -> list[Stamp | None]:
        """Return the stamp of the file `name` in each of many subfolders.

        A sweep may have thousands of trials, and the dashboard polls every log twice a second. The stamp is
        None if the file or its folder is missing, or if the folder is a link.
        """
        try:
            with self.opened() as inside:
                return [stamp_below(_single(folder), name, inside) for folder in folders]
        except OSError:
            return [None for _ in folders]

    def exists(self) -> bool:
        """Return whether the folder is there and is reached without a link.

        Raises
        ------
        OSError
            As `Entry.exists`.
        """
        try:
            with self.opened():
                return True
        except OSError as error:
            raise_exhausted(error)
            return False

    def is_taken(self) -> bool:
        """Return whether anything has the folder's name, even a dangling link."""
        return os.path.lexists(self.path)

    def create(self) -> None:
        """Create the folder, unless it is there.

        Raises
        ------
        OSError
            Something else has its name, the folder above it is missing or reached through a link, permission
            is denied, or the disk is full.
        """
        with suppress(FileExistsError), self._of_parent() as (parent, name):
            os.mkdir(name, dir_fd=parent)
        with self.opened():
            pass

    def remove(self) -> None:
        """Remove the folder, which must be empty.

        Raises
        ------
        OSError
            It is missing, is not empty, or permission is denied.
        """
        with self._of_parent() as (parent, name):
            os.rmdir(name, dir_fd=parent)

    def names(self, most: int = MOST_NAMES) -> list[str]:
        """Return names in the folder, sorted: all of them up to `most`, and none if it is not there.

        Raises
        ------
        OSError
            It cannot be read, or it is reached through a link.
        """
        try:
            with self.opened() as descriptor, os.scandir(descriptor) as found:
                return sorted(each.name for each in itertools.islice(found, most))
        except FileNotFoundError:
            return []

    def sync(self) -> None:
        """Make the names in the folder durable.

        Raises
        ------
        OSError
            It cannot be opened; or it is unknown which of the names are on the disk.
        """
        with self.opened() as descriptor:
            make_durable(descriptor)

    def size(self, most_entries: int = MOST_NAMES, most_levels: int = 8) -> int:
        """Return the bytes of the files in the folder and below.

        Parameters
        ----------
        most_entries, most_levels : int
            What lies beyond so many entries, or so deep, is not counted.
        """
        total = entries = 0
        waiting = [self]
        while waiting and entries < most_entries:
            folder = waiting.pop()
            with suppress(OSError), folder.opened() as descriptor, os.scandir(descriptor) as found:
                for each in found:
                    entries += 1
                    if entries > most_entries:
                        break
                    with suppress(OSError):  # it has just been replaced
                        if not each.is_dir(follow_symlinks=False):
                            total += each.stat(follow_symlinks=False).st_size
                        elif len(folder.parts) - len(self.parts) < most_levels:
                            waiting.append(folder.folder(each.name))
        return total

    @contextmanager
    def _of_parent(self) -> Iterator[tuple[int, str]]:
        """Open the directory that holds the folder, and give its descriptor and the folder's name."""
        if self.parts:
            with Folder(self.root, self.parts[:-1]).opened() as parent, naming(self.path):
                yield parent, self.parts[-1]
        else:
            with Folder(self.root.parent).opened() as parent, naming(self.path):
                yield parent, self.root.name


@dataclass(frozen=True)
class Entry:
    """A name in a folder, for a regular file.

    Attributes
    ----------
    folder : Folder
    name : str
    """

    folder: Folder
    name: str

    @classmethod
    def at(cls, path: str | os.PathLike[str]) -> Entry:
        """Return the entry of a file that the user named; the links of that path are followed."""
        target = Path(os.path.realpath(path))
        return cls(Folder(target.parent), target.name)

    @property
    def path(self) -> Path:
        """Path of the file, for messages."""
        return self.folder.path / self.name

    def __str__(self) -> str:
        return str(self.path)

    def descriptor(self, flags: int = os.O_RDONLY) -> int:
        """Open the file and return its descriptor.

        Raises
        ------
        OSError
            It cannot be opened, is not a regular file, or is to be written in place and has other names too.
        """
        with self.folder.opened() as folder:
            return open_regular(self.path, folder, flags)

    def read(self, most: int = 10_000_000) -> bytes:
        """Return the bytes of the file.

        Raises
        ------
        OSError
            It cannot be read, is not a regular file, or has more than `most` bytes.
        """
        descriptor = self.descriptor()
        try:
            blocks, size = [], 0
            while block := os.read(descriptor, min(_READ_AT_ONCE, most + 1)):
                blocks.append(block)
                size += len(block)
                if size > most:
                    raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(self))
            return b"".join(blocks)
        finally:
            os.close(descriptor)

    def stat(self) -> os.stat_result:
        """Return the status of what has the name, of a link and not of its target.

        Raises
        ------
        OSError
            Nothing has the name, or the folder cannot be opened.
        """
        with self.folder.opened() as folder, naming(self.path):
            return os.stat(self.name, dir_fd=folder, follow_symlinks=False)

    def stamp(self) -> Stamp | None:
        """Return a stamp that changes when the file does, or None if there is no file."""
        try:
            with self.folder.opened() as folder:
                return stamp_of(self.name, folder)
        except OSError:
            return None

    def exists(self) -> bool:
        """Return whether a regular file has the name.

        Raises
        ------
        OSError
            This process can open no more files, which says nothing of this one.
        """
        try:
            return stat.S_ISREG(self.stat().st_mode)
        except OSError as error:
            raise_exhausted(error)
            return False

    def is_taken(self) -> bool:
        """Return whether anything has the name, even a dangling link, or something that cannot be seen.

        Raises
        ------
        OSError
            As `exists`.
        """
        try:
            self.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise_exhausted(error)
            return True
        return True

    def remove(self) -> None:
        """Remove the name, if there is one.

        Raises
        ------
        OSError
            A directory has the name, or permission is denied.
        """
        with suppress(FileNotFoundError), self.folder.opened() as folder, naming(self.path):
            os.unlink(self.name, dir_fd=folder)

    def move_to(self, other: Entry) -> None:
        """Give the file the name of another entry of the same folder, in place of what has that name.

        Raises
        ------
        OSError
            The file is missing, a directory has the other name, or permission is denied.
        """
        with self.folder.opened() as folder, naming(self.path):
            os.rename(self.name, other.name, src_dir_fd=folder, dst_dir_fd=folder)

    def copy_to(self, other: Entry) -> None:
        """Let another entry of the same folder stand for the file too, in place of what had that name.

        By a hard link; a file system that has none gets a durable copy.

        Raises
        ------
        OSError
            The file is missing, a directory has the other name, permission is denied, or the disk is full.
        """
        temporary = other.temporary()
        try:
            with self.folder.opened() as folder, naming(self.path):
                os.link(
                    self.name, temporary.name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False
                )
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            temporary = other.write_temporary(self.read(most=self.stat().st_size), durable=True)
        try:
            temporary.move_to(other)
        finally:
            # rename(2) of a name onto another name of the same file leaves both.
            temporary.remove()

    def temporary(self) -> Entry:
        """Return an entry of the same folder with a new, unique name that begins with a dot."""
        return Entry(self.folder, f".{self.name}.{secrets.token_hex(6)}")

    def create(self, mode: int = 0o666) -> int:
        """Create the file, which must not be there, and return its descriptor for writing.

        Raises
        ------
        OSError
            Something has the name, permission is denied, or the disk is full.
        """
        with self.folder.opened() as folder:
            return create_regular(self.path, folder, mode)

    def write_temporary(self, data: bytes, *, durable: bool) -> Entry:
        """Write bytes to a new temporary file beside the entry and return it.

        The file is removed again if it cannot be written whole.

        Raises
        ------
        OSError
            The disk is full, a limit of file size is reached, or permission is denied.
        """
        with self.folder.held() as folder:
            temporary = Entry(folder, self.name).temporary()
            descriptor = temporary.create()
            try:
                try:
                    write_all(descriptor, data)
                    if durable:
                        make_durable(descriptor)
                finally:
                    os.close(descriptor)
            except BaseException:
                temporary.remove()
                raise
        return Entry(self.folder, temporary.name)

    def write(self, data: bytes, *, durable: bool = True) -> None:
        """Put a whole new file under the name; until that has happened the old one stays.

        Parameters
        ----------
        data : bytes
        durable : bool
            Whether it must survive a power cut once this returns.

        Raises
        ------
        OSError
            The file cannot be written, and the old one is there; or, if the new one has the name, it is
            unknown whether it would survive a power cut.
        """
        with self.folder.held() as folder:
            temporary = Entry(folder, self.name).write_temporary(data, durable=durable)
            try:
                temporary.move_to(self)
            except BaseException:
                temporary.remove()
                raise
            if durable:
                folder.sync()


Place = str | os.PathLike[str] | Entry
"""A file: a path that the user named, or an entry of a run."""


def entry_of(place: Place) -> Entry:
    """Return the entry of a file."""
    return place if isinstance(place, Entry) else Entry.at(place)


def open_kept(path: Path) -> int:
    """Open a file that is directly in the directory of a run or a sweep, and return its descriptor.

    Raises
    ------
    OSError
        It cannot be opened, is a link, or is not a regular file.
    """
    return Entry(Folder(path.parent), path.name).descriptor()


def _single(name: str) -> str:
    if not name or "/" in name or "\0" in name or name in (".", ".."):
        raise ValueError(f"{name!r} is not the name of a single file")
    return name
