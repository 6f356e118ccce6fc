"""What happened on the way, and how to do all of it again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from charrnn_core.training.settings import FIELDS
from charrnn_tui.formatting import count_of
from charrnn_tui.report.document import (
    Block,
    Column,
    Commands,
    Facts,
    Paragraph,
    Table,
)
from charrnn_tui.report.findings import Findings
from charrnn_tui.report.reproducing import command_line, setting_told, was_changed

_MOST_EVENTS = 40


def events(found: Findings) -> Iterator[Block]:
    """Yield what was done to the run, and what went wrong; nothing for a run that was left alone."""
    rows = [row[1:] for row in sorted(_happened(found), key=lambda row: (row[1], row[0]))]
    if not rows:
        return
    if len(rows) > _MOST_EVENTS:
        yield Paragraph(f"The last {_MOST_EVENTS} of {len(rows):,}.", "note")
    shown = rows[-_MOST_EVENTS:]
    yield Table(
        [Column("update", "number"), Column("what happened", "description")],
        [(count_of(at), told) for at, told in shown],
    )


def _happened(found: Findings) -> Iterator[tuple[float, float, str]]:
    """Yield time, update and words of each thing that happened."""
    history = found.history
    for event in history.openings:
        if event["type"] == "resumed":
            changed = event.get("changed")
            told = f"went on from the checkpoint {event.get('checkpoint', '')}"
            if isinstance(changed, dict) and changed:
                told += f" with {', '.join(f'{name} = {value}' for name, value in changed.items())}"
            yield event["time"], event["update"], told
    for event in history.interventions:
        if event["type"] == "refused":
            yield event["time"], event["update"], f"refused a command: {event.get('reason', '')}"
            continue
        arguments = event.get("arguments")
        named = arguments.items() if isinstance(arguments, dict) else ()
        words = [str(event.get("name", "a command")), *(f"{name} {value}" for name, value in named)]
        yield event["time"], event["update"], f"obeyed {', '.join(words)}"
    for event in history.warnings:
        yield event["time"], event["update"], f"warning: {event.get('message', '')}"


def reproducing(found: Findings) -> Iterator[Block]:
    """Yield what repeats the run, and what it depended on."""
    yield Paragraph(_condition(found))
    yield Commands([command_line(found)])
    yield Paragraph("The settings that it began with:")
    yield Facts(list(_settings_by_group(found)))
    opening: Mapping[str, Any] = found.history.openings[0] if found.history.openings else {}
    versions = opening.get("versions")
    facts = [("digest of the text", str(found.corpus.get("sha256", "–")))]
    ended = found.history.ended or {}
    if isinstance(ended.get("state_sha256"), str):
        facts.append(("digest of the last state", ended["state_sha256"]))
    if isinstance(versions, dict):
        facts.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    for name in ("engine", "threads", "blas", "machine"):
        if opening.get(name):
            facts.append((name, str(opening[name])))
    yield Facts(facts)


def _condition(found: Findings) -> str:
    """Return what the command that repeats the run needs."""
    same = "gives the same network bit for bit on the same machine"
    if was_changed(found):
        return f"The learning rate was changed on the way. With the directory of the run, this {same}:"
    if found.corpus.get("kind") == "input":
        return f"The text came from standard input and is kept in the run's directory. With it, this {same}:"
    return f"With the same text, this {same}:"


def _settings_by_group(found: Findings) -> Iterator[tuple[str, str]]:
    settings = found.begun_with.to_json()
    for group, names in groupby(FIELDS, key=lambda name: FIELDS[name].group):
        # What was chosen for this machine is told with the machine.
        told = [name for name in names if name not in ("engine", "threads")]
        yield group, " · ".join(f"{name} {setting_told(settings[name])}" for name in told)
