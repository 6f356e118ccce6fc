"""Checkpoints: all that a run needs to go on, in one safetensors file with a digest of its own.

The metadata is a single JSON text with sorted keys under the key `charrnn`; safetensors writes a map of
several in random order. safetensors has no checksum, so that text holds `sha256`, the SHA-256 of the whole
file with 64 zeros in the digest's place: whatever bit of header or data is changed, the file is refused.

`state_sha256` is the identity of the state: over arrays and deterministic state, without times, versions and
machine.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import re
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO, cast, get_args

import numpy as np
import safetensors.numpy

from charrnn_core.errors import CharRNNError, CheckpointError, RunDirectoryError, SettingsError, reason_of
from charrnn_core.rnn.optimizers import memory_names
from charrnn_core.rnn.parameters import PARAMETER_NAMES, Floats
from charrnn_core.rnn.sampler import written
from charrnn_core.runs.commands import LARGEST_COMMAND, Command, CommandName
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import Folder, entry_of
from charrnn_core.runs.files import Place as FilePlace
from charrnn_core.runs.json_text import parse_json, to_json
from charrnn_core.runs.log import EventLog
from charrnn_core.text.source import Kind
from charrnn_core.text.vocabulary import Vocabulary
from charrnn_core.training.settings import FIELDS, Settings
from charrnn_core.training.state import Snapshot, check_state, shaping_duties

FORMAT = 1
"""Version of the checkpoint format."""

KINDS = ("last", "previous", "best")
"""The checkpoints of a run."""

_METADATA_KEY = "charrnn"
_NO_DIGEST = "0" * 64
_LARGEST_TIME = 10**17  # seconds, or epochs
_MOST_VALUES = 2_000  # a header has about two hundred
_LONGEST_TEXT = 10_000  # characters of a name, a path or a version
_LARGEST_COUNT = 10**16  # ten times as many updates as `--updates` allows: what comes of it can be saved
_LARGEST_H = 1.001  # 1, and what rounding adds to it
_LARGEST_HEADER = 16_000_000  # a vocabulary of all of Unicode takes a third of it
_MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By format: what makes the metadata of the next format of it. Format 1 is the first."""


@dataclass(frozen=True)
class RunFacts:
    """What a checkpoint says of its run besides the state.

    Attributes
    ----------
    vocabulary : str
        The characters.
    corpus : dict
        As in the `started` event.
    environment : dict
        Engine, threads, BLAS, versions, machine.
    """

    vocabulary: str
    corpus: dict[str, Any]
    environment: dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the other files of the run are when a checkpoint is saved.

    Attributes
    ----------
    log_length : int
        Bytes of `events.jsonl`; what a resumed run finds after them it does again.
    command_offset : int
        Bytes of `commands.jsonl` that were read.
    drawn : int
        How many samples were asked for.
    obeyed : dict or None
        The last command that changed training, as its `obeyed` event says it.
    """

    log_length: int = 0
    command_offset: int = 0
    drawn: int = 0
    obeyed: dict[str, Any] | None = None


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read and found whole.

    Attributes
    ----------
    kind : str
        "last", "previous" or "best", or the name of the file.
    snapshot : Snapshot
    vocabulary : Vocabulary
    place : Place
    state_sha256 : str
    metadata : dict
        All that the file says of itself.
    """

    kind: str
    snapshot: Snapshot
    vocabulary: Vocabulary
    place: Place
    state_sha256: str
    metadata: dict[str, Any]

    def sample(self, **how: Any) -> str:
        """Return what the network of this state writes, as `charrnn sample` does with the same seed.

        Parameters
        ----------
        length, temperature, top_k, top_p, prime, seed
            As in `charrnn_core.rnn.sampler.written`.

        Raises
        ------
        UnknownCharacterError
            The prime holds characters that the vocabulary does not have.
        """
        return written(self.vocabulary, self.snapshot.parameters, self.snapshot.h[0], **how)


