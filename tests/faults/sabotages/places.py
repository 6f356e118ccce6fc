"""Careless handling of what is inside runs and sweeps: their logs, texts, names and outputs."""

from tests.faults.careless import careless

LONG_LINES = "tests/core/test_history.py tests/core/test_resume.py tests/faults/test_hostile_directory.py"


@careless(
    "charrnn_core.runs.log:LineReader.read",
    says="a line that is too long ends the log for its readers",
    tests=LONG_LINES,
)
def a_line_ends_the_log(original):
    def read(self, descriptor):
        for found in original(self, descriptor):
            if self.skipped:
                return
            yield found

    return read


@careless(
    "charrnn_core.runs.history:_skip_warning",
    says="lines that are too long are skipped without a warning",
    tests=LONG_LINES,
)
def skips_silently(original):
    return lambda lines, update, time: {"type": "skipped", "update": update, "time": time}
