"""How much memory this process may use, so that nothing larger is ever asked for."""

from __future__ import annotations

import functools
import os
from pathlib import Path


@functools.cache
def installed_memory() -> int:
    """Return the memory that this process may use, in bytes.

    The least of what the machine has, the limit of its control group, and the limits of address space and
    data of the process (`ulimit -v` and `-d`).
    """
    import resource  # here, because Windows is refused in a sentence and does not have it

    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    limits = [resource.getrlimit(limit)[0] for limit in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    sizes += [limit for limit in limits if limit != resource.RLIM_INFINITY]
    return min([*sizes, *group_limits(Path("/proc/self/cgroup"), Path("/sys/fs/cgroup"))])


def group_limits(groups: Path, mounted: Path) -> list[int]:
    """Return the limits of memory of the control groups that a process is in, in bytes; none where none is.

    Parameters
    ----------
    groups : Path
        Names the process's group, or several, one for each kind of resource.
    mounted : Path
        Where the files of the groups are; a group's limit holds for the groups inside it, too.
    """
    limits = []
    for line in _text(groups).splitlines():
        _, resources, name = [*line.split(":", 2), "", ""][:3]
        if not resources:  # version 2
            folder, file = mounted, "memory.max"
        elif "memory" in resources.split(","):
            folder, file = mounted / "memory", "memory.limit_in_bytes"
        else:
            continue
        inside = Path(name.lstrip("/"))
        limits += [_text(folder / each / file).strip() for each in (inside, *inside.parents)]
    return [int(limit) for limit in limits if limit.isdigit()]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""  # no such group here


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
