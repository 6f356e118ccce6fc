"""`python -m charrnn_tui` is `charrnn`."""

from charrnn_tui.cli import main

if __name__ == "__main__":
    main()
