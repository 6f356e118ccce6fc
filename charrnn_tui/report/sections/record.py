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
from charrnn_tui.report.reproducing import command_lines, setting_told

_MOST_EVENTS = 40


def events(found: Findings) -> Iterator[Block]:
    """Yield what was done to the run, and what went wrong; nothing for a run that was left alone."""
    rows = sorted(_happened(found), key=lambda row: row[0])
    if not rows:
        return
    if len(rows) > _MOST_EVENTS:
        yield Paragraph(f"The last {_MOST_EVENTS} of {len(rows):,}.", "note")
    shown = rows[-_MOST_EVENTS:]
    yield Table(
        [Column("update", "number"), Column("what happened", "description")],
        [(count_of(at), told) for at, told in shown],
    )


def _happened(found: Findings) -> Iterator[tuple[float, str]]:
    history = found.history
    for event in history.openings:
        if event["type"] == "resumed":
            changed = event.get("changed")
            told = f"went on from the checkpoint {event.get('checkpoint', '')}"
            if isinstance(changed, dict) and changed:
                told += f" with {', '.join(f'{name} = {value}' for name, value in changed.items())}"
            yield event["update"], told
    for event in history.interventions:
        if event["type"] == "refused":
            yield event["update"], f"refused a command: {event.get('reason', '')}"
            continue
        arguments = event.get("arguments")
        values = [f" {value}" for value in arguments.values()] if isinstance(arguments, dict) else []
        yield event["update"], f"obeyed {event.get('name', 'a command')}{''.join(values)}"
    for event in history.warnings:
        yield event["update"], f"warning: {event.get('message', '')}"


def reproducing(found: Findings) -> Iterator[Block]:
    """Yield what repeats the run, and what it depended on."""
    yield Paragraph(
        "With the same text, on the same machine, these commands give the same network bit for bit:"
    )
    yield Commands(command_lines(found))
    yield Facts(list(_settings_by_group(found)))
    opening: Mapping[str, Any] = found.history.openings[0] if found.history.openings else {}
    versions = opening.get("versions")
    facts = [("digest of the text", str(found.corpus.get("sha256", "–")))]
    ended = found.history.ended or {}
    if isinstance(ended.get("state_sha256"), str):
        facts.append(("digest of the last state", ended["state_sha256"]))
    if isinstance(versions, dict):
        facts.append(("versions", ", ".join(f"{name} {version}" for name, version in versions.items())))
    for name in ("engine", "blas", "machine"):
        if opening.get(name):
            facts.append((name, str(opening[name])))
    yield Facts(facts)


def _settings_by_group(found: Findings) -> Iterator[tuple[str, str]]:
    settings = found.begun_with.to_json()
    for group, names in groupby(FIELDS, key=lambda name: FIELDS[name].group):
        yield group, " · ".join(f"{name} {setting_told(settings[name])}" for name in names)