def to_bytes(snapshot: Snapshot, facts: RunFacts, place: Place) -> tuple[bytes, str]:
    """Return a checkpoint as the bytes of its file, and its `state_sha256`.

    Raises
    ------
    CheckpointError
        A number of the state is not finite, overflows, or is outside the range that reading accepts.
    """
    arrays = snapshot.arrays()
    if snapshot.parameters.may_overflow() or not all(np.isfinite(array).all() for array in arrays.values()):
        raise CheckpointError(f"the state at update {snapshot.update:,} is not finite and is not saved")
    state = snapshot.state()
    state_sha256 = _identity(arrays, snapshot.settings, facts.vocabulary, facts.corpus["sha256"], state)
    metadata: dict[str, Any] = {
        "format": FORMAT,
        "update": snapshot.update,
        "epoch": snapshot.epoch,
        "seconds": snapshot.seconds,
        "settings": snapshot.settings.to_json(),
        "vocabulary": facts.vocabulary,
        "corpus": facts.corpus,
        "state": state,
        "state_sha256": state_sha256,
        "log_length": place.log_length,
        "command_offset": place.command_offset,
        "drawn": place.drawn,
        "obeyed": place.obeyed,
        "sha256": _NO_DIGEST,
        **facts.environment,
    }
    try:
        _check(metadata)
        check_state(state, snapshot.settings)
    except (_DamageError, CharRNNError, ValueError) as error:
        # An unreadable checkpoint must not replace a readable one.
        raise CheckpointError(
            f"the state at update {snapshot.update:,} is invalid and was not saved: {error}"
        ) from None
    data: bytes = safetensors.numpy.save(arrays, {_METADATA_KEY: to_json(metadata)})
    digest = hashlib.sha256(data).hexdigest()
    return data.replace(_digest_entry(_NO_DIGEST), _digest_entry(digest), 1), state_sha256


def _digest_entry(digest: str) -> bytes:
    r"""Return how the digest stands in the header, a JSON text inside a JSON text.

    A file name with the same characters cannot be taken for it: its quotes are escaped once more.
    """
    return rf"\"sha256\":\"{digest}\"".encode()


def read_checkpoint(place: FilePlace) -> Checkpoint:
    """Return the checkpoint in a file, if this program wrote it and every bit of it is as written.

    Reads no more than what its own settings say it must hold, and nothing is executed, mapped or unpickled.

    Parameters
    ----------
    place : path or Entry

    Raises
    ------
    CheckpointError
        The file cannot be read, or is damaged, foreign, or of a newer format.
    """
    file = entry_of(place)
    with _refusing(str(file)), os.fdopen(file.descriptor(), "rb", buffering=0) as opened:
        return _read(file.path.stem, opened, os.fstat(opened.fileno()).st_size)


def read_best_loss(place: FilePlace) -> float | None:
    """Return the best loss that a checkpoint names, from its header alone, however large it is.

    To be shown: neither digest nor arrays are looked at.

    Raises
    ------
    CheckpointError
        The file cannot be read, or its header is not that of a checkpoint.
    """
    file = entry_of(place)
    with _refusing(str(file)), os.fdopen(file.descriptor(), "rb", buffering=0) as opened:
        _, header = _header(opened, os.fstat(opened.fileno()).st_size)
        metadata = _metadata(_parsed(header, "header").get("__metadata__"))
        best = metadata["state"]["best"]
        return None if best is None else float(best["loss"])


