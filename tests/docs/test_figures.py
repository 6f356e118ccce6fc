"""The figures of the README are those of the pages that say how they were measured."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
MEASURED = (ROOT / "core" / "benchmarks" / "README.md").read_text(encoding="utf-8")


def cells(text: str, beginning: str) -> list[str]:
    """Return the cells of the only row of a table that begins so."""
    (row,) = re.findall(rf"^\| {re.escape(beginning)}.*", text, re.M)
    return [cell.strip() for cell in row.strip("|").split("|")]


def number(text: str) -> float:
    """Return the first number of a text."""
    found = re.search(r"[\d,]*\d(?:\.\d+)?", text)
    assert found is not None, text
    return float(found[0].replace(",", ""))


def test_kills_and_power_cuts() -> None:
    table = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    kills, cuts = (number(cells(table, row)[2]) for row in ("a run is killed", "a power cut"))
    assert f"[{kills:,.0f} kills, {cuts:,.0f} power cuts]" in README


def test_updates_a_second_beside_the_textbook_loop() -> None:
    section = MEASURED.partition("## The whole program\n")[2].partition("\n## ")[0]
    numpy, numba = (number(cells(section, f"{engine}, float32")[2]) for engine in ("numpy", "numba"))
    assert f"[{numba:.0f} times as many updates a second]" in README
    assert f"does {numpy:.0f} times as many updates a second" in README
    assert f"{numba:.0f} times as many with Numba" in " ".join(README.split())


def test_the_table_of_speed() -> None:
    rows = {
        "charrnn with Numba, float32": "**numba**, float32",
        "charrnn with NumPy alone, float32": "**numpy**, float32",
        "JAX, everything under one `jit`, float32": "JAX, float32",
        "PyTorch, `nn.RNN`, float32": "PyTorch, float32",
        "textbook loop in NumPy, float64": "textbook loop, float64",
    }
    for said, measured in rows.items():
        every = list(map(number, cells(MEASURED, measured)[1:]))
        of_page = list(map(number, cells(README, said)[1:]))
        assert of_page == pytest.approx([every[0], every[1], every[5]], rel=0.006), said


def test_sampling() -> None:
    found = re.search(r"characters a second with m = 100, ([\d.]+) times", MEASURED)
    assert found is not None
    assert f"writes {float(found[1]):.1f} times as many characters a second" in " ".join(README.split())


def test_a_text_of_a_gigabyte() -> None:
    _, numpy, numpy_mb, numba, numba_mb = map(number, cells(MEASURED, "1,000,000,000 |"))
    told = (
        f"in {numpy:.1f} to {numba:.1f} seconds and {numpy_mb / 1e3:.1f} to {numba_mb / 1e3:.1f} GB of memory"
    )
    assert told in " ".join(README.split())
