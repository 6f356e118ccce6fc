"""Ways to make the program careless, one module for each area: see `tests/faults/careless.py`."""
