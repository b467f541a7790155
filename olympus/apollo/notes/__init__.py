"""Notes: Markdown files in the repository `STATE/notes.git`, where every save is a commit with its author.

paths (what a note may be called) ── saving (what becomes of a save, pure)
front_matter, markdown (what a note says of itself, and how it looks)
repository (git), index_sqlite (what main holds, ready to be asked; can be made anew) → notes (both together)
telling (`olympus.apollo.note-changed`, once for each change) ── service (all of it, from the event loop)
"""
