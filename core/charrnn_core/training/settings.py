"""Every option of training, defined once.

The command line's options, the file `config.json`, the dashboard's form and the reference are all made from
`Settings`. NumPy is not imported here, so that `--help` is quick.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from charrnn_core.errors import SettingsError
from charrnn_core.memory import installed_memory, readable_size

Value = int | float | str | None

DEFAULT_PRESET = "dd2424-2019"
"""The settings of the course until 2024."""


@dataclass(frozen=True)
class Field:
    """What is known of one setting besides its default.

    Attributes
    ----------
    group : str
        The heading that it stands under in help and form.
    kind : type
        int, float or str.
    help : str
        One sentence without a full stop.
    minimum, maximum : float, optional
        The range, inclusive unless `above` or `below` says otherwise.
    above, below : bool
        The minimum, or the maximum, is itself not allowed.
    choices : tuple of str
        The words allowed, for a str.
    none : str, optional
        What leaving it out, written `none`, means; without it the setting cannot be left out.
    shapes_training : bool
        Whether another value leads to another trained state.
    """

    group: str
    kind: type
    help: str
    minimum: float = -math.inf
    maximum: float = math.inf
    above: bool = False
    below: bool = False
    choices: tuple[str, ...] = ()
    none: str | None = None
    shapes_training: bool = True

    @property
    def allowed(self) -> str:
        """The allowed values in words."""
        words = ", ".join(self.choices) if self.choices else self._range()
        return f"{words}, or none ({self.none})" if self.none else words

    def _range(self) -> str:
        noun = "a whole number" if self.kind is int else "a number"
        low, high = _plain(self.minimum), _plain(self.maximum)
        if self.above or self.below:
            lower = f"above {low}" if self.above else f"at least {low}"
            upper = f"below {high}" if self.below else f"at most {high}"
            return f"{noun} {lower} and {upper}"
        return f"{noun} from {low} to {high}"

    def parse(self, name: str, text: str) -> Value:
        """Return the value that a user has typed.

        Raises
        ------
        SettingsError
            It is not one of the allowed values.
        """
        if self.none is not None and text.strip().lower() == "none":
            return None
        try:
            value: Value = self.kind(text)
        except (ValueError, OverflowError):
            raise self._refusal(name, text) from None
        self.check(name, value)
        return value

    def check(self, name: str, value: Value) -> None:
        """Raise a SettingsError unless the value is allowed."""
        if value is None:
            if self.none is None:
                raise self._refusal(name, "none")
            return
        if isinstance(value, str) or self.kind is str:
            if self.kind is not str or value not in self.choices:
                raise self._refusal(name, value)
            return
        kinds = int if self.kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise self._refusal(name, value)
        low = value > self.minimum if self.above else value >= self.minimum
        high = value < self.maximum if self.below else value <= self.maximum
        if not (low and high and math.isfinite(value)):
            raise self._refusal(name, value)

    def _refusal(self, name: str, value: object) -> SettingsError:
        shown = str(value) if len(str(value)) <= 40 else str(value)[:40] + "..."
        return SettingsError(f"{option_name(name)} {shown} is not possible; allowed is {self.allowed}")


def _plain(number: float) -> str:
    whole = isinstance(number, int) or (float(number).is_integer() and abs(number) < 1e15)
    return f"{int(number):,}" if whole else f"{number:g}"


def option_name(name: str) -> str:
    """Return the command line's name of a setting: seq_length is --seq-length."""
    return "--" + name.replace("_", "-")


def _setting(default: Any, group: str, kind: type, help: str, **more: Any) -> Any:
    return dataclasses.field(default=default, metadata={"field": Field(group, kind, help, **more)})


_NETWORK, _LEARNING, _TEXT = "Network", "Learning", "Text"
_STOPPING, _SAMPLES, _SAVING = "Stopping", "Samples", "Saving and machine"
_FAR = 10**15
_POSITIVE = {"minimum": 0.0, "above": True}


