"""Write the parts of the documentation that are made from the code: `python docs/generate.py`.

`reference/*.md` and the manual page `charrnn.1`. The tests fail where one of them is not what this writes.
"""

from __future__ import annotations

import inspect
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer

import charrnn_core
from charrnn_core.rnn.gradcheck.rows import CheckRow
from charrnn_core.runs import checkpoint
from charrnn_core.runs.commands import COMMAND_NAMES, Command
from charrnn_core.runs.starting import start
from charrnn_core.sweeps.directory import Failed, Proposed, Pruned, Tried
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training import events
from charrnn_core.training.settings import DEFAULT_PRESET, FIELDS, PRESETS, Settings, option_name
from charrnn_tui.cli import COMMANDS, HELP, app

HERE = Path(__file__).parent
MADE = "<!-- made by docs/generate.py -->\n"


def pages() -> dict[str, str]:
    """Return all that is made, by its name below this directory."""
    return {
        "reference/commands.md": commands_page(),
        "reference/settings.md": settings_page(),
        "reference/events.md": events_page(),
        "reference/checkpoint.md": checkpoint_page(),
        "charrnn.1": manual_page(),
    }


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


# -- commands ------------------------------------------------------------------------------------------------


def root() -> Any:
    """Return Click's command of the program itself."""
    return typer.main.get_command(app)


def commands() -> Iterator[tuple[str, Any]]:
    """Yield name and Click's command of each command."""
    for name in COMMANDS:
        yield name, root().get_command(None, name)


def options_of(command: Any) -> Iterator[tuple[str, Any]]:
    """Yield heading and option of all options that the help shows."""
    for option in command.params:
        if option.param_type_name == "option" and not option.hidden:
            yield option.rich_help_panel or "Options", option


def usage_of(name: str, command: Any) -> str:
    """Return how a command is called."""
    arguments = [option.metavar for option in command.params if option.param_type_name == "argument"]
    return " ".join(["charrnn", name, "[OPTIONS]", *arguments])


def told_option(option: Any) -> str:
    """Return an option as it is written, with the name of its value."""
    names = ", ".join(option.opts)
    return names if option.is_flag else f"{names} {option.metavar}"


def help_of(option: Any) -> str:
    """Return what is said of an option or an argument, with its default."""
    words = str(option.help)
    shown = option.show_default and option.default not in (None, False, "")
    if option.param_type_name == "option" and shown and not option.is_flag:
        words += f" Default: {option.default}."
    return words + (f" Environment: {option.envvar}." if option.envvar else "")


def commands_page() -> str:
    """Return the page of all commands."""
    parts = [MADE + "# Commands", HELP.replace("Example: charrnn", "    charrnn", 1)]
    parts.append(
        "Data goes to stdout and all else to stderr. Exit codes: 0 done, 1 failed, 2 wrong use or input that "
        "cannot be used, 128 + n ended by signal n."
    )
    rows = ([f"`{told_option(option)}`", help_of(option)] for _, option in options_of(root()))
    parts.append(table(["option", ""], rows))
    for name, command in commands():
        example, *more = str(command.help).split("\n\n")
        parts += [f"## charrnn {name}", f"    {usage_of(name, command)}", *more]
        parts.append("For example:\n\n    " + example.removeprefix("Example: "))
        arguments = [each for each in command.params if each.param_type_name == "argument"]
        if arguments:
            rows = ([f"`{each.metavar}`", help_of(each)] for each in arguments)
            parts.append(table(["argument", ""], rows))
        headings: dict[str, list[list[str]]] = {}
        for heading, option in options_of(command):
            headings.setdefault(heading, []).append([f"`{told_option(option)}`", help_of(option)])
        for heading, rows_of in headings.items():
            parts.append(table([heading.lower(), ""], rows_of))
    return "\n\n".join(parts) + "\n"


# -- the manual page -----------------------------------------------------------------------------------------


