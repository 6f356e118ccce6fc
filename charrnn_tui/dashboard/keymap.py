"""The names of the dashboard's keys, which a key map gives other keys to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from textual.binding import Binding, BindingType

from charrnn_tui.dashboard.panes.evolution import EvolutionPane
from charrnn_tui.dashboard.panes.gradients import GradientPane
from charrnn_tui.dashboard.panes.loss import LossPane
from charrnn_tui.dashboard.run_screen import RunScreen

GROUPS: Mapping[str, list[BindingType]] = {
    "Everywhere": RunScreen.BINDINGS,
    "Loss": LossPane.BINDINGS,
    "Gradients": GradientPane.BINDINGS,
    "Evolution": EvolutionPane.BINDINGS,
}
"""The keys of a run's screen, by heading."""


def named_keys() -> Iterator[Binding]:
    """Yield the keys that have a name."""
    for bindings in GROUPS.values():
        yield from (binding for binding in bindings if isinstance(binding, Binding) and binding.id)


def keymap_text() -> str:
    """Return a key map that changes nothing: the names of all keys, what they do, and which they are."""
    lines = []
    for heading, bindings in GROUPS.items():
        lines.append(f"# {heading}")
        for binding in bindings:
            if isinstance(binding, Binding) and binding.id:
                setting = f'"{binding.id}" = "{binding.key}"'
                lines.append(f"{setting:46}# {binding.tooltip or binding.description}")
        lines.append("")
    return "\n".join(lines)


def unknown_names(keymap: Mapping[str, str]) -> list[str]:
    """Return the names in a key map that no key has."""
    return sorted(keymap.keys() - {binding.id for binding in named_keys()})
