"""Reasons of errors in messages."""

from __future__ import annotations

import ast
import errno
from pathlib import Path

import pytest

import charrnn_core
import charrnn_tui
from charrnn_core.errors import reason_of, reason_with_path

REASONS = {
    OSError(errno.ENOSPC, "No space left on device"): "No space left on device",
    OSError(errno.ENOSPC, "No space left on device", "book.txt"): "No space left on device",
    OSError(errno.ENOSPC): "No space left on device",
    OSError("cannot load libLLVM.so\n  for this reason"): "cannot load libLLVM.so for this reason",
    OSError(None, None): "OSError without a reason",
    OSError(): "OSError without a reason",
    OSError(errno.ENOSPC, None): "No space left on device",
    OSError(""): "OSError without a reason",
    TimeoutError(): "TimeoutError without a reason",
    ValueError("embedded null byte"): "embedded null byte",
    ValueError(): "ValueError without a reason",
}


@pytest.mark.parametrize("error", REASONS, ids=repr)
def test_a_reason_is_never_empty_and_never_none(error: Exception) -> None:
    assert reason_of(error) == REASONS[error]


def test_a_path_stands_before_the_reason_and_a_number_does_not() -> None:
    assert reason_with_path(OSError(errno.EIO, "bad", b"caf\xe9")) == "caf\udce9: bad"
    assert reason_with_path(OSError(errno.EIO, "bad", 5)) == "bad"
    assert reason_with_path(ValueError("bad")) == "bad"


def test_nothing_else_puts_an_error_of_the_system_into_words() -> None:
    """`strerror` can be None: what reads it would say so to the user."""
    found = []
    for package in (charrnn_core, charrnn_tui):
        folder = Path(package.__path__[0])
        for path in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                reads = isinstance(node, ast.Attribute) and node.attr == "strerror"
                names = isinstance(node, ast.Constant) and node.value == "strerror"
                if reads or names:
                    found.append(f"{path.relative_to(folder)}:{node.lineno}")
    allowed = ("errors.py:", "limits.py:")
    assert [place for place in found if not place.startswith(allowed)] == []
