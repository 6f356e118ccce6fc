"""Carelessness about texts that come through a pipe."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

from tests.faults.careless import careless


@careless(
    "charrnn_tui.cli.tui:move_input",
    says="the dashboard copies its text into a temporary file first",
    tests="tests/faults/test_input.py",
)
def copies_its_text(original: Any) -> Any:
    def move_input() -> int:
        with tempfile.NamedTemporaryFile(delete=False) as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        os.dup2(os.open("/dev/tty", os.O_RDWR), 0)
        return os.open(file.name, os.O_RDONLY)

    return move_input


@careless(
    "charrnn_tui.cli.tui:move_input",
    says="the dashboard takes its keys from where its text comes from",
    tests="tests/faults/test_input.py tests/faults/test_streams.py",
)
def no_text_from_a_pipe(original: Any) -> Any:
    return lambda: os.dup(0)


@careless(
    "charrnn_tui.cli.owner:ended_by_owner",
    says="a trainer reads its text to the end although its dashboard is gone",
    tests="tests/faults/test_input.py",
)
def reads_for_nobody(original: Any) -> Any:
    return lambda owned: nullcontext()


@careless(
    "charrnn_core.text.source:_input_blocks",
    says="standard input may give whatever it likes",
    tests="tests/faults/test_input.py tests/core/test_corpus.py",
)
def input_without_a_bound(original: Any) -> Any:
    def _input_blocks(descriptor: int | None) -> Iterator[bytes]:
        while block := os.read(0 if descriptor is None else descriptor, 1 << 18):
            yield block

    return _input_blocks


@careless(
    "charrnn_core.text.source:_read_some",
    says="a pipe that another process has told not to wait is an error",
    tests="tests/faults/test_input.py",
)
def never_waits(original: Any) -> Any:
    return lambda descriptor: os.read(descriptor, 1 << 18)


@careless(
    "charrnn_core.text.corpus:read_corpus",
    says="a prime may be as long as a text",
    tests="tests/faults/test_input.py",
)
def primes_without_a_bound(original: Any) -> Any:
    def read_corpus(text: Any, progress: Any = None, *, most: int | None = None) -> Any:
        return original(text, progress)

    return read_corpus


@careless(
    "charrnn_core.text.coding:TextCoder.size",
    says="the codes of a text may need more memory than there is",
    tests="tests/faults/test_input.py",
)
def codes_without_a_bound(original: Any) -> Any:
    return property(lambda coder: 0)
