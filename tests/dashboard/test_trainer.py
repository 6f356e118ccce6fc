"""The process that a dashboard starts to train."""

import errno
import os
import subprocess

import pytest

from charrnn_tui.dashboard.trainer import OwnedTrainer


def open_descriptors():
    found = set()
    for number in range(1024):
        try:
            os.fstat(number)
        except OSError:
            continue
        found.add(number)
    return found


@pytest.mark.parametrize("outlives", [False, True])
def test_where_no_process_can_be_started_the_writer_of_its_text_hears_of_it(monkeypatch, outlives):
    def popen(*arguments, **named):
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", popen)
    before = open_descriptors()
    reader, writer = os.pipe()
    with pytest.raises(OSError, match="temporarily unavailable"):
        OwnedTrainer(["train", "-"], outlives=outlives, text=reader)
    with pytest.raises(BrokenPipeError):
        os.write(writer, b"text")
    os.close(writer)
    assert open_descriptors() == before
