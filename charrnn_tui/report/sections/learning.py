"""How the network learnt: its loss, its samples, its best passage, its words."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from charrnn_tui.formatting import count_of, loss_of, number_of
from charrnn_tui.report.document import (
    Block,
    Column,
    LossFigure,
    Paragraph,
    Table,
    Written,
)
from charrnn_tui.report.findings import Findings
from charrnn_tui.report.units import counted, decimals
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
    shown += ["changes of the learning rate"] * bool(found.rate_changes)
    shown += ["the divergence"] * found.diverged
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
    temperatures = [number_of(sample.get("temperature")) for sample in samples]
    given = {f"{value:g}" for value in temperatures if value is not None}
    if len(given) == 1 and given != {"1"}:
        yield Paragraph(f"Drawn at temperature {', '.join(given)}.")
    columns = [Column(title, "number") for title in ("update", "smooth loss", "nats", "bits")]
    columns += [Column("temperature", "number")] * (len(given) > 1)
    columns += [Column("known words", "number")] * _has_words(found) + [Column("text", "sample")]
    yield Table(columns, [_evolution_row(found, sample, mixed=len(given) > 1) for sample in samples])
    unit = "Nats and bits are per character."
    known = f" Known words are {_KNOWN}." if _has_words(found) else ""
    yield Paragraph(unit + known)


def _has_words(found: Findings) -> bool:
    return found.text is not None and found.text.words.different > 0 and found.text.words.are_separated


def _evolution_row(found: Findings, sample: Mapping[str, Any], *, mixed: bool) -> list[str]:
    loss = number_of(sample.get("smooth_loss"))
    nats = None if loss is None else loss / found.characters
    bits = None if nats is None else nats / math.log(2)
    row = [count_of(sample["update"]), loss_of(loss, decimals(found)), loss_of(nats, 3), loss_of(bits, 3)]
    if mixed:
        temperature = number_of(sample.get("temperature"))
        row.append("–" if temperature is None else f"{temperature:g}")
    if found.text is not None and _has_words(found):
        row.append(_share(found.text.words.found(sample["text"]).share))
    return [*row, sample["text"].strip("\n")]


def _share(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def passage(found: Findings) -> Iterator[Block]:
    """Yield the best passage."""
    passage = found.passage
    if passage is None:
        yield Paragraph("No checkpoint can be read, and so there is no network that could write one.", "note")
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
    if not words.different:
        yield Paragraph("The text has no words to look for.", "note")
        return
    if not words.are_separated:
        yield Paragraph("This text has no spaces between its words, and so they were not looked up.", "note")
        return
    samples = found.evolution[:: max(1, len(found.evolution) - 1)]  # the first and the last
    texts = [(f"sample after update {count_of(each['update'])}", each["text"]) for each in samples]
    if found.passage is not None:
        texts.append((f"passage of update {found.passage.update:,}", found.passage.text))
    rows = []
    for what, text in texts:
        shares = words.found(text)
        rows.append((what, f"{shares.words:,}", f"{shares.known:,}", _share(shares.share)))
    if not rows:
        yield Paragraph("The network has not written anything yet.", "note")
        return
    yield Paragraph(
        f"The text has {counted(words.different, 'different word')}. How many of the words that the network "
        f"wrote are {_KNOWN}:"
    )
    columns = [Column(""), *(Column(title, "number") for title in ("words", "in the text", "share"))]
    yield Table(columns, rows)
    passage = [found.passage.text] if found.passage is not None else []
    names = words.names([*(sample["text"] for sample in found.samples), *passage])
    if names:
        told = ", ".join(f"{name} ({count:,})" for name, count in names[:_MOST_NAMES])
        yield Paragraph(
            "Names that it has learnt, the most frequent in all samples and the passage first (words that "
            f"the text writes with a capital more often than without): {told}."
        )
