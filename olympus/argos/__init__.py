"""Argos has a hundred eyes: it sees the lines of logs, and remarks those that its patterns ask for."""
