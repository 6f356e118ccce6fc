"""What can go wrong, as a tree.

::

    CharRNNError                    exit code 1: failed while running
    ├── UsageError                  exit code 2: wrong use or bad input
    │   ├── CorpusError             a text that cannot be read or trained on
    │   ├── UnknownCharacterError   a character that the vocabulary does not have
    │   ├── SettingsError           an option outside its range, or a size that cannot fit
    │   ├── RunDirectoryError       a run that cannot be created, found or opened
    │   │   ├── RunTakenError       a run that another process trains
    │   │   └── RunFinishedError    a run that has reached what was to end it
    │   └── CommandError            a command to a run that it cannot obey
    ├── CheckpointError             a checkpoint that cannot be written or read
    ├── DivergedError               a network whose numbers are too large to calculate with
    ├── OutputFileError             a file for the user that cannot be written
    └── RunFailedError              a run whose record is not complete

Every message is one sentence for a stranger: it names the thing and what to do. The command line prints it
and exits with `exit_code`. `reason_of` puts errors of the system into such a sentence.
"""

import errno
import os


class CharRNNError(Exception):
    """Whatever this program reports as an error of its own."""

    exit_code = 1


class UsageError(CharRNNError):
    """Wrong use or bad input: the remedy is another call."""

    exit_code = 2


class CorpusError(UsageError):
    """A text that cannot be read, decoded or trained on."""


class UnknownCharacterError(UsageError):
    """A text holds characters that a vocabulary does not have.

    Attributes
    ----------
    characters : str
        The unknown characters, each once, in the order of their code points.
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        shown = ", ".join(f"{character!r} (U+{ord(character):04X})" for character in characters[:8])
        more = f" and {len(characters) - 8:,} more" if len(characters) > 8 else ""
        super().__init__(f"characters that the vocabulary does not have: {shown}{more}")


class SettingsError(UsageError):
    """A setting outside its range, or settings that do not go together."""


class RunDirectoryError(UsageError):
    """A run directory that cannot be created, found or opened."""


class RunTakenError(RunDirectoryError):
    """A run that another process trains.

    Attributes
    ----------
    holder : str
        That process, in words.
    """

    def __init__(self, message: str, holder: str = "another process") -> None:
        self.holder = holder
        super().__init__(message)


class RunFinishedError(RunDirectoryError):
    """A run that has reached what was to end it."""


class CommandError(UsageError):
    """A command to a run that it cannot obey."""


class CheckpointError(CharRNNError):
    """A checkpoint that cannot be written or read."""


class DivergedError(CharRNNError):
    """A network whose numbers are too large, or none, to calculate with."""


class OutputFileError(CharRNNError):
    """A file that a user asked for and that cannot be written: a report, a figure, an export."""


class RunFailedError(CharRNNError):
    """A run whose record is not complete."""


def reason_of(error: BaseException) -> str:
    r"""Return why something failed: never empty, in one line, and without the path.

    Some libraries raise `OSError` without a number, and `strerror` is None then: every message about an
    error of the system gets its reason here.

    Parameters
    ----------
    error : BaseException
        An `OSError` with or without a number, or any other error.

    Examples
    --------
    >>> reason_of(FileNotFoundError(2, "No such file or directory", "book.txt"))
    'No such file or directory'
    >>> reason_of(OSError("cannot load\n  libLLVM.so"))
    'cannot load libLLVM.so'
    >>> reason_of(OSError())
    'OSError without a reason'
    """
    text = str(error)
    if isinstance(error, OSError):
        number = error.args[0] if len(error.args) == 1 else error.errno
        named = os.strerror(number) if isinstance(number, int) else ""
        text = error.strerror or named or " ".join(str(part) for part in error.args if part is not None)
    return " ".join(text.split()) or f"{type(error).__name__} without a reason"


_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def raise_exhausted(error: OSError) -> None:
    """Raise an error again that says nothing of the file: this process can open no more of them."""
    if error.errno in _EXHAUSTED:
        raise error


def reason_with_path(error: BaseException) -> str:
    """Return why something failed, behind the path that it was about where the error names one.

    Examples
    --------
    >>> reason_with_path(FileNotFoundError(2, "No such file or directory", "book.txt"))
    'book.txt: No such file or directory'
    >>> reason_with_path(OSError(24, "Too many open files"))
    'Too many open files'
    """
    path = error.filename if isinstance(error, OSError) else None
    if isinstance(path, (str, bytes, os.PathLike)):
        return f"{os.fsdecode(path)}: {reason_of(error)}"
    return reason_of(error)  # no path, or the number of an open file
