"""The sections of a report, one module for those that belong together: findings in, blocks out."""
