"""The summary: the run in numbers, and what must be known of one that did not end by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

from charrnn_tui.formatting import count_of, ending_of, loss_of, number_of
from charrnn_tui.report.document import (
    Block,
    Facts,
    Paragraph,
)
from charrnn_tui.report.findings import Findings
from charrnn_tui.report.sections.gradients import verdict
from charrnn_tui.report.units import counted, decimals, duration, nats_and_bits, told_in_units


def summary(found: Findings) -> Iterator[Block]:
    """Yield the state of the run, if there is something to know, the abstract, and the figures."""
    state = _state_told(found)
    if state:
        yield Paragraph(state, "warning" if found.diverged or found.state == "crashed" else "note")
    yield Paragraph(_abstract(found))
    yield Facts(list(_facts(found)))


def _state_told(found: Findings) -> str:
    """Return what must be known of a run that did not come to its end by itself; nothing of one that did."""
    at = f"update {found.update:,}"
    if found.state in ("training", "paused"):
        doing = "is paused" if found.state == "paused" else "still trains"
        return f"This run {doing}: what follows is how far it had come by {at}."
    if found.diverged:
        why = "the loss or a weight is no longer finite"
        return f"Training diverged at {at}: {why}. What follows is up to there."
    if found.state == "crashed":
        return (
            f"The process that trained this run ended without saying why, after {at}. What follows is up to "
            "there; charrnn resume goes on."
        )
    if found.state == "interrupted":
        why = f"{ending_of(found.ended_by)}, at {at}"
        return f"This run did not come to the end that was set ({why}). What follows is up to there."
    return ""


def _abstract(found: Findings) -> str:
    settings, K = found.begun_with, found.vocabulary_size
    first, last = found.first_loss, found.smooth_loss
    words = [
        f"A vanilla recurrent network with {settings.hidden:,} hidden units was trained to predict the next "
        f"character of {found.corpus.get('name', 'a text')}, a text of "
        f"{count_of(found.corpus.get('characters'))} characters, {K:,} of them different."
    ]
    if found.update == 0 or first is None or last is None:
        words.append("No update was done yet: what follows is of the untrained network.")
    else:
        epochs = found.history.column("epoch")[-1:].tolist()
        share = f"the {100 * (1 - settings.held_out):g} % of the text that is trained on"
        part = share if settings.held_out else "the text"
        words.append(
            f"In {counted(found.update, 'update')}, {epochs[0]:.2f} times through {part}, the smooth loss "
            f"{_course(first, last)} from {loss_of(first, decimals(found))} to {told_in_units(last, found)}."
        )
    if K > 1:
        guess = f"Guessing among all characters alike costs {nats_and_bits(math.log(K))}"
        if found.text is not None:
            guess += f", and knowing only how frequent each is {nats_and_bits(found.text.entropy)}"
        words.append(f"{guess}.")
    best = found.history.best
    if best is not None and number_of(best.get("loss")) is not None:
        seen = "at which the held-out text was scored" if settings.held_out else "after every 100 updates"
        words.append(
            f"Of the states {seen}, that of update {best['update']:,} is the best, with {_best_told(found)}."
        )
    return " ".join(words)


def _course(first: float, last: float) -> str:
    return "fell" if last < first else "rose" if last > first else "went"


def _facts(found: Findings) -> Iterator[tuple[str, str]]:
    settings, history, K = found.begun_with, found.history, found.vocabulary_size
    m = settings.hidden
    clip = "no clipping" if settings.clip is None else f"gradients clipped to ±{settings.clip:g}"
    held_out = f", the last {100 * settings.held_out:g} % of them held out" if settings.held_out else ""
    yield "Text", f"{count_of(found.corpus.get('characters'))} characters{held_out}, K = {K:,}"
    yield (
        "Network",
        f"m = {m:,}, T = {settings.seq_length:,}, B = {settings.batch_size:,}: "
        f"{2 * m * K + m * m + m + K:,} parameters in {settings.dtype}",
    )
    rates = "".join(f", {rate:g} from update {update + 1:,}" for update, rate in found.rate_changes)
    yield "Optimizer", f"{settings.optimizer}, learning rate {settings.learning_rate:g}{rates}, {clip}"
    seconds = history.progress[-1]["time"] if history.progress else 0.0
    rate = f", {found.update / seconds:,.0f} updates a second" if seconds and found.update else ""
    epochs = history.progress[-1]["epoch"] if history.progress else 0.0
    yield (
        "Training",
        f"{counted(found.update, 'update')}, {epochs or 0:.2f} epochs in {duration(seconds)}{rate}",
    )
    if found.smooth_loss is not None:
        yield "Smooth loss", told_in_units(found.smooth_loss, found)
    if history.best is not None:
        yield "Best", f"{_best_told(found)}, at update {history.best['update']:,}"
    losses = [event["loss"] for event in history.validations if number_of(event.get("loss")) is not None]
    if losses:
        yield (
            "Held-out loss",
            f"first {nats_and_bits(losses[0])}, last {nats_and_bits(losses[-1])} per character",
        )
    yield "Gradient check", verdict(found)
    if found.ended_by is not None:
        yield "End", ending_of(found.ended_by)


def _best_told(found: Findings) -> str:
    best = found.history.best
    loss = None if best is None else best.get("loss")
    if found.begun_with.held_out:
        return f"a held-out loss of {nats_and_bits(loss)} per character"
    return f"a smooth loss of {told_in_units(loss, found)}"
