"""A run or a sweep that comes from somebody else writes, removes and waits for nothing outside itself.

Links, pipes, hard links and directories stand where the program has its files, and each command that writes
is given them.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from charrnn_core.errors import CharRNNError, CorpusError
from charrnn_core.runs.directory import RunDirectory, remove_unstarted
from charrnn_core.runs.files import MOST_NAMES, Folder
from charrnn_core.runs.starting import start
from charrnn_core.sweeps.cluster import Cluster
from charrnn_core.sweeps.directory import SweepDirectory
from charrnn_core.sweeps.task import Task, Trainee
from charrnn_core.text.corpus import corpus_of
from charrnn_core.training.settings import Settings
from tests.faults.ledger import injected, waited
from tests.faults.promises import assert_harmless
from tests.program import PATIENCE, TEXT, Finished, charrnn, started

pytestmark = pytest.mark.fault("link")

PRECIOUS = "alias ll='ls -l'\n"
SETTINGS = Settings.of(hidden=6, seq_length=4, updates=40, sample_every=20, sample_length=9)
SWEEP = ("book.txt", "--vary", "hidden=4,5", "--updates", "20", "--seq-length", "4", "--name", "sweep")


class Outside:
    """The files of somebody, in a directory beside the received one; none of them must change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "folder" / "checkpoints").mkdir(parents=True)
        names = ("config.json", "events.jsonl", "status.json", "commands.jsonl", "corpus.txt", ".lock")
        for file in (path / "precious", *(path / "folder" / name for name in names)):
            file.write_text(PRECIOUS, encoding="utf-8")
        (path / "folder" / ".config.json.0123456789ab").write_text(PRECIOUS, encoding="utf-8")
        self._before = self._seen()

    def _seen(self) -> dict[str, tuple[int, bytes]]:
        return {
            str(file.relative_to(self.path)): (file.stat().st_ino, file.read_bytes())
            for file in self.path.rglob("*")
            if file.is_file()
        }

    def look_again(self) -> None:
        """Take the files as they are for what must not change."""
        self._before = self._seen()

    def assert_untouched(self) -> None:
        assert self._seen() == self._before


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    found = Outside(tmp_path / "outside")
    yield found
    found.assert_untouched()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a run and a sweep."""
    where = tmp_path_factory.mktemp("made")
    (where / "book.txt").write_text(TEXT, encoding="utf-8")
    start(SETTINGS, corpus_of(TEXT, "book"), runs=where / "runs", name="mine").run(lambda item: None)
    done = charrnn(where, "sweep", *SWEEP, "--quiet")
    assert done.code == 0, done.err
    return where


@pytest.fixture
def here(made: Path, tmp_path: Path) -> Path:
    where = tmp_path / "here"
    shutil.copytree(made, where)
    return where


KINDS: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda path, outside: path.symlink_to(outside / "precious"),
    "relative link": lambda path, outside: path.symlink_to(
        os.path.relpath(outside / "precious", path.parent)
    ),
    "link to nothing": lambda path, outside: path.symlink_to(outside / "new"),
    "link to itself": lambda path, outside: path.symlink_to(path.name),
    "hard link": lambda path, outside: os.link(outside / "precious", path),
    "pipe": lambda path, outside: os.mkfifo(path),
    "directory": lambda path, outside: path.mkdir(),
    "link to a terminal": lambda path, outside: path.symlink_to("/dev/tty"),
}


def put(kind: str, path: Path, outside: Outside) -> None:
    """Let something stand under a name, in place of what has it."""
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)
    KINDS[kind](path, outside.path)
    is_kind = {"pipe": stat.S_ISFIFO, "directory": stat.S_ISDIR, "hard link": stat.S_ISREG}
    assert is_kind.get(kind, stat.S_ISLNK)(path.lstat().st_mode)
    injected(1)


def assert_ends_well(finished: Finished, *codes: int) -> None:
    waited(finished.seconds)
    assert_harmless(finished.err)
    assert finished.code in codes, finished.err
    if finished.code:
        assert finished.err.splitlines()[-1].startswith("charrnn: "), finished.err


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_trainer_writes_for_people_stays_in_the_run(here: Path, outside: Outside, kind: str) -> None:
    """As the dashboard resumes it: nobody reads the trainer's output, which goes into a file of the run."""
    put(kind, here / "runs" / "mine" / "trainer.log", outside)
    arguments = ("resume", "mine", "--updates", "60", "--owned")
    with started(here, *arguments, stdin=-1) as process:
        assert process.wait(PATIENCE) == 0
    config = RunDirectory(here / "runs" / "mine")
    assert b'"update":60' in config.events_file.read()
    assert not (outside.path / "new").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", [".lock", "events.jsonl", "commands.jsonl", "status.json", "config.json"])
