"""A gradient check that lets wrong engines pass, or that does not look up while it computes."""

from __future__ import annotations

from dataclasses import replace

from tests.faults.careless import careless

TRAINING = "charrnn_core.rnn.gradcheck.training"
COMPARISON = "tests/core/test_training_check.py"
PIECES = "tests/core/test_check_pieces.py"


@careless(
    f"{TRAINING}:_Compared.add_diverged", says="a loss that is not finite is no fault", tests=COMPARISON
)
def excuses_what_diverges(original):
    def add_diverged(self, window):
        self.is_over = True
        yield 0

    return add_diverged


@careless(
    f"{TRAINING}:_Compared.stop", says="the fixed network may diverge, and updates may be left out",
    tests=COMPARISON,
)  # fmt: skip
def excuses_the_fixed_network(original):
    def stop(self, *, is_wrong):
        self.is_over = True

    return stop


@careless(
    f"{TRAINING}:_Compared.rows", says="an ill-conditioned window excuses a failure in another",
    tests=COMPARISON,
)  # fmt: skip
def excuses_by_another_window(original):
    def rows(self, note=None):
        for row in original(self, note):
            excused = row.parameter in self._excluded
            yield replace(row, passed=True, note="ill-conditioned: not compared") if excused else row

    return rows


@careless(
    "charrnn_tui.check_rows:have_passed",
    says="a check that compared nothing has passed",
    tests="tests/cli/test_gradcheck.py tests/dashboard/test_panes.py tests/report/test_sections.py",
)
def passes_without_a_comparison(original):
    def have_passed(rows):
        return all(row["passed"] for row in rows)

    return have_passed


def _at_once(original):
    """Return a function in pieces that does its whole work before its caller can look."""
    from charrnn_core.rnn.gradcheck.pieces import finish

    def at_once(*arguments, **how):
        result = finish(original(*arguments, **how))
        yield 0
        return result

    return at_once


@careless(
    "charrnn_core.rnn.gradcheck.windows:stress_window", says="a stress window is found without a look",
    tests=PIECES,
)  # fmt: skip
def finds_windows_at_once(original):
    return _at_once(original)


@careless(
    "charrnn_core.rnn.gradcheck.reference:reference", says="the reference is computed without a look",
    tests=PIECES,
)  # fmt: skip
def computes_references_at_once(original):
    return _at_once(original)


@careless(f"{TRAINING}:_plain_loop", says="the plain loop is computed without a look", tests=PIECES)
def loops_at_once(original):
    return _at_once(original)


@careless(
    "charrnn_core.rnn.gradcheck.windows:calm_part", says="chaos is measured without a look", tests=PIECES
)
def measures_chaos_at_once(original):
    return _at_once(original)


@careless(
    "charrnn_core.rnn.gradcheck.windows:CheckedNetwork.derivative",
    says="both losses of a difference are computed without a look",
    tests=PIECES,
)
def differences_at_once(original):
    return _at_once(original)


@careless(
    "charrnn_core.rnn.gradcheck.lines:Lines.line", says="a direction is drawn without a look", tests=PIECES
)
def draws_at_once(original):
    return _at_once(original)


@careless(
    "charrnn_core.rnn.gradcheck.check:training_rows",
    "charrnn_core.rnn.gradcheck.check:loop_rows",
    says="the default check does not look at what trains",
    tests="tests/faults/test_gradients.py::test_the_default_check_finds_every_fault_in_numpy "
    "tests/faults/test_gradients.py::test_the_default_check_finds_every_fault_around_compiled_code "
    "tests/faults/test_gradients.py::test_the_default_check_finds_every_fault_in_compiled_code",
)
def checks_no_training(original, target):
    return lambda *arguments: iter(())