def roff(text: str) -> str:
    """Return text for the manual: nothing in it is a request, a hyphen is one, and each line is whole."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", " ".join(text.split()))


def manual_page() -> str:
    """Return the manual page, in the macros of man(7)."""
    version = charrnn_core.__version__
    lines = [
        '.\\" made by docs/generate.py',
        f'.TH CHARRNN 1 "" "charrnn {version}" "User Commands"',
        ".SH NAME",
        "charrnn \\- " + roff("train a recurrent network on a text, watch it learn, let it write"),
        ".SH SYNOPSIS",
        *(f".B charrnn {name}\n{roff(usage_of('', command).removeprefix('charrnn '))}\n.br"
          for name, command in commands()),
        ".SH DESCRIPTION",
        *paragraphs(HELP),
        *described(root()),
    ]  # fmt: skip
    for name, command in commands():
        lines += [f'.SH "charrnn {name}"', *paragraphs(str(command.help))]
        for parameter in command.params:
            if parameter.param_type_name == "argument":
                lines += [".TP", f".I {roff(parameter.metavar)}", roff(help_of(parameter))]
        lines += described(command)
    lines += [".SH EXIT STATUS", *EXIT_STATUS, ".SH ENVIRONMENT", *ENVIRONMENT, ".SH FILES", *FILES]
    return "\n".join(lines) + "\n"


def described(command: Any) -> list[str]:
    """Return the options of a command, each with its help."""
    options = [option for _, option in options_of(command)]
    return [
        line for each in options for line in (".TP", f".B {roff(told_option(each))}", roff(help_of(each)))
    ]


def paragraphs(text: str) -> list[str]:
    """Return a help text as paragraphs of the manual, its example in bold."""
    lines = []
    for paragraph in text.split("\n\n"):
        example = paragraph.removeprefix("Example: ")
        lines += [".PP", f".B {roff(example)}" if example != paragraph else roff(paragraph)]
    return lines


def _terms(terms: dict[str, str]) -> list[str]:
    return [line for name, says in terms.items() for line in (".TP", f".B {roff(name)}", roff(says))]


EXIT_STATUS = _terms(
    {
        "0": "done",
        "1": "failed",
        "2": "wrong use, or input that cannot be used",
        "128 + n": "ended by signal n",
    }
)
ENVIRONMENT = _terms(
    {
        "CHARRNN_RUNS": "directory that holds the runs (default: runs)",
        "CHARRNN_ENGINE": "engine where --engine is auto: numpy or numba",
        "NO_COLOR, FORCE_COLOR, TERM": "as terminals have them",
        "XDG_CONFIG_HOME": "where charrnn/keys.toml and charrnn/dashboard.json are (default: ~/.config)",
    }
)
FILES = _terms(
    {
        "runs/NAME/events.jsonl": "all that happened in a run, one JSON object a line",
        "runs/NAME/checkpoints/last.safetensors": "all that is needed to go on",
        "runs/NAME/checkpoints/best.safetensors": "the state with the lowest loss",
    }
)


# -- settings ------------------------------------------------------------------------------------------------


def told(value: object) -> str:
    """Return a value as a user writes it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        value = int(value)
    return "none" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def settings_page() -> str:
    """Return the page of all settings."""
    parts = [
        MADE + "# Settings",
        "Every option of training is one setting, with the same name on the command line (`--seq-length`), "
        "in the form of the dashboard, in `config.json` and in `charrnn_core.training.settings.Settings` "
        "(`seq_length`). The learning rate follows the optimizer, and the limit of updates falls away where "
        "another stop is given, unless they are given themselves.",
    ]
    others = [name for name in PRESETS if name != DEFAULT_PRESET]
    settings = {name: Settings.of(name) for name in PRESETS}
    for group in dict.fromkeys(field.group for field in FIELDS.values()):
        rows = []
        for name, field in FIELDS.items():
            if field.group == group:
                default = getattr(settings[DEFAULT_PRESET], name)
                differing = [
                    f"{told(getattr(settings[other], name))} with `{other}`"
                    for other in others
                    if getattr(settings[other], name) != default
                ]
                kept = "" if field.shapes_training else " ·"
                rows.append(
                    [f"`{option_name(name)}`{kept}", field.help, "; ".join([told(default), *differing]),
                     field.allowed]
                )  # fmt: skip
        parts += [f"## {group}", table(["setting", "what", "default", "allowed"], rows)]
    parts.append(
        "A setting with · changes nothing of what a network becomes by a given update; these and the "
        "learning rate can be given another value when a run goes on (`--threads` apart)."
    )
    return "\n\n".join(parts) + "\n"