@pytest.mark.parametrize("kind", ["link", "hard link", "link to nothing", "pipe"])
def test_a_resumed_run_writes_into_itself_alone(here: Path, outside: Outside, name: str, kind: str) -> None:
    put(kind, here / "runs" / "mine" / name, outside)
    finished = charrnn(here, "resume", "mine", "--updates", "60", "--quiet")
    assert_ends_well(finished, 0, 1, 2)
    assert not (outside.path / "new").exists()


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("command", ["resume mine --updates 60", "sample mine -n 5", "runs", "report mine"])
def test_checkpoints_are_not_reached_through_a_link(here: Path, outside: Outside, command: str) -> None:
    checkpoints = here / "runs" / "mine" / "checkpoints"
    shutil.copytree(checkpoints, outside.path / "checkpoints")
    for name in (".last.safetensors.0123456789ab", "mine.txt"):
        (outside.path / "checkpoints" / name).write_text(PRECIOUS, encoding="utf-8")
    outside.look_again()
    shutil.rmtree(checkpoints)
    checkpoints.symlink_to(outside.path / "checkpoints")
    injected(1)
    finished = charrnn(here, *command.split())
    assert_ends_well(finished, 0 if command in ("runs", "report mine") else 1)
    if finished.code:
        assert "symbolic link" in finished.err


def test_a_trial_that_is_a_link_is_neither_trained_nor_removed(here: Path, outside: Outside) -> None:
    sweep = here / "runs" / "sweep"
    for trial, target in (("hidden-4", "folder"), ("hidden-5", "nothing")):
        shutil.rmtree(sweep / trial)
        (sweep / trial).symlink_to(outside.path / target)
        injected(1)
    finished = charrnn(here, "sweep", "sweep", "--quiet")
    assert_ends_well(finished, 1)
    assert (sweep / "hidden-4").is_symlink()
    assert not (outside.path / "nothing").exists()
    assert "symbolic link" in (sweep / "events.jsonl").read_text(encoding="utf-8")


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("command", ["resume", "sample", "report", "export", "gradcheck", "plot", "study"])
def test_a_trial_that_is_a_link_is_not_followed_by_its_name(
    here: Path, outside: Outside, command: str
) -> None:
    """A run of somebody is elsewhere; the trial of a received sweep leads there."""
    shutil.copytree(here / "runs" / "mine", outside.path / "run")
    outside.look_again()
    trial = here / "runs" / "sweep" / "hidden-4"
    shutil.rmtree(trial)
    trial.symlink_to(outside.path / "run")
    injected(2)
    for name in ("runs/sweep/hidden-4", "sweep/hidden-4"):
        finished = charrnn(here, command, name, *(["--updates", "60"] if command == "resume" else []))
        assert_ends_well(finished, 2)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "which" in metafunc.fixturenames:
        every = [(which, kind, form) for form in FORMS for which in WHICH for kind in KINDS]
        thorough = metafunc.config.getoption("--thorough")
        metafunc.parametrize(("which", "kind", "form"), every if thorough else every[::7], ids=str)


WHICH, FORMS = ("mine", "sweep", "sweep/hidden-4"), ("html", "md")


