"""What every layer speaks: events, decisions, ids, time, errors. Standard library only, no I/O."""
