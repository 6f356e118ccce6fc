"""The names of the dashboard's keys, which a key map gives other keys to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from textual.binding import Binding, BindingType

from charrnn_tui.dashboard.panes.evolution import EvolutionPane
from charrnn_tui.dashboard.panes.gradients import GradientPane
from charrnn_tui.dashboard.panes.loss import LossPane
from charrnn_tui.dashboard.run_screen import RunScreen
from charrnn_tui.dashboard.sweep_screen import SweepScreen
from charrnn_tui.dashboard.table import Table

GROUPS: Mapping[str, list[BindingType]] = {
    "Everywhere": RunScreen.BINDINGS,
    "Loss": LossPane.BINDINGS,
    "Gradients": GradientPane.BINDINGS,
    "Evolution": EvolutionPane.BINDINGS,
}
"""The keys of a run's screen, by heading."""

SWEEP_GROUPS: Mapping[str, list[BindingType]] = {
    "Sweep": SweepScreen.BINDINGS,
    "Trials": Table.BINDINGS,
}
"""The keys of a sweep's screen, by heading."""


def _named() -> Iterator[tuple[str, list[Binding]]]:
    """Yield the keys that have a name, by heading; what several screens have once, with the first of them."""
    known: set[str | None] = set()
    for heading, bindings in chain(GROUPS.items(), SWEEP_GROUPS.items()):
        named = [each for each in bindings if isinstance(each, Binding) and each.id and each.id not in known]
        known.update(each.id for each in named)
        if named:
            yield heading, named


def named_keys() -> Iterator[Binding]:
    """Yield the keys that have a name, each name once."""
    for _, bindings in _named():
        yield from bindings


def keymap_text() -> str:
    """Return a key map that changes nothing: the names of all keys, what they do, and which they are."""
    lines = []
    for heading, bindings in _named():
        lines.append(f"# {heading}")
        for binding in bindings:
            setting = f'"{binding.id}" = "{binding.key}"'
            lines.append(f"{setting:46}# {binding.tooltip or binding.description}")
        lines.append("")
    return "\n".join(lines)


def unknown_names(keymap: Mapping[str, str]) -> list[str]:
    """Return the names in a key map that no key has."""
    return sorted(keymap.keys() - {binding.id for binding in named_keys()})
