"""Careless beginnings of a process."""

from tests.faults.careless import careless


@careless(
    "charrnn_tui.entry:main",
    says="Ctrl+C is an exception until a command handles it",
    tests="tests/faults/test_beginning.py tests/faults/test_signals.py",
)
def interrupts(original):
    def main():
        import signal  # a test has a module of this name that interrupts

        signal.signal(signal.SIGINT, signal.default_int_handler)
        original()

    return main


@careless(
    "charrnn_tui.entry:main",
    says="Ctrl+C is ignored until a command handles it",
    tests="tests/faults/test_beginning.py tests/faults/test_signals.py",
)
def deaf_at_first(original):
    def main():
        import signal  # a test has a module of this name that interrupts

        signal.signal(signal.SIGINT, signal.SIG_IGN)
        original()

    return main
