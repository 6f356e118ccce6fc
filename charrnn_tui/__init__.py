"""Everything of charrnn that knows a terminal: the command line, and what it shows."""
