"""The document of a run: byte for byte, honest about what went wrong, and harmless whatever a text holds."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from charrnn_core import __version__
from charrnn_core.errors import CorpusError, RunDirectoryError
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.starting import start
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings
from charrnn_tui.report.findings import Findings, find
from charrnn_tui.report.markdown import markdown
from charrnn_tui.report.telling import document_of
from charrnn_tui.report.writing import report_html, report_markdown, write_report

from .conftest import GOLDEN, Events, recorded, recorded_events

Altered = Callable[..., RunDirectory]
Recorded = Callable[[bytes, str], bool]

HOSTILE = (
    "<script>alert('\x1b[31mred\x07')</script> \u202eback\u2066 | `code` ``` &amp; <img src=x onerror=y>\r\0"
)


def without_file(text: str) -> str:
    """Return Markdown without the line of its figure."""
    return re.sub(r"!\[[^\n]*\n\n", "", text)


# -- golden ------------------------------------------------------------------------------------------------


def test_the_report_of_the_recorded_run_is_the_recorded_report(tmp_path: Path, is_recorded: Recorded) -> None:
    written = write_report(RunDirectory(GOLDEN / "tiny"), tmp_path / "tiny.md", "md")
    assert written == [tmp_path / "tiny.md", tmp_path / "tiny-loss.svg"]
    assert is_recorded((tmp_path / "tiny.md").read_bytes(), "tiny.md")


def test_the_report_of_a_killed_run_is_the_recorded_report(tmp_path: Path, is_recorded: Recorded) -> None:
    write_report(RunDirectory(GOLDEN / "other"), tmp_path / "other.md", "md")
    assert is_recorded((tmp_path / "other.md").read_bytes(), "other.md")


def test_the_page_of_the_recorded_run_is_the_recorded_page_apart_from_its_figures(
    tmp_path: Path, is_recorded: Recorded
) -> None:
    assert write_report(RunDirectory(GOLDEN / "tiny"), tmp_path / "a.html", "html") == [tmp_path / "a.html"]
    page = (tmp_path / "a.html").read_text()
    page = re.sub("<svg.*?</svg>\n", "<svg></svg>", page, flags=re.DOTALL)
    page = page.replace(f'content="charrnn {__version__}"', 'content="charrnn VERSION"')
    assert is_recorded(page.encode(), "tiny.html")


def test_the_same_run_gives_the_same_html_twice() -> None:
    assert report_html(recorded()) == report_html(recorded())


# -- states that a run can be in ---------------------------------------------------------------------------


def without_end(events: Events) -> Events:
    return [event for event in events if event["type"] != "ended"]


def ending(reason: str) -> Callable[[Events], Events]:
    return lambda events: [*without_end(events), {**events[-1], "reason": reason, "smooth_loss": None}]


def up_to(update: int) -> Callable[[Events], Events]:
    return lambda events: [event for event in without_end(events) if event["update"] <= update]


def but(*types: str) -> Callable[[Events], Events]:
    return lambda events: [event for event in events if event["type"] not in types]


STATES: dict[str, tuple[Callable[[Events], Events], str]] = {
    "crashed": (without_end, "ended without saying why, after update 400"),
    "interrupted": (ending("signal SIGINT"), "(stopped by signal SIGINT, at update 400)"),
    "diverged": (ending("diverged"), "Training diverged at update 400"),
    "one update": (up_to(1), "In 1 update, "),
    "no update": (up_to(0), "No update was done yet"),
    "no samples": (but("sample"), "No samples were drawn by schedule"),
    "no checks": (but("gradients_checked"), "The gradients of this run were not checked"),
    "no progress": (but("progress", "sample", "checkpoint", "epoch", "validated"), "No loss is recorded"),
    "no events": (lambda events: [], "The gradients of this run were not checked"),
}


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("state", STATES)
def test_a_report_says_what_state_the_run_is_in(state: str, altered: Altered) -> None:
    change, words = STATES[state]
    found = find(altered(change(recorded_events())))
    assert words in report_markdown(found)
    assert words in report_html(found)


def test_a_run_without_a_checkpoint_has_no_passage(altered: Altered) -> None:
    directory = altered()
    directory.checkpoint_file("best").path.unlink()
    assert "No checkpoint can be read" in report_markdown(find(directory))


def test_a_failed_check_is_told_as_one(altered: Altered) -> None:
    events = recorded_events()
    for event in events:
        for row in event.get("rows", []):
            row["passed"] = row["parameter"] != "W"
    text = report_markdown(find(altered(events)))
    assert "**The check failed for W.**" in text
    assert "| Gradient check | failed for W |" in text


def test_a_text_that_is_gone_leaves_out_the_words_and_says_so(altered: Altered) -> None:
    directory = altered()
    directory.corpus_file.path.unlink()
    text = report_markdown(find(directory))
    assert "The words were not looked up" in text
    assert "known words" not in text


def test_another_text_is_refused_where_it_is_given_and_told_where_it_is_found(
    altered: Altered, tmp_path: Path
) -> None:
    directory = altered()
    other = tmp_path / "other.txt"
    other.write_text("quite another text\n")
    with pytest.raises(CorpusError, match="not the one that the run was trained on"):
        find(directory, corpus=str(other))
    directory.corpus_file.path.write_text("quite another text\n")
    assert "not the one that the run was trained on" in report_markdown(find(directory))


def test_samples_that_were_asked_for_are_not_the_evolution(altered: Altered) -> None:
    events = recorded_events()
    sample = next(event for event in events if event["type"] == "sample")
    events.insert(-1, {**sample, "command": "1", "text": "asked for by hand", "update": 400})
    assert "asked for by hand" not in report_markdown(find(altered(events)))


def test_of_many_samples_some_are_shown_with_the_first_and_the_last(altered: Altered) -> None:
    events = recorded_events()
    sample = next(event for event in events if event["type"] == "sample")
    many = [{**sample, "update": update, "text": f"no. {update} of them"} for update in range(400)]
    text = report_markdown(find(altered([*but("sample")(events)[:-1], *many, events[-1]])))
    assert "no. 0 of them" in text
    assert "no. 399 of them" in text
    assert text.count(" of them`") <= 25
    assert "of 400 samples" in text


# -- how to repeat it --------------------------------------------------------------------------------------


def commands(found: Findings) -> str:
    return report_markdown(found).split("```sh\n")[1].split("\n```")[0]


def test_a_run_whose_rate_was_changed_is_repeated_by_replay() -> None:
    assert commands(find(RunDirectory(GOLDEN / "tiny"))) == "charrnn train --replay tiny"


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({}, "charrnn train corpus.txt"),
        ({"updates": None, "epochs": 2.0}, "charrnn train corpus.txt --epochs 2"),
        (
            {"stop_below": 40.0, "updates": None, "seed": 7},
            "charrnn train corpus.txt --seed 7 --stop-below 40",
        ),
        (Settings.of("dd2424-2026").to_json(), "charrnn train corpus.txt --preset dd2424-2026"),
        ({"optimizer": "adam", "learning_rate": 0.001}, "charrnn train corpus.txt --optimizer adam"),
        ({"clip": None, "hidden": 250}, "charrnn train corpus.txt --hidden 250 --clip none"),
    ],
)
def test_the_command_has_the_options_that_differ_from_a_preset(
    settings: dict[str, Any], command: str, altered: Altered
) -> None:
    whole = {**Settings().to_json(), **settings}
    ended = next(event for event in recorded_events() if event["type"] == "ended")
    reason = "updates" if whole["updates"] else "epochs"
    assert commands(find(altered([{**ended, "reason": reason}], settings=whole))) == command


def test_an_interrupted_run_is_repeated_up_to_where_it_came(altered: Altered) -> None:
    events = ending("signal SIGTERM")(but("resumed")(recorded_events()))
    assert "--updates 400" in commands(find(altered(events)))


# -- what a text can hold ----------------------------------------------------------------------------------


class Page(HTMLParser):
    """What of a page a browser would act on."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "action"):
                self.addresses.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def hostile_run(altered: Altered) -> RunDirectory:
    events = recorded_events()
    for event in events:
        if event["type"] == "sample":
            event["text"] = HOSTILE
    warning = {"type": "warning", "update": 7, "time": 0.1, "message": HOSTILE}
    refused = {"type": "refused", "update": 8, "time": 0.1, "command": HOSTILE, "reason": HOSTILE}
    return altered([*events[:-1], warning, refused, events[-1]], corpus={"name": HOSTILE})