@dataclass(frozen=True)
class Settings:
    """The settings of a training run; frozen, and valid by construction.

    `Settings.of` fills in what depends on preset and optimizer. Units: updates are optimizer steps, seconds
    are seconds of training, losses are in the unit of `loss`.

    Raises
    ------
    SettingsError
        A value is outside its range, or two do not go together.

    Examples
    --------
    >>> Settings.of(hidden=50).hidden
    50
    >>> Settings.of("dd2424-2026").optimizer
    'adam'
    >>> Settings.of(optimizer="adam").learning_rate
    0.001
    >>> Settings.of(epochs=2).updates is None
    True
    """

    hidden: int = _setting(100, _NETWORK, int, "hidden units m", minimum=1, maximum=1_000_000)
    seq_length: int = _setting(
        25,
        _NETWORK,
        int,
        "characters T of a window, through which gradients flow back",
        minimum=1,
        maximum=100_000,
    )
    batch_size: int = _setting(1, _NETWORK, int, "streams B trained side by side", minimum=1, maximum=65_536)
    init: Literal["normal", "fan-in"] = _setting(
        "normal", _NETWORK, str, "initial weights: one deviation, or by fan-in", choices=("normal", "fan-in")
    )
    init_std: float = _setting(
        0.01,
        _NETWORK,
        float,
        "standard deviation of normal initial weights",
        minimum=0.0,
        maximum=10.0,
        above=True,
    )
    dtype: Literal["float32", "float64"] = _setting(
        "float32", _NETWORK, str, "type of all numbers of the network", choices=("float32", "float64")
    )
    seed: int = _setting(0, _NETWORK, int, "seed of all random numbers", minimum=0, maximum=2**63 - 1)

    optimizer: Literal["adagrad", "adam", "rmsprop"] = _setting(
        "adagrad", _LEARNING, str, "how gradients become updates", choices=("adagrad", "adam", "rmsprop")
    )
    learning_rate: float = _setting(0.1, _LEARNING, float, "learning rate eta", maximum=1000.0, **_POSITIVE)
    beta1: float = _setting(
        0.9, _LEARNING, float, "Adam: decay of the gradients' average", minimum=0.0, maximum=1.0, below=True
    )
    beta2: float = _setting(
        0.999, _LEARNING, float, "Adam: decay of the squares' average", minimum=0.0, maximum=1.0, below=True
    )
    decay: float = _setting(
        0.9, _LEARNING, float, "RMSProp: decay of the squares' average", minimum=0.0, maximum=1.0, below=True
    )
    epsilon: float = _setting(
        1e-8, _LEARNING, float, "what keeps the division finite", minimum=1e-30, maximum=1.0
    )
    clip: float | None = _setting(
        5.0,
        _LEARNING,
        float,
        "limit of each entry of the gradient",
        maximum=1e30,
        none="no clipping",
        **_POSITIVE,
    )
    loss: Literal["sum", "mean"] = _setting(
        "sum", _LEARNING, str, "loss of a window: sum or mean over its characters", choices=("sum", "mean")
    )

    chunks: Literal["sequential", "shuffled", "random"] = _setting(
        "sequential",
        _TEXT,
        str,
        "order in which the text is read",
        choices=("sequential", "shuffled", "random"),
    )
    chunk_length: int = _setting(
        10_000, _TEXT, int, "characters of a shuffled or random chunk", minimum=1, maximum=_FAR
    )
    held_out: float = _setting(
        0.0, _TEXT, float, "last share of the text, kept for validation", minimum=0.0, maximum=0.9
    )
    validate_every: int = _setting(
        10_000, _TEXT, int, "updates between validations on held-out text", minimum=1, maximum=_FAR
    )

    updates: int | None = _setting(
        100_000,
        _STOPPING,
        int,
        "stop after this many updates; none where another stop is given",
        minimum=1,
        maximum=_FAR,
        none="no limit",
        shapes_training=False,
    )
    epochs: float | None = _setting(
        None,
        _STOPPING,
        float,
        "stop after this many epochs",
        maximum=1e9,
        none="no limit",
        shapes_training=False,
        **_POSITIVE,
    )
    seconds: float | None = _setting(
        None,
        _STOPPING,
        float,
        "stop after this many seconds of training",
        maximum=1e9,
        none="no limit",
        shapes_training=False,
        **_POSITIVE,
    )
    stop_below: float | None = _setting(
        None,
        _STOPPING,
        float,
        "stop when the smooth loss, in the unit of --loss, falls below this",
        maximum=1e9,
        none="never",
        shapes_training=False,
        **_POSITIVE,
    )
    minimum_updates: int = _setting(
        0,
        _STOPPING,
        int,
        "updates before which neither --epochs nor --stop-below ends the run",
        minimum=0,
        maximum=_FAR,
        shapes_training=False,
    )

    sample_every: int | None = _setting(
        10_000,
        _SAMPLES,
        int,
        "updates between samples, the first before update 1",
        minimum=1,
        maximum=_FAR,
        none="no samples",
        shapes_training=False,
    )
    sample_length: int = _setting(
        200, _SAMPLES, int, "characters of a sample", minimum=1, maximum=10_000, shapes_training=False
    )
    temperature: float = _setting(
        1.0,
        _SAMPLES,
        float,
        "temperature of samples; 0 takes the likeliest character",
        minimum=0.0,
        maximum=100.0,
        shapes_training=False,
    )

    checkpoint_every: float = _setting(
        5.0,
        _SAVING,
        float,
        "seconds between checkpoints, fewer at first, or 50 times what the last one took",
        minimum=0.0,
        maximum=1e6,
        shapes_training=False,
    )
    engine: Literal["auto", "numpy", "numba"] = _setting(
        "auto",
        _SAVING,
        str,
        "what computes: NumPy, or code compiled by Numba; auto: Numba where it is installed",
        choices=("auto", "numpy", "numba"),
        shapes_training=False,
    )
    threads: int | None = _setting(
        None,
        _SAVING,
        int,
        "threads that share the work on an update",
        minimum=1,
        maximum=1024,
        none="one for a small network, all cores for a large one",
        shapes_training=False,
    )

    def __post_init__(self) -> None:
        for name, field in FIELDS.items():
            field.check(name, getattr(self, name))
        if self.chunks != "sequential" and self.chunk_length < self.seq_length:
            raise SettingsError(
                f"--chunk-length {self.chunk_length:,} is shorter than a window; "
                f"with --seq-length {self.seq_length:,} it is at least that"
            )

    @classmethod
    def of(cls, preset: str = DEFAULT_PRESET, **given: Value) -> Self:
        """Return the settings of a preset, with what is given in its place.

        The learning rate follows the optimizer, and the limit of updates falls away where another stop is
        given; both only if they are not given themselves.

        Raises
        ------
        SettingsError
            There is no such preset or setting, or a value is not allowed.
        """
        if preset not in PRESETS:
            raise SettingsError(f"--preset {preset} is not possible; allowed is {', '.join(PRESETS)}")
        unknown = set(given).difference(FIELDS)
        if unknown:
            raise SettingsError(f"there is no setting called {sorted(unknown)[0]!r}")
        values: dict[str, Any] = {**PRESETS[preset], **given}
        optimizer = values.get("optimizer", "adagrad")
        if "learning_rate" not in given and optimizer != PRESETS[preset].get("optimizer", "adagrad"):
            values["learning_rate"] = DEFAULT_LEARNING_RATES.get(str(optimizer), 0.1)
        if "updates" not in given and any(given.get(stop) is not None for stop in STOPS):
            values["updates"] = None
        return cls(**values)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Return the settings that `to_json` gave; fields that it lacks take their defaults."""
        known = {name: value for name, value in values.items() if name in FIELDS}
        return cls(**known)

    def to_json(self) -> dict[str, Value]:
        """Return the settings as a dictionary of JSON values."""
        return dataclasses.asdict(self)

    def shaping(self) -> dict[str, Value]:
        """Return the settings that another trained state would follow from, without those that are idle."""
        idle = {
            "beta1": self.optimizer != "adam",
            "beta2": self.optimizer != "adam",
            "decay": self.optimizer != "rmsprop",
            "init_std": self.init != "normal",
            "chunk_length": self.chunks == "sequential",
            "validate_every": self.held_out == 0,
        }
        values = self.to_json()
        return {
            name: values[name]
            for name, field in FIELDS.items()
            if field.shapes_training and not idle.get(name)
        }

    @property
    def characters_of_loss(self) -> int:
        """How many characters a loss is the sum over: T, or 1 where it is a mean."""
        return self.seq_length if self.loss == "sum" else 1

    def memory_needed(self, characters: int) -> int:
        """Return about how many bytes training needs for a vocabulary of this size, the text apart."""
        m, K, rows = self.hidden, characters, self.seq_length * self.batch_size
        # Gradients, clipped gradients and scratch; and the state (parameters and optimizer's memory) as it
        # is, as it was best, as it is copied for a checkpoint, and three times as bytes while it is written.
        copies = 3 + 6 * (3 if self.optimizer == "adam" else 2)
        numbers = (2 * m * K + m * m + m + K) * copies + rows * (6 * m + 3 * K)
        return numbers * (4 if self.dtype == "float32" else 8)

    def check_memory(self, characters: int = 1) -> None:
        """Raise a SettingsError if training cannot fit into this machine's memory.

        Parameters
        ----------
        characters : int
            K.
        """
        needed, installed = self.memory_needed(characters), installed_memory()
        if needed > installed:
            raise SettingsError(
                f"--hidden {self.hidden:,} with --seq-length {self.seq_length:,} and --batch-size "
                f"{self.batch_size:,} needs about {readable_size(needed)} of memory, and this machine has "
                f"{readable_size(installed)}; choose smaller ones"
            )


FIELDS: dict[str, Field] = {field.name: field.metadata["field"] for field in dataclasses.fields(Settings)}
"""What is known of each setting, by name, in the order of the groups."""

CHANGEABLE = (
    "learning_rate",
    *(name for name, field in FIELDS.items() if not field.shapes_training and name != "threads"),
)
"""The settings that can be given another value when a run goes on."""

STOPS = ("updates", "epochs", "seconds", "stop_below")
"""The settings that say when a run ends; the first that is reached ends it."""

NO_STOPS: dict[str, Value] = {**dict.fromkeys(STOPS), "minimum_updates": 0}
"""The values of all settings of stopping for a run that nothing ends."""

DEFAULT_LEARNING_RATES = {"adagrad": 0.1, "adam": 0.001, "rmsprop": 0.001}
"""The learning rate of each optimizer where none is given."""

PRESETS: dict[str, dict[str, Value]] = {
    "dd2424-2019": {},
    "dd2424-2026": {
        "optimizer": "adam",
        "learning_rate": 0.001,
        "loss": "mean",
        "init": "fan-in",
        "clip": None,
    },
}
"""Settings by the year of the course: KTH DD2424 until 2024 (the default), and 2025 and 2026."""
