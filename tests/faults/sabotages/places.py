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


@careless(
    "charrnn_tui.files:create_folder",
    says="the directory of event files and tables is reached through links of a sweep",
    tests="tests/faults/test_hostile_links.py",
)
def folders_through_links(original):
    def create_folder(path):
        from charrnn_core.runs.files import Folder

        path.mkdir(parents=True, exist_ok=True)
        return Folder(path.resolve())

    return create_folder


@careless(
    "charrnn_tui.files:_runs_above",
    says="only the directory that directly holds an output is looked at for a run",
    tests="tests/faults/test_hostile_links.py",
)
def one_level_of_a_run(original):
    return lambda path: iter(())


@careless(
    "charrnn_core.runs.files:open_kept",
    "charrnn_core.runs.starting:_kept_text",
    says="a text that a run or a sweep keeps is read through a link",
    tests="tests/faults/test_hostile_links.py",
)
def kept_texts_through_links(original, target):
    import os
    from pathlib import Path

    def kept_text(directory):
        from charrnn_core.text.source import Source

        path = Path(directory.path / "corpus.txt")
        return Source("file", str(path), (path,))

    def open_kept(path):
        return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    return kept_text if target.endswith("_text") else open_kept


@careless(
    "charrnn_core.runs.directory:_empty_unbegun",
    says="a name whose process was killed before it had begun is taken for ever",
    tests="tests/core/test_unbegun.py",
)
def names_are_lost(original):
    return lambda run: False


@careless(
    "charrnn_core.runs.directory:_is_unbegun",
    says="any directory that is not locked may become a new run",
    tests="tests/core/test_unbegun.py",
)
def any_directory_is_new(original):
    return lambda run: True


@careless(
    "charrnn_core.runs.starting:RunTakenError",
    "charrnn_core.sweeps.directory:RunTakenError",
    says="of two that begin under one name the loser removes the files of the other",
    tests="tests/core/test_unbegun.py",
)
def the_loser_cleans_up(original, target):
    return type("Never", (Exception,), {})


@careless(
    "charrnn_core.runs.history:closing",
    "charrnn_core.sweeps.directory:closing",
    "charrnn_core.runs.starting:ExitStack",
    "charrnn_tui.dashboard.trainer:ExitStack",
    says="what was opened stays open where something fails",
    tests="tests/core/test_descriptors.py tests/dashboard/test_trainer.py",
)
def left_open(original, target):
    from contextlib import ExitStack, nullcontext

    class Open(ExitStack):
        def callback(self, *arguments, **named):
            pass

    return nullcontext if target.endswith("closing") else Open


@careless(
    "charrnn_core.runs.files:Folder.names",
    says="all names of a directory are listed, however many there are",
    tests="tests/faults/test_hostile_links.py",
)
def lists_everything(original):
    import os

    def names(self, most=0):
        with self.opened() as descriptor:
            return sorted(os.listdir(descriptor))  # noqa: PTH208

    return names
