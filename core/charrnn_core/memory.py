"""How much memory this machine has, so that nothing larger is ever asked for."""

from __future__ import annotations

import functools
import os
from pathlib import Path


@functools.cache
def installed_memory() -> int:
    """Return the memory that this process may use in bytes: the machine's, or its control group's if less."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii").strip()
    except OSError:
        return installed  # no control groups here: the machine is the limit
    return min(installed, int(limit)) if limit.isdigit() else installed


def readable_size(size: float) -> str:
    """Return a number of bytes for people, in powers of 1,000.

    Examples
    --------
    >>> readable_size(999), readable_size(1_234_000), readable_size(4.2e13)
    ('999 B', '1.2 MB', '42 TB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000 or unit == "PB":
            break
        size /= 1000
    return f"{size:,.0f} {unit}" if size >= 10 or unit == "B" else f"{size:.1f} {unit}"
