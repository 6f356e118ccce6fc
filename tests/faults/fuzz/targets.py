"""What must hold of each reader, whatever bytes it is given."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from charrnn_core.errors import CharRNNError, CheckpointError
from charrnn_core.runs.checkpoint import KINDS, read_checkpoint
from charrnn_core.runs.commands import BadCommand, Command, CommandReader
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.history import EventTail, History
from charrnn_core.runs.listing import summarize
from charrnn_core.runs.starting import resume
from charrnn_core.training.events import Event, Refused, Status
from tests.faults.checkpoints import (
    CONFIG,
    HEADER_END,
    TEXT,
    WHOLE,
    forged,
    parts,
    sealed_again,
    signed_header,
)

Target = Callable[[bytes, Path], None]
"""Takes the bytes, and a directory of its own to put files in."""


# -- checkpoint ----------------------------------------------------------------------------------------------


def checkpoint(data: bytes, where: Path) -> None:
    """Read a checkpoint: it is refused, or training goes on from the state that it names.

    Nobody comes upon a right digest by chance. So what begins with a brace is the header of a checkpoint, or
    its metadata, and gets digests that agree with it. Anything else is a whole file, as it is and signed
    again.
    """
    for whole in _signed(data):
        path = where / "fuzzed.safetensors"
        path.write_bytes(whole)
        try:
            found = read_checkpoint(path)
        except CheckpointError as error:
            assert str(path) in str(error)
            continue
        assert all(np.isfinite(array).all() for array in found.snapshot.arrays().values())
        assert found.state_sha256 == found.metadata["state_sha256"]
        _go_on(whole, where)


def _signed(data: bytes) -> tuple[bytes, ...]:
    if data.startswith(b'{"__metadata__"'):
        return (signed_header(data),)
    return (_with_metadata(data),) if data.startswith(b"{") else (data, sealed_again(data))


def _with_metadata(text: bytes) -> bytes:
    """Return the golden checkpoint with this metadata in place of its own, and digests that agree."""
    metadata, arrays = parts()
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return forged({**metadata, **(given if isinstance(given, dict) else {"state": given})}, arrays)


def _go_on(whole: bytes, where: Path) -> None:
    """Train from a checkpoint that was accepted: it works, or it is refused in a sentence."""
    with tempfile.TemporaryDirectory(dir=where) as name:
        directory = RunDirectory(Path(name))
        directory.checkpoints.path.mkdir()
        directory.config_file.path.write_text(json.dumps(CONFIG), encoding="utf-8")
        for kind in KINDS:
            directory.checkpoint_file(kind).path.write_bytes(whole)
        text = directory.path / "golden.txt"
        text.write_text(TEXT, encoding="utf-8")
        with suppress(CharRNNError):
            process = resume(directory, {"updates": 10**12}, corpus=str(text))
            seen = 0

            def stop_soon(item: Event | Status) -> None:
                nonlocal seen
                seen += 1
                if seen == 30:
                    process.trainer.stop("enough")

            process.run(stop_soon)
            assert (
                read_checkpoint(directory.checkpoint_file("last").path).state_sha256 == process.state_sha256
            )


# -- event log -----------------------------------------------------------------------------------------------


def events(data: bytes, where: Path) -> None:
    """Read a log: never an error; the same whether it is read whole or as it grows, and of finite figures."""
    directory = RunDirectory(where)
    path = directory.events_file.path
    path.write_bytes(data)
    history = History.read(path)
    assert _all_of(_grown(path, data)) == _all_of(history)
    for name in ("first_update", "epoch", "loss_mean", "loss_min", "loss_max", "smooth_loss"):
        assert not np.isinf(history.column(name)).any()
    assert all(math.isfinite(rate) for _, rate in history.learning_rates())
    directory.config_file.path.write_text(json.dumps(CONFIG), encoding="utf-8")
    json.dumps(summarize(directory).to_json(), allow_nan=False)


def _grown(path: Path, data: bytes) -> History:
    """Return the history of a log that is read each time that it has grown."""
    history, tail = History(), EventTail(path)
    for part in (0, len(data) // 3, len(data) // 2, len(data)):
        path.write_bytes(data[:part])
        for offset, event in tail.read():
            history.add(offset, event)
    tail.close()
    return history


def _all_of(history: History) -> dict[str, Any]:
    """Return all that a history holds, in a form in which NaN equals itself."""
    lists = (
        "samples",
        "validations",
        "checks",
        "epochs",
        "checkpoints",
        "openings",
        "interventions",
        "warnings",
    )
    told = {name: json.dumps(getattr(history, name)) for name in lists}
    rates, ended = history.learning_rates(), json.dumps(history.ended)
    answered = history.answered, history.refused_lines
    return {**told, "progress": json.dumps(list(history.progress)), "others": (rates, ended, answered)}


# -- commands ------------------------------------------------------------------------------------------------


def commands(data: bytes, where: Path) -> None:
    """Read commands: each line is one, or it is refused; what is read twice is read the same."""
    path = where / "commands.jsonl"
    path.write_bytes(data)
    reader = CommandReader(path)
    found: list[tuple[Command | BadCommand, int]] = []
    while more := reader.read():
        found += more
    reader.close()
    assert all(0 < offset <= len(data) for _, offset in found)
    assert all(data[offset - 1 : offset] == b"\n" or type(bad) is BadCommand for bad, offset in found)
    for command, _ in found:
        if isinstance(command, Command):
            json.dumps(command.arguments, allow_nan=False)
            _again(command, where)
        else:
            answer = Refused(
                update=0, time=0.0, command=None, commands=list(command.ids), reason=command.reason
            )
            json.loads(answer.to_line().encode())


def _again(command: Command, where: Path) -> None:
    try:
        line = command.to_line()
    except CharRNNError:
        return  # longer than what was read: JSON can say the same in many ways
    path = where / "again.jsonl"
    path.write_bytes(line)
    reader = CommandReader(path)
    assert [each for each, _ in reader.read()] == [command]
    reader.close()


TARGETS: dict[str, Target] = {"checkpoint": checkpoint, "events": events, "commands": commands}


def seeds(name: str) -> dict[str, bytes]:
    """Return what a fuzzer begins with, by name: files of a real run, and the cases that were found."""
    cases = Path(__file__).with_name("cases") / name
    found = {path.name: path.read_bytes() for path in sorted(cases.iterdir())}
    if name == "checkpoint":
        found["the golden one"] = WHOLE
        found["its header"] = WHOLE[8:HEADER_END]
    return found
