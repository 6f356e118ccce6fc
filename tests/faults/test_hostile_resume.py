"""Going on with what is no run, is finished, or is not what it was: refused, and left alone."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from charrnn_core.errors import CorpusError
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.starting import resume, start
from charrnn_core.text.corpus import corpus_of, read_corpus
from charrnn_core.text.source import Source, find_source
from charrnn_core.training.settings import Settings
from tests.faults.promises import assert_harmless, assert_one_line
from tests.program import TEXT, charrnn, events

pytestmark = pytest.mark.fault("resume")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a text, and a run on it of 150 updates, with all three checkpoints."""
    where = tmp_path_factory.mktemp("trained")
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    settings = Settings.of(hidden=8, seq_length=5, updates=130, sample_every=None)
    process = start(
        settings, read_corpus(find_source(str(where / "book.txt"))), runs=where / "runs", name="mine"
    )
    process.run(lambda item: None)
    # So that there is a previous checkpoint too.
    resume(process.directory, {"updates": 150}).run(lambda item: None)
    assert {path.stem for path in process.directory.checkpoints.path.iterdir()} == {
        "last",
        "previous",
        "best",
    }
    return where


def text_of(name: str, text: str | bytes) -> Callable[[Path], object]:
    data = text.encode() if isinstance(text, str) else text
    return lambda where: (where / name).write_bytes(data)


def emptied(run: Path) -> None:
    shutil.rmtree(run)
    run.mkdir()


def foreign(run: Path) -> None:
    """A directory of another program, with files of names that a run has too."""
    emptied(run)
    (run / "checkpoints").mkdir()
    (run / "config.json").write_text('{"model_type": "llama", "settings": []}', encoding="utf-8")
    (run / "checkpoints" / "last.safetensors").write_bytes(b"theirs")
    (run / "checkpoints" / ".cache.0123456789ab").write_bytes(b"theirs")


def of_checkpoints(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def apply(run: Path) -> None:
        for path in (run / "checkpoints").iterdir():
            path.write_bytes(change(path.read_bytes()))

    return apply


def newer(data: bytes) -> bytes:
    return data.replace(rb"\"format\":1", rb"\"format\":2", 1)


# What has happened, the exit code of a refusal, and what its message says.
PLACES: dict[str, tuple[Callable[[Path], object], int, list[str]]] = {
    "missing": (shutil.rmtree, 2, ["mine"]),
    "an empty directory": (emptied, 2, ["mine"]),
    "a file": (lambda run: (shutil.rmtree(run), run.write_bytes(b"mine")), 2, ["mine"]),
    "of another program": (foreign, 2, ["mine", "not a run directory"]),
    "without config.json": (lambda run: (run / "config.json").unlink(), 2, ["mine"]),
    "without checkpoints": (lambda run: shutil.rmtree(run / "checkpoints"), 1, ["mine has no"]),
    "with empty checkpoints": (of_checkpoints(lambda data: b""), 1, ["not a whole checkpoint"]),
    "with checkpoints cut off": (of_checkpoints(lambda data: data[:-1]), 1, ["not a whole checkpoint"]),
    "with a bit flipped": (of_checkpoints(lambda data: data[:-1] + bytes([data[-1] ^ 1])), 1, ["digest"]),
    "of a newer format": (of_checkpoints(newer), 1, ["format 2"]),
    "finished": (lambda run: None, 2, ["finished", "--updates"]),
    "whose text is gone": (lambda run: (run / "../../book.txt").unlink(), 2, ["book.txt", "--corpus"]),
    "whose text is another": (
        text_of("../../book.txt", TEXT + "more"),
        2,
        ["the text book is not the one", "--corpus"],
    ),
    "whose text is empty": (text_of("../../book.txt", ""), 2, ["book.txt", "empty"]),
    "whose text is not UTF-8": (text_of("../../book.txt", b"\xff" * 99), 2, ["book.txt", "UTF-8"]),
}
GOES_ON: dict[str, list[str]] = {
    "resume": ["resume", "mine"],
    "resume with more updates": ["resume", "mine", "--updates", "190"],
    "resume by path": ["resume", "./runs/mine", "--updates", "190"],
    "resume from the best": ["resume", "mine", "--from-best", "--updates", "190"],
    "train --resume": ["train", "--resume", "mine", "--updates", "190"],
    "train --replay": ["train", "--replay", "mine", "--name", "again"],
}
MAY_GO_ON = {("finished", name) for name in GOES_ON if name != "resume"}


def files(where: Path) -> dict[Path, bytes]:
    """Return all files and directories but locks, which are all that a refusal may leave."""
    paths = (path for path in where.rglob("*") if path.name != ".lock")
    return {path: path.read_bytes() if path.is_file() else b"" for path in paths}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "command" in metafunc.fixturenames:
        every = [(place, name) for place in PLACES for name in GOES_ON if (place, name) not in MAY_GO_ON]
        thorough = metafunc.config.getoption("--thorough")
        metafunc.parametrize(("place", "command"), every if thorough else every[::5], ids=str)


@pytest.mark.slow(sparing=1)
def test_what_cannot_be_gone_on_with_is_refused_and_left_alone(
    trained: Path, tmp_path: Path, place: str, command: str
) -> None:
    where = tmp_path / "here"
    shutil.copytree(trained, where)
    run = where / "runs" / "mine"
    change, code, words = PLACES[place]
    change(run)
    before = files(where)
    finished = charrnn(where, *GOES_ON[command], "--corpus", "book.txt", "--quiet")
    assert_one_line(finished, code, *words)
    assert files(where) == before


def with_settings(run: Path, **changes: object) -> None:
    path = run / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["settings"].update(changes)
    path.write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "replayed"),
    [({"hidden": 9}, 1), ({"hidden": -1}, 2), ({"learning_rate": 0.5}, 1), ({"nothing": [{}]}, 0)],
    ids=str,
)
def test_a_run_goes_on_as_it_was_and_not_as_somebody_has_edited_it(
    trained: Path, tmp_path: Path, changes: dict[str, object], replayed: int
) -> None:
    """The checkpoint says what the run is; config.json says what was asked for when it began."""
    states = []
    for name in ("as it was", "edited"):
        where = tmp_path / name
        shutil.copytree(trained, where)
        if name == "edited":
            with_settings(where / "runs" / "mine", **changes)
        finished = charrnn(where, "resume", "mine", "--updates", "190", "--corpus", "book.txt", "--quiet")
        assert (finished.code, finished.err) == (0, "")
        states.append(events(where / "runs" / "mine")[-1]["state_sha256"])
    assert states[0] == states[1]
    again = charrnn(where, "train", "--replay", "mine", "--name", "again", "--corpus", "book.txt", "--quiet")
    assert again.code == replayed
    assert_harmless(again.err)


