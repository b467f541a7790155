"""Notes as they are read and saved: git holds them, the index says what main has. For one thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from olympus.apollo.notes.front_matter import plain_head, read_head
from olympus.apollo.notes.index_sqlite import MAX_NOTE, Index
from olympus.apollo.notes.markdown import html_of
from olympus.apollo.notes.model import Changed, Condition, Diverged, Gone, Note, Saved, Stale, Why
from olympus.apollo.notes.paths import file_of, folder_of, is_note
from olympus.apollo.notes.repository import NotesRepository, text_of
from olympus.apollo.notes.saving import Merge, decide
from olympus.apollo.notes.texts_sqlite import Found
from olympus.host.repository_git import FILE, Change, Remove, Write
from olympus.kernel.clock import Clock
from olympus.kernel.errors import Conflict, Invalid, NotFound, RetryLater
from olympus.spec.catalog import Catalog

_ATTEMPTS: Final = 50


class Notes:
    """Paths are as `note_path` gives them. What is said of `Condition` and `Why` holds for each change."""

    def __init__(self, repository: NotesRepository, index: Path, clock: Clock) -> None:
        self._repository = repository
        self._index = Index(index, repository)
        self._clock = clock

    def close(self) -> None:
        self._index.close()

    # --- read --------------------------------------------------------------------------------------------

    def head(self) -> str | None:
        """main, which the index follows."""
        head = self._repository.head()
        self._index.follow(head)
        return head

    def get(self, path: str) -> Note:
        """As main has it; under its new path where it was renamed. Raises NotFound."""
        self.head()
        found = self._index.note(path) or self._index.note(self._index.moved(path) or path)
        if found is None:
            gone = self._index.gone(path)
            how = f": {gone[0].author} deleted it; POST …/restore brings it back" if gone else ""
            raise NotFound(f"there is no note '{path}'{how}")
        return found

    def at(self, path: str, revision: str) -> str:
        """Its text in an earlier revision. Raises NotFound."""
        found = self._text_at(revision, path)
        if found is None:
            raise NotFound(f"there is no note '{path}' in revision {revision}")
        return found

    def all(self) -> list[Note]:
        """By path, without their text."""
        self.head()
        return self._index.notes()

    def gone(self) -> list[Gone]:
        self.head()
        return self._index.gone()

    def broken(self) -> dict[str, list[str]]:
        """The links that lead nowhere, by note."""
        self.head()
        return self._index.broken()

    def links(self, path: str) -> tuple[list[tuple[str, str | None]], list[str]]:
        """Where a note leads, and from where one comes to it."""
        return self._index.links(path), self._index.backlinks(path)

    def html(self, path: str, markdown: str) -> str:
        """How the text looks, at this path. Raises Invalid where its head can't be read."""
        folder = folder_of(path)
        body = read_head(path, markdown).body
        return html_of(body, folder, lambda target: self._index.resolve(target, folder))

    def html_at(self, path: str, markdown: str) -> str:
        """As `html`; what is wrong in its head is shown as it stands."""
        folder = folder_of(path)
        body = plain_head(path, markdown).body
        return html_of(body, folder, lambda target: self._index.resolve(target, folder))

    def html_of(self, note: Note) -> str:
        return self.html_at(note.path, note.markdown)

    def history(self, path: str, *, skip: int, limit: int) -> list[Changed]:
        """Newest first, also of what was deleted. Raises NotFound."""
        self.head()
        found = list(islice(self._index.history(path), skip, skip + limit))
        if not found and not skip:
            raise NotFound(f"there never was a note '{path}'")
        return found

    def diff(self, path: str, before: str, after: str) -> str:
        """Between two revisions of a note, as a unified diff."""
        return self._repository.diff(self.at(path, before), self.at(path, after))

    def changes(self, old: str, new: str) -> list[Changed]:
        """What came to main from one revision to the other (old: "" is the beginning, as is what nobody knows)."""
        before = old if old and self._repository.knows(old) else None
        return self._repository.changes(before, new)

    def shown(self, change: Changed) -> str:
        """A change as a unified diff; nothing where it is no text."""
        blobs = self._repository.blobs([one for one in (change.before, change.after) if one])
        try:
            texts = [text_of(blobs[one]) if one else "" for one in (change.before, change.after)]
        except Invalid:
            return ""
        return self._repository.diff(*texts)

    def search(self, asked: str, shown: Callable[[Found], bool], *, limit: int) -> list[Found]:
        """Notes and what is declared, the best first; `shown` says what the reader may see."""
        self.head()
        return list(islice(filter(shown, self._index.texts.search(asked)), limit))

    def take_specs(self, catalog: Catalog) -> None:
        """What is declared now is found from now on."""
        self._index.take_specs(catalog)

    def attachment(self, file: str) -> bytes:
        """A file that is no note. Raises NotFound."""
        head = self.head()
        entry = self._repository.entry(head, file) if head is not None else None
        if entry is None or entry.mode != FILE or is_note(file):
            raise NotFound(f"there is no file '{file}' beside the notes")
        return self._repository.blobs([entry.blob])[entry.blob]

    # --- write -------------------------------------------------------------------------------------------

    def save(self, path: str, markdown: str, when: Condition, why: Why) -> Saved:
        """Raises Invalid, NeedsMatch, Stale or Diverged; then nothing is changed."""
        text = _checked(path, markdown)
        for _ in range(_ATTEMPTS):
            head = self.head()
            at = path
            if self._index.note(path) is None and when.match:
                # Somebody renamed it while it was edited: the edit is meant for what it is now.
                at = self._index.moved(path) or path
            now = self._index.note(at)
            seen = self._seen(when, path)
            decision = decide(at, now, when, seen, text)
            yours, merged = text, False
            if isinstance(decision, Merge) and now is not None:
                yours, merged = self._merged(now, decision.base, text), True
            if now is not None and now.markdown == yours:
                return Saved(now, merged=merged)
            said = why.message or (f"Write {at}" if now is None else f"Edit {at}")
            if self._write([Write(file_of(at), yours.encode())], head, replace(why, message=said), at):
                return Saved(self.get(at), created=now is None, merged=merged)
        raise _busy(path)

    def _merged(self, now: Note, base: str, yours: str) -> str:
        merged = self._repository.merged(base, now.markdown, yours)
        if merged is None:
            raise Diverged(
                f"{now.author} changed the same lines of note '{now.path}'",
                base=base,
                theirs=now.markdown,
                yours=yours,
                revision=now.revision,
            )
        return merged

    def delete(self, path: str, when: Condition, why: Why) -> None:
        """Raises NotFound, or Stale where it was changed meanwhile."""
        for _ in range(_ATTEMPTS):
            head = self.head()
            note = self._existing(path, when)
            said = why.message or f"Delete {path}"
            if self._write([Remove(file_of(note.path))], head, replace(why, message=said), path):
                return
        raise _busy(path)

    def rename(self, path: str, to: str, when: Condition, why: Why) -> Note:
        """Its old path leads to it from now on. Raises NotFound, Stale, or Conflict where there is one already."""
        for _ in range(_ATTEMPTS):
            head = self.head()
            note = self._existing(path, when)
            if self._index.note(to) is not None:
                raise Conflict(f"there is a note '{to}' already")
            changes: list[Change] = [Remove(file_of(path)), Write(file_of(to), note.markdown.encode())]
            said = why.message or f"Rename {path} to {to}"
            if self._write(changes, head, replace(why, message=said), to):
                return self.get(to)
        raise _busy(path)

    def restore(self, path: str, revision: str | None, when: Condition, why: Why) -> Note:
        """As it was in `revision`; None: as it was when it was deleted. Raises NotFound or Stale."""
        for _ in range(_ATTEMPTS):
            head = self.head()
            now = self._index.note(path)
            if now is not None:
                self._existing(path, when)
            asked = revision or next((one.last for one in self._index.gone(path)), None)
            if asked is None:
                raise NotFound(f"note '{path}' was not deleted: say which revision of it is wanted")
            text = self.at(path, asked)
            if now is not None and now.markdown == text:
                return now
            said = why.message or f"Restore {path}" + (f" as of {revision[:7]}" if revision else "")
            if self._write([Write(file_of(path), text.encode())], head, replace(why, message=said), path):
                return self.get(path)
        raise _busy(path)

    def attach(self, file: str, content: bytes, why: Why) -> str:
        """A file beside the notes, new or anew; main's revision then."""
        if is_note(file):
            raise Invalid(f"{file} is a note: save it as one")
        for _ in range(_ATTEMPTS):
            head = self.head()
            said = replace(why, message=why.message or f"Attach {file}")
            if self._write([Write(file, content)], head, said, file):
                return self.head() or ""
        raise _busy(file)

    def append(self, path: str, text: str, mark: tuple[str, str], why: Why, *, whole: bool = False) -> Note:
        """New last lines, or (`whole`) all of it: once for each `mark` (a trailer), however often it is asked for."""
        for _ in range(_ATTEMPTS):
            head = self.head()
            path = self._index.moved(path) or path
            now = self._index.note(path)
            if head is not None and self._was_done(head, mark):
                return self.get(path)
            before = now.markdown if now is not None and not whole else ""
            start = before if not before or before.endswith("\n") else before + "\n"
            after = _checked(path, f"{start}{text.rstrip()}\n")
            said = replace(why, message=why.message or f"Add to {path}", trailers=(mark, *why.trailers))
            if self._write([Write(file_of(path), after.encode())], head, said, path):
                return self.get(path)
        raise _busy(path)

    def _was_done(self, head: str, mark: tuple[str, str]) -> bool:
        return self._repository.has_trailer(head, *mark)

    def _existing(self, path: str, when: Condition) -> Note:
        note = self._index.note(path)
        if note is None:
            raise NotFound(f"there is no note '{path}'")
        if when.match and "*" not in when.match and note.revision not in when.match:
            raise Stale(f"{note.author} changed note '{path}' meanwhile: read it again")
        return note

    def _write(self, changes: Sequence[Change], head: str | None, why: Why, path: str) -> bool:
        """Whether main was still where it was seen."""
        self._check_place(path, changes)
        trailers = "".join(f"\n{name}: {value}" for name, value in why.trailers)
        message = why.message.strip() + ("\n" + trailers if trailers else "") + "\n"
        try:
            self._repository.write(
                changes, parent=head, author=why.by, message=message, now=self._clock.now()
            )
        except Conflict:
            return False
        return True

    def _check_place(self, path: str, changes: Sequence[Change]) -> None:
        """Only files and folders may stand in its way; what somebody pushed as a link leads nowhere."""
        file = changes[-1].path
        mode = self._index.mode(file)
        if mode not in (None, FILE):
            raise Invalid(f"{file} is no plain file in the repository, and no note can be written over it")
        if self._index.is_folder(file):
            raise Invalid(f"{file} is a folder in the repository")
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            if self._index.mode("/".join(parts[:depth])) is not None:
                raise Invalid(f"{'/'.join(parts[:depth])} is no folder in the repository")

    def _seen(self, when: Condition, path: str) -> str | None:
        for revision in when.match:
            if revision != "*" and (text := self._text_at(revision, path)) is not None:
                return text
        return None

    def _text_at(self, revision: str, path: str) -> str | None:
        plain = revision.removesuffix("^")
        if not plain.isalnum() or not 7 <= len(plain) <= 40 or not self._repository.knows(revision):
            return None
        entry = self._repository.entry(revision, file_of(path))
        if entry is None or entry.mode != FILE or entry.size > MAX_NOTE:
            return None
        return text_of(self._repository.blobs([entry.blob])[entry.blob])


def _checked(path: str, markdown: str) -> str:
    """Raises Invalid."""
    text = markdown.replace("\r\n", "\n")
    try:
        size = len(text.encode())
    except UnicodeEncodeError as exc:
        raise Invalid(f"character {exc.start} is half of a pair, and no text") from exc
    if size > MAX_NOTE:
        raise Invalid(f"the note has {size} bytes, {MAX_NOTE} are allowed: split it, or attach a file")
    if "\0" in text:
        raise Invalid("a note has no NUL in it")
    read_head(path, text)
    return text


def _busy(path: str) -> RetryLater:
    return RetryLater(f"note '{path}' could not be saved: main was pushed to again and again", after=1)