# -- classes, as their docstrings tell of them ---------------------------------------------------------------


def summary(kind: Any) -> str:
    """Return what stands in a docstring before its first section, as one text."""
    text = inspect.cleandoc(kind.__doc__)
    return re.split(r"\n\n\w+\n-+\n", text)[0]


def attributes(kind: Any) -> list[tuple[str, str, str]]:
    """Return name, type and description of what the section Attributes of a docstring tells."""
    found = re.search(
        r"(?:^|\n)Attributes\n-+\n(.*?)(?:\n\n\w+\n-+\n|\Z)", inspect.cleandoc(kind.__doc__), re.S
    )
    rows: list[tuple[str, str, str]] = []
    for line in found[1].splitlines() if found else []:
        if line.startswith(" "):
            name, type_, says = rows[-1]
            rows[-1] = name, type_, f"{says} {line.strip()}".strip()
        elif line:
            name, _, type_ = line.partition(" : ")
            rows.append((name, type_, ""))
    return rows


def rows_of(kind: Any) -> Iterator[list[str]]:
    """Yield the rows of a table of a class's attributes."""
    for name, type_, says in attributes(kind):
        yield [", ".join(f"`{each}`" for each in name.split(", ")), type_, says]


def events_page() -> str:
    """Return the page of `events.jsonl`, `status.json` and `commands.jsonl`."""
    kinds = [
        kind
        for _, kind in inspect.getmembers(events, inspect.isclass)
        if issubclass(kind, events.Event) and kind is not events.Event
    ]
    kinds.sort(key=lambda kind: inspect.getsourcelines(kind)[1])
    head = ["field", "type", "what"]
    parts = [
        MADE + "# Events, status and commands",
        "What the files of a run hold that change while it trains. Whoever reads them skips types and fields "
        "that are not in these tables: later versions may have more.",
        "## events.jsonl",
        inspect.cleandoc(events.__doc__ or "").partition("\n\n")[2],
        "Fields of all events:",
        table(head, [["`type`", "str", "One of the types below."], *rows_of(events.Event)]),
    ]
    for kind in kinds:
        inherited = f" It has all fields of `{kind.__mro__[1].type}`, and:" if kind is events.Resumed else ""
        parts.append(f"### {kind.type}\n\n{summary(kind)}{inherited}")
        parts.append(table(head, rows_of(kind)))
        if kind is events.GradientsChecked:
            parts += ["Each of its rows has:", table(head, rows_of(CheckRow))]
    own = [
        ["`state`", "str", '"training", "paused" or "stopping".'],
        ["`pid`", "int", "The process that trains."],
    ]
    parts += ["## status.json", summary(events.Status), table(head, [*own, *rows_of(events.Status)])]
    parts.append(
        "Of a trial that is trained on a cluster it has `elsewhere`, the address of the scheduler, and the "
        "`pid` is that of the process that sweeps."
    )
    parts += [
        "## commands.jsonl",
        "One JSON object a line, appended by a single write: `id`, `command` and the arguments. "
        f"`charrnn command` writes it; any program may. The commands are {named(COMMAND_NAMES)}.",
        table(head, [["`command`" if row[0] == "`name`" else row[0], *row[1:]] for row in rows_of(Command)]),
    ]
    parts += [
        "## events.jsonl of a sweep",
        "What the runs of its trials do not say themselves. `time` is seconds since the process that sweeps "
        "began; `update` says nothing where no trial is meant.",
    ]
    for kind in (Proposed, Pruned, Failed, Tried):
        parts += [f"### {kind.type}", summary(kind), table(head, rows_of(kind))]
    return "\n\n".join(parts) + "\n"


