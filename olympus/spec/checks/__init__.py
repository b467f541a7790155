"""What schemas can't say. Each module has `check(...)` and yields problems; `validate` finds their places.

own: what a resource says of itself, looked at once per content; the others look at the whole tree.
"""
