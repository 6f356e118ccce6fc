"""How much memory this process may use."""

from pathlib import Path

import pytest

from charrnn_core.memory import group_limits, installed_memory


@pytest.fixture
def mounted(tmp_path):
    """Control groups of both versions, with limits at several levels."""
    for name, limit in {
        "memory.max": "max",
        "user.slice/memory.max": "8000",
        "user.slice/job/memory.max": "9000",
        "memory/memory.limit_in_bytes": str(2**63 - 4096),
        "memory/docker/abc/memory.limit_in_bytes": "7000",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{limit}\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("groups", "least"),
    [
        ("0::/user.slice/job\n", 8000),
        ("0::/\n", None),
        ("0::/gone\n", None),
        ("9:cpu:/x\n4:memory:/docker/abc\n0::/\n", 7000),
        ("4:hugetlb,memory:/docker/abc/inner\n", 7000),
        ("", None),
        ("nonsense\n\n::\n", None),
    ],
)
def test_the_limit_of_a_group_holds_for_those_inside_it(mounted, tmp_path, groups, least):
    file = tmp_path / "groups"
    file.write_text(groups, encoding="utf-8")
    assert min(group_limits(file, mounted), default=None) == least


def test_where_there_are_no_groups_there_is_no_limit():
    assert group_limits(Path("/nowhere"), Path("/nowhere")) == []
    assert installed_memory() > 0
