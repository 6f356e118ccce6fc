"""One pane of the dashboard a module."""
