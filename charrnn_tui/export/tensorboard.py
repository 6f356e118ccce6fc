"""A run as an event file of TensorBoard."""

from __future__ import annotations

import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from charrnn_core.errors import UsageError
from charrnn_core.training.events import encodable
from charrnn_tui.export.places import writing
from charrnn_tui.export.recorded import RecordedRun
from charrnn_tui.export.tables import TABLES, Table
from charrnn_tui.files import create_folder
from charrnn_tui.formatting import loss_of, number_of

try:
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData, SessionStartInfo
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboardX.record_writer import masked_crc32c
    from tensorboardX.summary import text as text_summary
except ImportError:
    raise UsageError(
        "--format tensorboard needs tensorboardX; pip install 'charrnn-tui[tensorboard]' installs it"
    ) from None

_PROGRESS = {
    "smooth_loss": "loss/smooth",
    "loss_mean": "loss/mean",
    "loss_min": "loss/min",
    "loss_max": "loss/max",
    "smooth_loss_nats_per_character": "nats_per_character/smooth",
    "loss_mean_nats_per_character": "nats_per_character/mean",
    "smooth_loss_bits_per_character": "bits_per_character/smooth",
    "loss_mean_bits_per_character": "bits_per_character/mean",
    "gradient_norm": "training/gradient_norm",
    "clipped_share": "training/clipped_share",
    "updates_per_second": "training/updates_per_second",
    "learning_rate": "training/learning_rate",
}
_VALIDATIONS = {
    "loss": "nats_per_character/held_out",
    "loss_bits_per_character": "bits_per_character/held_out",
}
_PREFIX = "events.out.tfevents."  # by which TensorBoard knows its files
_LARGEST = 3e38  # what TensorBoard's scalars, which are float32, can hold
_LARGEST_STEP = 2**63


def write_events(run: RecordedRun, folder: Path) -> list[str]:
    """Write a run's event file into a directory, in place of the one that was written there before.

    Curves and texts are by update, and their wall time is that of the run's clock, which pauses with it.

    Returns
    -------
    list of str
        The other event files there, which TensorBoard takes for the same run.

    Raises
    ------
    UsageError
        The directory is that of a run.
    OutputFileError
        It cannot be written, or it is reached through a link in the directory of a sweep.
    """
    data = b"".join(_record(event) for event in _events(run))
    with writing(folder), create_folder(folder).held() as files:
        # A TensorBoard that is open reads the files of a directory in the order of their names, and a
        # temporary file with the name of one.
        file = files.entry(f"{_PREFIX}{time.time_ns() // 1000}.{run.directory.name}.charrnn")
        temporary = files.entry("charrnn").write_temporary(data, durable=True)
        try:
            temporary.move_to(file)
        except BaseException:
            temporary.remove()
            raise
        files.sync()
        others = [name for name in files.names() if "tfevents" in name and name != file.name]
        own = [name for name in others if _is_of(name, run.directory.name) and files.entry(name).exists()]
        for name in own:
            files.entry(name).remove()
        return [name for name in others if name not in own]


def _is_of(name: str, run: str) -> bool:
    """Return whether a file of this name was written by `write_events` for the run of that name."""
    written, _, rest = name.removeprefix(_PREFIX).partition(".")
    return name.startswith(_PREFIX) and written.isdecimal() and rest == f"{run}.charrnn"


def _record(event: Any) -> bytes:
    """Return an event with its length and checksums around it, as TFRecord has it."""
    data = event.SerializeToString()
    length = struct.pack("<Q", len(data))
    return b"".join(
        (length, struct.pack("<I", masked_crc32c(length)), data, struct.pack("<I", masked_crc32c(data)))
    )


def _events(run: RecordedRun) -> Iterator[Any]:
    created = _seconds(run.config.get("created"))
    yield Event(wall_time=created, file_version="brain.Event:2")
    # A TensorBoard that is open forgets what it has read of the file before.
    yield Event(wall_time=created, step=0, session_log=SessionLog(status=SessionLog.START))
    settings = run.settings.to_json()
    yield Event(wall_time=created, step=0, summary=_hyperparameters(settings))
    yield Event(wall_time=created, step=0, summary=text_summary("settings", _as_markdown(settings)))
    for name, tags in (("progress", _PROGRESS), ("validations", _VALIDATIONS)):
        yield from _scalars(TABLES[name](run), tags, created)
    samples = defaultdict(list)
    for event in run.events():
        if event["type"] == "sample" and abs(event["update"]) < _LARGEST_STEP:
            samples[int(event["update"])].append(event)
    for update, events in samples.items():
        text = "\n\n---\n\n".join(map(_sample_as_markdown, events))
        told = created + events[-1]["time"]
        yield Event(wall_time=told, step=update, summary=text_summary("samples", text))


def _scalars(table: Table, tags: dict[str, str], created: float) -> Iterator[Any]:
    for row in table.rows:
        fields = dict(zip(table.columns, row, strict=True))
        numbers = {tag: number_of(fields[name]) for name, tag in tags.items()}
        values = [
            Summary.Value(tag=tag, simple_value=number)
            for tag, number in numbers.items()
            if number is not None and abs(number) < _LARGEST
        ]
        if values and abs(fields["update"]) < _LARGEST_STEP:
            yield Event(
                wall_time=created + fields["time"],
                step=int(fields["update"]),
                summary=Summary(value=values),
            )


def _hyperparameters(settings: dict[str, Any]) -> Any:
    """Return settings for TensorBoard's table of runs; those that are none do not appear there."""
    start = SessionStartInfo()
    for name, value in settings.items():
        if isinstance(value, str):
            start.hparams[name].string_value = value
        elif value is not None:
            start.hparams[name].number_value = value
    content = HParamsPluginData(session_start_info=start, version=0).SerializeToString()
    plugin = SummaryMetadata.PluginData(plugin_name="hparams", content=content)
    metadata = SummaryMetadata(plugin_data=plugin)
    return Summary(value=[Summary.Value(tag="_hparams_/session_start_info", metadata=metadata)])


def _as_markdown(settings: dict[str, Any]) -> str:
    rows = [f"| {name} | {'none' if value is None else value} |" for name, value in settings.items()]
    return "\n".join(["| setting | value |", "| --- | --- |", *rows])


def _sample_as_markdown(event: dict[str, Any]) -> str:
    """Return a sample with its text as a block of code, in which no character means anything."""
    facts = [f"smooth loss {loss_of(event.get('smooth_loss'))}"]
    facts += [
        f"{name} {event[name]!r}" for name in ("temperature", "prime") if event.get(name) not in (None, "")
    ]
    indented = "\n".join(f"    {line}" for line in str(event.get("text")).split("\n"))
    return encodable(f"{' · '.join(facts)}\n\n{indented}")


def _seconds(created: Any) -> float:
    """Return when a run was created, in seconds since 1970; 0 where its configuration does not say it."""
    try:
        return datetime.fromisoformat(created).timestamp()
    except (TypeError, ValueError, OverflowError):
        return 0.0
