"""What the dashboard draws, pure: data and size in, lines out; no terminal, no framework."""
