"""A terminal for what is installed."""

from tests.terminals import dashboard

__all__ = ["dashboard"]
