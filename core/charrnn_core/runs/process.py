"""The process that trains: it owns a run directory until a stop or a signal, and obeys what views ask."""

from __future__ import annotations

import dataclasses
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from types import FrameType
from typing import Any

import numpy as np

from charrnn_core.errors import (
    CheckpointError,
    CommandError,
    DivergedError,
    RunDirectoryError,
    RunFailedError,
    RunTakenError,
    UsageError,
    reason_of,
)
from charrnn_core.memory import readable_size
from charrnn_core.runs.checkpoint import KINDS, Place, RunFacts
from charrnn_core.runs.commands import BadCommand, Command, CommandReader, Found
from charrnn_core.runs.directory import RunDirectory
from charrnn_core.runs.lock import is_lock_file
from charrnn_core.runs.log import ROOM_FOR_MANY, EventLog
from charrnn_core.runs.saving import Saver
from charrnn_core.training.events import (
    Ended,
    EpochDone,
    Event,
    GradientsChecked,
    Obeyed,
    Refused,
    Sample,
    Status,
    Validated,
    Warned,
)
from charrnn_core.training.state import Best
from charrnn_core.training.trainer import Trainer

STATUS_SECONDS = 0.1
"""How often `status.json` is replaced."""

ASKED_SAMPLE_STREAM = 3
"""The spawn key of the random numbers of the n-th sample that was asked for is (3, n)."""

View = Callable[[Event | Status], None]
Checker = Generator[Status, None, GradientsChecked | None]
Drawing = Generator[Status, None, Sample | None]

_MANY = (Sample, Validated, EpochDone)  # events of which there can be one for each update
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_UNREADABLE_SECONDS = 1.0  # how often commands are looked for that could not be read
_PAUSED_SECONDS = 0.05  # how often a paused process looks for commands


