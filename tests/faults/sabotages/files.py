"""Careless writing and opening of files."""

import os
from pathlib import Path

from tests.faults.careless import careless

FILES = "charrnn_core.runs.files:"
CHECKPOINT = "charrnn_core.runs.checkpoint:"
SAVING = (
    "tests/faults/test_save_faults.py tests/faults/test_kill.py tests/faults/test_power_cut.py "
    "tests/faults/test_disks.py tests/faults/test_two_at_once.py"
)


def saved_in_place(piece: int, seconds: float):
    import time

    def save(directory, kind, snapshot, facts, place, log, *, rotate=False):
        from charrnn_core.runs.checkpoint import Saved, to_bytes

        data, state_sha256 = to_bytes(snapshot, facts, place)
        path = directory.checkpoint_file(kind).path
        if rotate and path.exists():
            directory.checkpoint_file("previous").path.write_bytes(path.read_bytes())
        with path.open("wb", buffering=0) as file:
            for begin in range(0, len(data), piece):
                file.write(data[begin : begin + piece])
                time.sleep(seconds)
        return Saved(state_sha256, 0.0)

    return save


@careless(
    CHECKPOINT + "save",
    FILES + "Entry.write",
    says="checkpoints, configuration and status are written in place, over what was there",
    tests=SAVING,
)
def overwrites(original, target):
    def write(self, data, *, durable=True):
        self.path.write_bytes(data)

    return write if target.endswith("write") else saved_in_place(500, 0.0)


@careless(
    CHECKPOINT + "save",
    "charrnn_core.runs.saving:SAVE_SHARE",
    says="a checkpoint is written in place, and slowly",
    tests="tests/faults/test_two_at_once.py",
)
def slow_and_in_place(original, target):
    return 0 if target.endswith("SHARE") else saved_in_place(4000, 0.02)


@careless(
    FILES + "write_all",
    "charrnn_core.runs.log:write_all",
    says="what a write did not take is not written",
    tests="tests/faults/test_save_faults.py",
)
def one_write(original, target):
    def write_all(descriptor, data):
        os.write(descriptor, data)

    return write_all


@careless(
    FILES + "make_durable",
    says="nothing is made durable",
    tests="tests/faults/test_power_cut.py tests/faults/test_save_faults.py",
)
def no_fsync(original):
    return lambda descriptor: None


@careless(
    FILES + "make_durable",
    says="files are made durable by another call than the one that the tests look at",
    tests="tests/faults/test_power_cut.py tests/faults/test_save_faults.py",
)
def another_fsync(original):
    return os.fdatasync


@careless(
    FILES + "make_durable",
    says="an fsync that failed is tried again on the same file",
    tests="tests/faults/test_save_faults.py",
)
def fsync_after_fsync(original):
    def make_durable(descriptor):
        try:
            os.fsync(descriptor)
        except OSError:
            os.fsync(descriptor)

    return make_durable


@careless(
    FILES + "Folder.sync",
    says="the names of new files are not made durable",
    tests="tests/faults/test_save_faults.py tests/faults/test_power_cut.py",
)
def no_fsync_of_directories(original):
    return lambda self: None


@careless(
    FILES + "Entry.remove",
    "charrnn_core.runs.directory:RunDirectory.remove_stale_files",
    says="temporary files are left where they are",
    tests="tests/faults/test_save_faults.py tests/faults/test_kill.py tests/faults/test_disks.py",
)
def left_overs(original, target):
    return lambda self: None


@careless(
    FILES + "Entry.copy_to",
    says="the last checkpoint is moved away before the new one is there",
    tests="tests/faults/test_save_faults.py tests/faults/test_two_at_once.py",
)
def rename_for_rotate(original):
    return lambda self, other: self.move_to(other)


@careless(
    FILES + "_NO_LINKS",
    says="a file system without hard links is an error",
    tests="tests/faults/test_save_faults.py",
)
def hard_links_only(original):
    return ()


@careless(
    FILES + "Entry.create",
    says="a save makes a system call that no test makes fail",
    tests="tests/faults/test_save_faults.py",
)
def another_call(original):
    def create(self, mode=0o666):
        descriptor = original(self, mode)
        os.ftruncate(descriptor, 0)
        return descriptor

    return create


@careless(
    FILES + "Entry.descriptor",
    says="whatever stands under the name of a file is opened, and waited for",
    tests="tests/faults/test_hostile_checkpoint.py tests/faults/test_hostile_places.py "
    "tests/faults/test_hostile_links.py",
)
def any_file(original):
    return lambda self, flags=os.O_RDONLY: os.open(self.path, flags | os.O_CLOEXEC, 0o666)


@careless(
    FILES + "Folder.opened",
    says="directories inside a run are reached through links",
    tests="tests/faults/test_hostile_links.py",
)
def directories_through_links(original):
    from contextlib import contextmanager

    @contextmanager
    def opened(self):
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    return opened


@careless(
    FILES + "Entry.descriptor",
    says="files are opened through links for writing",
    tests="tests/faults/test_hostile_links.py",
)
def files_through_links(original):
    def descriptor(self, flags=os.O_RDONLY):
        if flags & (os.O_WRONLY | os.O_RDWR):
            return os.open(self.path, flags | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
        return original(self, flags)

    return descriptor


@careless(
    "charrnn_core.runs.descriptors:_check_opened",
    says="a file that has another name elsewhere is written in place",
    tests="tests/faults/test_hostile_links.py",
)
def hard_links_are_files(original):
    return lambda descriptor, path, *, writes: original(descriptor, path, writes=False)


@careless(
    "charrnn_tui.files:_folder_in_run",
    says="reports and figures are written through links of a run directory",
    tests="tests/faults/test_hostile_links.py",
)
def reports_through_links(original):
    return lambda path: None


@careless(
    "charrnn_core.runs.directory:RunDirectory.config",
    says="a directory is locked and written to before anybody knows whether it is a run",
    tests="tests/faults/test_hostile_resume.py",
)
def touched_first(original):
    def config(self):
        self.lock()
        (self.path / "resumed").touch()
        return original(self)

    return config


@careless(
    FILES + "Folder.size",
    says="the size of a run is counted by walking all of it, level inside level",
    tests="tests/faults/test_hostile_links.py",
)
def walks_everything(original):
    def size(self, most_entries=0, most_levels=0):
        def of(path: Path) -> int:
            if path.is_dir():
                return sum(of(each) for each in path.iterdir())
            return path.lstat().st_size

        return of(self.path)

    return size
