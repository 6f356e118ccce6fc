"""Every test of `tests/faults` was seen to fail where the program was made careless, and still would be."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.faults.sabotage import PROJECT, SABOTAGES, Sabotage, every_test, recorded


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_sabotage_can_be_applied(sabotage: Sabotage, tmp_path: Path) -> None:
    for file in {file for file, _, _ in sabotage.changes}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, tmp_path / file)
    sabotage.apply(tmp_path)
    for file in {file for file, _, _ in sabotage.changes}:
        compile((tmp_path / file).read_text(encoding="utf-8"), file, "exec")


NOT_YET = {
    "hostile_directory::test_a_folder_with_a_newline_in_its_name",
    "hostile_directory::test_any_log_is_listed_drawn_and_reported",
    "hostile_directory::test_any_log_is_shown_in_the_dashboard",
    "hostile_directory::test_entries_that_lack_figures_are_shown",
    "hostile_directory::test_what_is_pasted_reaches_the_terminal_harmlessly",
    "hostile_options::test_a_batch_that_is_too_large_for_the_text_is_what_the_remedy_names",
    "hostile_prime::test_a_sample_without_end_takes_no_more_memory",
    "hostile_prime::test_what_is_odd_is_written",
    "kill::test_a_run_that_goes_on_from_best_tells_of_nothing_twice",
    "power_cut::test_a_power_cut_keeps_what_the_program_has_answered",
    "power_cut::test_the_same_cut_shows_what_a_save_without_fsync_loses",
    "signals::test_a_second_signal_ends_it_at_once",
    "signals::test_ctrl_c_while_it_reads_standard_input",
    "sizes::test_it_starts_in_a_tiny_terminal",
    "streams::test_a_dumb_terminal_gets_no_escape_codes",
    "streams::test_a_text_from_a_pipe_is_watched_on_the_terminal",
    "streams::test_an_encoding_that_lacks_characters",
    "streams::test_stdin_closed",
    "streams::test_stdout_closed",
    "streams::test_words_for_people_in_any_encoding",
}
"""Tests that no sabotage of the list makes fail yet; for each there has to be one."""


def test_every_test_has_been_seen_to_fail() -> None:
    noticed = recorded()
    assert noticed.keys() == {sabotage.name for sabotage in SABOTAGES}
    assert every_test() - set().union(*noticed.values()) == NOT_YET
