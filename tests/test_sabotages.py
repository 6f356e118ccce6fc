"""Every test of `tests/faults` was seen to fail where the program was made careless, and still would be."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

import pytest

from tests.faults.careless import Careless
from tests.faults.sabotage import PROJECT, SABOTAGES, Sabotage, every_test, files_of, recorded


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda sabotage: sabotage.name)
def test_a_sabotage_can_be_applied(sabotage: Sabotage | Careless, tmp_path: Path) -> None:
    if isinstance(sabotage, Careless):
        for name in sabotage.modules:
            for owner, attribute, replacement in sabotage.replacements(importlib.import_module(name)):
                assert replacement is not vars(owner)[attribute]
        assert all((PROJECT / file).is_file() for file in sabotage.files)
        return
    for file in {file for file, _, _ in sabotage.changes}:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / file, tmp_path / file)
    sabotage.apply(tmp_path)
    for file in {file for file, _, _ in sabotage.changes}:
        compile((tmp_path / file).read_text(encoding="utf-8"), file, "exec")


def test_every_test_has_been_seen_to_fail() -> None:
    noticed = recorded()
    assert noticed.keys() == {sabotage.name for sabotage in SABOTAGES}
    assert all(noticed.values())
    assert not every_test().difference(*noticed.values())


def test_the_tests_that_have_to_notice_are_there() -> None:
    for sabotage in SABOTAGES:
        for name in sabotage.tests if isinstance(sabotage, Careless) else files_of(sabotage):
            file, _, test = name.partition("::")
            text = (PROJECT / file).read_text(encoding="utf-8")
            assert not test or f"\ndef {test}(" in text, f"{sabotage.name}: {name}"
