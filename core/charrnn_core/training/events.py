"""What happens in a run, as values: the lines of `events.jsonl`.

An event is written once and never changed. Its JSON object has `type`, `update` (how many updates were done),
`time` (seconds of the run's own clock) and the fields of its class. Losses are in the unit of the run's
setting `loss`, nats; `validated` is nats per character.
"""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar


def encodable(text: str) -> str:
    r"""Return a JSON text without lone surrogates, which file names that are not UTF-8 bring in.

    They become the escapes that JSON has for them, so that reading gives the same name again.

    Examples
    --------
    >>> encodable('"caf\udce9"')
    '"caf\\udce9"'
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes
    ----------
    update : int
        How many updates had been done.
    time : float
        Seconds of training, continued over resumes, to the microsecond.
    """

    type: ClassVar[str]
    update: int
    time: float

    def to_json(self) -> dict[str, Any]:
        """Return the event as a dictionary of JSON values, type, update and time first; NaN becomes null.

        `partial`, `command`, `commands` and `offset` are there only where they say something.
        """
        told: dict[str, Any] = {"type": self.type}
        for name in _names(self.__class__):
            value = getattr(self, name)
            if value or name not in _SILENT:
                told[name] = _finite(value)
        return told

    def to_line(self) -> str:
        """Return the event as one line of JSON, with its newline."""
        return encodable(_encode(self.to_json())) + "\n"


_SILENT = ("partial", "command", "commands", "offset")  # fields that are left out where they say nothing
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


_names_of: dict[Any, tuple[str, ...]] = {}


def _names(kind: Any) -> tuple[str, ...]:
    """Return the names of a dataclass's fields, found out once."""
    if kind not in _names_of:
        _names_of[kind] = tuple(field.name for field in dataclasses.fields(kind))
    return _names_of[kind]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True, kw_only=True)
class Started(Event):
    """Training began.

    Attributes
    ----------
    run : str
        The run's name.
    settings : dict
    corpus : dict
        Name, kind, path, characters, vocabulary size, digest, and what was normalised.
    engine : str
    threads : int
        Of the matrix products.
    blas : str
        Library and processor core of the matrix products.
    versions : dict of str to str
    machine : str
    """

    type: ClassVar[str] = "started"
    run: str
    settings: dict[str, Any]
    corpus: dict[str, Any]
    engine: str
    threads: int
    blas: str
    versions: dict[str, str]
    machine: str


@dataclass(frozen=True, kw_only=True)
class Resumed(Started):
    """Training went on from a checkpoint.

    Attributes
    ----------
    checkpoint : str
        "last", "previous" or "best"; "none" where the run was ended before its first save.
    log_length : int
        The offset in the log that training goes on from: what it finds after it was lost with the process
        that had done it, and is done again.
    changed : dict
        Settings that were given another value.
    """

    type: ClassVar[str] = "resumed"
    checkpoint: str
    log_length: int
    changed: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Progress(Event):
    """A bucket of updates was done; `update` is its last.

    Attributes
    ----------
    first_update : int
        The bucket's first update; 0, with `update` 0, is the first window before training.
    epoch : float
        Epochs done at the bucket's end.
    position : int
        Where in its part of the text each stream's last window began.
    loss_mean, loss_min, loss_max : float
        Of the windows' losses.
    smooth_loss : float
        At the bucket's end.
    gradient_norm : float
        Euclidean norm of the last update's gradient, before clipping.
    clipped_share : float
        Share of that gradient's entries that were clipped.
    updates_per_second : float
        Over the bucket.
    partial : bool
        The run stopped inside the bucket; going on, the whole bucket takes this one's place.
    """

    type: ClassVar[str] = "progress"
    first_update: int
    epoch: float
    position: int
    loss_mean: float
    loss_min: float
    loss_max: float
    smooth_loss: float
    gradient_norm: float
    clipped_share: float
    updates_per_second: float
    partial: bool = False