def named(names: Iterable[str]) -> str:
    """Return names as code, with commas."""
    return ", ".join(f"`{name}`" for name in names)


# -- the checkpoint ------------------------------------------------------------------------------------------

SIZES = {7: "m", 5: "K", 2: "B"}
METADATA = {
    "format": "version of this format",
    "update, epoch, seconds": "where training is; seconds of training",
    "settings": "as they are now, by name",
    "vocabulary": "the characters, in the order of their codes",
    "corpus": "the text: name, kind, path, characters, SHA-256 of the normalised text, what was normalised",
    "state": "what else training needs to go on: update, smooth loss, unfinished bucket, best so far, duties "
    "of this update that are still to be done",
    "log_length, command_offset, drawn, obeyed": "",
    "engine, threads, blas, versions, machine": "what computed it",
    "state_sha256": "identity of the state: over arrays and deterministic state, without times, versions "
    "and machine. The same state always has the same one",
    "sha256": "of the whole file, with 64 zeros in the place of this digest",
}


def checkpoint_page() -> str:
    """Return the page of the checkpoint, from one that is really made."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.of(
            hidden=7, batch_size=2, seq_length=4, optimizer="adam", updates=1, engine="numpy"
        )
        process = start(settings, corpus_of("abcde" * 20, "text"), runs=Path(folder), name="made")
        process.run(lambda item: None)
        made = checkpoint.read_checkpoint(process.directory.checkpoint_file("last").path)
    listed = {name for names in METADATA for name in names.split(", ")}
    if listed != made.metadata.keys():
        raise AssertionError(f"METADATA lacks or has too much: {listed ^ made.metadata.keys()}")
    arrays = [
        [f"`{name}`", "(" + ", ".join(SIZES[size] for size in array.shape) + ("," * (array.ndim == 1)) + ")"]
        for name, array in made.snapshot.arrays().items()
    ]
    says = {
        "U": "input weights", "W": "recurrent weights", "V": "output weights",
        "b": "bias of the hidden units",
        "c": "bias of the outputs", "h": "hidden state that the next window of each stream begins with",
    }  # fmt: skip
    for row in arrays:
        name = row[0].strip("`")
        row.append(says.get(name, f"the optimizer's memory of {name[-1]} (this one: Adam's)"))
    places = {name: what for name, _, what in attributes(checkpoint.Place)}
    metadata = []
    for names, what in METADATA.items():
        told = what or "; ".join(f"{name}: {places[name].rstrip('.')}" for name in names.split(", "))
        metadata.append([", ".join(f"`{name}`" for name in names.split(", ")), told])
    return (
        "\n\n".join(
            [
                MADE + "# The checkpoint",
                "`checkpoints/last.safetensors`, `previous.safetensors` (the one before) and "
                "`best.safetensors` each hold all that a run needs to go on, in one file of the "
                "[safetensors](https://huggingface.co/docs/safetensors) format: no pickle, readable by "
                "NumPy, PyTorch, JAX and others. [How to use one from PyTorch](../how-to/pytorch.md).",
                "## Arrays",
                "All of the type of `--dtype`, in the shapes of the equations: m hidden units, K characters, "
                "B streams.",
                table(["name", "shape", "what"], arrays),
                "## Metadata",
                "One JSON text under the key `charrnn` of the header's `__metadata__`, with its keys sorted:",
                table(["key", "what"], metadata),
            ]
        )
        + "\n"
    )


def main() -> None:
    """Write them all."""
    for name, text in pages().items():
        path = HERE / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        print(path)


if __name__ == "__main__":
    main()