@pytest.mark.slow
def test_a_report_is_not_written_through_what_stands_in_its_place(
    here: Path, outside: Outside, which: str, kind: str, form: str
) -> None:
    name = "report.html" if form == "html" else "report-loss.svg"
    put(kind, here / "runs" / which / name, outside)
    finished = charrnn(here, "report", which, "--format", form)
    # A hard link is replaced by a new file, and the name that it shares stays as it is.
    assert_ends_well(finished, *((0,) if kind == "hard link" else (1, 2)))
    assert not (outside.path / "new").exists()
    if finished.code:
        assert "regular file" in finished.err or "directory" in finished.err


def test_a_study_writes_its_report_into_the_run_alone(here: Path, outside: Outside) -> None:
    put("link", here / "runs" / "mine" / "report.html", outside)
    assert_ends_well(charrnn(here, "study", "mine", "--quiet"), 2)


@pytest.mark.slow(sparing=1)
@pytest.mark.parametrize("name", ["checkpoints", "mine"])
@pytest.mark.parametrize("command", ["report mine", "plot mine", "report sweep"])
def test_an_output_is_not_written_through_a_link_in_a_run(
    here: Path, outside: Outside, command: str, name: str
) -> None:
    run = here / "runs" / command.split()[1]
    if name == "checkpoints" and (run / name).exists():
        shutil.move(run / name, here / "moved")
    (run / name).symlink_to(outside.path)
    injected(1)
    target = run / name / ("new.svg" if command.startswith("plot") else "new.html")
    finished = charrnn(here, *command.split(), "-o", str(target))
    assert_ends_well(finished, 2)
    assert "links inside a run are not followed" in finished.err
    assert not target.exists()


@pytest.mark.slow
def test_an_output_in_a_folder_of_a_run_is_written(here: Path) -> None:
    folder = here / "runs" / "mine" / "pages"
    folder.mkdir()
    done = charrnn(here, "report", "mine", "-o", str(folder / "report.html"))
    assert done.code == 0, done.err
    assert (folder / "report.html").stat().st_size > 1000
    done = charrnn(folder, "plot", str(folder.parent), "-o", "../../loss.svg")
    assert done.code == 0, done.err
    assert (here / "runs" / "loss.svg").exists()


@pytest.mark.slow
def test_an_output_does_not_leave_a_run_behind_a_link(here: Path, outside: Outside) -> None:
    run = here / "runs" / "mine"
    (run / "pages").symlink_to(outside.path / "folder")
    injected(1)
    for index, target in enumerate((run / "pages" / ".." / "new.html", run / "pages" / "new.html")):
        finished = charrnn(here, "report", "mine", "-o", str(target))
        assert_ends_well(finished, (0, 2)[index])
    assert (run / "new.html").exists()
    assert not (outside.path / "new.html").exists()


@pytest.mark.slow
def test_files_of_other_programs_make_no_run_of_a_directory(here: Path, tmp_path: Path) -> None:
    """Many projects have a config.json, and a plan may be called sweep.json."""
    project = tmp_path / "project"
    (tmp_path / "disk").mkdir()
    project.mkdir()
    (project / "pages").symlink_to(tmp_path / "disk")
    for name in ("config.json", "sweep.json"):
        (project / name).write_text('{"vary": {"hidden": [4, 5]}}')
    done = charrnn(here, "report", "mine", "-o", str(project / "pages" / "report.html"))
    assert done.code == 0, done.err
    assert (tmp_path / "disk" / "report.html").exists()


@pytest.mark.slow
@pytest.mark.parametrize("link", ["tensorboard", "tensorboard/hidden-4"])
@pytest.mark.parametrize("options", [[], ["-o", "runs/sweep/tensorboard/hidden-4"]], ids=["default", "-o"])
def test_event_files_of_a_trial_stay_in_its_sweep(
    here: Path, outside: Outside, link: str, options: list[str]
) -> None:
    """Those that are elsewhere, and look as if they were written for this trial, are not removed."""
    pytest.importorskip("tensorboardX")
    name = "events.out.tfevents.1.hidden-4.charrnn"
    (outside.path / "hidden-4").mkdir()
    for folder in (outside.path, outside.path / "hidden-4"):
        (folder / name).write_text(PRECIOUS, encoding="utf-8")
    outside.look_again()
    place = here / "runs" / "sweep" / link
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside.path)
    injected(1)
    finished = charrnn(here, "export", "sweep/hidden-4", "-f", "tensorboard", *options)
    assert_ends_well(finished, 1)
    assert "links inside a run are not followed" in finished.err
    place.unlink()
    done = charrnn(here, "export", "sweep/hidden-4", "-f", "tensorboard", *options)
    assert done.code == 0, done.err
    assert len(list((here / "runs" / "sweep" / "tensorboard" / "hidden-4").iterdir())) == 1