def test_a_page_has_nothing_that_a_text_brought_in(altered: Altered) -> None:
    page = Page()
    text = report_html(find(hostile_run(altered)))
    page.feed(text)
    assert not page.tags & {"script", "img", "iframe", "object", "embed", "form", "base"}
    assert not page.handlers
    assert all(address.startswith(("#", "data:,")) for address in page.addresses)
    assert "<script>alert('␛[31mred␇')</script> \ufffdback\ufffd" in "".join(page.text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)


def test_markdown_shows_a_hostile_text_as_code(altered: Altered) -> None:
    text = report_markdown(find(hostile_run(altered)))
    assert "<script>" not in re.sub("(`+).*?\\1", "", text)  # outside of code
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", text)
    rows = [line for line in text.splitlines() if line.startswith("|") and "alert" in line]
    assert rows
    columns = 6
    for row in rows[:1]:
        assert len(re.findall(r"(?<!\\)\|", row)) == columns + 1


@pytest.mark.slow
def test_a_network_that_has_learnt_escape_sequences_writes_them_as_pictures(tmp_path: Path) -> None:
    settings = Settings.of(hidden=7, seq_length=4, updates=300, sample_every=100, sample_length=40)
    process = start(settings, corpus_of("\x1b[31m\u202e<b>`|\n" * 60), runs=tmp_path, name="hostile")
    process.run(lambda item: None)
    found = find(process.directory)
    assert found.passage is not None
    assert "\x1b" in found.passage.text
    for text in (report_html(found), report_markdown(found)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "␛" in text
    assert "<b>" not in report_html(found)


@pytest.mark.slow(sparing=4)
@pytest.mark.parametrize(
    "line",
    [
        {"type": "sample", "update": 3, "time": 0.1, "text": 7, "smooth_loss": "low"},
        {"type": "sample", "update": 3, "time": 0.1, "text": "a", "temperature": [], "smooth_loss": None},
        {"type": "sample", "update": 3, "time": 0.1, "text": "a", "temperature": "hot", "smooth_loss": 1e299},
        {"type": "gradients_checked", "update": 3, "time": 0.1, "rows": "none"},
        {
            "type": "gradients_checked", "update": 3, "time": 0.1,
            "rows": [{"parameter": "Q", "method": "magic", "h0": "no", "passed": 1, "worst": 3, "shape": 5}],
        },
        {"type": "checkpoint", "update": 3, "time": 0.1, "kind": "best", "loss": "low"},
        {"type": "obeyed", "update": 3, "time": 0.1, "command": 5, "name": None, "arguments": 3},
        {"type": "warning", "update": 3, "time": 0.1},
        {"type": "validated", "update": 3, "time": 0.1, "loss": None},
        {"type": "epoch", "update": 3, "time": 0.1},
        {"type": "ended", "update": 3, "time": 0.1, "reason": ["none"]},
        {"type": "started", "update": 0, "time": 0.0, "versions": 3, "settings": None},
    ],
    ids=lambda line: f"{line['type']}-{sorted(map(str, line.values()))[0]}",
)  # fmt: skip
@pytest.mark.parametrize("place", ["first", "last"])
def test_events_of_another_program_do_not_break_a_report(
    line: dict[str, Any], place: str, altered: Altered
) -> None:
    events = recorded_events()
    changed = [line, *events] if place == "first" else [*events, line]
    found = find(altered(changed))
    markdown(document_of(found), "")
    if place == "last":
        report_html(found)


def test_what_is_no_run_is_refused(altered: Altered, tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError):
        find(RunDirectory(tmp_path))
    with pytest.raises(RunDirectoryError, match="hidden"):
        find(altered(settings={"hidden": -1}))


def test_a_configuration_without_facts_of_the_text_is_reported(altered: Altered) -> None:
    directory = altered()
    config = directory.config()
    directory.write_config({**config, "corpus": {}})
    assert "does not say which text" in report_markdown(find(directory))
