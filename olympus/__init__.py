"""Olympus keeps a Linux cluster as its operators declared it. ARCHITECTURE.md says which file does what."""

__version__ = "0.1.0"
