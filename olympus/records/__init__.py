"""Typed documents in Hermes that gods and Apollo share.

Each module says under which key its documents lie and who alone writes them.
"""
