"""Careless readers of checkpoints, logs, commands and settings."""

import json
import os
import re

from tests.faults.careless import careless

CHECKPOINT = "charrnn_core.runs.checkpoint:"
HOSTILE_CHECKPOINTS = "tests/faults/test_hostile_checkpoint.py tests/faults/test_any_bytes.py"


@careless(
    CHECKPOINT + "_check",
    CHECKPOINT + "_check_values",
    CHECKPOINT + "_arrays",
    "charrnn_core.runs.json_text:_decode_distinct",
    says="what a checkpoint says of itself is believed",
    tests=HOSTILE_CHECKPOINTS,
)
def trust(original, target):
    def arrays(header, shapes, dtype, data):
        import safetensors.numpy

        text = json.dumps(header).encode()
        return safetensors.numpy.load(len(text).to_bytes(8, "little") + text + data)

    if target.endswith("_arrays"):
        return arrays
    return json.loads if target.endswith("distinct") else lambda *of: None


@careless(
    CHECKPOINT + "_arrays",
    CHECKPOINT + "read_checkpoint",
    says="what the library of the file format says of a checkpoint comes out as its own exception",
    tests=HOSTILE_CHECKPOINTS,
)
def errors_of_the_library(original, target):
    def arrays(header, shapes, dtype, data):
        import safetensors.numpy

        text = json.dumps(header).encode()
        return safetensors.numpy.load(len(text).to_bytes(8, "little") + text + data)

    return arrays if target.endswith("_arrays") else uncaught(original)


@careless(
    CHECKPOINT + "read_checkpoint",
    says="what is wrong in a checkpoint comes out as whatever exception it makes",
    tests=HOSTILE_CHECKPOINTS,
)
def any_exception(original):
    return uncaught(original)


def uncaught(original):
    def read_checkpoint(place):
        from charrnn_core.errors import CheckpointError, SettingsError
        from charrnn_core.runs.checkpoint import _DamageError, _read
        from charrnn_core.runs.files import entry_of

        file = entry_of(place)
        try:
            descriptor = file.descriptor()
        except OSError as error:
            raise CheckpointError(f"cannot read the checkpoint {file}: {error.strerror}") from None
        try:
            with os.fdopen(descriptor, "rb", buffering=0) as opened:
                return _read(file.path.stem, opened, os.fstat(descriptor).st_size)
        except (_DamageError, SettingsError) as error:
            raise CheckpointError(f"{file}: {error}") from None

    return read_checkpoint


