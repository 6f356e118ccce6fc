"""Checkpoints: all that a run needs to go on, in one safetensors file with a digest of its own.

safetensors has no checksum, so the metadata carries a SHA-256 over everything. It is a single JSON text with
sorted keys under the key `charrnn`; safetensors writes a map of several in random order.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from charrnn_core.errors import CheckpointError
from charrnn_core.rnn.parameters import Floats
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.files import sync_directory, temporary_name, to_json, write_temporary
from charrnn_core.runs.log import EventLog
from charrnn_core.training.settings import FIELDS, Settings
from charrnn_core.training.state import Snapshot

FORMAT = 1
"""Version of the checkpoint format."""

METADATA_KEY = "charrnn"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it is in a file.

    Attributes
    ----------
    arrays : dict of str to array
    metadata : dict
        `format`, `update`, `epoch`, `settings`, `vocabulary`, `corpus`, `state`, `seconds`, `log_length`,
        `engine`, `threads`, `blas`, `versions`, `machine`, `sha256` and `state_sha256`.
    """

    arrays: dict[str, Floats]
    metadata: dict[str, Any]

    @property
    def state_sha256(self) -> str:
        """The identity of the training state: equal for equal arrays and deterministic state."""
        return str(self.metadata["state_sha256"])


@dataclass(frozen=True)
class RunFacts:
    """What a checkpoint says of its run besides the state.

    Attributes
    ----------
    settings : Settings
    vocabulary : str
        The characters.
    corpus : dict
        As in the `started` event.
    environment : dict
        Engine, threads, BLAS, versions, machine.
    """

    settings: Settings
    vocabulary: str
    corpus: dict[str, Any]
    environment: dict[str, Any]


def to_bytes(snapshot: Snapshot, facts: RunFacts, log_length: int) -> tuple[bytes, str]:
    """Return a checkpoint as the bytes of its file, and its `state_sha256`.

    Raises
    ------
    CheckpointError
        A number of the state is not finite.
    """
    arrays = snapshot.arrays()
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise CheckpointError(f"the state at update {snapshot.update:,} is not finite and is not saved")
    settings = facts.settings.to_json()
    state_sha256 = _digest(
        arrays,
        {
            "settings": {name: settings[name] for name, field in FIELDS.items() if field.shapes_training},
            "vocabulary": facts.vocabulary,
            "corpus": facts.corpus["sha256"],
            "state": snapshot.state(),
        },
    )
    metadata: dict[str, Any] = {
        "format": FORMAT,
        "update": snapshot.update,
        "epoch": snapshot.epoch,
        "settings": settings,
        "vocabulary": facts.vocabulary,
        "corpus": facts.corpus,
        "state": snapshot.state(),
        "seconds": snapshot.seconds,
        "log_length": log_length,
        "state_sha256": state_sha256,
        **facts.environment,
    }
    metadata["sha256"] = _digest(arrays, metadata)
    return safetensors.numpy.save(arrays, {METADATA_KEY: to_json(metadata)}), state_sha256


def read_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint in a file.

    Raises
    ------
    CheckpointError
        It cannot be read, is not one of ours, or is damaged.
    """
    try:
        data = path.read_bytes()
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        metadata = json.loads(header["__metadata__"][METADATA_KEY])
        arrays = safetensors.numpy.load(data)
        sha256 = metadata.pop("sha256")
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{path} is not a checkpoint of charrnn: {error}") from None
    if _digest(arrays, metadata) != sha256:
        raise CheckpointError(f"{path} is damaged: its digest does not agree")
    return Checkpoint(arrays, {**metadata, "sha256": sha256})


@dataclass(frozen=True)
class Saved:
    """A checkpoint that is in place.

    Attributes
    ----------
    state_sha256 : str
    seconds : float
        How long it took.
    warning : str or None
        What cannot be promised: whether it survives a power cut.
    """

    state_sha256: str
    seconds: float
    warning: str | None = None


def save(directory: RunDirectory, kind: str, snapshot: Snapshot, facts: RunFacts, log: EventLog) -> Saved:
    """Put a checkpoint in place, durably; "last" leaves the one before it as "previous".

    No name that exists is ever missing or incomplete meanwhile.

    Raises
    ------
    CheckpointError
        It could not be written, or is not finite. What was there before still is.
    """
    began = time.perf_counter()
    path = directory.checkpoint_path(kind)
    data, state_sha256 = to_bytes(snapshot, facts, log.length)
    try:
        temporary = write_temporary(path, data, durable=True)
        try:
            log.sync()  # so that no checkpoint is ever ahead of the log it continues
            if kind == "last" and path.exists():
                _link(path, directory.checkpoint_path("previous"))
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise CheckpointError(f"cannot save the checkpoint {path}: {error.strerror}") from None
    warning = None
    try:
        sync_directory(path.parent)
    except OSError as error:
        warning = f"{path} is in place, but whether it survives a power cut is unknown: {error.strerror}"
    return Saved(state_sha256, round(time.perf_counter() - began, 6), warning)


def _link(existing: Path, name: Path) -> None:
    """Let a second name stand for an existing file, in place of what stood there."""
    temporary = temporary_name(name)
    os.link(existing, temporary)
    try:
        temporary.replace(name)
    finally:
        # rename(2) of a name onto another name of the same file leaves both.
        temporary.unlink(missing_ok=True)


def _digest(arrays: Mapping[str, Floats], metadata: dict[str, Any]) -> str:
    """Return the SHA-256 over names, types, shapes and bytes of arrays, and metadata."""
    digest = hashlib.sha256(to_json(metadata).encode())
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(to_json([name, array.dtype.str, list(array.shape)]).encode())
        digest.update(array.data)
    return digest.hexdigest()
