"""A run's data for other people's tools: tables, JSON lines, event files of TensorBoard."""