def test_tables_in_a_sweep_are_not_written_through_a_link(here: Path, outside: Outside) -> None:
    (here / "runs" / "sweep" / "tables").symlink_to(outside.path)
    injected(1)
    for where in ("tables/", "tables/new/"):
        finished = charrnn(here, "export", "sweep/hidden-4", "-o", f"runs/sweep/{where}")
        assert_ends_well(finished, 1)
    assert not (outside.path / "new").exists()


@pytest.mark.slow
def test_a_path_that_the_user_gives_is_followed_as_usual(here: Path, tmp_path: Path) -> None:
    """Outside of runs a link is what its owner made it for, and so is the link to a run."""
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "report.html").symlink_to(tmp_path / "shown.html")
    (here / "runs" / "mine").rename(tmp_path / "big-disk")
    (here / "runs" / "mine").symlink_to(tmp_path / "big-disk")
    done = charrnn(here, "report", "mine", "-o", str(tmp_path / "pages" / "report.html"))
    assert done.code == 0, done.err
    assert (tmp_path / "pages" / "report.html").is_symlink()
    assert (tmp_path / "shown.html").stat().st_size > 1000
    done = charrnn(here, "resume", "mine", "--updates", "60", "--quiet")
    assert done.code == 0, done.err
    assert b'"update":60' in (tmp_path / "big-disk" / "events.jsonl").read_bytes()


@pytest.mark.slow
def test_a_text_that_a_run_keeps_is_not_read_through_a_link(here: Path, outside: Outside) -> None:
    with started(
        here, "train", "-", "--name", "kept", "--updates", "20", "--hidden", "4", stdin=-1
    ) as process:
        process.communicate(TEXT.encode(), timeout=PATIENCE)
        assert process.returncode == 0
    put("link", here / "runs" / "kept" / "corpus.txt", outside)
    finished = charrnn(here, "resume", "kept", "--updates", "60")
    assert_ends_well(finished, 2)
    assert "symbolic link" in finished.err


@pytest.fixture
def kept(here: Path, outside: Outside) -> Path:
    """The text that a sweep keeps, a link to an equal text elsewhere; one trial is left to be trained."""
    arguments = ("sweep", "-", *SWEEP[1:-1], "kept", "--quiet")
    with started(here, *arguments, stdin=-1) as process:
        process.communicate(TEXT.encode(), timeout=PATIENCE)
        assert process.returncode == 0
    (outside.path / "equal").write_text(TEXT, encoding="utf-8")
    outside.look_again()
    text = here / "runs" / "kept" / "corpus.txt"
    text.unlink()
    text.symlink_to(outside.path / "equal")
    shutil.rmtree(text.parent / "hidden-5")
    injected(1)
    return text


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sweep kept", "resume kept/hidden-4 --updates 60"])
def test_a_text_that_a_sweep_keeps_is_not_read_through_a_link(here: Path, kept: Path, command: str) -> None:
    finished = charrnn(here, *command.split(), "--quiet")
    assert_ends_well(finished, 2)
    assert "symbolic link" in finished.err
    assert not (kept.parent / "hidden-5").exists()


