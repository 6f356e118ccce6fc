"""Readers of files that anybody can write, and what must hold of each whatever the bytes are.

`targets` has one function a reader, which raises where a promise is broken. `python -m tests.faults.fuzz`
feeds them with what a coverage-guided fuzzer thinks of; the suite with what hypothesis does, and with the
cases that were found.
"""