def parse_checkpoint(data: bytes, name: str) -> Checkpoint:
    """Return the checkpoint in bytes that have come from somewhere else, as `read_checkpoint` does.

    Parameters
    ----------
    data : bytes
        All of its file.
    name : str
        What to call the file.

    Raises
    ------
    CheckpointError
    """
    with _refusing(name):
        return _read(name, io.BytesIO(data), len(data))


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Turn whatever goes wrong while a checkpoint is read into a CheckpointError."""
    try:
        yield
    except (_DamageError, SettingsError) as error:
        raise CheckpointError(f"{name} is not a whole checkpoint of charrnn: {error}") from None
    except OSError as error:
        raise CheckpointError(f"cannot read the checkpoint {name}: {reason_of(error)}") from None
    except MemoryError:
        raise CheckpointError(f"there is not enough memory to read the checkpoint {name}") from None
    except Exception as error:
        # A file with a right digest may still say anything, and any of it may be what a library stumbles
        # over. Whatever that is, the file is not a checkpoint of this program.
        raise CheckpointError(
            f"{name} is not a whole checkpoint of charrnn: its contents are malformed"
        ) from error


class _DamageError(Exception):
    """What is wrong with a file that should be a checkpoint."""


def _read(kind: str, file: BinaryIO, size_of_file: int) -> Checkpoint:
    start, header_bytes = _header(file, size_of_file)
    header = _parsed(header_bytes, "header")
    metadata = _metadata(header.pop("__metadata__", None))
    _check(metadata)
    settings = Settings.from_json(metadata["settings"])
    vocabulary = Vocabulary(metadata["vocabulary"])
    settings.check_memory(len(vocabulary))
    shapes = _expected_shapes(settings, len(vocabulary))
    dtype = np.dtype(settings.dtype)
    size = sum(math.prod(shape) for shape in shapes.values()) * dtype.itemsize
    _check_size(size_of_file, len(start) + len(header_bytes) + size)
    data = _read_exactly(file, size)
    whole = hashlib.sha256(start)
    whole.update(header_bytes.replace(_digest_entry(metadata["sha256"]), _digest_entry(_NO_DIGEST), 1))
    whole.update(data)
    _check_digest(whole.hexdigest(), metadata["sha256"], "its digest does not agree")
    arrays = _arrays(header, shapes, dtype, data)
    for name, array in arrays.items():
        _check_values(name, array)
    state = metadata["state"]
    try:
        snapshot = Snapshot.from_parts(
            settings, arrays, state, epoch=metadata["epoch"], seconds=metadata["seconds"]
        )
    except ValueError as error:
        raise _DamageError(f"its state is impossible: {error}") from None
    if snapshot.parameters.may_overflow():
        raise _DamageError("its weights are too large to calculate with")
    corpus_sha256 = metadata["corpus"]["sha256"]
    identity = _identity(arrays, settings, metadata["vocabulary"], corpus_sha256, state)
    _check_digest(identity, metadata["state_sha256"], "its state is not the one that it names")
    place = _place(metadata)
    return Checkpoint(kind, snapshot, vocabulary, place, identity, metadata)


def _header(file: BinaryIO, size_of_file: int) -> tuple[bytes, bytes]:
    """Return the length of the header as it stands in the file, and the header."""
    start = _read_exactly(file, 8)
    (length,) = struct.unpack("<Q", start)
    _check_length(length, size_of_file)
    return start, _read_exactly(file, length)


def _check_length(length: int, size_of_file: int) -> None:
    if not 0 < length <= min(_LARGEST_HEADER, size_of_file - 8):
        raise _DamageError("its header has an impossible length")


def _check_size(size_of_file: int, expected: int) -> None:
    if size_of_file != expected:
        raise _DamageError(f"it has {size_of_file:,} bytes, and should have {expected:,}")


def _check_digest(actual: str, expected: str, problem: str) -> None:
    if actual != expected:
        raise _DamageError(problem)


def _check_values(name: str, array: Floats) -> None:
    if not np.isfinite(array).all():
        raise _DamageError(f"{name} is not finite")
    if name.startswith("memory.squares.") and (array < 0).any():
        raise _DamageError(f"{name} has a negative square")
    if name == "h" and (np.abs(array) > _LARGEST_H).any():
        raise _DamageError("h is not between -1 and 1")


def _arrays(
    header: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], dtype: np.dtype[Any], data: bytes
) -> dict[str, Floats]:
    """Return the arrays of a file by name, views of its data.

    The header must describe exactly the expected arrays, one after the other in any order, without a gap and
    without an overlap.
    """
    if header.keys() != shapes.keys():
        raise _DamageError("it does not hold the arrays that its settings need")
    arrays, ends = {}, {}
    for name, shape in shapes.items():
        count = math.prod(shape)
        match header[name]:
            case {"dtype": str(kind), "shape": list(sizes), "data_offsets": [int(begin), int(end)], **rest}:
                is_whole = all(type(size) is int for size in sizes)  # 3.0 is another text than 3
                known = not rest and kind == _TYPES[dtype.name] and sizes == list(shape) and is_whole
            case _:
                raise _DamageError(f"{name} is not described as an array")
        if not known or not 0 <= begin <= end <= len(data) or end - begin != count * dtype.itemsize:
            raise _DamageError(f"{name} has another shape, type or size than its settings say")
        arrays[name] = np.frombuffer(data, dtype.newbyteorder("<"), count, begin).reshape(shape)
        ends[begin] = end
    place = 0
    while place in ends:
        place = ends.pop(place)
    if ends:
        raise _DamageError("its arrays do not lie one after the other")
    return arrays


_TYPES = {"float32": "F32", "float64": "F64"}


def _check(metadata: dict[str, Any]) -> None:
    """Raise unless everything in the metadata but settings and state is of the kind that it should be."""
    for name in ("update", "log_length", "command_offset", "drawn"):
        _is_count(name, metadata[name])
    for name in ("epoch", "seconds"):
        _is_time(name, metadata[name])
    _is_text("vocabulary", metadata["vocabulary"], sys.maxunicode + 1)
    for name in ("sha256", "state_sha256", "engine", "blas", "machine"):
        _is_text(name, metadata[name])
    if metadata["update"] != metadata["state"]["update"]:
        raise _DamageError("it names two updates")
    _is_count("threads", metadata["threads"])
    FIELDS["threads"].check("threads", metadata["threads"])
    corpus = metadata["corpus"]
    _is_text("corpus.name", corpus["name"])
    for digest in (corpus["sha256"], metadata["state_sha256"], metadata["sha256"]):
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise _DamageError("it has a malformed digest")
    _is_count("corpus.characters", corpus["characters"])
    if corpus["kind"] not in get_args(Kind):
        raise _DamageError("corpus.kind has an impossible value")
    if (corpus["kind"] == "file") != isinstance(corpus["path"], str):
        raise _DamageError("corpus.path has an impossible value")
    if corpus["path"] is not None:
        _is_text("corpus.path", corpus["path"])
    _is_text("versions.charrnn", metadata["versions"]["charrnn"])
    for name, version in metadata["versions"].items():
        _is_text(f"versions.{name}", version)
    obeyed = metadata["obeyed"]
    if obeyed is not None:
        if obeyed.keys() != {"update", "time", "command", "name", "arguments"}:
            raise _DamageError("it does not say which command was obeyed last")
        _is_count("obeyed.update", obeyed["update"])
        _is_time("obeyed.time", obeyed["time"])
        _is_text("obeyed.command", obeyed["command"])
        if not isinstance(obeyed["name"], str) or not isinstance(obeyed["arguments"], dict):
            raise _DamageError("obeyed.name or obeyed.arguments has an impossible value")
        if len(to_json(obeyed)) > 2 * LARGEST_COMMAND:  # an escape is up to twice as long
            raise _DamageError("obeyed is too long")
        Command(obeyed["command"], cast("CommandName", obeyed["name"]), obeyed["arguments"])


def _is_count(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST_COUNT:
        raise _DamageError(f"{name} has an impossible value")


def _is_time(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < _LARGEST_TIME:
        raise _DamageError(f"{name} has an impossible value")


def _is_text(name: str, value: object, most: int = _LONGEST_TEXT) -> None:
    if not isinstance(value, str) or len(value) > most:
        raise _DamageError(f"{name} has an impossible value")


def _place(metadata: dict[str, Any]) -> Place:
    return Place(metadata["log_length"], metadata["command_offset"], metadata["drawn"], metadata["obeyed"])


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    blocks = []
    while size:
        block = file.read(min(size, 1 << 24))
        if not block:
            raise _DamageError("it ends too early")
        blocks.append(block)
        size -= len(block)
    return b"".join(blocks)


def _parsed(text: bytes, what: str) -> dict[str, Any]:
    """Return a JSON object of the file."""
    try:
        value = parse_json(text, _MOST_VALUES, distinct=True)
    except ValueError as error:
        raise _DamageError(f"malformed {what}: {error}") from None
    if not isinstance(value, dict):
        raise _DamageError(f"malformed {what}: it is not a JSON object")
    return value


def _metadata(texts: object) -> dict[str, Any]:
    """Return the metadata in the form of this version's format."""
    match texts:
        case {"charrnn": str(text)}:  # _METADATA_KEY
            metadata = _parsed(text.encode("utf-8", "surrogatepass"), "metadata")
        case _:
            raise _DamageError("it has no metadata of charrnn")
    number = metadata.get("format")
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise _DamageError("its format has no number")
    if number > FORMAT:
        raise _DamageError(
            f"it has format {number}, and this version of charrnn reads up to {FORMAT}; "
            f"it was written by charrnn {str(metadata['versions']['charrnn'])[:40]}"
        )
    while number < FORMAT:
        metadata = _MIGRATIONS[number](metadata)
        number += 1
    return dict(metadata)


