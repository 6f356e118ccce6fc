"""Careless training processes: they obey without a bound, and do not look for signals."""

from tests.faults.careless import careless

FLOODS = "tests/faults/test_floods.py"


@careless(
    "charrnn_core.runs.commands:MOST_UNREAD",
    "charrnn_core.runs.commands:_MOST_LINES",
    says="all commands that wait are read at once",
    tests=FLOODS,
)
def reads_a_whole_flood(original, target):
    return 10**12


@careless(
    "charrnn_core.runs.commands:Found.add",
    says="each line that is not a command is refused by an event of its own",
    tests=f"{FLOODS}::test_a_flood_of_commands_is_answered_briefly_and_the_last_one_is_obeyed "
    f"{FLOODS}::test_lines_with_one_problem_are_one_refusal_with_their_number "
    f"{FLOODS}::test_problems_are_told_apart_up_to_a_number",
)
def a_refusal_for_each_line(original):
    return lambda self, command, offset: self.all.append((command, offset))


@careless(
    "charrnn_core.runs.process:TrainingProcess._drawn",
    says="a sample that was asked for is drawn to its end, whatever signal comes",
    tests=f"{FLOODS}::test_a_long_sample_is_given_up_where_a_signal_comes",
)
def draws_to_the_end(original):
    def drawn(self, drawing):
        reason = None
        while True:
            try:
                self._record(next(drawing))
            except StopIteration as end:
                self.trainer._stop_reason = reason
                return end.value
            reason, self.trainer._stop_reason = reason or self.trainer._stop_reason, None

    return drawn


@careless(
    "charrnn_core.training.trainer:Trainer.stopping",
    says="what was asked before a signal came is still done",
    tests=f"{FLOODS}::test_a_signal_does_not_wait_for_all_that_was_asked",
)
def obeys_all(original):
    return property(lambda self: False)


@careless(
    "charrnn_core.rnn.compiled.compiling:compile_elsewhere",
    says="code is compiled in the process that trains, which hears no signal then",
    tests=f"{FLOODS}::test_a_signal_ends_a_trainer_that_compiles",
)
def compiles_here(original):
    return lambda dtype: iter(())


@careless(
    "charrnn_core.rnn.compiled.compiling:_mark",
    says="nothing says that code was compiled",
    tests=f"{FLOODS}::test_code_is_compiled_once_and_then_read",
)
def compiles_again(original):
    return lambda dtype: original(dtype).with_name("none")


@careless(
    "charrnn_core.rnn.compiled.compiling:_is_kept",
    says="a mark counts, whether or not the code is still there",
    tests=f"{FLOODS}::test_code_is_compiled_once_and_then_read",
)
def marks_alone(original):
    return lambda mark: mark.exists()


@careless(
    "charrnn_core.runs.starting:_is_unsaved",
    says="a run that was ended before its first save cannot be resumed",
    tests=f"{FLOODS}::test_a_run_that_is_ended_while_it_compiles_is_resumed_as_if_it_had_not_begun",
)
def nothing_to_resume(original):
    return lambda directory: False


@careless(
    "charrnn_core.runs.starting:_is_unsaved",
    says="a run that has lost its checkpoints begins again",
    tests=f"{FLOODS}::test_a_run_that_has_lost_its_checkpoints_does_not_begin_again",
)
def forgets_what_was_lost(original):
    return lambda directory: not directory.has_checkpoint


@careless(
    "charrnn_core.training.trainer:Trainer.draw",
    says="a sample that is drawn in smaller pieces is another one",
    tests=f"{FLOODS}::test_a_sample_in_pieces_is_the_sample",
)
def pieces_matter(original):
    def draw(self, generator, **how):
        from charrnn_core.training import trainer

        if trainer._MULTIPLIED_A_PULSE == 1:
            generator.random()
        return original(self, generator, **how)

    return draw


@careless(
    "charrnn_core.runs.process:TrainingProcess._refuse_old_commands",
    says="commands that keep coming are refused for as long as they come, whatever signal comes",
    tests=f"{FLOODS}::test_a_signal_ends_a_run_that_is_resumed_while_commands_keep_coming",
)
def refuses_as_long_as_they_come(original):
    from charrnn_core.runs.commands import BadCommand, Command

    def refuse_old_commands(self):
        offset = -1
        while self._commands.offset != offset:
            offset = self._commands.offset
            for command, end in self._new_commands():
                if isinstance(command, Command):
                    command = BadCommand("the run was not being trained", (command.id,))
                self._refuse(command, end)

    return refuse_old_commands


@careless(
    "charrnn_core.runs.history:answered_by",
    says="of commands that are refused together none counts as answered",
    tests=f"{FLOODS}::test_commands_of_many_askers_are_refused_together_and_each_is_answered",
)
def answers_only_one(original):
    return lambda event: [event["command"]] if isinstance(event.get("command"), str) else []


@careless(
    "charrnn_core.runs.process:TrainingProcess._was_replaced",
    says="a run is looked for by its name, whatever directory has that now",
    tests="tests/faults/test_two_at_once.py",
)
def trains_into_any_directory(original):
    return lambda self: False


@careless(
    "charrnn_core.training.trainer:Trainer._is_end",
    says="a replay waits for duties that are never due",
    tests="tests/core/test_trainer.py",
)
def waits_for_duties(original):
    def is_end(self):
        return self._end is not None and self._end[0] == self.update and original(self)

    return is_end


@careless(
    "charrnn_core.runs.starting:refuse_begun",
    "charrnn_core.sweeps.directory:refuse_begun",
    says="a run begins where another process has just begun and ended one",
    tests="tests/core/test_unbegun.py::"
    "test_of_two_that_begin_at_once_one_leaves_the_run_that_the_other_has_ended_alone",
)
def begins_anywhere(original, target):
    return lambda directory: None


@careless(
    "charrnn_core.runs.lock:_LOOKS",
    says="a run is refused where a killed process has left its lock for a moment",
    tests="tests/core/test_lock.py::"
    "test_a_lock_is_waited_for_that_a_killed_process_has_left_with_one_that_it_was_starting",
)
def looks_once_for_a_lock(original):
    return 1


@careless(
    "charrnn_core.training.trainer:is_epoch_recorded",
    "charrnn_core.training.state:is_epoch_recorded",
    says="each epoch is an event, however short it is",
    tests="tests/core/test_trainer.py",
)
def each_epoch_is_an_event(original, target):
    return lambda update, per_epoch: update % per_epoch == 0


@careless(
    "charrnn_core.runs.process:TrainingProcess._is_left_out",
    says="training adds to a log until it is too large to be read",
    tests="tests/core/test_commands.py",
)
def adds_to_any_log(original):
    return lambda self, event: False
