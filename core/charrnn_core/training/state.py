"""The state of a run between two updates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from charrnn_core.rnn.optimizers import memory_names
from charrnn_core.rnn.parameters import PARAMETER_NAMES, Floats, Parameters
from charrnn_core.training.settings import Settings

Duty = Literal["log", "epoch", "validate", "best", "check", "sample"]
"""What is done at an update besides the update itself."""

DUTIES: tuple[Duty, ...] = get_args(Duty)
"""The duties in the order in which they are done."""

LOOKING_DUTIES: tuple[Duty, ...] = ("check", "sample")
"""The duties that change nothing."""


def shaping_duties(duties: Sequence[Duty]) -> tuple[Duty, ...]:
    """Return the duties that the state depends on: all but those that only look at it."""
    return tuple(duty for duty in duties if duty not in LOOKING_DUTIES)


def bucket_width(update: int) -> int:
    """Return the width of the bucket that begins after this many updates.

    The largest of 1, 2, 5, 10, 20, 50 ... that is at most 0.5 % of the updates done, at least 1: fixed by
    arithmetic, so that the log of a run does not depend on how fast the machine was.

    Examples
    --------
    >>> [bucket_width(update) for update in (0, 399, 400, 1000, 2000, 100_000)]
    [1, 1, 2, 5, 10, 500]
    """
    width = 1
    while True:
        for step in (2, 5, 10):
            if 200 * width * step > update:
                return width * {2: 1, 5: 2, 10: 5}[step]
        width *= 10


def is_epoch_recorded(update: int, per_epoch: int) -> bool:
    """Return whether an update ends an epoch whose end is an event.

    The first 2,000 are. Later, where epochs are short beside the run, it is the first of each stretch of a
    tenth of a bucket: a text of one window has an epoch with each update.

    Examples
    --------
    >>> [is_epoch_recorded(update, 10) for update in (10, 15, 20_000)]
    [True, False, True]
    >>> [is_epoch_recorded(update, 1) for update in (100_000, 100_001, 100_049, 100_050)]
    [True, False, False, True]
    """
    if update % per_epoch:
        return False
    width = max(1, bucket_width(update) // 10)
    return update // width != (update - per_epoch) // width


def next_recorded_epoch(update: int, per_epoch: int) -> int:
    """Return the next update after this one that ends an epoch whose end is an event."""
    end = update - update % per_epoch + per_epoch
    while not is_epoch_recorded(end, per_epoch):
        end += per_epoch
    return end


@dataclass
class Bucket:
    """The losses since the last whole bucket of the log.

    Attributes
    ----------
    first : int
        Its first update.
    last : int
        Its last update.
    count : int
        Updates in it so far.
    total, low, high : float
        Sum, minimum and maximum of their losses.
    """

    first: int = 1
    last: int = 1
    count: int = 0
    total: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    @classmethod
    def after(cls, update: int) -> Bucket:
        """Return the empty bucket that begins after this many updates."""
        return cls(first=update + 1, last=update + bucket_width(update))

    def add(self, losses: list[float]) -> None:
        """Take in losses one after the other, so that the sum does not depend on how they are grouped."""
        for loss in losses:
            self.total += loss
        self.count += len(losses)
        self.low = min(self.low, *losses)
        self.high = max(self.high, *losses)


@dataclass(frozen=True)
class Best:
    """The figures of the best state so far.

    Attributes
    ----------
    loss : float
        Held-out loss in nats per character where there is one, else smooth loss.
    update : int
    """

    loss: float
    update: int


@dataclass(frozen=True)
class Snapshot:
    """A copy of all that a run needs to go on.

    Attributes
    ----------
    settings : Settings
        As they are at this update: the learning rate may have been changed since the start.
    parameters : Parameters
    memory : dict of str to Parameters
        The optimizer's memory, each part in the shape of the parameters.
    h : array of shape (B, m)
    update : int
    epoch : float
    smooth_loss : float
    bucket : Bucket
    best : Best or None
    pending : tuple of str
        Duties of this update that are still to be done.
    gradient_norm, clipped_share : float
        Of the last update's gradient, before clipping.
    seconds : float
        Of training; the only part that another machine would not have the same.
    """

    settings: Settings
    parameters: Parameters
    memory: dict[str, Parameters]
    h: Floats
    update: int
    epoch: float
    smooth_loss: float
    bucket: Bucket
    best: Best | None
    pending: tuple[Duty, ...]
    gradient_norm: float
    clipped_share: float
    seconds: float

    def arrays(self) -> dict[str, Floats]:
        """Return all arrays by name, C-contiguous: U, W, V, b, c, h, and memory.NAME.U and so on."""
        arrays = self.parameters.arrays()
        for name, memory in self.memory.items():
            arrays.update({f"memory.{name}.{key}": array for key, array in memory.arrays().items()})
        arrays["h"] = self.h
        return {name: np.ascontiguousarray(array) for name, array in arrays.items()}

    def state(self) -> dict[str, Any]:
        """Return the deterministic state that is not an array, as JSON values; `from_parts` takes it."""
        bucket = asdict(self.bucket)
        if not self.bucket.count:
            bucket.update(low=None, high=None)
        return {
            "update": self.update,
            "smooth_loss": self.smooth_loss,
            "bucket": bucket,
            "best": None if self.best is None else asdict(self.best),
            "pending": list(self.pending),
            "gradient_norm": self.gradient_norm if math.isfinite(self.gradient_norm) else None,
            "clipped_share": self.clipped_share,
        }

    @classmethod
    def from_parts(
        cls,
        settings: Settings,
        arrays: Mapping[str, Floats],
        state: Mapping[str, Any],
        *,
        epoch: float,
        seconds: float,
    ) -> Snapshot:
        """Return the snapshot that has these `arrays()` and this `state()`.

        Raises
        ------
        ValueError
            A value of the state is not one that a run could have had.
        """
        m, K = arrays["U"].shape
        dtype = np.dtype(settings.dtype)

        def whole(prefix: str) -> Parameters:
            parameters = Parameters(m, K, dtype.type)
            for name in PARAMETER_NAMES:
                getattr(parameters, name)[...] = arrays[prefix + name]
            return parameters

        return cls(
            settings=settings,
            parameters=whole(""),
            memory={name: whole(f"memory.{name}.") for name in memory_names(settings.optimizer)},
            h=arrays["h"].copy(),
            update=_natural(state["update"]),
            epoch=epoch,
            smooth_loss=_finite(state["smooth_loss"]),
            bucket=_bucket(state["bucket"], _natural(state["update"])),
            best=None if state["best"] is None else _best(state["best"], _natural(state["update"])),
            pending=_pending(state, settings),
            # An entry that overflows is clipped, and training goes on; only its norm is lost.
            gradient_norm=math.inf if state["gradient_norm"] is None else _finite(state["gradient_norm"]),
            clipped_share=_finite(state["clipped_share"]),
            seconds=seconds,
        )


def check_state(state: Mapping[str, Any], settings: Settings) -> None:
    """Validate a state as `Snapshot.from_parts` does.

    Raises
    ------
    ValueError
        The state contains a value that no run can have.
    """
    update = _natural(state["update"])
    _bucket(state["bucket"], update)
    if state["best"] is not None:
        _best(state["best"], update)
    _pending(state, settings)
    for name in ("smooth_loss", "clipped_share"):
        _finite(state[name])


def _natural(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError(f"{value!r} is not a finite number")
    return float(value)


def _bucket(value: Mapping[str, Any], update: int) -> Bucket:
    bucket = Bucket(_natural(value["first"]), _natural(value["last"]), _natural(value["count"]))
    if bucket.first < 1 or bucket.last != bucket.first - 1 + bucket_width(bucket.first - 1):
        raise ValueError("the unfinished bucket of the log has another width than it should")
    if not bucket.first - 1 <= update <= bucket.last or bucket.count != update - bucket.first + 1:
        raise ValueError("the unfinished bucket of the log does not end at the update")
    bucket.total = _finite(value["total"])
    if bucket.count:
        bucket.low, bucket.high = _finite(value["low"]), _finite(value["high"])
    return bucket


def _pending(state: Mapping[str, Any], settings: Settings) -> tuple[Duty, ...]:
    value, bucket = state["pending"], state["bucket"]
    pending = tuple(duty for duty in DUTIES if isinstance(value, list) and duty in value)
    if not isinstance(value, list) or list(pending) != value:
        raise ValueError("the duties that are still to be done are not duties in their order")
    impossible: dict[Duty, bool] = {
        "log": bucket["last"] != state["update"],
        "epoch": not state["update"],
        "validate": not settings.held_out,
        "best": settings.held_out > 0 or not state["update"],
    }
    for duty in pending:
        if impossible.get(duty):
            raise ValueError(f"the duty {duty} cannot be due at update {state['update']}")
    if bucket["last"] == state["update"] and "log" not in pending:
        raise ValueError("the log's bucket is full but not due to be written")
    return pending


def _best(value: Mapping[str, Any], update: int) -> Best:
    best = Best(_finite(value["loss"]), _natural(value["update"]))
    if best.update > update:
        raise ValueError("the best update is still to come")
    return best
