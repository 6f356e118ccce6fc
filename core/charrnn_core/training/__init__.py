"""Training: its settings, the trainer, and the events that it yields."""
