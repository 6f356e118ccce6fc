"""A vanilla recurrent network on characters: text, network, training, run directory.

The rooms, in the order in which they may import each other: `errors`, `memory`, `text`, `rnn`, `training`,
`runs`. Nothing here knows a terminal. The equations and the names of everything are in core/README.md.

What a script or a notebook needs can be imported from here. It is found when it is asked for, so that
importing this package costs nothing.

Examples
--------
>>> from charrnn_core import Settings, Trainer, corpus_of
>>> trainer = Trainer(Settings.of(hidden=8, updates=20), corpus_of("the cat sat on the mat. " * 20))
>>> events = list(trainer)
>>> events[-1].type, trainer.update, len(trainer.sample(length=30))
('ended', 20, 30)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from charrnn_core.errors import CharRNNError as CharRNNError
    from charrnn_core.runs.checkpoint import Checkpoint as Checkpoint
    from charrnn_core.runs.checkpoint import read_checkpoint as read_checkpoint
    from charrnn_core.runs.directory import RunDirectory as RunDirectory
    from charrnn_core.runs.directory import find_run as find_run
    from charrnn_core.runs.history import History as History
    from charrnn_core.runs.starting import resume as resume
    from charrnn_core.runs.starting import start as start
    from charrnn_core.text.corpus import Corpus as Corpus
    from charrnn_core.text.corpus import corpus_of as corpus_of
    from charrnn_core.text.corpus import read_corpus as read_corpus
    from charrnn_core.training.settings import Settings as Settings
    from charrnn_core.training.trainer import Trainer as Trainer

__version__ = "0.1.0"

_HOMES = {
    "errors": ("CharRNNError",),
    "text.corpus": ("Corpus", "corpus_of", "read_corpus"),
    "training.settings": ("Settings",),
    "training.trainer": ("Trainer",),
    "runs.checkpoint": ("Checkpoint", "read_checkpoint"),
    "runs.directory": ("RunDirectory", "find_run"),
    "runs.history": ("History",),
    "runs.starting": ("resume", "start"),
}

__all__ = ["__version__", *sorted(name for names in _HOMES.values() for name in names)]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"charrnn_core.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