SETTINGS = [
    "--hidden 9", "--seq-length 6", "--batch-size 2", "--optimizer adam", "--dtype float64", "--seed 1",
    "--chunks random", "--held-out 0.1", "--loss mean", "--init fan-in",
]  # fmt: skip


@pytest.mark.parametrize("settings", SETTINGS)
def test_another_network_or_course_of_training_is_refused(trained: Path, settings: str) -> None:
    before = files(trained)
    finished = charrnn(trained, "resume", "mine", "--updates", "190", *settings.split())
    assert_one_line(finished, 2, settings.split()[0])
    assert files(trained) == before


@pytest.mark.slow
def test_a_directory_that_is_no_run_gets_not_even_a_lock(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes").write_bytes(b"mine")
    for command in (
        ["resume", "./folder"],
        ["sample", "./folder"],
        ["tui", "./folder"],
        ["runs", "--runs", "folder"],
    ):
        charrnn(tmp_path, *command)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["notes"]
    assert not RunDirectory(tmp_path / "folder").is_locked()


def test_a_pipe_in_place_of_the_text_is_not_opened(tmp_path: Path) -> None:
    """Whoever waits to write into it keeps what it has to write."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    settings = Settings.of(hidden=4, seq_length=4, updates=5, sample_every=None)
    corpus = read_corpus(find_source(str(tmp_path / "book.txt")))
    start(settings, corpus, runs=tmp_path / "runs", name="run").run(lambda item: None)
    (tmp_path / "book.txt").unlink()
    (tmp_path / "book.txt").symlink_to(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"precious",), daemon=True)
    writer.start()
    assert_one_line(charrnn(tmp_path, "resume", "run", "--updates", "9"), 2, "not a regular file")
    assert writer.is_alive()
    assert pipe.read_bytes() == b"precious"
    writer.join()


def test_a_text_is_read_up_to_its_recorded_size(tmp_path: Path) -> None:
    """A kept text may be a sparse file of a terabyte, and a recorded one a file of the system without end."""
    text = corpus_of(TEXT, "input")
    settings = Settings.of(hidden=4, seq_length=4, updates=5, sample_every=None)
    process = start(settings, text, runs=tmp_path / "runs", name="kept")
    process.run(lambda item: None)
    os.truncate(process.directory.corpus_file.path, 1 << 40)
    assert_one_line(
        charrnn(tmp_path, "resume", "kept", "--updates", "9"), 2, "another text", f"{len(TEXT):,} bytes"
    )
    recorded = Source("file", "endless", (Path("/proc/self/pagemap"),), size=0)
    with pytest.raises(CorpusError, match="another text: it has more than 0 bytes"):
        read_corpus(recorded)
