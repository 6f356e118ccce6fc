"""Options that make no sense or that no machine can meet: refused with the range that is allowed."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from textual.widgets import Input, Label

from charrnn_core.errors import SettingsError
from charrnn_core.training.settings import FIELDS, PRESETS, option_name
from charrnn_tui.dashboard import app as app_module
from charrnn_tui.dashboard.app import Dashboard
from charrnn_tui.dashboard.screens import new_run
from tests.faults.ledger import injected
from tests.faults.promises import EVIL, MARKUP, assert_harmless, assert_refused, assert_trained
from tests.program import SMALL, TEXT, charrnn, most_memory

pytestmark = pytest.mark.fault("option")

# -- options -----------------------------------------------------------------------------------------------

NONSENSE = ["0", "-1", "nan", "inf", "1e20", "many", ""]
POSSIBLE = {
    **dict.fromkeys(
        ["seed", "beta1", "beta2", "decay", "held_out", "minimum_updates", "temperature", "checkpoint_every"],
        ("0",),
    ),
    "clip": ("1e20",),
}
"""What of it is none for some settings."""

NUMBERS = [name for name, known in FIELDS.items() if known.kind is not str]
WORDS = [name for name, known in FIELDS.items() if known.kind is str]
ALSO = {
    "beta1": ["--optimizer", "adam"],
    "beta2": ["--optimizer", "adam"],
    "decay": ["--optimizer", "rmsprop"],
    "chunk_length": ["--chunks", "shuffled"],
    "held_out": ["--validate-every", "10"],
    "validate_every": ["--held-out", "0.1"],
    "updates": ["--epochs", "0.1"],
}
"""What a setting needs beside it to have an effect."""


def problem_with(where: Path, name: str, value: str, *, possible: bool = False) -> str | None:
    """Return what is wrong with what the program does with a value of a setting, or None."""
    where.mkdir()
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    finished = charrnn(
        where, "train", "book.txt", *SMALL, *ALSO.get(name, []), f"{option_name(name)}={value}"
    )
    try:
        if possible:
            assert_trained(finished, where)
            assert "Warning" not in finished.err
        else:
            assert_refused(finished, where, f"{option_name(name)} ", "allowed is", FIELDS[name].allowed)
            assert len(finished.err) < 400
    except AssertionError as wrong:
        return f"{value[:40]!r}: {wrong}"
    return None


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_within_its_range_or_refused(tmp_path: Path, thorough: bool, name: str) -> None:
    # In the short form another third of the values for each setting.
    values = NONSENSE if thorough else NONSENSE[NUMBERS.index(name) % 3 :: 3]
    possible = POSSIBLE.get(name, ())
    with ThreadPoolExecutor(4) as pool:
        places = [tmp_path / str(index) for index in range(len(values))]
        tried = [
            pool.submit(problem_with, place, name, value, possible=value in possible)
            for place, value in zip(places, values, strict=True)
        ]
    problems = [each.result() for each in tried]
    injected(sum(value not in possible for value in values))
    assert [problem for problem in problems if problem] == []


@pytest.mark.parametrize("value", ["9" * 5000, "1,5", "1e400", "0x10", "1_"], ids=lambda value: value[:10])
def test_what_is_almost_a_number_is_refused(tmp_path: Path, value: str) -> None:
    assert problem_with(tmp_path / "0", "hidden", value) is None


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("name", WORDS)
def test_a_word_is_one_of_those_allowed_or_refused(tmp_path: Path, name: str) -> None:
    for index, value in enumerate(["", "nonsense", FIELDS[name].choices[0].upper()]):
        assert problem_with(tmp_path / str(index), name, value) is None
    injected(3)


ENDS = [
    ("temperature", "5e-324"),
    ("clip", "1e-300"),
    ("epsilon", "1e-30"),
    ("epochs", "1e-300"),
    ("beta1", "0.9999999999999999"),
    ("seed", "9223372036854775807"),
    ("threads", "1024"),
    ("chunk_length", "1000000000000000"),
    ("sample_length", "10000"),
]
"""Values at the ends of their ranges, or next to them, that train."""


@pytest.mark.slow
def test_the_ends_of_the_ranges_train(tmp_path: Path) -> None:
    places = [tmp_path / str(index) for index in range(len(ENDS))]
    with ThreadPoolExecutor(4) as pool:
        tried = [
            pool.submit(problem_with, place, *end, possible=True)
            for place, end in zip(places, ENDS, strict=True)
        ]
    injected(0)
    assert [each.result() for each in tried if each.result()] == []


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["--hidden", "1000000"], ["--hidden 1,000,000", "TB", "memory"]),
        (["--hidden", "1000000", "--dtype", "float64"], ["--hidden", "TB"]),
        (["--seq-length", "100000", "--batch-size", "65536"], ["--seq-length", "--batch-size", "TB"]),
        (["--seq-length", "10000"], ["seq-length", "10,001"]),
        (["--batch-size", "10000"], ["batch-size", "60,000"]),
        (["--chunks", "shuffled", "--chunk-length", "4"], ["--chunk-length", "at least"]),
        (["--preset", "dd2424-1999"], ["--preset", *PRESETS]),
        (["--no-such"], ["--no-such", "--help"]),
        (["--seed"], ["--seed", "--help"]),
        (["another.txt"], ["another.txt", "--help"]),
        (["--quiet=yes"], ["--quiet", "--help"]),
        (["--hidden", "8", "--hidden", "0"], ["--hidden", "allowed is"]),
    ],
)
def test_settings_that_cannot_be_met_are_refused(here: Path, settings: list[str], words: list[str]) -> None:
    assert_refused(charrnn(here, "train", "book.txt", *SMALL, *settings), here, *words)


@pytest.mark.parametrize("settings", [["--hidden", "1000000"], ["--batch-size", "65536", "--hidden", "9999"]])
def test_what_does_not_fit_is_refused_before_any_of_it_is_made(here: Path, settings: list[str]) -> None:
    nothing = most_memory(here, "train", "book.txt", *SMALL, "--hidden", "0")
    refused = most_memory(here, "train", "book.txt", *SMALL, *settings)
    assert (nothing[0], refused[0]) == (2, 2)
    assert refused[1] < nothing[1] + (16 << 20)


def test_a_batch_that_is_too_large_for_the_text_is_what_the_remedy_names(here: Path) -> None:
    # No window is short enough for 10,000 streams of 3,060 characters.
    finished = charrnn(here, "train", "book.txt", *SMALL, "--batch-size", "10000")
    assert "choose a smaller --batch-size" in finished.err


@pytest.mark.parametrize(
    "command", [["nonsense"], [""], ["--nonsense"], ["corpora", "x"], ["corpora", "--no"]]
)
def test_wrong_use_is_refused_in_a_sentence(here: Path, command: list[str]) -> None:
    assert_refused(charrnn(here, *command), here, "--help")


# -- the form of the dashboard -------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_form_refuses_what_the_command_line_refuses(
    here: Path, monkeypatch: pytest.MonkeyPatch, thorough: bool
) -> None:
    def started(*arguments: object, **more: object) -> None:
        pytest.fail("a run was started")

    monkeypatch.chdir(here)
    monkeypatch.setattr(app_module, "OwnedTrainer", started)

    async def fill_in() -> None:
        app = Dashboard(None, None, runs=here / "runs")
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            form = app.screen
            assert isinstance(form, new_run.NewRunScreen)
            while not all(form.query(f"#set-{name}") for name in NUMBERS):
                await pilot.pause()  # it is still being made
            for name in NUMBERS if thorough else NUMBERS[::3]:
                box = form.query_one(f"#set-{name}", Input)
                assert box.parent is not None
                values = [*NONSENSE, "9" * 5000, EVIL, MARKUP]
                for text in values if thorough else [values[len(name) % len(values)]]:
                    box.value = text
                    await pilot.pause()
                    told = str(box.parent.query_one(".help", Label).content)
                    assert_harmless(told)
                    assert ("allowed is " + FIELDS[name].allowed in told) == is_refused(name, text), text
                    injected()
                box.value = "nonsense"
                await pilot.press("ctrl+s")
                assert app.screen is form
                assert option_name(name) in str(form.query_one("#problem", Label).content)
                box.value = ""
            await pilot.press("escape")

    asyncio.run(fill_in())


def is_refused(name: str, text: str) -> bool:
    """Whether a value that is typed is none; nothing at all leaves a setting as it is."""
    try:
        FIELDS[name].parse(name, text.strip())
    except SettingsError:
        return bool(text.strip())
    return False
