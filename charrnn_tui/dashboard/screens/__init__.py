"""What is shown over the dashboard."""
