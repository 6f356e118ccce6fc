"""How the network learnt: its loss, its samples, its best passage, its words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from charrnn_tui.formatting import count_of, loss_of
from charrnn_tui.report.document import (
    Block,
    Column,
    LossFigure,
    Paragraph,
    Table,
    Written,
)
from charrnn_tui.report.findings import Findings
from charrnn_tui.report.units import decimals
from charrnn_tui.report.words import SHORTEST_WORD

_MOST_NAMES = 24
_KNOWN = f"in the text too, of those with at least {SHORTEST_WORD} letters, whatever their case"


def loss(found: Findings) -> Iterator[Block]:
    """Yield the figure of the loss."""
    history = found.history
    if not len(history.progress):
        yield Paragraph("No loss is recorded.", "note")
        return
    last = found.smooth_loss
    shown = ["The smooth loss over the smallest and the largest loss of each stretch of updates"]
    shown += ["the held-out loss"] * bool(history.validations)
    shown += ["the ends of epochs"] * bool(history.epochs) + ["the best state"] * (history.best is not None)
    yield LossFigure(
        description=(
            f"Smooth loss against updates: {loss_of(found.first_loss)} before the first update, "
            f"{loss_of(last)} after update {found.update:,}"
        ),
        caption=f"{', '.join(shown)}. After each update, smooth loss = 0.999 smooth loss + 0.001 loss.",
    )


def evolution(found: Findings) -> Iterator[Block]:
    """Yield the samples with their losses."""
    samples = found.evolution
    if not samples:
        yield Paragraph("No samples were drawn by schedule.", "note")
        return
    scheduled = sum(not sample.get("command") for sample in found.samples)
    if scheduled > len(samples):
        yield Paragraph(f"{len(samples)} of {scheduled:,} samples, at even distances.", "note")
    given = {f"{value:g}" for sample in samples if isinstance(value := sample.get("temperature"), float)}
    if given - {"1"}:
        yield Paragraph(f"Drawn at temperature {', '.join(sorted(given))}.")
    columns = [Column("update", "number"), Column("smooth loss", "number"), Column("nats", "number"),
               Column("bits", "number")]  # fmt: skip
    columns += [Column("known words", "number")] * (found.text is not None) + [Column("text", "sample")]
    yield Table(columns, [_evolution_row(found, sample) for sample in samples])
    unit = "Nats and bits are per character."
    known = f" Known words are {_KNOWN}." if found.text is not None else ""
    yield Paragraph(unit + known)


def _evolution_row(found: Findings, sample: Mapping[str, Any]) -> list[str]:
    loss = sample.get("smooth_loss")
    nats = loss / found.characters if isinstance(loss, (int, float)) else None
    bits = None if nats is None else nats / math.log(2)
    row = [
        count_of(sample["update"]),
        loss_of(loss, decimals(found)),
        loss_of(nats, 3),
        loss_of(bits, 3),
    ]
    if found.text is not None:
        row.append(_share(found.text.words.found(sample["text"]).share))
    return [*row, sample["text"].strip("\n")]


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def passage(found: Findings) -> Iterator[Block]:
    """Yield the best passage."""
    passage = found.passage
    if passage is None:
        yield Paragraph("There is no state to write one: no checkpoint is whole.", "note")
        return
    state = f"the best state, after update {passage.update:,}"
    if passage.kind != "best":
        state = f"the last state that was saved, after update {passage.update:,}: none counts as the best yet"
    yield Paragraph(f"{len(passage.text):,} characters at temperature 1 from {state}.")
    yield Written(passage.text.strip("\n"))


def words(found: Findings) -> Iterator[Block]:
    """Yield how many words of the text the network has learnt to write, and which names."""
    if found.text is None:
        yield Paragraph(f"The words were not looked up: {found.text_problem}.", "note")
        return
    words = found.text.words
    samples = found.evolution
    texts = [("first sample", samples[0]["text"]), ("last sample", samples[-1]["text"])] if samples else []
    texts += [("best passage", found.passage.text)] if found.passage is not None else []
    rows = []
    for what, text in texts:
        counted = words.found(text)
        rows.append((what, f"{counted.words:,}", f"{counted.known:,}", _share(counted.share)))
    if not rows or not words.different:
        yield Paragraph("There are no words to look up.", "note")
        return
    yield Paragraph(
        f"The text has {words.different:,} different words. How many of the words that the network wrote are "
        f"{_KNOWN}:"
    )
    columns = [Column(""), *(Column(title, "number") for title in ("words", "in the text", "share"))]
    yield Table(columns, rows)
    passage = [found.passage.text] if found.passage is not None else []
    names = words.names([*(sample["text"] for sample in found.samples), *passage])
    if names:
        told = ", ".join(f"{name} ({count:,})" for name, count in names[:_MOST_NAMES])
        yield Paragraph(
            "The most frequent of the words that the text writes with a capital more often than without, in "
            f"all samples and the passage: {told}."
        )