def _expected_shapes(settings: Settings, characters: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array that a checkpoint with these settings holds."""
    m, K = settings.hidden, characters
    shapes: dict[str, tuple[int, ...]] = {"U": (m, K), "W": (m, m), "V": (K, m), "b": (m,), "c": (K,)}
    for memory in memory_names(settings.optimizer):
        shapes.update({f"memory.{memory}.{name}": shapes[name] for name in PARAMETER_NAMES})
    return {**shapes, "h": (settings.batch_size, m)}


def _identity(
    arrays: Mapping[str, Floats],
    settings: Settings,
    vocabulary: str,
    corpus_sha256: str,
    state: dict[str, Any],
) -> str:
    """Return the SHA-256 over the arrays (names, types, shapes, bytes) and all else that shapes training."""
    facts = {
        "settings": settings.shaping(),
        "vocabulary": vocabulary,
        "corpus": corpus_sha256,
        "state": {**state, "pending": shaping_duties(state["pending"])},
    }
    digest = hashlib.sha256(to_json(facts).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(to_json([name, array.dtype.str, list(array.shape)]).encode())
        digest.update(array.data)
    return digest.hexdigest()


# -- a run's checkpoints -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Saved:
    """A checkpoint that is in place.

    Attributes
    ----------
    state_sha256 : str
    seconds : float
        How long it took.
    warning : str or None
        What cannot be promised, whether it survives a power cut; or what was wrong with the log.
    """

    state_sha256: str
    seconds: float
    warning: str | None = None


def save(
    directory: RunDirectory,
    kind: str,
    snapshot: Snapshot,
    facts: RunFacts,
    place: Place,
    log: EventLog,
    *,
    rotate: bool = False,
) -> Saved:
    """Put a checkpoint in place, durably; with `rotate` the last one before it becomes "previous".

    No name that exists is ever missing or incomplete meanwhile.

    Raises
    ------
    CheckpointError
        It could not be written, or is not finite. What was there before still is.
    """
    began = time.perf_counter()
    file = directory.checkpoint_file(kind)
    data, state_sha256 = to_bytes(snapshot, facts, place)
    try:
        with file.folder.held() as checkpoints:
            temporary = checkpoints.entry(file.name).write_temporary(data, durable=True)
            try:
                warning = log.sync()  # so that no checkpoint is ever ahead of the log that it continues
                if rotate:
                    _keep_as_previous(checkpoints, "last")
                temporary.move_to(file)
            except BaseException:
                temporary.remove()
                raise
            try:
                checkpoints.sync()
            except OSError as error:
                reason = reason_of(error)
                warning = f"{file} is in place, but whether it survives a power cut is unknown: {reason}"
    except OSError as error:
        raise CheckpointError(f"cannot save the checkpoint {file}: {reason_of(error)}") from None
    return Saved(state_sha256, round(time.perf_counter() - began, 6), warning)


def keep_last_as_previous(directory: RunDirectory) -> None:
    """Let the last checkpoint, if there is one, stand as "previous" too, before another one takes its name.

    Raises
    ------
    OSError
    """
    _keep_as_previous(directory.checkpoints, "last")


def _keep_as_previous(checkpoints: Folder, kind: str) -> None:
    with suppress(FileNotFoundError):
        name = checkpoints.entry(f"{kind}.safetensors")
        name.copy_to(checkpoints.entry("previous.safetensors"))


def keep_best_as_previous(directory: RunDirectory) -> None:
    """Let the best checkpoint stand as "previous" too, before a run goes on from it.

    What stood there may be of a later update. It would be taken for the newest one after a crash, once the
    first save has replaced "last" with a state that comes after the best.

    Raises
    ------
    CheckpointError
        It could not be done.
    """
    best = directory.checkpoint_file("best")
    try:
        best.copy_to(directory.checkpoint_file("previous"))
        best.folder.sync()
    except OSError as error:
        raise CheckpointError(f"cannot resume from {best}: {reason_of(error)}") from None


def newest_checkpoint(directory: RunDirectory) -> tuple[Checkpoint, list[str]]:
    """Return the newest checkpoint of a run that is whole, and what is wrong with others.

    Usually the last; the best where a process was killed between saving both.

    Raises
    ------
    CheckpointError
        None is whole; the message says what is wrong with each.
    """
    problems: list[str] = []
    found: list[Checkpoint] = []
    for kind in KINDS:
        try:
            found.append(read_checkpoint(directory.checkpoint_file(kind)))
        except CheckpointError as error:
            if kind == "last" or directory.checkpoint_file(kind).is_taken():
                problems.append(str(error))
    if not found:
        try:
            is_empty = not directory.has_checkpoint
        except RunDirectoryError as error:
            raise CheckpointError(str(error)) from None
        if is_empty:
            raise no_checkpoint(directory)
        raise CheckpointError(f"{directory.path} has no checkpoint to go on from: {'; '.join(problems)}")
    return max(found, key=lambda checkpoint: checkpoint.snapshot.update), problems


def no_checkpoint(directory: RunDirectory) -> CheckpointError:
    """Return the error of a run that has no checkpoint at all."""
    return CheckpointError(f"{directory.path} has no checkpoint: none was saved yet, or they were removed")
