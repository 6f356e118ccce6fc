"""A form made from the settings of training, each checked as it is typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.events import Mount
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Label, Select

from charrnn_core.errors import SettingsError
from charrnn_core.training.settings import FIELDS, Settings, Value, option_name
from charrnn_tui.dashboard.trainer import until_stopped
from charrnn_tui.terminal import harmless_line

_GROUPS = list(dict.fromkeys(field.group for field in FIELDS.values()))


class Choice(Select[str]):
    """A choice of words that opens with Enter or space: the arrows go on to the next setting."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter,space", "show_overlay", "Choose", show=False)]

    def __init__(self, choices: tuple[str, ...], *, id: str, blank: bool = True) -> None:
        options = [(Content(choice), choice) for choice in choices]
        super().__init__(options, id=id, allow_blank=blank, prompt="", compact=True)

    def on_mount(self, event: Mount) -> None:
        """Show a default that was set while the parts of this widget were still being made."""
        if self.query("#label"):
            self.call_later(self._show_prompt)
        else:  # the application has ended meanwhile: there is nothing to set up
            event.prevent_default()

    def show_default(self, told: str) -> None:
        """Show what holds where nothing is chosen."""
        self.set_reactive(Choice.prompt, told)
        self._show_prompt()

    def _show_prompt(self) -> None:
        if self.query("#label"):  # it is missing before the parts are made, and while the application ends
            self.mutate_reactive(Choice.prompt)

    @property
    def chosen(self) -> str | None:
        """The chosen word; None leaves it to the default."""
        return self.value if isinstance(self.value, str) else None


class SettingRow(Container):
    """Name, value and help of one setting.

    Parameters
    ----------
    setting : str
    """

    class Changed(Message):
        """Another value was typed or chosen."""

    def __init__(self, setting: str) -> None:
        super().__init__(classes="row")
        self.setting = setting
        self._field = FIELDS[setting]

    def compose(self) -> ComposeResult:
        """Make the three parts."""
        yield Label(option_name(self.setting), classes="name", markup=False)
        if self._field.choices:
            yield Choice(self._field.choices, id=f"set-{self.setting}")
        else:
            yield Input(id=f"set-{self.setting}", compact=True)
        yield Label("", classes="help", markup=False)

    def on_mount(self) -> None:
        """Show the help."""
        if self.children:
            self._check()

    @property
    def text(self) -> str:
        """What was typed or chosen; empty leaves it to the default."""
        if self._field.choices:
            return self.query_one(Choice).chosen or ""
        return self.query_one(Input).value.strip()

    @property
    def value(self) -> Value:
        """The value that was typed.

        Raises
        ------
        SettingsError
            It is not possible.
        """
        return self._field.parse(self.setting, self.text)

    def show_default(self, value: Value) -> None:
        """Show what holds where nothing is typed."""
        told = "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
        if self._field.choices:
            self.query_one(Choice).show_default(told)
        else:
            self.query_one(Input).placeholder = told

    def on_descendant_focus(self) -> None:
        """Have the help beneath seen too."""
        self.call_after_refresh(self.scroll_visible, animate=False)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Check what was typed."""
        event.stop()
        self._check()
        self.post_message(self.Changed())

    def on_select_changed(self, event: Select.Changed) -> None:
        """Take what was chosen."""
        event.stop()
        self.post_message(self.Changed())

    def _check(self) -> None:
        told = self._field.help + (f"; none: {self._field.none}" if self._field.none else "")
        wrong = False
        if self.text:
            try:
                self.value  # noqa: B018
            except SettingsError as error:
                told, wrong = f"✗ {error}", True
        self.set_class(wrong, "-wrong")
        self.query_one(".help", Label).update(Content(harmless_line(told)))
        if wrong:
            self.call_after_refresh(self.scroll_visible, animate=False)


class SettingsForm(Vertical):
    """All settings, under the headings of their groups.

    The first group is there at once, and the others, which are further down, follow one by one: all of them
    at once would keep the screen waiting.
    """

    class Filled(Message):
        """More settings are there."""

    def compose(self) -> ComposeResult:
        """Make the first group."""
        yield from _group_widgets(_GROUPS[0])

    def on_mount(self) -> None:
        """Make the other groups."""
        self.run_worker(self._fill())

    async def _fill(self) -> None:
        for group in _GROUPS[1:]:
            await self.mount_all(_group_widgets(group))
            self.post_message(self.Filled())

    @property
    def given(self) -> dict[str, Value]:
        """What was typed, without what was left empty.

        Raises
        ------
        SettingsError
            The first value that is not possible.
        """
        return {row.setting: row.value for row in self._rows if row.text}

    def show_defaults(self, preset: str) -> None:
        """Show in each empty place what holds there, with this preset and with what is typed elsewhere."""
        given: dict[str, Value] = {}
        for row in self._rows:
            if row.text and not row.has_class("-wrong"):
                given[row.setting] = row.value
        try:
            settings = Settings.of(preset, **until_stopped(given))
        except SettingsError:  # said where the form is started
            settings = Settings.of(preset, **until_stopped({}))
        for row in self._rows:
            row.show_default(getattr(settings, row.setting))

    @property
    def _rows(self) -> list[SettingRow]:
        """The rows that are there; of others the parts are still being made."""
        return [row for row in self.query(SettingRow) if row.is_mounted]


def _group_widgets(group: str) -> Iterator[Widget]:
    """Yield a heading, and a row for each setting."""
    yield Label(group, classes="group", markup=False)
    for setting, field in FIELDS.items():
        if field.group == group:
            yield SettingRow(setting)