class TrainingProcess:
    """One process's share of a run, from where it begins to where it ends.

    Made by `start`, `resume` or `replay` of `charrnn_core.runs.starting`.

    Parameters
    ----------
    directory : RunDirectory
    lock : int
        The descriptor of its lock.
    log : EventLog
    trainer : Trainer
    facts : RunFacts
    opening : list of Event
        What is recorded first: that training started or was resumed, and what was found.
    place : Place
        Where the run's files were when the state that training goes on from was saved.
    answered : set of str
        The ids of commands that the log answers already.
    refused_lines : set of int
        Where the lines of commands end that have no id and are refused already.
    saved_best : Best, optional
        The figures of the best state that is on disk.
    owned : bool
        Standard input is a pipe from whoever started this process; its end means that the owner is gone.

    Attributes
    ----------
    directory : RunDirectory
    trainer : Trainer
    signal : int or None
        The signal that stopped it.
    state_sha256 : str or None
        Identity of the last state that was saved.
    """

    def __init__(
        self,
        directory: RunDirectory,
        lock: int,
        log: EventLog,
        trainer: Trainer,
        facts: RunFacts,
        opening: list[Event],
        *,
        place: Place | None = None,
        answered: set[str] | None = None,
        refused_lines: set[int] | None = None,
        saved_best: Best | None = None,
        owned: bool = False,
    ) -> None:
        self.directory = directory
        self.trainer = trainer
        self.signal: int | None = None
        self._hears_signals = False
        place = place or Place()
        self._lock = lock
        self._log = log
        self._opening = opening
        self._answered = answered or set()
        self._refused_lines = refused_lines or set()
        self._owned = owned
        self._paused = False
        self._check: tuple[Command, Checker] | None = None  # one that was asked for, and how far it is
        self._view: View = lambda item: None
        self._next_status = 0.0
        self._commands_due = 0.0
        self._lock_due = 0.0
        self._lock_path = directory.lock_file
        with directory.folder.opened() as folder:
            self._identity = os.fstat(folder)
        log.guard = self._look_after_lock
        self._is_log_full = False  # nearly, and that was said
        self._is_deaf = False  # commands cannot be read, and that was said
        self._commands = CommandReader(directory.commands_file, place.command_offset)
        self._opened = ExitStack()
        self._opened.callback(lambda: os.close(self._lock))
        self._opened.callback(self._commands.close)
        self._opened.callback(log.close)
        self._saver = Saver(directory, trainer, facts, log, self._record, place=place, saved_best=saved_best)

    @property
    def state_sha256(self) -> str | None:
        """Identity of the last state that was saved."""
        return self._saver.state_sha256

    def run(self, view: View) -> Ended:
        """Train until a stop or a signal, and return how it ended; it can run once.

        However it ends, also by an exception of the view's, it lets go of log and lock.

        Parameters
        ----------
        view : callable
            Shown every event and status, in order.

        Raises
        ------
        CheckpointError
            The trial save before the first update failed, or the last one at the end.
        RunFailedError
            The end of the event log could not be written, or another process has taken the run over.
        """
        self._view = view
        with self.signals(), self._opened:
            return self._run()

    def _run(self) -> Ended:
        trainer, saver = self.trainer, self._saver
        ended: Ended | None = None
        self._answer_swallowed()
        for event in self._opening:
            self._record(event)
        self._refuse_old_commands()
        self._prepare_engine()
        for item in trainer.run():
            if isinstance(item, Ended):
                ended = item
                break
            self._record(item)
            if not trainer.diverged:
                if saver.due or saver.state_sha256 is None:
                    saver.save()
                if not (trainer.pending and isinstance(item, Status) and item.phase == "training"):
                    self._attend()  # else what is pending comes at once
        assert ended is not None, "a trainer's last event is Ended"
        if trainer.has_begun:
            saver.save()
        ended = dataclasses.replace(ended, time=trainer.seconds, state_sha256=saver.state_sha256)
        self._record(ended)
        self._end()
        return ended

    def _prepare_engine(self) -> None:
        """Have the engine compiled where it must be, until it is or a stop comes."""
        if self.trainer.engine.is_ready():
            return
        self._record(self.trainer.status("compiling"))
        with closing(self.trainer.engine.preparing()) as preparing:
            for _ in preparing:
                self._look_after_lock(False)
                self._look_for_owner()
                if self.trainer.stopping:
                    return
                self._record(self.trainer.status("compiling"))

    def close(self) -> None:
        """Let go of log and lock, also without having trained."""
        self._opened.close()

    # -- what is recorded and shown ------------------------------------------------------------------------

    def _record(self, item: Event | Status) -> None:
        refused = None
        if isinstance(item, Event) and not self._is_left_out(item):
            refused = self._log.append(item)
        if isinstance(item, Status) and time.monotonic() >= self._next_status:
            self._next_status = time.monotonic() + STATUS_SECONDS
            self._write_status(item)
        self._view(item)
        if refused is not None and self._log.waiting == 1:
            self._warn(f"cannot write {self.directory.events_file}: {reason_of(refused)}; training goes on")

    def _is_left_out(self, event: Event) -> bool:
        """Return whether an event is shown only, because the log is nearly as large as one that is read."""
        if self._log.length < ROOM_FOR_MANY or not isinstance(event, _MANY):
            return False
        if getattr(event, "command", None) is not None:
            return False
        if not self._is_log_full:
            self._is_log_full = True
            size = readable_size(self._log.length)
            self._warn(
                f"the log has {size}: from here on it keeps no samples but those asked for, no validations "
                "and no ends of epochs"
            )
        return True

    def _write_status(self, status: Status) -> None:
        state = "paused" if self._paused else "stopping" if self.signal else "training"
        try:
            self.directory.write_status({"state": state, "pid": os.getpid(), **status.to_json()})
        except OSError:
            # The next one is a tenth of a second away, and a disk that refuses is reported by the next save.
            self._next_status = time.monotonic() + 10 * STATUS_SECONDS

    def _warn(self, message: str) -> None:
        self._record(Warned(update=self.trainer.update, time=self.trainer.seconds, message=message))

    def _end(self) -> None:
        """Let go of log and lock, and say now what could not be made durable."""
        unsynced = None
        try:
            self._log.sync()
        except OSError as error:
            unsynced = error
        self.close()
        if self._saver.failed:
            is_saved = any(self.directory.checkpoint_file(kind).exists() for kind in KINDS)
            kept = "; the one before it is kept" if is_saved else ", and there is none any more"
            raise CheckpointError(f"the last checkpoint could not be saved{kept}")
        if unsynced is not None or self._log.waiting:
            reason = f": {reason_of(unsynced)}" if unsynced is not None else ""
            raise RunFailedError(f"the end of {self.directory.events_file} may be missing{reason}")

    # -- what is asked of it -------------------------------------------------------------------------------

    def _attend(self) -> None:
        """Obey what was asked, between two updates; while paused or checking, stay here and look for more."""
        self._look_after_lock(False)
        self._look_for_owner()
        self._obey_all()
        if not self._stays():
            return
        with self.trainer.paused():
            self._write_status(self.trainer.status("checking" if self._check else "paused"))
            while self._stays():
                if self._check is None:
                    time.sleep(_PAUSED_SECONDS)
                else:
                    self._go_on_checking(*self._check)
                self._look_after_lock(False)
                self._look_for_owner()
                self._obey_all()
        self._next_status = 0.0
        self._give_up_checking("training was stopped before the check was done")

    def _stays(self) -> bool:
        """Whether no update is to be done now."""
        return (self._paused or self._check is not None) and self.signal is None and not self.trainer.stopping

    def _look_after_lock(self, now: bool) -> None:
        """Take the run anew where somebody has removed its lock; give up where another process was faster.

        Asked between any two updates, before each line of the log, and just before a checkpoint is put in
        place; without `now` it looks only once in a while. A process that was stopped in between, while its
        computer slept say, looks at once when it goes on.

        Raises
        ------
        RunFailedError
            Another process trains the run; this one writes nothing more.
        """
        if not now and time.monotonic() < self._lock_due:
            return
        self._lock_due = time.monotonic() + STATUS_SECONDS
        if is_lock_file(self._lock, self._lock_path):
            return
        if self._was_replaced():
            raise self._taken_over(f"another directory is {self.directory.path} now")
        try:
            lock = self.directory.lock()
        except RunTakenError as error:
            raise self._taken_over(str(error)) from None
        except RunDirectoryError:
            return  # its directory is gone, or nothing can be written there: the next save says so
        os.close(self._lock)
        self._lock = lock
        if not self._log.is_as_left():
            raise self._taken_over(f"another process has trained {self.directory.path} since then")

    def _was_replaced(self) -> bool:
        """Return whether the name of the run's directory is that of another directory now."""
        try:
            with self.directory.folder.opened() as folder:
                return not os.path.samestat(os.fstat(folder), self._identity)
        except OSError:
            return False  # nothing can be written there either: the next save says so

    def _taken_over(self, what: str) -> RunFailedError:
        """Write nothing more, and return the error that says why."""
        self.close()
        return RunFailedError(
            f"the lock of this run was removed, and {what}; this process has stopped and saves no more"
        )

    def _look_for_owner(self) -> None:
        """Stop when the pipe from the process that started this one has ended."""
        if self._owned and select.select([0], [], [], 0)[0] and not os.read(0, 4096):
            self._owned = False
            self.trainer.stop("owner gone")

    def _new_commands(self) -> list[tuple[Command | BadCommand, int]]:
        """Return what was asked; where that cannot be read, say so, and look again in a while."""
        if time.monotonic() < self._commands_due:
            return []
        try:
            found = self._commands.read()
        except OSError as error:
            self._commands_due = time.monotonic() + _UNREADABLE_SECONDS
            if not self._is_deaf:
                self._is_deaf = True
                path = self.directory.commands_file
                self._warn(
                    f"cannot read {path}: {reason_of(error)}; training continues, and commands are ignored"
                )
            return []
        self._is_deaf = False
        return found

    def _answer_swallowed(self) -> None:
        """Answer the command whose effect is in the state to go on from, if a crash was faster."""
        obeyed = self._saver.place.obeyed
        if obeyed is not None and obeyed["command"] not in self._answered:
            self._answered.add(obeyed["command"])
            self._record(Obeyed(**{**obeyed, "time": self.trainer.seconds}))

    def _refuse_old_commands(self) -> None:
        """Refuse what was asked while no process trained the run; what comes from now on is obeyed."""
        last_refused = max(self._refused_lines, default=0)
        until = self._commands.size
        # What a signal leaves unread here is refused by the next process that trains the run.
        while not self.trainer.stopping:
            before, refused = self._commands.offset, Found()
            for command, offset in self._new_commands():
                if isinstance(command, Command):
                    command = BadCommand("the run was not being trained", (command.id,))
                new = tuple(identity for identity in command.ids if identity not in self._answered)
                if new:
                    refused.add(BadCommand(command.problem, new, len(new)), offset)
                elif not command.ids and offset > last_refused:
                    refused.add(command, offset)
            for bad, offset in refused.bad:
                self._refuse(bad, offset)
            self._read_up_to(self._commands.offset)
            if self._commands.offset == before or self._commands.offset >= until:
                return

    def _obey_all(self) -> None:
        too_late = Found()
        for command, offset in self._new_commands():
            if isinstance(command, BadCommand):
                self._refuse(command, offset)
                continue  # its lines stand between commands that are not answered yet
            if command.id in self._answered:
                pass  # read again, from a file that took the place of another
            elif self.trainer.stopping:
                too_late.add(BadCommand("training is ending", (command.id,)), offset)
                continue
            else:
                try:
                    self._obey(command)
                except (UsageError, CheckpointError, DivergedError) as error:
                    self._refuse(BadCommand(str(error), (command.id,)))
                except MemoryError:
                    self._refuse(BadCommand("there is not enough memory for this", (command.id,)))
            # Only now: what is not answered when a crash comes is read again; and a check is answered later.
            if self._check is None:
                self._read_up_to(offset)
        for refused, offset in too_late.bad:
            self._refuse(refused)
            self._read_up_to(offset)

    def _obey(self, command: Command) -> None:
        trainer, arguments = self.trainer, command.arguments
        match command.name:
            case "pause":
                self._saver.save()
                self._paused = True
            case "continue":
                self._paused = False
            case "stop":
                trainer.stop("stopped")
            case "detach":
                self._owned = False
            case "sample":
                self._draw(command)
            case "checkpoint":
                self._with_answer_saved(command, lambda: self._saver.save_now(command.id))
            case "set-learning-rate":
                self._set_learning_rate(command, float(arguments["learning_rate"]))
            case "check":
                if self._check is not None:
                    raise CommandError("another check is being made")
                checker = trainer.check_gradients(command.comparisons(), arguments.get("seed"))
                self._check = command, checker
                return  # answered when it is done
        self._record(self._answer(command))

    def _answer(self, command: Command) -> Obeyed:
        self._answered.add(command.id)
        return Obeyed(
            update=self.trainer.update,
            time=self.trainer.seconds,
            command=command.id,
            name=command.name,
            arguments=command.arguments,
        )

    def _draw(self, command: Command) -> None:
        settings, arguments, place = self.trainer.settings, command.arguments, self._saver.place
        stream = np.random.SeedSequence(settings.seed, spawn_key=(ASKED_SAMPLE_STREAM, place.drawn))
        drawing = self.trainer.draw(
            np.random.default_rng(stream),
            length=arguments.get("length", settings.sample_length),
            temperature=arguments.get("temperature", settings.temperature),
            top_p=arguments.get("top_p"),
            prime=arguments.get("prime", ""),
        )
        sample = self._drawn(drawing)
        if sample is None:
            raise CommandError("training was stopped before the sample was drawn")
        self._saver.place = dataclasses.replace(place, drawn=place.drawn + 1)
        self._record(dataclasses.replace(sample, command=command.id))

    def _drawn(self, drawing: Drawing) -> Sample | None:
        """Return a sample, drawn piece by piece; None where a stop came first."""
        while True:
            try:
                self._record(next(drawing))
            except StopIteration as end:
                sample: Sample | None = end.value
                return sample
            self._look_after_lock(False)
            self._look_for_owner()

    def _go_on_checking(self, command: Command, checker: Checker) -> None:
        """Do a piece of a check; answer when it is done."""
        try:
            self._record(next(checker))
        except StopIteration as end:
            if end.value is not None:  # None: a stop came first
                self._record(dataclasses.replace(end.value, command=command.id))
                self._record(self._answer(command))
                self._end_checking()
        except MemoryError:
            self._give_up_checking("there is not enough memory for this check")

    def _give_up_checking(self, reason: str) -> None:
        if self._check is not None:
            command, _ = self._check
            self._refuse(BadCommand(reason, (command.id,)))
            self._end_checking()

    def _end_checking(self) -> None:
        self._check = None
        self._read_up_to(self._commands.offset)

    def _set_learning_rate(self, command: Command, learning_rate: float) -> None:
        """Change it, and have the change in a saved checkpoint before it is answered."""
        before = self.trainer.settings.learning_rate
        self.trainer.set_learning_rate(learning_rate)
        try:
            self._with_answer_saved(command, self._saver.save_quietly)
        except CheckpointError:
            self.trainer.set_learning_rate(before)
            raise

    def _with_answer_saved(self, command: Command, save: Callable[[], None]) -> None:
        """Save with the answer in the checkpoint, so that no crash can swallow it."""
        place = self._saver.place
        self._saver.place = dataclasses.replace(place, obeyed=_plain(self._answer(command)))
        try:
            save()
        except CheckpointError:
            self._saver.place = place
            raise

    def _refuse(self, refused: BadCommand, offset: int | None = None) -> None:
        """Record a refusal; `offset`, after the lines, is how those without an id are known."""
        self._answered.update(refused.ids)
        self._record(
            Refused(
                update=self.trainer.update,
                time=self.trainer.seconds,
                command=refused.ids[0] if len(refused.ids) == 1 else None,
                commands=list(refused.ids) if len(refused.ids) > 1 else None,
                reason=refused.reason,
                offset=None if refused.ids else offset,
            )
        )

    def _read_up_to(self, offset: int) -> None:
        self._saver.place = dataclasses.replace(self._saver.place, command_offset=offset)

    # -- signals -------------------------------------------------------------------------------------------

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Let the first SIGINT, SIGTERM or SIGHUP finish the update and save, and a second one exit at once.

        `run` enters it; a caller does so before its view, so that the view is taken down whenever a signal
        comes. In another thread than the main one there are no signals to be heard.
        """
        if self._hears_signals or threading.current_thread() is not threading.main_thread():
            yield
            return

        def stop(number: int, frame: FrameType | None) -> None:
            if self.signal is not None:
                raise SystemExit(128 + number)
            self.signal = number
            self.trainer.stop(f"signal {signal.Signals(number).name}")

        # A signal that whoever started this process has set to be ignored (nohup) stays ignored.
        heeded = [number for number in _STOP_SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
        before = {number: signal.signal(number, stop) for number in heeded}
        self._hears_signals = True
        try:
            yield
        finally:
            self._hears_signals = False
            for number, handler in before.items():
                signal.signal(number, handler)


def _plain(event: Event) -> dict[str, Any]:
    """Return the fields of an event, for a checkpoint."""
    return {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