@careless(
    CHECKPOINT + "_check_length",
    CHECKPOINT + "_check_size",
    CHECKPOINT + "_MOST_VALUES",
    "charrnn_core.training.settings:Settings.check_memory",
    says="a checkpoint is read whatever it says of its size",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def no_bounds(original, target):
    return 10**12 if target.endswith("VALUES") else lambda *of: None


@careless(
    "charrnn_core.runs.json_text:parse_json",
    says="a line that is not JSON, or has millions of values, is left to the parser",
    tests="tests/faults/test_any_bytes.py tests/faults/test_hostile_directory.py "
    "tests/faults/test_hostile_places.py",
)
def any_line(original):
    return lambda data, most=0, **how: json.loads(data)


@careless(
    "charrnn_core.runs.json_text:_has_more",
    says="the number of values of a line is not bounded",
    tests="tests/core/test_json_text.py",
)
def any_number_of_values(original):
    return lambda data, most: False


@careless(
    "charrnn_core.runs.history:History._make_room",
    says="a history takes as much memory as a log asks for",
    tests="tests/core/test_history.py",
)
def any_history(original):
    return lambda self, event: None


@careless(
    "charrnn_core.text.source:open_file",
    says="a text is opened, and waited for, whatever it is",
    tests="tests/faults/test_hostile_corpus.py tests/faults/test_hostile_prime.py",
)
def any_text(original):
    return lambda path: os.open(path, os.O_RDONLY | os.O_CLOEXEC)


@careless(
    "charrnn_core.text.coding:TextCoder.finish",
    says="a text may be empty",
    tests="tests/faults/test_hostile_corpus.py",
)
def empty_text(original):
    def finish(self):
        if not self._characters:
            self.feed(b"?")
        return original(self)

    return finish


@careless(
    CHECKPOINT + "_check_size",
    CHECKPOINT + "_read_exactly",
    CHECKPOINT + "_check_digest",
    says="what is missing of a checkpoint is zeros, and its digests are not looked at",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def half_a_file(original, target):
    if target.endswith("exactly"):
        return lambda descriptor, size: os.read(descriptor, size).ljust(size, bytes(1))
    return lambda *of: None


@careless(
    "charrnn_core.runs.commands:CommandReader._follow",
    says="nobody looks whether the file of commands is still the one that is read",
    tests="tests/faults/test_two_at_once.py",
)
def commands_that_are_lost(original):
    return lambda self: None


@careless(
    "charrnn_core.runs.starting:newest_checkpoint",
    says="a run is resumed with the settings that stand in config.json",
    tests="tests/faults/test_hostile_resume.py",
)
def what_was_asked_for(original):
    def newest_checkpoint(directory):
        from dataclasses import replace

        from charrnn_core.training.settings import Settings

        checkpoint, problems = original(directory)
        settings = Settings.from_json(directory.config()["settings"])
        return replace(checkpoint, snapshot=replace(checkpoint.snapshot, settings=settings)), problems

    return newest_checkpoint


@careless(
    CHECKPOINT + "_check_digest",
    says="a checkpoint is not compared with its digests",
    tests="tests/faults/test_hostile_checkpoint.py tests/faults/test_hostile_resume.py "
    "tests/faults/test_any_bytes.py",
)
def no_digest(original):
    return lambda actual, expected, problem: None


@careless(
    "charrnn_core.training.state:_pending",
    says="a checkpoint may name duties that cannot be due at its update",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def any_duties(original):
    return lambda state, settings: tuple(state["pending"])


@careless(
    CHECKPOINT + "_is_time",
    says="times of a checkpoint may be of any size",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def any_times(original):
    return lambda name, value: None


@careless(
    CHECKPOINT + "check_state",
    says="a state is saved that could not be read again",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def unreadable_saves(original):
    return lambda state, settings: None


@careless(
    "charrnn_core.runs.json_text:_STRING",
    says="the time to count the values of a JSON text grows with the square of its length",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def quadratic_strings(original):
    return re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


@careless(
    "charrnn_core.rnn.parameters:Parameters.may_overflow",
    says="weights may be so large that sums of them are infinite",
    tests="tests/faults/test_hostile_checkpoint.py tests/core/test_sampler.py",
)
def any_weights(original):
    return lambda self: False


@careless(
    "charrnn_core.text.source:_check_regular",
    says="a text is opened whatever it is, and what a pipe has is taken from it",
    tests="tests/faults/test_hostile_resume.py tests/faults/test_hostile_corpus.py",
)
def opens_pipes(original):
    return lambda path, status: None


@careless(
    "charrnn_core.runs.starting:_size_of",
    says="the text of a run is read to its end, whatever size is recorded of it",
    tests="tests/faults/test_hostile_resume.py "
    "tests/faults/test_hostile_links.py::test_a_recorded_text_of_another_size_is_not_read",
)
def any_size_of_a_text(original):
    return lambda facts: None


@careless(
    "charrnn_core.runs.listing:read_best_loss",
    says="a list of runs reads whole checkpoints",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def lists_whole_checkpoints(original):
    def read_best_loss(file):
        from charrnn_core.runs.checkpoint import read_checkpoint

        best = read_checkpoint(file).snapshot.best
        return None if best is None else best.loss

    return read_best_loss


@careless(
    "charrnn_core.runs.checkpoint:_LARGEST_COUNT",
    says="a checkpoint may name counts that cannot be saved again",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def any_count(original):
    return 2**63 - 1


@careless(
    CHECKPOINT + "_arrays",
    says="the rows of the arrays in a checkpoint are read in another order",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def rows_backwards(original):
    return lambda *given: {name: array[::-1] for name, array in original(*given).items()}


@careless(
    CHECKPOINT + "read_checkpoint",
    says="what is no checkpoint is left to NumPy, which unpickles objects",
    tests="tests/faults/test_hostile_checkpoint.py",
)
def reads_files_of_numpy(original):
    def read_checkpoint(place):
        import numpy as np

        from charrnn_core.errors import CheckpointError

        try:
            return original(place)
        except CheckpointError:
            try:
                return np.load(place, allow_pickle=True)
            except (OSError, ValueError, TypeError, EOFError):
                raise CheckpointError(f"{place} is not a checkpoint") from None

    return read_checkpoint


@careless(
    "charrnn_core.runs.liveness:read_status",
    "charrnn_core.runs.following:read_status",
    "charrnn_core.runs.listing:read_status",
    says="what `status.json` says is believed, whatever it is",
    tests="tests/faults/test_hostile_directory.py::"
    "test_a_status_that_somebody_has_written_is_read_without_what_is_odd",
)
def any_status(original, target):
    def read_status(directory):
        from charrnn_core.runs.json_text import parse_object

        return parse_object(directory.status_file.read()) or {}

    return read_status


@careless(
    "charrnn_core.runs.json_text:_decode_distinct",
    says="a number too large for a float is read as infinity",
    tests="tests/faults/test_hostile_checkpoint.py::test_a_number_too_large_for_a_float_is_refused",
)
def infinite_numbers(original):
    return json.JSONDecoder().decode


@careless(
    "charrnn_core.runs.checkpoint:_is_text",
    says="a name in a checkpoint may be of any length",
    tests="tests/faults/test_hostile_checkpoint.py::test_a_text_that_is_longer_than_any_name_is_refused",
)
def names_without_an_end(original):
    return lambda name, value, most=0: original(name, value, 10**12)


@careless(
    "charrnn_core.runs.directory:RunDirectory.has_checkpoint",
    says="checkpoints that cannot be reached end a command that could take another run",
    tests="tests/faults/test_hostile_places.py::"
    "test_whatever_stands_for_a_file_of_a_run_each_command_ends_well",
)
def one_strange_run(original):
    def has_checkpoint(self):
        with self.checkpoints.held() as folder:
            return any(folder.entry(f"{kind}.safetensors").is_taken() for kind in ("last", "best"))

    return property(has_checkpoint)


@careless(
    "charrnn_core.runs.log:_next_line",
    says="each line of a log is taken for an event until it has been parsed",
    tests="tests/core/test_history.py",
)
def any_line_may_be_an_event(original):
    def _next_line(data, begin):
        end = data.find(b"\n", begin)
        return None if end < 0 else slice(begin, end)

    return _next_line


@careless(
    "charrnn_core.runs.log:LineReader.is_exhausted",
    says="a log is read to its end, however large it is",
    tests="tests/core/test_history.py",
)
def reads_any_log(original):
    return property(lambda self: False)


@careless(
    "charrnn_core.sweeps.plan:Plan.accepts",
    says="a sweep trains whatever its log says was chosen",
    tests="tests/sweeps/test_search.py",
)
def any_combination(original):
    return lambda self, values: True


@careless(
    "charrnn_core.sweeps.task:path_recorded",
    says="a sweep relies on the path of its text being recorded",
    tests="tests/sweeps/test_search.py",
)
def path_must_be_recorded(original):
    return lambda facts, text: facts["path"]


@careless(
    "charrnn_core.runs.history:_is_count",
    says="an event may be at any update that a float holds",
    tests="tests/core/test_history.py tests/faults/test_hostile_directory.py",
)
def any_number_of_updates(original):
    from charrnn_core.runs.history import _is_number

    return lambda value: value is None or _is_number(value)


@careless(
    "charrnn_tui.report.figures.loss_figure:_Drawing._has_positive",
    says="a logarithmic axis is drawn for losses that have no place on it",
    tests="tests/faults/test_hostile_directory.py::test_any_loss_has_a_place_on_a_logarithmic_axis",
)
def any_loss_is_positive(original):
    return lambda self: True
