"""Asking something of a run that this program does not train here."""

import json
import os

import pytest

from charrnn_core.errors import CommandError
from charrnn_core.runs.asking import ask
from charrnn_core.runs.commands import Command
from charrnn_core.runs.directory import RunDirectory


def test_a_trial_that_a_worker_trains_refuses_at_once_and_is_sent_nothing(tmp_path):
    run = RunDirectory(tmp_path / "trial")
    run.path.mkdir()
    lock = run.lock()
    try:
        run.status_file.path.write_text(json.dumps({"elsewhere": "tcp://scheduler"}), encoding="utf-8")
        with pytest.raises(CommandError, match=r"^trial is trained on a cluster, .*Ctrl\+C at its sweep"):
            next(ask(run, Command.make("stop"), wait=60))
    finally:
        os.close(lock)
    assert not run.commands_file.path.exists()