@dataclass(frozen=True, kw_only=True)
class Sample(Event):
    """The network wrote a text.

    Attributes
    ----------
    text : str
    temperature : float
    prime : str
        What the network read first; empty when nobody gave it anything.
    smooth_loss : float
    command : str or None
        The command that asked for it; None for one by schedule.
    """

    type: ClassVar[str] = "sample"
    text: str
    temperature: float
    prime: str
    smooth_loss: float
    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class GradientsChecked(Event):
    """The backward pass was compared with derivatives that do not use it, and training with float64.

    Attributes
    ----------
    rows : tuple of dict
        One for each comparison and parameter, as `charrnn_core.rnn.gradcheck.check.CheckRow` has them.
    command : str or None
        The command that asked for it.
    """

    type: ClassVar[str] = "gradients_checked"
    rows: tuple[dict[str, Any], ...]
    command: str | None = None

    @property
    def wrong(self) -> tuple[str, ...]:
        """The parameters of rows that have not passed, each once."""
        return tuple(dict.fromkeys(row["parameter"] for row in self.rows if not row["passed"]))


@dataclass(frozen=True, kw_only=True)
class Validated(Event):
    """The held-out text was scored.

    Attributes
    ----------
    loss : float
        Nats per character.
    """

    type: ClassVar[str] = "validated"
    loss: float


@dataclass(frozen=True, kw_only=True)
class EpochDone(Event):
    """The text was read once more. After the first 2,000 times, short epochs share an event.

    Attributes
    ----------
    epoch : int
        How many epochs are done.
    smooth_loss : float
    """

    type: ClassVar[str] = "epoch"
    epoch: int
    smooth_loss: float


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    """A checkpoint was written that somebody asked for, or that is the best so far.

    Its `update` is that of the state saved, which for a best one may be some time ago.

    Attributes
    ----------
    kind : str
        "best", or "last" for one asked for.
    digest : str
        Its `state_sha256`.
    seconds : float
        How long saving took.
    loss : float
        Of a best one, what it is best by: held-out loss where there is one, else smooth loss.
    command : str or None
        The command that asked for it.
    """

    type: ClassVar[str] = "checkpoint"
    kind: str
    digest: str
    seconds: float
    loss: float
    command: str | None = None


@dataclass(frozen=True, kw_only=True)
class Obeyed(Event):
    """A command took effect.

    Attributes
    ----------
    command : str
        Its id.
    name : str
    arguments : dict
    """

    type: ClassVar[str] = "obeyed"
    command: str
    name: str
    arguments: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Refused(Event):
    """A command did not take effect, or several did not for the same reason.

    Attributes
    ----------
    command : str or None
        Its id, where it is one that has an id.
    commands : list of str or None
        The ids of several.
    reason : str
    offset : int or None
        Where in `commands.jsonl` a line without an id ends.
    """

    type: ClassVar[str] = "refused"
    command: str | None
    reason: str
    commands: list[str] | None = None
    offset: int | None = None


@dataclass(frozen=True, kw_only=True)
class Warned(Event):
    """Something went wrong that training survives.

    Attributes
    ----------
    message : str
    """

    type: ClassVar[str] = "warning"
    message: str


@dataclass(frozen=True, kw_only=True)
class Ended(Event):
    """Training stopped.

    Attributes
    ----------
    reason : str
        "updates", "epochs", "seconds", "smooth loss", "diverged"; "stopped", by a command; "signal NAME";
        "owner gone", whose run it was; "output closed"; or "handed over", by a worker of a sweep.
    epoch : float
    smooth_loss : float
    best_loss : float or None
        Held-out loss where there is one, else smooth loss.
    best_update : int or None
    state_sha256 : str or None
        Identity of the last state that was saved.
    """

    type: ClassVar[str] = "ended"
    reason: str
    epoch: float
    smooth_loss: float
    best_loss: float | None
    best_update: int | None
    state_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Status:
    """What is happening now; shown, but not part of the run's history.

    Attributes
    ----------
    phase : str
        "compiling", "training", "validating", "checking", "sampling" or "paused".
    update : int
    epoch : float
    loss : float
        Mean over the updates since the last status.
    smooth_loss : float
    updates_per_second : float
        Over about the last second.
    seconds_left : float or None
        Until the first stop whose time can be told.
    time : float
        Seconds of training.
    """

    type: ClassVar[None] = None  # whoever looks for the type of an event finds that it has none
    phase: str
    update: int
    epoch: float
    loss: float
    smooth_loss: float
    updates_per_second: float
    seconds_left: float | None
    time: float

    def to_json(self) -> dict[str, Any]:
        """Return the status as a dictionary of JSON values; NaN becomes null."""
        return {name: _finite(getattr(self, name)) for name in _names(self.__class__)}
