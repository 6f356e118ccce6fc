"""What panes make of a history, and the values that they are made from, without a screen."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from charrnn_core.errors import UsageError
from charrnn_core.runs.history import History
from charrnn_tui.check_rows import notes_of, rows_of
from charrnn_tui.dashboard.loss_chart import LossView, chart_of, markers_of
from charrnn_tui.dashboard.panes.evolution import SampleLines, found, one_line
from charrnn_tui.dashboard.panes.gradients import check_lines
from charrnn_tui.dashboard.preferences import Preferences, read_keymap
from charrnn_tui.dashboard.screens.reading import entry_lines
from charrnn_tui.dashboard.spans import plain
from charrnn_tui.dashboard.stream import Stream, wrapped
from charrnn_tui.formatting import ago, characters_of_loss, clock, loss_of

SETTINGS = {"loss": "sum", "seq_length": 25}


def text_of(lines):
    return [plain(line) for line in lines]


# -- text that appears -------------------------------------------------------------------------------------


@given(st.text(alphabet="ab \n漢é", max_size=120), st.integers(2, 30))
def test_wrapped_lines_fit_and_lose_nothing_but_spaces_at_breaks(text, width):
    lines = list(wrapped(text, width))
    assert all(cell_len(line) <= width for _, line in lines)
    for place, line in lines:
        assert text[place : place + len(line)] == line
    assert "".join(line for _, line in lines).replace(" ", "") == text.replace("\n", "").replace(" ", "")


def appeared(stream):
    return "\n".join(text_of(stream.lines()))


def test_a_sample_appears_at_the_speed_of_reading():
    stream = Stream(40)
    stream.add("update 10", "", "x" * 54)
    assert stream.advance(0.5)
    assert appeared(stream).count("x") == 22  # 45 characters a second
    assert appeared(stream).endswith("▌")
    stream.advance(2.0)
    assert appeared(stream).count("x") == 54
    assert "▌" not in appeared(stream)
    assert not stream.advance(1.0)


def test_what_is_behind_catches_up():
    stream = Stream(40)
    for number in range(5):
        stream.add(f"update {number}", "", "y" * 1000)
    for _ in range(80):
        stream.advance(0.1)
    assert stream.waiting == 0
    assert appeared(stream).count("y") == 5000
    assert [line for line in text_of(stream.lines()) if "update" in line] == [f"update {n}" for n in range(5)]


def test_what_a_user_began_is_continued_and_set_apart():
    stream = Stream(20)
    stream.add("yours", "Once upon", "")
    stream.advance(0.1)
    stream.extend(" a time")
    stream.advance(5.0)
    line = stream.lines()[-1]
    assert [(span.text, span.role) for span in line] == [("Once upon", "key"), (" a time", "text")]


def test_a_narrower_screen_wraps_again():
    stream = Stream(30)
    stream.put("one", "", "the cat sat on the mat and slept")
    stream.put("two", "", "the end")
    stream.resize(10)
    assert all(len(line) <= 10 for line in text_of(stream.lines()))


def test_control_characters_of_a_sample_are_pictures():
    stream = Stream(40)
    stream.put("h\x1b[0m", "p\x07", "red \x1b[31m \u202e back")
    shown = appeared(stream)
    assert not set("\x1b\x07\u202e") & set(shown)
    assert "␛[31m" in shown


# -- gradients, evolution ----------------------------------------------------------------------------------


def row(parameter="W", passed=True, method="central", h0="zeros", error=1e-7):
    return {
        "parameter": parameter,
        "method": method,
        "h0": h0,
        "passed": passed,
        "maximum_relative_error": error,
        "window": "text",
    }


def test_checks_say_their_verdict_and_list_the_earlier_ones():
    checks = [{"update": n * 10, "rows": [row(), row("V", passed=n < 2)]} for n in range(3)]
    lines = text_of(check_lines(checks, None, 40))
    assert any(line.startswith("✗ V") for line in lines)
    assert any(line.startswith("✓ W") for line in lines)
    assert any("1 of 2 checks failed · update 20" in line for line in lines)
    earlier = text_of(check_lines(checks, 0, 40))
    assert any("all 2 checks passed · update 0" in line for line in earlier)
    assert [line.split()[1] for line in earlier if line.startswith(("✓  ", "✗  "))] == ["20", "10", "0"]


def training_row(parameter="W", *, note=None, passed=True, **more):
    return {
        **row(parameter, passed, "training", "carried", None if note else 3e-6),
        "dtype": "float32", "note": note, "step": None, "selection": "norm", **more,
    }  # fmt: skip


def test_what_was_not_compared_has_a_dash_its_reason_and_is_not_counted():
    rows = [row(), training_row(note="ill-conditioned: not compared"), training_row(window="fixed")]
    lines = text_of(check_lines([{"update": 4, "rows": rows}], None, 60))
    assert lines[0].split() == ["h₀", "=", "0", "training", "fixed"]
    assert lines[1].split() == ["✓", "W", "1.0e-07", "–", "3.0e-06"]
    assert any("all 2 checks passed, 1 not compared" in line for line in lines)
    assert "W: ill-conditioned: not compared" in lines


def test_a_check_that_compared_nothing_has_not_passed():
    nothing = [training_row(name, note="not finite: not compared") for name in "UW"]
    checks = [{"update": n, "rows": rows} for n, rows in enumerate(([row()], nothing))]
    shown = check_lines(checks, None, 60)
    lines = text_of(shown)
    assert "nothing could be compared · update 1" in lines
    assert [line.split()[:2] for line in lines if line.startswith("–")] == [
        ["–", "U"],
        ["–", "W"],
        ["–", "1"],
    ]
    assert not any("✗" in line or "passed" in line for line in lines)


def test_a_reason_from_a_log_is_made_harmless():
    rows = [training_row("\x1b[2JW", note="\x1b]0;title\x07" + "x" * 10_000)]
    shown = "\n".join(notes_of(rows))
    assert not set("\x1b\x07") & set(shown)
    assert len(shown) < 200


def test_entries_of_training_are_the_engines_beside_float64():
    compared = [{"index": [0, 3], "analytic": 0.25, "numeric": 0.5, "passed": False}]
    failed = text_of(entry_lines(training_row(passed=False, window="fixed", compared=compared)))
    assert failed[0] == "✗ training · h₀ carried · norm · fixed network"
    assert failed[1].split() == ["entry", "relative", "error", "engine", "float64"]
    assert failed[2].split() == ["0,", "3", "3.33e-01", "2.500000e-01", "5.000000e-01"]
    skipped = text_of(entry_lines(training_row(note="not finite: not compared", compared=[])))
    assert skipped[:2] == ["– training · h₀ carried · norm", "not finite: not compared"]


@pytest.mark.parametrize("rows", [None, 7, [], [None], [{}], ["x"], [row(error=None)], [row(error="x")]])
def test_a_log_with_strange_rows_is_shown_as_far_as_it_goes(rows):
    text_of(check_lines([{"update": 1, "rows": rows}], None, 30))
    assert all(isinstance(each, dict) for each in rows_of({"rows": rows}))


def test_samples_are_found_by_their_text():
    samples = [
        {"update": n, "text": f"\nThe {animal}\nran", "prime": ""} for n, animal in enumerate(["Fox", "cat"])
    ]
    assert [sample["update"] for sample in found(samples, "")] == [1, 0]
    assert [sample["update"] for sample in found(samples, "fOX")] == [0]
    assert found(samples, "dog") == []
    assert text_of(SampleLines([], None)) == ["no samples yet"]
    assert one_line(samples[0]["text"]) == "The Fox ran"


# -- loss --------------------------------------------------------------------------------------------------


def history(updates=500, **events):
    made = History()
    for update in range(0, updates, 10):
        loss = 100 - update / 10
        made.add(
            update,
            {
                "type": "progress", "update": update, "time": update / 100,
                "first_update": max(0, update - 9), "epoch": update / 50,
                "loss_mean": loss, "loss_min": loss - 5, "loss_max": loss + 5,
                "smooth_loss": loss,
            },
        )  # fmt: skip
    return made


def test_the_view_of_all_rests_while_the_run_goes_on():
    view = LossView()
    assert view.x_range(41_250) == view.x_range(42_400) == (0.0, 42_500)
    assert view.x_range(43_000) == (0.0, 45_000)
    assert view.x_range(0) == (0.0, 1.0)


def test_a_zoomed_view_follows_the_newest_update_or_stays():
    assert LossView(span=100.0).x_range(1000.0) == (900.0, 1000.0)
    assert LossView(span=100.0, end=500.0).x_range(1000.0) == (400.0, 500.0)
    assert LossView(span=100.0).x_range(30.0) == (0.0, 30.0)


@pytest.mark.parametrize("abscissa", ["update", "epoch", "time"])
@pytest.mark.parametrize("half_life", [0, 200])
def test_chart_draws_the_loss_over_updates_epochs_or_time(abscissa, half_life):
    view = LossView(abscissa=abscissa, half_life=half_life)
    drawing = chart_of(history(), SETTINGS, view, (60, 12), "ascii", {"other": history(300)})
    text = text_of(drawing.lines)
    assert len(text) == 12
    assert {len(line) for line in text} == {60}
    assert drawing.x_range[1] >= {"update": 490, "epoch": 9.8, "time": 4.9}[abscissa]
    assert "bits" in "".join(text)


def test_chart_of_a_run_without_updates_is_calm():
    drawing = chart_of(History(), SETTINGS, LossView(), (60, 12), "braille", {})
    assert any("no updates yet" in line for line in text_of(drawing.lines))


def test_markers_say_what_happened():
    made = history()
    for offset, event in enumerate(
        [
            {"type": "epoch", "update": 50, "time": 1.0},
            {"type": "checkpoint", "update": 70, "time": 1.0, "kind": "last"},
            {"type": "checkpoint", "update": 80, "time": 1.0, "kind": "best"},
            {"type": "checkpoint", "update": 90, "time": 1.0, "kind": "best"},
            {"type": "obeyed", "update": 95, "time": 1.0, "command": "c", "name": "set-learning-rate",
             "arguments": {"learning_rate": 0.05}},
        ]
    ):  # fmt: skip
        made.add(10_000 + offset, event)
    told = [(marker.role, marker.x) for marker in markers_of(made, "update")]
    assert told == [("epoch", 50), ("checkpoint", 70), ("intervention", 95), ("best", 90)]


# -- figures, preferences ----------------------------------------------------------------------------------


def test_figures_are_short_and_never_fail():
    assert [loss_of(value) for value in (45.678, 1234.5, math.nan, None, True, "x")] == [
        "45.68", "1.23e+03", "–", "–", "–", "–",
    ]  # fmt: skip
    assert characters_of_loss({"loss": "mean", "seq_length": 25}) == 1
    assert characters_of_loss(SETTINGS) == 25
    assert (clock(math.inf), ago(-3)) == ("–", "0 s ago")


def test_preferences_are_kept_and_a_broken_file_is_none(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert Preferences.read() == Preferences()
    Preferences().with_theme("nord").write()
    assert Preferences.read().theme == "nord"
    file = tmp_path / "charrnn" / "dashboard.json"
    for broken in (b"{", b"[]", b'{"theme": 3}', b"\xff"):
        file.write_bytes(broken)
        assert Preferences.read() == Preferences()


def test_keymap_is_toml_of_texts(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert read_keymap() == {}
    (tmp_path / "charrnn").mkdir()
    file = tmp_path / "charrnn" / "keys.toml"
    file.write_text('pause = "z"\n"rate.lower" = "minus"\n')
    assert read_keymap() == {"pause": "z", "rate.lower": "minus"}
    for broken in ("pause = 3\n", "pause =\n", "[a]\nb = 1\n"):
        file.write_text(broken)
        with pytest.raises(UsageError, match=r"keys\.toml"):
            read_keymap()