@pytest.mark.slow
def test_a_process_that_trains_a_trial_reads_no_kept_text_through_a_link(kept: Path) -> None:
    sweep = SweepDirectory(kept.parent)
    facts = sweep.corpus_facts()
    assert facts["kept"] and facts["path"] == str(kept)
    task = Task(str(kept.parent / "hidden-5"), SETTINGS.to_json(), facts, [facts["path"]])
    outcome, _ = Trainee().train(task)
    assert outcome.end == "failed" and "symbolic link" in outcome.reason


@pytest.mark.slow
def test_a_kept_text_that_is_a_link_is_not_taken_to_a_cluster(kept: Path) -> None:
    place: Any = SimpleNamespace(_sweep="test", _client=None)
    with pytest.raises(CorpusError, match="symbolic link"):
        Cluster.bring(place, [str(kept)], is_kept=True)


@pytest.mark.slow
def test_a_recorded_text_of_another_size_is_not_read(here: Path) -> None:
    """The path that a received run records may lead to anything, however large."""
    with (here / "huge").open("wb") as file:
        file.truncate(40 * 10**9)
    config = here / "runs" / "mine" / "config.json"
    done = charrnn(here, "train", "book.txt", "--name", "told", "--updates", "20", "--hidden", "4", "--quiet")
    assert done.code == 0, done.err
    (here / "book.txt").unlink()
    (here / "book.txt").symlink_to("huge")
    injected(1)
    finished = charrnn(here, "resume", "told", "--updates", "60")
    assert_ends_well(finished, 2)
    assert "another text" in finished.err
    assert config.exists()


@pytest.fixture
def deep(here: Path) -> Iterator[Path]:
    """A run with a directory in it that is deeper than a path can be long."""
    folder = os.open(here / "runs" / "mine", os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=folder)
        inner = os.open("d", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(folder)
    yield here
    # Too deep for those who clean up after tests.
    subprocess.run(["rm", "-rf", here / "runs" / "mine" / "d"], check=True)


def test_a_deep_directory_inside_a_run_does_not_hide_runs(deep: Path) -> None:
    injected(1)
    finished = charrnn(deep, "runs")
    assert_ends_well(finished, 0)
    assert "mine" in finished.out and "hidden" not in finished.out
    assert_ends_well(charrnn(deep, "resume", "mine", "--updates", "60", "--quiet"), 0)


def test_the_size_of_a_folder_is_bounded_in_depth_and_number(tmp_path: Path) -> None:
    for name in "abc":
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "1" / "2" / "3").mkdir(parents=True)
    (tmp_path / "1" / "2" / "3" / "deep").write_bytes(b"1")
    (tmp_path / "1" / "shallow").write_bytes(b"1")
    (tmp_path / "up").symlink_to("..")
    link = (tmp_path / "up").lstat().st_size
    assert Folder(tmp_path).size() == 17 + link
    assert Folder(tmp_path).size(most_levels=2) == 16 + link
    assert Folder(tmp_path).size(most_entries=2) <= 10 + link


@pytest.mark.slow
def test_the_names_of_a_folder_are_bounded_in_number(here: Path) -> None:
    """A run with a flood of names is trained and removed from as any other."""
    run = RunDirectory(here / "runs" / "mine")
    for number in range(MOST_NAMES + 100):
        (run.checkpoints.path / f".{number}").touch()
    injected(1)
    assert len(run.checkpoints.names()) == MOST_NAMES
    assert run.has_checkpoint
    remove_unstarted(run)
    assert run.checkpoint_file("last").exists()
    assert_ends_well(charrnn(here, "resume", "mine", "--updates", "60", "--quiet"), 0)


def test_what_a_run_has_not_begun_to_be_is_removed_from_itself_alone(
    tmp_path: Path, outside: Outside
) -> None:
    run = RunDirectory(tmp_path / "run")
    run.path.mkdir()
    for name in ("config.json", "events.jsonl", ".lock", "corpus.txt"):
        (run.path / name).symlink_to(outside.path / "folder" / name)
    (run.path / "checkpoints").symlink_to(outside.path / "folder")
    with pytest.raises((OSError, CharRNNError)):
        remove_unstarted(run)
    (run.path / "checkpoints").unlink()
    remove_unstarted(run)
    assert not run.path.exists()
