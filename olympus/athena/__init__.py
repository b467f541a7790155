"""Athena: events → rules → incidents → remedies, verified. Decides purely; here are the windows of what correlates."""
