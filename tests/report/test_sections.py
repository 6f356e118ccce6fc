"""What a report says of a run, section by section."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest

from charrnn_core.runs.liveness import RunState
from charrnn_core.text.corpus import corpus_of
from charrnn_tui.report.document import Block, Commands, Facts, LossFigure, Paragraph, Table, Written
from charrnn_tui.report.findings import Findings, TextFacts
from charrnn_tui.report.passage import Passage
from charrnn_tui.report.sections import learning, record
from charrnn_tui.report.sections.gradients import gradients, verdict
from charrnn_tui.report.sections.summary import summary
from charrnn_tui.report.telling import document_of
from charrnn_tui.report.units import counted, nats_and_bits, told_in_units
from charrnn_tui.report.words import CorpusWords

from .conftest import Events, begun_with, event, findings_of, recorded, recorded_events


def facts_of(found: Findings) -> dict[str, str]:
    (facts,) = (block for block in summary(found) if isinstance(block, Facts))
    return dict(facts.pairs)


def paragraphs(blocks: Any) -> list[Paragraph]:
    return [block for block in blocks if isinstance(block, Paragraph)]


def prose(blocks: Any) -> str:
    return "\n".join(paragraph.text for paragraph in paragraphs(blocks))


def tables(blocks: Any) -> list[Table]:
    return [block for block in blocks if isinstance(block, Table)]


def of_type(type: str) -> Events:
    return [each for each in recorded_events() if each["type"] == type]


def without(*types: str) -> Events:
    return [each for each in recorded_events() if each["type"] not in types]


def with_losses(*losses: float | None) -> Findings:
    """Return a run whose smooth losses were these, sums over 10 characters."""
    return findings_of(
        [
            event("progress", at, first_update=at, smooth_loss=loss, epoch=at / 2)
            for at, loss in enumerate(losses)
        ],
        update=len(losses) - 1,
    )


# -- summary: the state ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "reason", "tone", "words"),
    [
        ("training", None, "note", "This run still trains: what follows is how far it had come "),
        ("paused", None, "note", "This run is paused: what follows is how far it had come by update 400."),
        ("paused", "diverged", "note", "This run is paused"),
        ("interrupted", "stopped", "note", "not come to the end that was set (stopped, at update 400)"),
        ("interrupted", "signal SIGHUP", "note", "(stopped by signal SIGHUP, at update 400)"),
        ("crashed", None, "warning", "ended without saying why, after update 400. What follows is up to "
         "there; charrnn resume goes on."),
        ("ended", "diverged", "warning", "Training diverged at update 400: the loss or a weight is no"),
    ],
)  # fmt: skip
def test_the_state_of_a_run_that_did_not_end_by_itself_comes_first(
    state: RunState, reason: str | None, tone: str, words: str
) -> None:
    ended = [] if reason is None else [event("ended", 400, reason=reason)]
    first = next(iter(summary(findings_of([*without("ended"), *ended], state=state))))
    assert isinstance(first, Paragraph)
    assert words in first.text
    assert first.tone == tone


def test_of_a_run_that_ended_by_itself_no_state_is_told() -> None:
    blocks = list(summary(recorded()))
    assert [type(block) for block in blocks] == [Paragraph, Facts]
    assert paragraphs(blocks)[0].tone == "plain"
    assert facts_of(recorded())["End"] == "all updates done"
    assert "End" not in facts_of(findings_of(state="training"))


# -- summary: the abstract ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("losses", "words"),
    [
        ((40.0, 50.0, 30.0), "the smooth loss fell from 40.00 to 30.00 summed over 10 characters, "
         "which is 3.000 nats or 4.328 bits per character."),
        ((30.0, 20.0, 40.0), "the smooth loss rose from 30.00 to 40.00 summed"),
        ((30.0, 20.0, 30.0), "the smooth loss went from 30.00 to 30.00 summed"),
    ],
)  # fmt: skip
def test_the_course_of_the_loss_is_that_from_its_first_to_its_last(
    losses: tuple[float, ...], words: str
) -> None:
    assert words in prose(summary(with_losses(*losses)))
    assert "In 2 updates, 1.00 times through the 90 % of the text that is trained on" in prose(
        summary(with_losses(*losses))
    )


def test_without_held_out_text_all_of_the_text_is_trained_on() -> None:
    found = findings_of(begun_with=begun_with(held_out=0.0))
    told = prose(summary(found))
    assert "4.26 times through the text, the smooth loss" in told
    assert (
        "Of the states after every 100 updates, that of update 400 is the best, with a smooth loss of" in told
    )
    assert "held out" not in facts_of(found)["Text"]
    assert facts_of(found)["Best"].startswith("a smooth loss of 1.03 summed over 10 characters")


def test_an_update_that_was_not_done_has_no_course() -> None:
    for found in (
        with_losses(40.0),
        with_losses(40.0, None),
        with_losses(None, 40.0),
        findings_of([], update=0),
    ):
        assert "No update was done yet: what follows is of the untrained network." in prose(summary(found))


def test_what_a_guess_costs_is_told_in_both_units() -> None:
    told = prose(summary(recorded()))
    assert (
        f"Guessing among all characters alike costs {math.log(54):.3f} nats or {math.log2(54):.3f} bits"
        in told
    )
    assert ", and knowing only how frequent each is 3.165 nats" in told
    unread = prose(summary(findings_of(text=None)))
    assert f"or {math.log2(54):.3f} bits." in unread
    assert "Guessing" not in prose(summary(findings_of(corpus={"vocabulary_size": 1})))


def test_a_best_loss_that_is_no_number_is_not_told() -> None:
    assert "is the best, with a held-out loss of 1.025 nats or 1.479 bits" in prose(summary(recorded()))
    none = [*without("checkpoint"), event("checkpoint", 7, kind="best", loss="low")]
    assert "is the best" not in prose(summary(findings_of(none)))
    assert "is the best" not in prose(summary(findings_of(without("checkpoint"))))


# -- summary: the figures ----------------------------------------------------------------------------------


def test_the_held_out_loss_is_the_first_and_the_last_and_not_the_smallest() -> None:
    scores = [event("validated", at, loss=loss) for at, loss in enumerate((4.0, 1.0, None, 2.0, "low"))]
    found = findings_of([*without("validated"), *scores])
    assert facts_of(found)["Held-out loss"] == (
        "first 4.000 nats or 5.771 bits, last 2.000 nats or 2.885 bits per character"
    )
    assert "Held-out loss" not in facts_of(findings_of(without("validated")))


def obeyed(update: int, rate: float) -> dict[str, Any]:
    given = {"learning_rate": rate}
    return event("obeyed", update, command=str(update), name="set-learning-rate", arguments=given)


def test_all_learning_rates_are_told_from_the_update_that_has_them() -> None:
    changes = [
        obeyed(1999, 0.01),
        obeyed(2500, 0.01),
        obeyed(3000, 9.0),
        obeyed(3000, 0.02),
        obeyed(4000, 1e-5),
    ]
    assert facts_of(findings_of(changes))["Optimizer"] == (
        "adam, learning rate 0.02, 0.01 from update 2,000, 0.02 from update 3,001, 1e-05 from update 4,001, "
        "gradients clipped to ±5"
    )
    plain = findings_of([obeyed(7, 0.02)], begun_with=begun_with(clip=None))
    assert facts_of(plain)["Optimizer"] == "adam, learning rate 0.02, no clipping"


def test_the_training_is_told_with_its_duration_and_speed() -> None:
    events = [event("progress", 1, 0.5, first_update=1, epoch=0.25, smooth_loss=1.0)]
    assert facts_of(findings_of(events, update=1))["Training"] == (
        "1 update, 0.25 epochs in 0.5 seconds, 2 updates a second"
    )
    events = [event("progress", 6000, 600.0, first_update=1, epoch=0.0, smooth_loss=None)]
    facts = facts_of(findings_of(events, update=6000))
    assert facts["Training"] == "6,000 updates, 0.00 epochs in 10.0 minutes, 10 updates a second"
    assert "Smooth loss" not in facts
    assert facts_of(findings_of([], update=0))["Training"] == "0 updates, 0.00 epochs in 0.0 seconds"


def test_the_parameters_of_the_network_are_counted() -> None:
    parameters = 24 * 54 + 24 * 24 + 54 * 24 + 24 + 54
    assert f": {parameters:,} parameters in float64" in facts_of(recorded())["Network"]


def test_losses_are_told_in_their_unit() -> None:
    assert told_in_units(30.0, recorded()) == (
        "30.00 summed over 10 characters, which is 3.000 nats or 4.328 bits per character"
    )
    mean = findings_of(begun_with=begun_with(loss="mean"))
    assert told_in_units(2.0, mean) == "2.000 nats or 2.885 bits per character"
    assert told_in_units("low", mean) == "– nats or – bits per character"
    assert nats_and_bits(math.log(2)) == "0.693 nats or 1.000 bits"
    assert [counted(count, "word") for count in (0, 1, 2, 1000)] == [
        "0 words",
        "1 word",
        "2 words",
        "1,000 words",
    ]


# -- gradient check ----------------------------------------------------------------------------------------


def check(update: int = 0, **wrong: Any) -> dict[str, Any]:
    """Return the recorded check, at an update; with what is given in the rows of W."""
    (made,) = copy.deepcopy(of_type("gradients_checked"))
    for row in made["rows"]:
        if row["parameter"] == "W":
            row.update(wrong)
    return {**made, "update": update}


FAILED = {"passed": False}


def test_all_checks_count_in_the_verdict() -> None:
    assert verdict(findings_of([])) == "not made"
    assert verdict(findings_of([check()])) == "all 20 comparisons agree"
    assert verdict(findings_of([check(**FAILED), check(9)])) == "failed for W"
    assert verdict(findings_of([check(), check(9)])) == "all 20 comparisons agree"
    later = [check(), check(9, **FAILED), check(10), check(11, **FAILED)]
    assert verdict(findings_of(later)) == "all 20 comparisons agree at first; 2 of 3 later checks failed"
    assert facts_of(findings_of(later))["Gradient check"] == verdict(findings_of(later))
    assert verdict(findings_of([event("gradients_checked", 0, rows="none")])) == "not readable"


def test_a_check_that_compared_nothing_agrees_with_nothing() -> None:
    made = check()
    for row in made["rows"]:
        row |= {"note": "not finite: not compared", "entries": 0, "maximum_relative_error": None}
    found = findings_of([made])
    assert verdict(found) == "nothing could be compared"
    tables = [block for block in gradients(found) if isinstance(block, Table)]
    assert len(tables) > 1
    assert {row[-1] for table in tables for row in table.rows} == {"–"}


def test_training_is_in_the_table_and_what_was_not_compared_is_said() -> None:
    whole = check()
    same = {**whole["rows"][0], "method": "training", "step": None, "h0": "carried", "selection": "norm"}
    same |= {"dtype": "float32", "maximum_relative_error": 2e-6, "tolerance": 1e-4, "window": "fixed"}
    skipped = {**same, "parameter": "W", "window": "text", "maximum_relative_error": None}
    skipped["note"] = "ill-conditioned: not compared"
    found = findings_of([{**whole, "rows": [*whole["rows"], skipped, same]}])
    assert verdict(found) == "all 21 comparisons agree, 1 could not be made"
    notes = [paragraph.text for paragraph in paragraphs(gradients(found)) if paragraph.tone == "note"]
    assert any(note.startswith("The training gradient is that of a copy of the engine") for note in notes)
    assert "Not everything could be compared. W: ill-conditioned: not compared." in notes
    (table,) = [
        block
        for block in gradients(found)
        if isinstance(block, Table) and block.caption.startswith("Largest")
    ]
    told = {row[0]: row[1:] for row in table.rows if row[0].startswith("training gradient, float32")}
    assert [row[-1] for row in told.values()] == ["–", "yes"]
    assert sorted(cell for row in told.values() for cell in row[:-1] if cell != "–") == ["2.0e-06"]


def test_later_checks_are_told_in_a_sentence_each() -> None:
    told = paragraphs(gradients(findings_of([check(), check(1200), check(1300, **FAILED)])))[-2:]
    assert told[0] == Paragraph("Checked again after update 1,200: all 20 comparisons agree.")
    assert told[1] == Paragraph("Checked again after update 1,300: failed for W.", "warning")


def test_a_check_that_failed_is_a_warning() -> None:
    blocks = list(gradients(findings_of([check(5, **FAILED)])))
    assert Paragraph("The check failed for W.", "warning") in blocks
    assert "before clipping, after update 5. The" in prose(blocks)
    assert "before clipping, before the first update. The" in prose(gradients(recorded()))
    assert not any(paragraph.tone == "warning" for paragraph in paragraphs(gradients(recorded())))


def test_what_failed_is_marked_in_both_tables() -> None:
    reference, others = tables(gradients(findings_of([check(**FAILED)])))
    agrees = {row[0]: row[-1] for row in reference.rows}
    assert agrees == {"U": "yes", "W": "NO", "V": "yes", "b": "yes", "c": "yes"}
    assert [row[-1] for row in others.rows] == ["NO"] * 3
    one = check()
    last = [row for row in one["rows"] if row["window"] == "stress"]
    last[0]["passed"] = False
    reference, others = tables(gradients(findings_of([one])))
    assert [row[-1] for row in others.rows] == ["yes", "yes", "NO"]
    assert {row[-1] for row in reference.rows} == {"yes"}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"maximum_relative_error": 2e-4, "passed": True}, True),
        ({"maximum_relative_error": 2e-4, "passed": False}, False),
        ({"maximum_relative_error": 1e-12, "passed": True}, False),
    ],
)
def test_an_error_above_the_tolerance_that_passes_is_explained(row: dict[str, Any], told: bool) -> None:
    notes = [each.text for each in paragraphs(gradients(findings_of([check(**row)]))) if each.tone == "note"]
    assert any(text.startswith("An error above the tolerance passes where") for text in notes) is told


def test_checks_that_were_not_made_are_a_note() -> None:
    assert list(gradients(findings_of([]))) == [
        Paragraph("The gradients of this run were not checked.", "note")
    ]


# -- loss --------------------------------------------------------------------------------------------------


def caption(events: Events) -> str:
    (figure,) = (block for block in learning.loss(findings_of(events)) if isinstance(block, LossFigure))
    return figure.caption.split(".")[0]


def test_a_caption_says_what_the_figure_shows() -> None:
    begins = "The smooth loss over the smallest and the largest loss of each stretch of updates"
    assert caption(without("validated", "epoch", "checkpoint", "resumed")) == begins
    assert caption(without("validated", "resumed")) == f"{begins}, the ends of epochs, the best state"
    assert caption(without("epoch", "checkpoint", "resumed")) == f"{begins}, the held-out loss"
    rates = [obeyed(100, 0.01), obeyed(200, 0.03)]
    assert caption([*of_type("progress"), *rates]) == f"{begins}, changes of the learning rate"
    ended = event("ended", 400, reason="diverged")
    assert caption([*of_type("progress"), ended]) == f"{begins}, the divergence"


def test_a_change_of_the_rate_is_in_the_caption_only_if_it_is_in_the_figure() -> None:
    started = event("started", 0, settings={"learning_rate": 0.02})
    assert "changes of" in caption([started, *of_type("progress"), obeyed(100, 0.01)])
    assert "changes of" not in caption([started, *of_type("progress"), obeyed(100, 0.02), obeyed(200, 0.02)])


# -- evolution ---------------------------------------------------------------------------------------------


def samples_at(*temperatures: Any) -> Findings:
    return findings_of(
        [
            event("sample", at, text=f"the{at}", temperature=temperature, smooth_loss=30.0)
            for at, temperature in enumerate(temperatures)
        ]
    )


@pytest.mark.parametrize(
    ("temperatures", "sentence", "column"),
    [
        ((1.0, 1.0), "", None),
        ((0.7, 0.7), "Drawn at temperature 0.7.", None),
        ((0.0, 0.0), "Drawn at temperature 0.", None),
        ((1.0, 0.5), "", ["1", "0.5"]),
        ((0.5, None, 1.0), "", ["0.5", "–", "1"]),
        ((None, None), "", None),
    ],
)
def test_temperatures_are_told_once_or_in_a_column(
    temperatures: tuple[Any, ...], sentence: str, column: list[str] | None
) -> None:
    blocks = list(learning.evolution(samples_at(*temperatures)))
    (table,) = tables(blocks)
    told = [each.text for each in paragraphs(blocks) if each.text.startswith("Drawn")]
    assert told == ([sentence] if sentence else [])
    titles = [each.title for each in table.columns]
    if column is None:
        assert "temperature" not in titles
    else:
        assert [row[titles.index("temperature")] for row in table.rows] == column
    assert all(len(row) == len(titles) for row in table.rows)


def test_a_sample_stands_beside_its_loss_in_all_units() -> None:
    (table,) = tables(learning.evolution(samples_at(1.0)))
    assert [column.title for column in table.columns] == [
        "update", "smooth loss", "nats", "bits", "known words", "text",
    ]  # fmt: skip
    assert list(table.rows[0]) == ["0", "30.00", "3.000", "4.328", "100 %", "the0"]
    found = findings_of([event("sample", 1, text="x 1", smooth_loss=30.0)])
    assert tables(learning.evolution(found))[0].rows[0][4] == "–"
    found = findings_of([event("sample", 1, text="\n\n the\n", smooth_loss="low")], text=None)
    (table,) = tables(learning.evolution(found))
    assert list(table.rows[0]) == ["1", "–", "–", "–", " the"]


def text_of(text: str) -> TextFacts:
    return TextFacts(CorpusWords(corpus_of(text)), 1.0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("猫坐在垫子上。\n", "This text has no spaces between its words, and so they were not looked up."),
        ("1 2 3\n", "The text has no words to look for."),
    ],
)
def test_a_text_without_words_has_none_that_are_known(text: str, told: str) -> None:
    found = findings_of(text=text_of(text))
    assert list(learning.words(found)) == [Paragraph(told, "note")]
    (table,) = tables(learning.evolution(found))
    assert "known words" not in [column.title for column in table.columns]
    assert "Known words" not in prose(learning.evolution(found))


# -- passage and words -------------------------------------------------------------------------------------


def test_the_passage_is_told_with_the_state_that_wrote_it() -> None:
    best = list(learning.passage(findings_of(passage=Passage("\nab\n", 1200, "best"))))
    assert best == [
        Paragraph("4 characters at temperature 1 from the best state, after update 1,200."), Written("ab"),
    ]  # fmt: skip
    for kind in ("last", "previous"):
        told = prose(learning.passage(findings_of(passage=Passage("ab", 80, kind))))
        assert "from the last state that was saved, after update 80: none counts as the best yet." in told
    assert "No checkpoint can be read" in prose(learning.passage(findings_of(passage=None)))


def test_words_of_the_first_and_the_last_sample_and_the_passage_are_counted() -> None:
    texts = ["the river. ", "xx yy zz. ", "said the ledger. "]
    samples = [event("sample", at, text=text) for at, text in enumerate(texts)]
    passage = Passage("Oda said. Oda met the river. ", 7, "best")
    (table,) = tables(learning.words(findings_of(samples, passage=passage)))
    assert table.rows == [
        ("sample after update 0", "2", "2", "100 %"),
        ("sample after update 2", "3", "3", "100 %"),
        ("passage of update 7", "6", "5", "83 %"),
    ]
    (table,) = tables(learning.words(findings_of(samples[:1], passage=None)))
    assert [row[0] for row in table.rows] == ["sample after update 0"]
    assert prose(learning.words(findings_of([], passage=None))) == "The network has not written anything yet."


def test_names_of_all_samples_and_the_passage_are_told() -> None:
    sample = event("sample", 1, text="Oda Oda. ")
    asked = event("sample", 2, text="Oda. ", command="1")
    found = findings_of([sample, asked], passage=Passage("Oda. ", 7, "best"))
    assert "the text writes with a capital more often than without): Oda (4)." in prose(learning.words(found))
    nothing = findings_of([event("sample", 1, text="oda. ")], passage=None)
    assert "Names" not in prose(learning.words(nothing))


def test_of_very_many_names_the_most_frequent_are_told() -> None:
    names = [f"N{chr(97 + at)}me" for at in range(26)]
    found = findings_of(
        [event("sample", 1, text=" ".join([*names, names[25]]) + ". ")],
        text=text_of(" ".join(names) + ".\n"),
        passage=None,
    )
    told = prose(learning.words(found)).split("without): ")[1]
    assert told.startswith("Nzme (2), Name (1), ")
    assert told.count("(") == 24


# -- what happened -----------------------------------------------------------------------------------------


def happened(*events: dict[str, Any]) -> list[Block]:
    return list(record.events(findings_of(list(events))))


def rows_of(*events: dict[str, Any]) -> list[tuple[str, ...]]:
    (table,) = tables(happened(*events))
    return [tuple(row) for row in table.rows]


def test_commands_that_were_obeyed_and_refused_are_told_apart() -> None:
    assert rows_of(
        event("obeyed", 1200, command="1", name="sample", arguments={"length": 30, "prime": "a"}),
        event("obeyed", 1201, command="2", name="checkpoint", arguments={}),
        event("refused", 1202, command="3", reason="no such command", name="fly"),
    ) == [
        ("1,200", "obeyed sample, length 30, prime a"),
        ("1,201", "obeyed checkpoint"),
        ("1,202", "refused a command: no such command"),
    ]


def test_warnings_and_openings_are_told() -> None:
    resumed = {"log_length": 10, "settings": {"learning_rate": 0.02}, "checkpoint": "previous"}
    assert rows_of(
        event("started", 0, settings={"learning_rate": 0.02}),
        event("resumed", 5, changed={"updates": 9, "sample_every": None}, **resumed),
        event("resumed", 6, changed={}, **resumed),
        event("warning", 7, message="the disk is full"),
    ) == [
        ("5", "went on from the checkpoint previous with updates = 9, sample_every = None"),
        ("6", "went on from the checkpoint previous"),
        ("7", "warning: the disk is full"),
    ]


def test_nothing_is_told_of_a_run_that_was_left_alone() -> None:
    assert happened(event("started", 0, settings={})) == []
    titles = [section.title for section in document_of(findings_of([])).sections]
    assert "What happened" not in titles
    assert "What happened" in [section.title for section in document_of(recorded()).sections]


def test_of_very_many_events_the_last_are_told_in_their_order() -> None:
    warnings = [event("warning", at, at / 10, message=f"no. {at}") for at in range(0, 90, 2)]
    commands = [
        event("obeyed", at, at / 10, name=f"no. {at}", command="", arguments={}) for at in range(1, 90, 2)
    ]
    blocks = happened(*warnings, *commands)
    assert paragraphs(blocks) == [Paragraph("The last 40 of 90.", "note")]
    (table,) = tables(blocks)
    assert [row[0] for row in table.rows] == [str(at) for at in range(50, 90)]
    assert paragraphs(happened(*warnings[:40])) == []
    assert len(rows_of(*warnings[:40])) == 40


def test_events_of_one_update_are_told_in_the_order_of_time() -> None:
    told = rows_of(
        event("refused", 5, 0.3, reason="third"),
        event("warning", 5, 0.2, message="second"),
        event("refused", 5, 0.1, reason="first"),
        event("warning", 4, 0.9, message="before"),  # time of training went back when it was resumed
    )
    assert [words.split(": ")[1] for _, words in told] == ["before", "first", "second", "third"]


# -- how to reproduce --------------------------------------------------------------------------------------


def test_what_the_command_needs_is_told() -> None:
    def condition(found: Findings) -> str:
        return paragraphs(record.reproducing(found))[0].text

    assert condition(recorded()).startswith(
        "The learning rate was changed on the way. With the directory of the"
    )
    plain = findings_of(without("resumed"))
    assert condition(plain).startswith(
        "The text came from standard input and is kept in the run's directory."
    )
    bundled = findings_of(without("resumed"), corpus={"kind": "bundled", "name": "tales"})
    assert (
        condition(bundled)
        == "With the same text, this gives the same network bit for bit on the same machine:"
    )
    (command,) = (block for block in record.reproducing(bundled) if isinstance(block, Commands))
    assert command.lines[0].startswith("charrnn train tales --hidden 24")


def test_all_settings_are_told_with_what_they_were_at_first() -> None:
    settings, facts = (block for block in record.reproducing(recorded()) if isinstance(block, Facts))
    told = dict(settings.pairs)
    assert list(told) == ["Network", "Learning", "Text", "Stopping", "Samples", "Saving and machine"]
    names = [part.split(" ")[0] for words in told.values() for part in words.split(" · ")]
    assert sorted([*names, "engine", "threads"]) == sorted(recorded().begun_with.to_json())
    assert "learning_rate 0.02 ·" in told["Learning"]
    assert "epochs none" in told["Stopping"]
    assert list(dict(facts.pairs)) == [
        "digest of the text", "digest of the last state", "versions", "engine", "threads", "blas",
        "machine",
    ]  # fmt: skip
    _, facts = (block for block in record.reproducing(findings_of([], corpus={})) if isinstance(block, Facts))
    assert facts.pairs == [("digest of the text", "–")]


# -- the whole ---------------------------------------------------------------------------------------------


def test_a_document_is_named_after_the_text_and_the_run() -> None:
    document = document_of(findings_of(name="my run", created="2026-11-26T21:54:50Z"))
    assert document.title == "A character-level RNN on input"
    assert document.subtitle == "my run · m = 24 · adam 0.02 · 2026-11-26"
    assert [section.title for section in document.sections] == [
        "Summary", "Gradient check", "Loss", "Evolution of the text", "Best passage", "Words",
        "What happened", "Settings and how to reproduce this",
    ]  # fmt: skip
    assert document_of(findings_of(corpus={})).title == "A character-level RNN on a text"
