"""What is told of a run while it trains, in words: the lines and figures of every view of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from charrnn_core.training.events import (
    Ended,
    Event,
    GradientsChecked,
    Sample,
    Started,
    Status,
    Validated,
    Warned,
)
from charrnn_core.training.settings import Settings
from charrnn_tui.check_rows import METHODS, format_verdict, have_passed, is_compared
from charrnn_tui.formatting import clock
from charrnn_tui.terminal import harmless_line


def told(event: Event, settings: Settings, run: str | None = None) -> Iterator[str]:
    """Yield the lines in which an event of a run is told to people; none for most.

    Parameters
    ----------
    event : Event
    settings : Settings
        The run's.
    run : str, optional
        How a user names the run from here, to tell at its end how to go on with it.
    """
    match event:
        case Started():
            corpus = event.corpus
            threads = "" if event.threads == 1 else f", {event.threads} threads"
            clip = "" if settings.clip is None else f" · clip ±{settings.clip:g}"
            yield (
                f"{harmless_line(corpus['name'])} · {corpus['characters']:,} characters · "
                f"K = {corpus['vocabulary_size']:,}"
            )
            yield (
                f"m = {settings.hidden:,} · T = {settings.seq_length:,} · B = {settings.batch_size:,} · "
                f"{settings.optimizer} {settings.learning_rate:g}{clip} · {settings.dtype} · "
                f"{harmless_line(event.engine)}{threads} · seed {settings.seed}"
            )
            if corpus["newlines_replaced"]:
                yield f"{corpus['newlines_replaced']:,} CR LF or CR newlines became LF"
        case GradientsChecked():
            yield _gradients(event)
        case Sample():
            yield f"\nupdate {event.update:,} · smooth loss {event.smooth_loss:.2f}"
            yield f"{event.text}\n"
        case Validated():
            yield (
                f"update {event.update:,} · held-out loss {event.loss:.4f} nats and "
                f"{event.loss / math.log(2):.4f} bits a character"
            )
        case Warned():
            yield f"warning: {event.message}"
        case Ended():
            yield from _ending(event, settings, run)


def _gradients(checked: GradientsChecked) -> str:
    where = f"at update {checked.update:,}"
    if checked.command is not None:  # perhaps with a tolerance that nothing can pass
        return f"gradients checked {where}: {format_verdict(checked.rows)}"
    if checked.wrong:
        return f"gradients are WRONG {where}: {', '.join(checked.wrong)}"
    if have_passed(checked.rows) is None:
        return f"gradients could not be compared {where}"
    worst: dict[str, float] = {}
    for row in checked.rows:
        if is_compared(row):
            worst[row["method"]] = max(worst.get(row["method"], 0.0), row["maximum_relative_error"])
    agree = ", ".join(
        f"{METHODS[method]} {'agree' if method == 'loop' else 'agrees'} to {error:.0e}"
        for method, error in worst.items()
    )
    return f"gradients are right {where}: {agree}"


_REASONS = {
    "updates": "done with all updates",
    "epochs": "done with all epochs",
    "seconds": "stopped by --seconds",
    "smooth loss": "stopped by --stop-below",
    "diverged": "diverged",
    "replayed": "replayed",
}


def _ending(ended: Ended, settings: Settings, run: str | None) -> Iterator[str]:
    where = f"update {ended.update:,}, epoch {ended.epoch:.2f}, after {clock(ended.time)}"
    yield f"{_REASONS.get(ended.reason, f'stopped by {ended.reason}')} at {where}"
    if math.isfinite(ended.smooth_loss):
        yield f"smooth loss {_units(ended.smooth_loss, settings)}"
    if ended.best_loss is not None:
        if settings.held_out:
            yield f"best held-out loss {ended.best_loss:.4f} nats a character at update {ended.best_update:,}"
        else:
            yield f"best smooth loss {ended.best_loss:.2f} at update {ended.best_update:,}"
    if run is not None and ended.reason != "diverged":
        yield f"to go on:  charrnn resume {harmless_line(run)}"
        if ended.state_sha256 is not None:  # else nothing has been saved
            yield f"to sample: charrnn sample {harmless_line(run)}"


def place_of(status: Status) -> list[str]:
    """Return where a run is, and how long it still takes or what it does meanwhile."""
    words = [f"update {status.update:,}", f"epoch {status.epoch:.2f}"]
    if status.phase != "training":
        words.append("making the engine ready" if status.phase == "compiling" else status.phase)
    elif status.seconds_left is not None and status.update:
        words.append(f"{clock(status.seconds_left)} left")
    return words


def figures_of(status: Status, settings: Settings) -> list[str]:
    """Return how well a run does, and how fast."""
    if status.phase == "compiling":
        return ["the first time it is compiled, which takes some seconds"]
    if not math.isfinite(status.smooth_loss):
        return ["nothing to show yet"]
    return [
        f"smooth loss {_units(status.smooth_loss, settings)}",
        f"{status.updates_per_second:,.0f} updates/s",
    ]


def _units(loss: float, settings: Settings) -> str:
    nats = loss / settings.characters_of_loss
    return f"{loss:.2f} · {nats:.3f} nats and {nats / math.log(2):.3f} bits a character"


def share_done(status: Status, settings: Settings) -> float | None:
    """Return how much of the run is done, from 0 to 1, or None where nothing tells its end."""
    shares = [
        done / limit
        for done, limit in ((status.update, settings.updates), (status.time, settings.seconds))
        if limit is not None
    ]
    if settings.epochs is not None:
        shares.append(min(status.epoch / settings.epochs, status.update / max(1, settings.minimum_updates)))
    return min(1.0, max(shares)) if shares else None
