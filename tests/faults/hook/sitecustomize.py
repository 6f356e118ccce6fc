"""Imported by each Python that has this folder on its path: it makes a sabotage happen (`careless.py`)."""

from tests.faults.careless import install

install()
